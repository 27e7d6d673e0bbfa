//! The thread of a shard: it listens to its groups, checks them, wakes tasks, sleeps.
//!
//! It waits by the same loop as a blocking receive, [`core::wait`](crate::core::wait), and never
//! ends.

use std::convert::Infallible;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::state::{Found, Group, GroupKey, State, Task, Want};
use crate::core::memory::records::Event;
use crate::core::wait::{Slept, Waiter};
use crate::os::futex::{self, MAX_WORDS};
use crate::store::slot::{Slot, queue};
use crate::store::wait::LONGEST_SLEEP;

/// How many groups a thread sleeps on.
pub(super) const MAX_GROUPS: usize = MAX_WORDS - 1;

/// How long a thread sleeps while no task waits. It is woken when one comes.
const IDLE: Duration = Duration::from_secs(3600);

/// What a shard's thread knows.
pub(super) struct ShardWaiter<'a> {
    state: &'a Mutex<State>,
    shard: usize,
    control: &'a Event,
    entries: Vec<Entry>,
    all_checked_at: Instant,
    #[cfg(test)]
    checks: &'a Checks,
}

/// How many groups were checked: because of an event, and because it was time to check all.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Checks {
    pub(super) by_event: std::sync::atomic::AtomicU64,
    pub(super) by_time: std::sync::atomic::AtomicU64,
}

/// A group, as the thread of its shard knows it.
struct Entry {
    group: GroupKey,
    ticket: u64,
    slot: Slot,
    /// What the word of the slot's event held when the thread listened last.
    word: u32,
    /// When the first of its tasks has to check although nothing has happened.
    soonest: Option<Instant>,
    wants_work: bool,
    /// It was reported to the thread.
    is_changed: bool,
    /// What the last check found, until tasks were woken by it.
    found: Option<Found>,
}

impl<'a> ShardWaiter<'a> {
    pub(super) fn new(
        state: &'a Mutex<State>,
        shard: usize,
        control: &'a Event,
        #[cfg(test)] checks: &'a Checks,
    ) -> Self {
        lock(state).report_all(shard);
        Self {
            state,
            shard,
            control,
            entries: Vec::new(),
            all_checked_at: Instant::now(),
            #[cfg(test)]
            checks,
        }
    }

    /// Brings the thread's list up to date with the groups that were reported to it.
    fn take_changes(&mut self) {
        let (shard, entries) = (self.shard, &mut self.entries);
        let mut gone = Vec::new();
        let mut state = lock(self.state);
        let mut changed = mem::take(&mut state.shards[shard].changed);
        changed.sort_unstable();
        changed.dedup();
        for key in changed {
            let known = entries.iter().position(|entry| entry.group == key);
            // A group of another shard ended here and began again there.
            let group = state.groups.get(&key).filter(|group| group.shard == shard);
            let is_same = known.is_some_and(|index| group.is_some_and(|group| group.ticket == entries[index].ticket));
            match (known, group) {
                (Some(index), Some(group)) if is_same => entries[index].update(group),
                (known, group) => {
                    gone.extend(known.map(|index| entries.swap_remove(index)));
                    entries.extend(group.map(|group| Entry::new(key, group)));
                }
            }
        }
        drop(state);
        // Without the lock: the last handle on a store closes it.
        drop(gone);
    }

    /// Checks the slots to which something may have happened, after it has listened to them again.
    fn check_slots(&mut self, check_all: bool, now: Instant) {
        let mut due: Vec<_> = self.entries.iter_mut().filter(|entry| entry.is_due(now) || check_all).collect();
        for entry in &mut due {
            #[cfg(test)]
            self.checks.note(entry.is_due(now));
            entry.is_changed = false;
            entry.word = entry.slot.new_version().listen();
        }
        for entry in due {
            entry.found = Some(Found {
                newest: entry.slot.version(),
                exists: entry.slot.exists(),
                has_work: entry.wants_work && queue::has_work(&entry.slot),
            });
        }
    }

    /// Takes the tasks that have what they want, or have to check, out of the groups that were
    /// checked.
    fn take_woken(&mut self, now: Instant) -> Vec<Task> {
        let (mut woken, mut gone) = (Vec::new(), Vec::new());
        let mut state = lock(self.state);
        self.entries.retain_mut(|entry| {
            let Some(found) = entry.found.take() else { return true };
            // If another group has this key by now, it will be reported.
            let group = state.groups.get_mut(&entry.group).filter(|group| group.ticket == entry.ticket);
            let Some(group) = group else { return true };
            woken.extend(group.tasks.extract_if(|_, task| task.is_to_be_woken(found, now)).map(|(_, task)| task));
            entry.soonest = group.tasks.values().filter_map(|task| task.recheck_at).min();
            let is_empty = group.tasks.is_empty();
            if is_empty {
                gone.extend(state.groups.remove(&entry.group));
                state.shards[self.shard].groups -= 1;
            }
            !is_empty
        });
        drop(state);
        // Without the lock: the last handle on a store closes it.
        drop(gone);
        woken
    }
}

impl Waiter for ShardWaiter<'_> {
    /// Of the control event. Slots are listened to as they are checked.
    type Listened = u32;
    type Found = Infallible;

    fn listen(&mut self) -> u32 {
        self.control.listen()
    }

    fn check(&mut self) -> Option<Infallible> {
        self.take_changes();
        let now = Instant::now();
        let check_all = now.duration_since(self.all_checked_at) >= LONGEST_SLEEP;
        if check_all {
            self.all_checked_at = now;
        }
        self.check_slots(check_all, now);
        for task in self.take_woken(now) {
            shield(|| task.waker.wake());
        }
        None
    }

    fn sleep(&mut self, control_word: u32) -> Slept {
        let (control, entries) = (self.control, &self.entries);
        if entries.is_empty() {
            futex::wait(&control.word, control_word, IDLE);
            return Slept::CheckAgain;
        }
        let soonest = entries.iter().filter_map(|entry| entry.soonest).min();
        let all = self.all_checked_at + LONGEST_SLEEP;
        let until = soonest.map_or(all, |soonest| soonest.min(all));
        let mut words = Vec::with_capacity(MAX_WORDS);
        words.push((&control.word, control_word));
        words.extend(entries.iter().take(MAX_GROUPS).map(|entry| (&entry.slot.new_version().word, entry.word)));
        futex::wait_any(&words, until.saturating_duration_since(Instant::now()));
        Slept::CheckAgain
    }
}

impl Entry {
    fn new(key: GroupKey, group: &Group) -> Self {
        let mut entry = Self {
            group: key,
            ticket: group.ticket,
            slot: group.slot.clone(),
            word: 0,
            soonest: None,
            wants_work: false,
            is_changed: true,
            found: None,
        };
        entry.update(group);
        entry
    }

    fn update(&mut self, group: &Group) {
        self.is_changed = true;
        self.wants_work = group.tasks.values().any(|task| matches!(task.want, Want::Work));
    }

    /// Whether something has happened to it, or its time has come.
    fn is_due(&self, now: Instant) -> bool {
        self.is_changed || !self.slot.new_version().is_quiet(self.word) || self.soonest.is_some_and(|at| at <= now)
    }
}

/// Locks the state. Nothing that can panic runs while it is locked, so it is sound also after a
/// panic.
pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs code of others, and survives its panics.
pub(super) fn shield(act: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(act)) {
        // The payload is theirs, too, and may panic when it is dropped. What that throws is leaked.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            mem::forget(payload);
        }
    }
}

#[cfg(test)]
impl Checks {
    fn note(&self, by_event: bool) {
        let count = if by_event { &self.by_event } else { &self.by_time };
        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }

    pub(super) fn by_event(&self) -> u64 {
        self.by_event.load(std::sync::atomic::Ordering::SeqCst)
    }
}
