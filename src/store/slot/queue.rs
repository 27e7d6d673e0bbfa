//! A work queue, as one of its workers sees it.

use std::fmt;
use std::mem;

use super::lossless::Begin;
use super::slot::Slot;
use crate::core::lookup::Lookup;
use crate::core::ring::{Lease, QueuePosition, Work};
use crate::store::error::{GetError, KeyError};
use crate::store::wait::{Deadline, Spin, wait_for_event};

/// One worker of a queue.
pub(crate) struct Queue {
    slot: Slot,
    position: QueuePosition,
    spin: Spin,
}

/// A message that a worker has leased. It is requeued when it is dropped, or its process dies,
/// unless it was acknowledged.
pub(crate) struct Assignment {
    slot: Slot,
    /// `Some` until it is acknowledged.
    taken: Option<Lease>,
}

/// How many messages of this kind one call skips: published before the queue was declared, and
/// overwritten as they are taken.
const ATTEMPTS: u32 = 1 << 14;

impl Queue {
    /// Makes the key a work queue that begins at `begin`, unless it is one already.
    pub(crate) fn new(slot: Slot, begin: Begin) -> Result<Self, GetError> {
        slot.check_fork()?;
        slot.ring().declare_queue(begin)?;
        Ok(Self { slot, position: QueuePosition::new(), spin: Spin::default() })
    }

    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Takes the oldest message that no worker has, and copies it into `value`; `None` if there is
    /// none. Requeues what crashed workers had.
    pub(crate) fn try_take(&mut self, value: &mut Vec<u8>) -> Result<Option<Assignment>, GetError> {
        self.slot.check_fork()?;
        let ring = self.slot.ring();
        let mut reaped = false;
        // Each cell may hold a message that is gone, and be filled again meanwhile.
        for _ in 0..ATTEMPTS {
            match ring.lease_message(&mut self.position)? {
                Work::Leased(taken) => {
                    let assignment = Assignment { slot: self.slot.clone(), taken: Some(taken) };
                    match self.slot.session().copy_version(ring, taken.version, value)? {
                        Lookup::Found(()) => return Ok(Some(assignment)),
                        // A message from before the queue was declared, overwritten since.
                        Lookup::Gone | Lookup::NotYet => assignment.acknowledge().unwrap_or_default(),
                    }
                }
                Work::Nothing { others_leased: true } if !reaped => {
                    reaped = true;
                    ring.reap_holders();
                }
                Work::Nothing { .. } => return Ok(None),
            }
        }
        Err(GetError::Overtaken)
    }

    /// As [`has_work`], for this worker alone: without messages that it cannot read.
    pub(crate) fn has_work(&self) -> bool {
        has_work_at(&self.slot, Some(&self.position))
    }

    /// Whether it has given messages back that it cannot read, and may have to look for others.
    #[cfg(feature = "async")]
    pub(crate) fn has_refused(&self) -> bool {
        self.position.has_refused()
    }

    /// The worker may take this message again, which it has refused.
    pub(crate) fn retry(&mut self, version: u64) {
        self.position.retry(version);
    }

    /// Gives a message back that this worker cannot read. It does not take it again.
    pub(crate) fn refuse(&mut self, assignment: Assignment) {
        self.position.refuse(assignment.version());
        drop(assignment);
    }

    /// As [`try_take`](Self::try_take), and waits for a message.
    pub(crate) fn take(&mut self, value: &mut Vec<u8>, deadline: Deadline) -> Result<Option<Assignment>, GetError> {
        let (slot, mut spin) = (self.slot.clone(), mem::take(&mut self.spin));
        let seen = slot.version();
        let has_changed = || slot.version() != seen;
        let check = || self.try_take(value).transpose();
        let taken = wait_for_event(slot.new_version(), deadline, &mut spin, has_changed, check);
        self.spin = spin;
        taken.transpose()
    }
}

/// Whether there is a message that no worker has, or the key was removed, or there is another error
/// to report. Requeues what crashed workers had.
#[cfg(feature = "async")]
pub(crate) fn has_work(slot: &Slot) -> bool {
    has_work_at(slot, None)
}

fn has_work_at(slot: &Slot, position: Option<&QueuePosition>) -> bool {
    if slot.check_fork().is_err() {
        return true;
    }
    let ring = slot.ring();
    match ring.backlog(position) {
        Some((0, 0)) => !slot.exists(),
        Some((0, _)) => {
            ring.reap_holders();
            ring.backlog(position).is_none_or(|(waiting, _)| waiting > 0)
        }
        _ => true,
    }
}

impl Assignment {
    pub(crate) fn version(&self) -> u64 {
        self.taken.map_or(0, |taken| taken.version)
    }

    pub(crate) fn attempt(&self) -> u8 {
        self.taken.map_or(0, |taken| taken.attempt)
    }

    /// Marks the message as handled. `Removed`: the key was removed, and the message with it.
    pub(crate) fn acknowledge(mut self) -> Result<(), GetError> {
        self.slot.check_fork()?;
        let done = self.taken.take().is_some_and(|taken| self.slot.ring().acknowledge(taken));
        if !self.slot.ring().is_current() {
            Err(GetError::Key(KeyError::Removed))
        } else if done {
            Ok(())
        } else {
            Err(GetError::Key(KeyError::Damaged))
        }
    }
}

impl Drop for Assignment {
    fn drop(&mut self) {
        // In a child, the message is the parent's.
        if self.slot.check_fork().is_ok()
            && let Some(taken) = self.taken.take()
        {
            self.slot.ring().requeue(taken);
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("slot", &self.slot).finish_non_exhaustive()
    }
}
