//! A worker's view of a key that is a work queue.

use std::fmt;
use std::time::Instant;

use super::error::{GetError, KeyError};
use super::lossless::Begin;
use super::slot::Slot;
use super::wait::{Deadline, LONGEST_SLEEP, Spin};
use crate::core::ring::{Exact, Position, Taken, Work};
use crate::os::futex;

/// One worker of a queue.
pub(crate) struct Queue {
    slot: Slot,
    position: Position,
    spin: Spin,
}

/// A message that was taken. Given back when it is dropped, or its process dies, unless it was acknowledged.
pub(crate) struct Assignment {
    slot: Slot,
    /// There until it is acknowledged.
    taken: Option<Taken>,
}

/// How many messages from before the queue was declared, which are overwritten when they are taken, are passed in one call.
const ATTEMPTS: u32 = 1 << 14;

impl Queue {
    /// Makes the key a queue, from there on, unless it is one.
    pub(crate) fn new(slot: Slot, begin: Begin) -> Result<Self, GetError> {
        slot.check_fork()?;
        slot.ring().declare_queue(begin)?;
        Ok(Self { slot, position: Position::new(), spin: Spin::default() })
    }

    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Takes the oldest message that nobody has, and copies it into `value`; `None` if there is none. Takes back what the dead had.
    pub(crate) fn try_take(&mut self, value: &mut Vec<u8>) -> Result<Option<Assignment>, GetError> {
        self.slot.check_fork()?;
        let ring = self.slot.ring();
        let mut reaped = false;
        // Each cell may hold one that is no message, and be filled again while we look.
        for _ in 0..ATTEMPTS {
            match ring.take_message(&mut self.position)? {
                Work::Leased(taken) => {
                    let assignment = Assignment { slot: self.slot.clone(), taken: Some(taken) };
                    match ring.copy_version(taken.version, value)? {
                        Exact::Copied => return Ok(Some(assignment)),
                        // From before the queue was declared, and overwritten since.
                        Exact::Gone | Exact::NotYet => assignment.acknowledge().unwrap_or_default(),
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

    /// As [`try_take`](Self::try_take), and waits for a message.
    pub(crate) fn take(&mut self, value: &mut Vec<u8>, deadline: Deadline) -> Result<Option<Assignment>, GetError> {
        if let Some(assignment) = self.try_take(value)? {
            return Ok(Some(assignment));
        }
        let Some(_) = deadline.left() else {
            return Ok(None);
        };
        let seen = self.slot.version();
        let slot = self.slot.clone();
        self.spin.until(|| slot.version() != seen);
        let start = Instant::now();
        loop {
            let event = slot.ring().new_version();
            let word = event.listen();
            if let Some(assignment) = self.try_take(value)? {
                self.spin.slept(start.elapsed());
                return Ok(Some(assignment));
            }
            let Some(left) = deadline.left() else {
                return Ok(None);
            };
            futex::wait(&event.word, word, left.min(LONGEST_SLEEP));
        }
    }
}

/// Whether there is a message that nobody has, or the key is no more, or there is another error to report. Takes back what the dead had.
pub(crate) fn has_work(slot: &Slot) -> bool {
    if slot.check_fork().is_err() {
        return true;
    }
    let ring = slot.ring();
    match ring.backlog() {
        Some((0, 0)) => !slot.exists(),
        Some((0, _)) => {
            ring.reap_holders();
            ring.backlog().is_none_or(|(waiting, _)| waiting > 0)
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

    /// Says that it was handled. Removed: its key was, and it with it.
    pub(crate) fn acknowledge(mut self) -> Result<(), GetError> {
        self.slot.check_fork()?;
        let done = self.taken.take().is_some_and(|taken| self.slot.ring().acknowledge(taken));
        if !self.slot.ring().is_current() {
            Err(KeyError::Removed.into())
        } else if done {
            Ok(())
        } else {
            Err(KeyError::Damaged.into())
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
