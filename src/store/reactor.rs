//! Waking tasks of any runtime when something happens in a store: one thread for a process, asleep while nothing does.
//!
//! Tasks that wait for the same key form a group. The thread sleeps on the bells of all groups at once; if there are more than the kernel
//! sleeps on, on the bells of their stores, which every publisher strikes.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use super::queue;
use super::slot::Slot;
use super::wait::LONGEST_SLEEP;
use crate::os::futex::{self, MAX_WORDS};
use crate::region::records::Bell;
use crate::sync::{Ordering, fence};

/// How long the thread sleeps when nobody waits for anything. Whoever comes wakes it.
const IDLE: Duration = Duration::from_secs(3600);

/// What a task waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Want {
    /// A version larger than this.
    Newer(u64),
    /// A message of the work queue that nobody has.
    Work,
}

/// A task that waits. Dropped, it waits no longer.
#[derive(Debug)]
pub(crate) struct Waiting {
    reactor: &'static Reactor,
    group: usize,
    ticket: u64,
}

/// The waker of all tasks of a process.
#[derive(Debug)]
pub(crate) struct Reactor {
    state: Mutex<State>,
    /// Rung when there is somebody new to wait for.
    control: Bell,
}

#[derive(Debug, Default)]
struct State {
    /// By the address of the slot.
    groups: HashMap<usize, Group>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Group {
    slot: Slot,
    tasks: HashMap<u64, Task>,
}

#[derive(Debug)]
struct Task {
    want: Want,
    /// When it is to look although nothing has happened.
    look_again: Option<Instant>,
    waker: Waker,
}

impl Reactor {
    /// The reactor of this process, whose thread is started by the first who asks.
    ///
    /// # Errors
    ///
    /// The operating system starts no thread.
    pub(crate) fn of_this_process() -> io::Result<&'static Self> {
        static REACTOR: OnceLock<Reactor> = OnceLock::new();
        static STARTING: Mutex<bool> = Mutex::new(false);
        let reactor = REACTOR.get_or_init(|| Self { state: Mutex::default(), control: Bell::new() });
        let mut started = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if !*started {
            thread::Builder::new().name("splinter-bus".to_owned()).spawn(|| reactor.run())?;
            *started = true;
        }
        Ok(reactor)
    }

    /// Has `waker` called once what is wanted has happened, or might have: whoever is woken looks again.
    pub(crate) fn wait(&'static self, slot: &Slot, want: Want, look_again: Option<Instant>, waker: &Waker) -> Waiting {
        let group = slot.address();
        let mut state = self.state();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        let tasks = &mut state.groups.entry(group).or_insert_with(|| Group::new(slot)).tasks;
        tasks.insert(ticket, Task { want, look_again, waker: waker.clone() });
        drop(state);
        self.control.ring();
        Waiting { reactor: self, group, ticket }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) -> ! {
        loop {
            let control = self.control.listen();
            // Clones, so that nobody who begins to wait has to wait for us.
            let slots: Vec<Slot> = self.state().groups.values().map(|group| group.slot.clone()).collect();
            let bells = bells(&slots);
            let mut words = Vec::with_capacity(bells.len() + 1);
            words.push((&self.control.word, control));
            words.extend(bells.iter().map(|bell| (&bell.word, bell.listen())));
            // SeqCst: what is looked at is read after all flags were set; see `Bell::listen`.
            fence(Ordering::SeqCst);
            let (woken, soonest) = self.wake_whoever_has_what_it_wants();
            if woken {
                continue;
            }
            let longest = if slots.is_empty() { IDLE } else { LONGEST_SLEEP };
            let until = soonest.map_or(longest, |at| longest.min(at.saturating_duration_since(Instant::now())));
            futex::wait_any(&words, until);
        }
    }

    /// Whether anybody was woken, and when the first of the others is to look again.
    fn wake_whoever_has_what_it_wants(&self) -> (bool, Option<Instant>) {
        let now = Instant::now();
        let (mut wakers, mut soonest) = (Vec::new(), None::<Instant>);
        self.state().groups.retain(|_, group| {
            let (newest, exists) = (group.slot.version(), group.slot.exists());
            let wants_work = group.tasks.values().any(|task| matches!(task.want, Want::Work));
            let has_work = wants_work && queue::has_work(&group.slot);
            group.tasks.retain(|_, task| {
                let happened = match task.want {
                    Want::Newer(seen) => newest > seen,
                    Want::Work => has_work,
                };
                if happened || !exists || task.look_again.is_some_and(|at| at <= now) {
                    wakers.push(task.waker.clone());
                    return false;
                }
                soonest = soonest.into_iter().chain(task.look_again).min();
                true
            });
            !group.tasks.is_empty()
        });
        let woken = !wakers.is_empty();
        // Without the lock: a task may run at once, and wait again.
        wakers.into_iter().for_each(Waker::wake);
        (woken, soonest)
    }
}

/// What to sleep on: the bells of all slots, if they are few enough; else those of their stores.
fn bells(slots: &[Slot]) -> Vec<&Bell> {
    if slots.len() < MAX_WORDS {
        return slots.iter().map(Slot::bell).collect();
    }
    let mut bells: Vec<_> = slots.iter().map(Slot::store_bell).collect();
    bells.sort_unstable_by_key(|bell| std::ptr::from_ref(*bell));
    bells.dedup_by_key(|bell| std::ptr::from_ref(*bell));
    // Of more stores than can be slept on, the rest is looked at as often as anybody sleeps at most.
    bells.truncate(MAX_WORDS - 1);
    bells
}

impl Group {
    fn new(slot: &Slot) -> Self {
        Self { slot: slot.clone(), tasks: HashMap::new() }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.reactor.state();
        if let Some(group) = state.groups.get_mut(&self.group) {
            group.tasks.remove(&self.ticket);
            if group.tasks.is_empty() {
                state.groups.remove(&self.group);
                // So that the thread lets go of the store.
                self.reactor.control.ring();
            }
        }
    }
}
