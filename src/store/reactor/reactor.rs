//! Waking tasks of any runtime when something happens in a store.
//!
//! Tasks that wait for the same key form a group. Threads of this process sleep until something happens to a group: the kernel lets a thread sleep on
//! 128 words, so that each has up to 127 groups, a **shard**, and one word on which it is told of new ones. A thread is started when all others are
//! full. It keeps a list of its groups and of what each one's word held when it last looked, and after a wake it looks at those whose word has
//! changed, whose time has come, or of which it was told; and at all of them ten times a second, see [`LONGEST_SLEEP`].
//!
//! **Code of others.** Wakers are cloned, woken and dropped by their runtime's code, which may panic, block, or call this module again. So none of it runs
//! while the state is locked, and on a shard's thread each panic is caught: the tasks of others are woken all the same.
//!
//! **Fork.** A child has a copy of the state, perhaps locked for ever, and no thread. It makes a state and threads of its own, and leaves its copy alone.

use std::collections::HashMap;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use crate::core::memory::records::Event;
use crate::os::fork;
use crate::os::futex::{self, MAX_WORDS};
use crate::os::per_process::PerProcess;
use crate::store::slot::Slot;
use crate::store::slot::queue;
use crate::store::wait::LONGEST_SLEEP;

/// How long a thread sleeps when nobody waits for anything. It is woken when a task comes.
const IDLE: Duration = Duration::from_secs(3600);

/// How many groups a thread sleeps on.
const MAX_GROUPS: usize = MAX_WORDS - 1;

/// What a task waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Want {
    /// A version larger than this.
    Newer(u64),
    /// A message of the work queue that nobody has.
    Work,
    /// Nothing but that its time comes: the key was removed, and the receiver has reported that.
    Time,
}

/// A task that waits. Dropped, it waits no longer.
#[derive(Debug)]
pub(crate) struct Waiting {
    reactor: &'static Reactor,
    group: GroupKey,
    ticket: u64,
}

/// The address of a slot, and the generation of its key: a key that was created again is another one.
type GroupKey = (usize, u64);

/// The waker of all tasks of a process.
#[derive(Debug)]
pub(crate) struct Reactor {
    state: Mutex<State>,
    /// The count of forks of the process that it belongs to.
    forks: u64,
    #[cfg(test)]
    looks: tests::Looks,
}

#[derive(Debug, Default)]
struct State {
    groups: HashMap<GroupKey, Group>,
    shards: Vec<Shard>,
    /// For tasks and groups.
    next_ticket: u64,
}

/// What one thread looks after.
#[derive(Debug)]
struct Shard {
    /// Notified when groups have changed.
    control: Arc<Event>,
    groups: usize,
    /// Groups that are new, have another task, or are gone.
    changed: Vec<GroupKey>,
}

/// The tasks that wait for one key.
#[derive(Debug)]
struct Group {
    /// Tells it from others at the same address.
    ticket: u64,
    slot: Slot,
    shard: usize,
    tasks: HashMap<u64, Task>,
}

#[derive(Debug)]
struct Task {
    want: Want,
    /// When it is to look although nothing has happened.
    recheck_at: Option<Instant>,
    waker: Waker,
}

/// A group, as the thread of its shard knows it.
struct Entry {
    group: GroupKey,
    ticket: u64,
    slot: Slot,
    /// What the word of the slot's bell held when the thread listened last.
    word: u32,
    /// When the first of its tasks is to look although nothing has happened.
    soonest: Option<Instant>,
    wants_work: bool,
    /// The thread was told of it.
    is_changed: bool,
    /// What was found by the last look, if it is not yet acted upon.
    found: Option<Found>,
}

/// What a look at a slot has found.
#[derive(Clone, Copy)]
struct Found {
    newest: u64,
    exists: bool,
    has_work: bool,
}

impl Reactor {
    fn new() -> Self {
        Self {
            state: Mutex::default(),
            forks: fork::count(),
            #[cfg(test)]
            looks: tests::Looks::default(),
        }
    }

    fn of_this_process() -> io::Result<&'static Self> {
        static REACTOR: PerProcess<Reactor> = PerProcess::new();
        fork::watch()?;
        Ok(REACTOR.get(Self::new))
    }

    /// Starts the first thread of this process, if it is not there.
    ///
    /// # Errors
    ///
    /// The operating system starts no thread.
    pub(crate) fn start() -> io::Result<()> {
        let reactor = Self::of_this_process()?;
        let mut state = reactor.state();
        if state.shards.is_empty() {
            reactor.start_shard(&mut state)?;
        }
        Ok(())
    }

    /// Has `waker` woken once what is wanted has happened, or might have: a task that is woken looks again.
    ///
    /// # Errors
    ///
    /// The operating system starts no thread, and there is none yet.
    pub(crate) fn wait(slot: Slot, want: Want, recheck_at: Option<Instant>, waker: Waker) -> io::Result<Waiting> {
        Self::of_this_process()?.wait_for(slot, want, recheck_at, waker)
    }

    fn wait_for(
        &'static self,
        slot: Slot,
        want: Want,
        recheck_at: Option<Instant>,
        waker: Waker,
    ) -> io::Result<Waiting> {
        let key = (slot.address(), slot.generation());
        // Before the guard, so that it is dropped after it.
        let task = Task { want, recheck_at, waker };
        let mut state = self.state();
        let ticket = state.ticket();
        let shard = if let Some(group) = state.groups.get_mut(&key) {
            group.tasks.insert(ticket, task);
            group.shard
        } else {
            let shard = self.shard_with_room(&mut state)?;
            let group = Group { ticket: state.ticket(), slot, shard, tasks: HashMap::from([(ticket, task)]) };
            state.groups.insert(key, group);
            state.shards[shard].groups += 1;
            shard
        };
        let control = state.shards[shard].tell_of(key);
        drop(state);
        control.notify();
        Ok(Waiting { reactor: self, group: key, ticket })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard_with_room(&'static self, state: &mut State) -> io::Result<usize> {
        if let Some(shard) = state.shards.iter().position(|shard| shard.groups < MAX_GROUPS) {
            return Ok(shard);
        }
        self.start_shard(state).or_else(|error| {
            // One group more than a thread can sleep on: it is looked at as often as all others are at least.
            let shards = state.shards.iter().enumerate();
            shards.min_by_key(|(_, shard)| shard.groups).map(|(shard, _)| shard).ok_or(error)
        })
    }

    fn start_shard(&'static self, state: &mut State) -> io::Result<usize> {
        let (index, control) = (state.shards.len(), Arc::new(Event::new()));
        let shard = Shard { control: Arc::clone(&control), groups: 0, changed: Vec::new() };
        // It waits until the state, in which its shard will be, is unlocked.
        thread::Builder::new().name("splinter-bus".to_owned()).spawn(move || self.run(index, &control))?;
        state.shards.push(shard);
        Ok(index)
    }

    fn run(&self, shard: usize, control: &Event) -> ! {
        loop {
            // Code of others is shielded one by one. Should anything of ours panic, the tasks are not left alone either.
            shield(|| self.serve(shard, control));
            thread::sleep(LONGEST_SLEEP);
        }
    }

    fn serve(&self, shard: usize, control: &Event) {
        let mut entries = Vec::new();
        self.state().tell_of_all(shard);
        let mut all_looked_at = Instant::now();
        loop {
            let control_word = control.listen();
            self.take_changes(shard, &mut entries);
            let now = Instant::now();
            let look_at_all = now.duration_since(all_looked_at) >= LONGEST_SLEEP;
            if look_at_all {
                all_looked_at = now;
            }
            self.look(&mut entries, look_at_all, now);
            let woken = self.take_woken(shard, &mut entries, now);
            for task in woken {
                shield(|| task.waker.wake());
            }
            if entries.is_empty() {
                futex::wait(&control.word, control_word, IDLE);
                continue;
            }
            let soonest = entries.iter().filter_map(|entry| entry.soonest).min();
            let until = soonest.into_iter().chain([all_looked_at + LONGEST_SLEEP]).min().unwrap_or(now);
            let mut words = Vec::with_capacity(MAX_WORDS);
            words.push((&control.word, control_word));
            words.extend(entries.iter().take(MAX_GROUPS).map(|entry| (&entry.slot.new_version().word, entry.word)));
            futex::wait_any(&words, until.saturating_duration_since(Instant::now()));
        }
    }

    /// Brings the thread's list up to date with the groups that it was told of.
    fn take_changes(&self, shard: usize, entries: &mut Vec<Entry>) {
        let mut gone = Vec::new();
        let mut state = self.state();
        let mut changed = mem::take(&mut state.shards[shard].changed);
        changed.sort_unstable();
        changed.dedup();
        for key in changed {
            let known = entries.iter().position(|entry| entry.group == key);
            // Of another shard by now: it ended here, and began anew there.
            let group = state.groups.get(&key).filter(|group| group.shard == shard);
            let is_same = known.is_some_and(|index| group.is_some_and(|group| group.ticket == entries[index].ticket));
            match (known, group) {
                (Some(index), Some(group)) if is_same => entries[index].tell_of(group),
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

    /// Looks at the slots to which something may have happened, after listening to them again.
    fn look(&self, entries: &mut [Entry], look_at_all: bool, now: Instant) {
        let mut due: Vec<_> = entries.iter_mut().filter(|entry| entry.is_due(now) || look_at_all).collect();
        for entry in &mut due {
            #[cfg(test)]
            self.looks.note(entry.is_due(now));
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

    /// Takes the tasks that have what they want, or are to look again, out of the groups that were looked at.
    fn take_woken(&self, shard: usize, entries: &mut Vec<Entry>, now: Instant) -> Vec<Task> {
        let (mut woken, mut gone) = (Vec::new(), Vec::new());
        let mut state = self.state();
        entries.retain_mut(|entry| {
            let Some(found) = entry.found.take() else { return true };
            // If the group is another's by now, we shall be told.
            let group = state.groups.get_mut(&entry.group).filter(|group| group.ticket == entry.ticket);
            let Some(group) = group else { return true };
            woken.extend(group.tasks.extract_if(|_, task| task.is_to_be_woken(found, now)).map(|(_, task)| task));
            entry.soonest = group.tasks.values().filter_map(|task| task.recheck_at).min();
            let is_empty = group.tasks.is_empty();
            if is_empty {
                gone.extend(state.groups.remove(&entry.group));
                state.shards[shard].groups -= 1;
            }
            !is_empty
        });
        drop(state);
        // Without the lock: the last handle on a store closes it.
        drop(gone);
        woken
    }
}

/// Runs code of others, and survives its panics.
fn shield(act: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(act)) {
        // What was thrown is theirs, too, and may panic when it is dropped. What that throws is left alone.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            mem::forget(payload);
        }
    }
}

impl State {
    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// Has the shard's thread look at all of its groups.
    fn tell_of_all(&mut self, shard: usize) {
        let groups = self.groups.iter().filter(|(_, group)| group.shard == shard).map(|(&key, _)| key);
        self.shards[shard].changed.extend(groups);
    }
}

impl Shard {
    /// Has the thread look at a group; gives what it is to be woken by.
    fn tell_of(&mut self, group: GroupKey) -> Arc<Event> {
        self.changed.push(group);
        Arc::clone(&self.control)
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
        entry.tell_of(group);
        entry
    }

    fn tell_of(&mut self, group: &Group) {
        self.is_changed = true;
        self.wants_work = group.tasks.values().any(|task| matches!(task.want, Want::Work));
    }

    /// Whether something has happened to it, or its time has come.
    fn is_due(&self, now: Instant) -> bool {
        self.is_changed || !self.slot.new_version().is_quiet(self.word) || self.soonest.is_some_and(|at| at <= now)
    }
}

impl Task {
    fn is_to_be_woken(&self, found: Found, now: Instant) -> bool {
        let has_happened = match self.want {
            Want::Newer(seen) => found.newest > seen || !found.exists,
            Want::Work => found.has_work || !found.exists,
            Want::Time => false,
        };
        has_happened || self.recheck_at.is_some_and(|at| at <= now)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // The child of a fork has a copy of its parent's state, which may be locked by a thread that is not there.
        if self.reactor.forks != fork::count() {
            return;
        }
        let mut state = self.reactor.state();
        let Some(group) = state.groups.get_mut(&self.group) else { return };
        let Some(task) = group.tasks.remove(&self.ticket) else { return };
        if group.tasks.is_empty() {
            let gone = state.groups.remove(&self.group);
            let control = gone.as_ref().map(|group| {
                let shard = &mut state.shards[group.shard];
                shard.groups -= 1;
                // So that the thread lets go of the store.
                shard.tell_of(self.group)
            });
            drop(state);
            if let Some(control) = control {
                control.notify();
            }
            drop(gone);
        } else {
            drop(state);
        }
        // Without the lock, and last: it is code of others.
        drop(task);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::store::{Store, StoreOptions};

    /// How many groups were looked at: because of an event, and because it was time to look at all.
    #[derive(Debug, Default)]
    pub(crate) struct Looks {
        by_event: AtomicU64,
        by_time: AtomicU64,
    }

    impl Looks {
        pub(crate) fn note(&self, by_event: bool) {
            (if by_event { &self.by_event } else { &self.by_time }).fetch_add(1, Ordering::SeqCst);
        }

        fn by_event(&self) -> u64 {
            self.by_event.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn a_task_that_was_told_that_its_key_is_gone_is_woken_when_its_time_comes_and_not_before() {
        let now = Instant::now();
        let gone = Found { newest: 9, exists: false, has_work: true };
        let task = |want, recheck_at| Task { want, recheck_at, waker: Waker::noop().clone() };
        assert!(task(Want::Newer(9), None).is_to_be_woken(gone, now));
        assert!(task(Want::Work, None).is_to_be_woken(gone, now));
        let later = now + Duration::from_secs(1);
        assert!(!task(Want::Time, Some(later)).is_to_be_woken(gone, now));
        assert!(task(Want::Time, Some(later)).is_to_be_woken(gone, later));
    }

    struct Unpark(thread::Thread);

    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn store(test: &str, slots: u32) -> Store {
        let name = format!("splinter-test-reactor-{test}-{}", std::process::id());
        let store = StoreOptions::new().slots(slots).max_value_size(64).history(1).spare(1).create(&name).unwrap();
        Store::remove(&name).unwrap();
        store
    }

    fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
            thread::yield_now();
        }
    }

    #[test]
    fn of_a_thousand_keys_that_are_awaited_only_the_one_that_is_set_is_looked_at() {
        let store = store("thousand", 1001);
        let reactor: &'static Reactor = Box::leak(Box::new(Reactor::new()));
        let slots: Vec<_> = (0..1000).map(|key| store.slot(&format!("k{key}")).unwrap()).collect();
        let unrelated = store.slot("unrelated").unwrap();
        let idle = || Waker::noop().clone();
        let mut waiting: Vec<_> =
            slots.iter().map(|slot| reactor.wait_for(slot.clone(), Want::Newer(0), None, idle()).unwrap()).collect();
        wait_until("all are listened to", || {
            reactor.looks.by_event() >= 1000 && slots.iter().all(|slot| slot.new_version().has_listeners())
        });
        assert_eq!(reactor.state().shards.len(), 1000_usize.div_ceil(MAX_GROUPS));

        // Nobody sleeps on the store's bell, so that publishes of other keys notify nobody.
        let store_word = slots[0].session().new_version().word.load(Ordering::SeqCst);
        let before = reactor.looks.by_event();
        for _ in 0..1000 {
            unrelated.set(b"v").unwrap();
            assert!(!slots[0].session().new_version().has_listeners());
        }
        assert_eq!(slots[0].session().new_version().word.load(Ordering::SeqCst), store_word);
        assert_eq!(reactor.looks.by_event(), before);

        // In each shard there is one.
        for key in [0, 500, 999] {
            let before = reactor.looks.by_event();
            let waker = Arc::new(Unpark(thread::current())).into();
            // It takes the place of the other task, in the same group.
            waiting[key] = reactor.wait_for(slots[key].clone(), Want::Newer(0), None, waker).unwrap();
            wait_until("it is looked at", || reactor.looks.by_event() > before);
            let before = reactor.looks.by_event();
            slots[key].set(b"v").unwrap();
            wait_until("it is woken", || {
                !reactor.state().groups.contains_key(&(slots[key].address(), slots[key].generation()))
            });
            assert!(reactor.looks.by_event() <= before + 1, "others were looked at, too");
        }
        drop(waiting);
        wait_until("nobody waits", || reactor.state().shards.iter().all(|shard| shard.groups == 0));
    }

    #[test]
    fn a_store_is_closed_once_nobody_waits_for_its_keys() {
        let store = store("closed", 8);
        let reactor: &'static Reactor = Box::leak(Box::new(Reactor::new()));
        let session = Arc::downgrade(&store.session);
        let waiting = reactor.wait_for(store.slot("k").unwrap(), Want::Newer(0), None, Waker::noop().clone()).unwrap();
        drop(store);
        assert!(session.upgrade().is_some());
        drop(waiting);
        wait_until("the thread lets go of it", || session.strong_count() == 0);
    }
}
