//! Starting and ending the waits of tasks.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::thread;
use std::time::Instant;

#[cfg(test)]
use super::shard::Checks;
use super::shard::{MAX_GROUPS, ShardWaiter, lock, shield};
use super::state::{Group, GroupKey, Shard, State, Task, Want};
use crate::core::memory::records::Event;
use crate::core::wait::wait;
use crate::os::fork;
use crate::os::per_process::PerProcess;
use crate::store::slot::Slot;
use crate::store::wait::{LONGEST_SLEEP, notify};

/// A task that waits. When it is dropped, the task waits no longer.
#[derive(Debug)]
pub(crate) struct Waiting {
    reactor: &'static Reactor,
    group: GroupKey,
    ticket: u64,
}

/// The waker of all tasks of a process.
#[derive(Debug)]
pub(crate) struct Reactor {
    state: Mutex<State>,
    /// The count of forks of the process that it belongs to.
    forks: u64,
    #[cfg(test)]
    checks: Checks,
}

impl Reactor {
    fn new() -> Self {
        Self {
            state: Mutex::default(),
            forks: fork::count(),
            #[cfg(test)]
            checks: Checks::default(),
        }
    }

    fn of_this_process() -> io::Result<&'static Self> {
        static REACTOR: PerProcess<Reactor> = PerProcess::new();
        fork::watch()?;
        Ok(REACTOR.get(Self::new))
    }

    /// Starts the first thread of this process, unless it runs.
    ///
    /// # Errors
    ///
    /// The operating system starts no thread.
    pub(crate) fn start() -> io::Result<()> {
        let reactor = Self::of_this_process()?;
        let mut state = lock(&reactor.state);
        if state.shards.is_empty() {
            reactor.start_shard(&mut state)?;
        }
        Ok(())
    }

    /// Wakes `waker` once what is wanted has happened, or might have: a task that is woken checks
    /// again.
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
        let mut state = lock(&self.state);
        let ticket = state.ticket();
        let shard = if let Some(group) = state.groups.get_mut(&key) {
            group.tasks.insert(ticket, task);
            group.shard
        } else {
            let shard = self.shard_with_space(&mut state)?;
            let group = Group { ticket: state.ticket(), slot, shard, tasks: HashMap::from([(ticket, task)]) };
            state.groups.insert(key, group);
            state.shards[shard].groups += 1;
            shard
        };
        let control = state.shards[shard].report(key);
        drop(state);
        notify(&control);
        Ok(Waiting { reactor: self, group: key, ticket })
    }

    fn shard_with_space(&'static self, state: &mut State) -> io::Result<usize> {
        if let Some(shard) = state.shards.iter().position(|shard| shard.groups < MAX_GROUPS) {
            return Ok(shard);
        }
        self.start_shard(state).or_else(|error| {
            // One group more than a thread can sleep on: it is checked ten times a second, as all
            // groups are.
            let shards = state.shards.iter().enumerate();
            shards.min_by_key(|(_, shard)| shard.groups).map(|(shard, _)| shard).ok_or(error)
        })
    }

    fn start_shard(&'static self, state: &mut State) -> io::Result<usize> {
        let (index, control) = (state.shards.len(), Arc::new(Event::default()));
        let shard = Shard::new(Arc::clone(&control));
        // The thread waits until the state is unlocked, which has its shard by then.
        thread::Builder::new().name("splinter-bus".to_owned()).spawn(move || self.run(index, &control))?;
        state.shards.push(shard);
        Ok(index)
    }

    fn run(&self, shard: usize, control: &Event) -> ! {
        loop {
            // Code of others is shielded call by call. Should anything of ours panic, the tasks are
            // not abandoned either.
            shield(|| {
                let mut waiter = ShardWaiter::new(
                    &self.state,
                    shard,
                    control,
                    #[cfg(test)]
                    &self.checks,
                );
                wait(&mut waiter);
            });
            thread::sleep(LONGEST_SLEEP);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // The child of a fork has a copy of its parent's state, which may be locked by a thread
        // that does not exist here.
        if self.reactor.forks != fork::count() {
            return;
        }
        let mut state = lock(&self.reactor.state);
        let Some(group) = state.groups.get_mut(&self.group) else { return };
        let Some(task) = group.tasks.remove(&self.ticket) else { return };
        if group.tasks.is_empty() {
            let gone = state.groups.remove(&self.group);
            let control = gone.as_ref().map(|group| {
                let shard = &mut state.shards[group.shard];
                shard.groups -= 1;
                // So that the thread releases the store.
                shard.report(self.group)
            });
            drop(state);
            if let Some(control) = control {
                notify(&control);
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
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use super::*;
    use crate::store::reactor::shard::MAX_GROUPS;
    use crate::store::{KeyOptions, Store, StoreOptions};

    struct Unpark(thread::Thread);

    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn store(test: &str, slots: u32) -> Store {
        let name = format!("splinter-test-reactor-{test}-{}", std::process::id());
        let store =
            StoreOptions::new().slots(slots).key_options(KeyOptions::new().history(1).spare(1)).create(&name).unwrap();
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
    fn of_a_thousand_awaited_keys_only_the_one_that_is_set_is_checked() {
        let store = store("thousand", 1001);
        let reactor: &'static Reactor = Box::leak(Box::new(Reactor::new()));
        let slots: Vec<_> = (0..1000).map(|key| store.slot(&format!("k{key}")).unwrap()).collect();
        let unrelated = store.slot("unrelated").unwrap();
        let idle = || Waker::noop().clone();
        let mut waiting: Vec<_> =
            slots.iter().map(|slot| reactor.wait_for(slot.clone(), Want::Newer(0), None, idle()).unwrap()).collect();
        wait_until("all are listened to", || {
            reactor.checks.by_event() >= 1000 && slots.iter().all(|slot| slot.new_version().has_listeners())
        });
        assert_eq!(lock(&reactor.state).shards.len(), 1000_usize.div_ceil(MAX_GROUPS));

        // Nobody listens to the store's event, so a publish of another key notifies nobody.
        let store_word = slots[0].session().new_version().word.load(Ordering::SeqCst);
        let before = reactor.checks.by_event();
        for _ in 0..1000 {
            unrelated.set(b"v").unwrap();
            assert!(!slots[0].session().new_version().has_listeners());
        }
        assert_eq!(slots[0].session().new_version().word.load(Ordering::SeqCst), store_word);
        assert_eq!(reactor.checks.by_event(), before);

        // One in each shard.
        for key in [0, 500, 999] {
            let before = reactor.checks.by_event();
            let waker = Arc::new(Unpark(thread::current())).into();
            // It takes the place of the other task, in the same group.
            waiting[key] = reactor.wait_for(slots[key].clone(), Want::Newer(0), None, waker).unwrap();
            wait_until("it is checked", || reactor.checks.by_event() > before);
            let before = reactor.checks.by_event();
            slots[key].set(b"v").unwrap();
            wait_until("it is woken", || {
                !lock(&reactor.state).groups.contains_key(&(slots[key].address(), slots[key].generation()))
            });
            assert!(reactor.checks.by_event() <= before + 1, "others were checked, too");
        }
        drop(waiting);
        wait_until("no task waits", || lock(&reactor.state).shards.iter().all(|shard| shard.groups == 0));
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
        wait_until("the thread releases it", || session.strong_count() == 0);
    }
}
