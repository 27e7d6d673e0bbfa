//! The groups of waiting tasks, and which thread looks after them.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use crate::core::memory::records::Event;
use crate::store::slot::Slot;

/// What a task waits for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Want {
    /// A version larger than this.
    Newer(u64),
    /// A message of the work queue that no worker has.
    Work,
    /// Only that its time comes: the key was removed, and the receiver has reported that.
    Time,
}

/// The address of a slot, and the generation of its key: a key that was created again has another
/// generation.
pub(super) type GroupKey = (usize, u64);

/// What the threads of a process and those who start waits share.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) groups: HashMap<GroupKey, Group>,
    pub(super) shards: Vec<Shard>,
    /// For tasks and groups.
    next_ticket: u64,
}

/// What one thread looks after.
#[derive(Debug)]
pub(super) struct Shard {
    /// Notified when groups have changed.
    pub(super) control: Arc<Event>,
    pub(super) groups: usize,
    /// Groups that are new, have another task, or are gone.
    pub(super) changed: Vec<GroupKey>,
}

/// The tasks that wait for one key.
#[derive(Debug)]
pub(super) struct Group {
    /// Distinguishes it from others at the same address.
    pub(super) ticket: u64,
    pub(super) slot: Slot,
    pub(super) shard: usize,
    pub(super) tasks: HashMap<u64, Task>,
}

/// A task that waits.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) want: Want,
    /// When it has to check although nothing has happened.
    pub(super) recheck_at: Option<Instant>,
    pub(super) waker: Waker,
}

/// What a check of a slot has found.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) newest: u64,
    pub(super) exists: bool,
    pub(super) has_work: bool,
}

impl State {
    pub(super) fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// Reports all groups of the shard to its thread.
    pub(super) fn report_all(&mut self, shard: usize) {
        let groups = self.groups.iter().filter(|(_, group)| group.shard == shard).map(|(&key, _)| key);
        self.shards[shard].changed.extend(groups);
    }
}

impl Shard {
    pub(super) fn new(control: Arc<Event>) -> Self {
        Self { control, groups: 0, changed: Vec::new() }
    }

    /// Reports a group to the thread. Returns the event by which the thread is to be woken.
    pub(super) fn report(&mut self, group: GroupKey) -> Arc<Event> {
        self.changed.push(group);
        Arc::clone(&self.control)
    }
}

impl Task {
    pub(super) fn is_to_be_woken(&self, found: Found, now: Instant) -> bool {
        let has_happened = match self.want {
            Want::Newer(seen) => found.newest > seen || !found.exists,
            Want::Work => found.has_work || !found.exists,
            Want::Time => false,
        };
        has_happened || self.recheck_at.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_task_that_has_reported_the_removal_of_its_key_is_woken_when_its_time_comes_and_not_before() {
        let now = Instant::now();
        let gone = Found { newest: 9, exists: false, has_work: true };
        let task = |want, recheck_at| Task { want, recheck_at, waker: Waker::noop().clone() };
        assert!(task(Want::Newer(9), None).is_to_be_woken(gone, now));
        assert!(task(Want::Work, None).is_to_be_woken(gone, now));
        let later = now + Duration::from_secs(1);
        assert!(!task(Want::Time, Some(later)).is_to_be_woken(gone, now));
        assert!(task(Want::Time, Some(later)).is_to_be_woken(gone, later));
    }
}
