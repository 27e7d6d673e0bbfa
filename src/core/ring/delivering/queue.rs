//! Work queues: each message is leased to one worker.
//!
//! The state of a message is one word of the cell that holds it (`word::Delivery`). So no second
//! place can disagree with it. A message that is not done is never overwritten. One message that
//! takes long occupies one cell, not those after it.
//!
//! - **Fast path.** `lease_next`: the message after the last one that this worker leased, by one
//!   compare-and-swap of its `delivery` word.
//! - **Slow path.** `lease_oldest`: scan all cells for the oldest message that waits. It is taken
//!   once in a round of the ring, and when the fast path finds none: older messages may have been
//!   requeued.
//!
//! A queue is declared in two steps, because a purge may run at the same time; see
//! `word::QueueWord`.
//!
//! **Crash** after each step:
//!
//! | step | leaves |
//! | --- | --- |
//! | `QueueTentative` | a tentative queue; the next worker makes it final |
//! | `QueueDeclared` | a queue; possibly values that a purge has left: the next purge retires them |
//! | `MessageLeased` | a message leased to a crashed worker; another participant requeues it |
//! | `MessageFinished` | sleepers that were not notified; they check again after a tenth of a second |

use std::collections::BTreeSet;

use super::cursor::Begin;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::records::CACHE_LINE;
use crate::core::participant_set::ParticipantSet;
use crate::core::ring::cell::{self, delivery};
use crate::core::ring::error::ReadError;
use crate::core::ring::retry_limit::retry_limit;
use crate::core::ring::ring::Ring;
use crate::core::word::{Delivery, Progress, QueueWord, Seq};
use crate::kill_points::{Step, reached};
use crate::sync::{Ordering, fence, total_order};

/// A message that this participant has leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    cell: u32,
    pub(crate) version: u64,
    pub(crate) attempt: u8,
}

/// The outcome of an attempt to lease a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Leased(Lease),
    /// No message waits.
    Nothing {
        /// Other workers have messages leased.
        others_leased: bool,
    },
}

/// A worker's position in a queue: it goes on in order of versions, and scans all cells once in a
/// while.
#[derive(Debug)]
pub(crate) struct QueuePosition {
    /// The version that is most likely the next.
    next: u64,
    /// How many messages may be leased before the next scan for older ones that were requeued.
    until_scan: u32,
    /// Messages that this worker cannot read, and leaves to others.
    refused: BTreeSet<u64>,
}

impl QueuePosition {
    pub(crate) fn new() -> Self {
        Self { next: 0, until_scan: 0, refused: BTreeSet::new() }
    }

    #[cfg(feature = "async")]
    pub(crate) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// The worker may lease this message again.
    pub(crate) fn retry(&mut self, version: u64) {
        self.refused.remove(&version);
    }

    /// The worker does not lease this message again.
    pub(crate) fn refuse(&mut self, version: u64) {
        self.refused.insert(version);
    }
}

/// How many messages of other workers the fast path skips before the worker scans all cells.
const SKIPPED: u64 = 8;

impl<'a> Ring<'a> {
    /// Makes the key a work queue, from this version on, unless it is one.
    ///
    /// The first step writes a tentative word: from then on, writers and purges keep its messages,
    /// and no worker leases one. The second step, by any worker, makes it final, above what a purge
    /// takes that may not have seen the first step. So a second worker cannot skip over such a
    /// purge.
    pub(crate) fn declare_queue(self, begin: Begin) -> Result<(), ReadError> {
        let queue = &self.slot().header.queue;
        let (generation, mut left_by_a_purge) = (self.handle.generation(), false);
        loop {
            // SeqCst: pairs with the compare-and-swap below.
            let seen = QueueWord::from_bits(queue.load(Ordering::SeqCst));
            if !self.is_current() {
                return Err(ReadError::Removed);
            }
            let next = match seen.first(generation) {
                None => QueueWord::tentative(generation, self.resolve_begin(begin)),
                Some(first) if seen.is_tentative() => {
                    // SeqCst: pairs with the fence in `purge`. The process whose fence comes second
                    // sees the other's word.
                    fence(Ordering::SeqCst);
                    let purged = self.purge_intent();
                    left_by_a_purge |= purged >= first;
                    seen.finalised(purged)
                }
                Some(_) => break,
            };
            // SeqCst: pairs with `is_undelivered`; what is published after this is not overwritten
            // before it is done.
            if queue.compare_exchange(seen.bits(), next.bits(), Ordering::SeqCst, Ordering::SeqCst).is_err() {
                continue;
            }
            reached(if next.is_tentative() { Step::QueueTentative } else { Step::QueueDeclared });
            // If the key was removed before our compare-and-swap, we see the new generation here:
            // we acquired it with the word that `forget_queue` wrote. If it is removed later,
            // `forget_queue` zeroes our word.
            if !self.is_current() {
                // The word belongs to no present key, but a later key may have the same few bits of
                // its generation.
                let _ = queue.compare_exchange(next.bits(), 0, Ordering::SeqCst, Ordering::Relaxed);
                return Err(ReadError::Removed);
            }
        }
        if left_by_a_purge {
            self.finish_purge();
        }
        Ok(())
    }

    /// Makes a tentative declaration final, after the machine stopped. No other process has the
    /// store open.
    pub(crate) fn finalise_recovered_queue(self) {
        let word = &self.slot().header.queue;
        let queue = QueueWord::from_bits(word.load(Ordering::Relaxed));
        if queue.is_tentative() {
            word.store(queue.finalised(self.purge_intent()).bits(), Ordering::Relaxed);
        }
    }

    /// Leases the oldest message that waits.
    pub(crate) fn lease_message(self, position: &mut QueuePosition) -> Result<Work, ReadError> {
        // SeqCst: pairs with the compare-and-swap in `declare_queue`.
        let mut queue = QueueWord::from_bits(self.slot().header.queue.load(Ordering::SeqCst));
        if queue.is_tentative() {
            self.declare_queue(Begin::Next)?;
            queue = QueueWord::from_bits(self.slot().header.queue.load(Ordering::SeqCst));
        }
        let first = queue.first(self.handle.generation()).filter(|_| !queue.is_tentative());
        let Some(first) = first.filter(|_| self.is_current()) else {
            return Err(ReadError::Removed);
        };
        if position.until_scan > 0
            && let Some(lease) = self.lease_next(position)
        {
            return Ok(Work::Leased(lease));
        }
        self.lease_oldest(position, first)
    }

    /// Leases the next message in order, skipping those of other workers.
    fn lease_next(self, position: &mut QueuePosition) -> Option<Lease> {
        let head = self.head();
        self.help_commit(head);
        for version in position.next..(position.next + SKIPPED).min(head.version() + 1) {
            let index = self.find_index(head, version)?;
            match delivery(self.slot().cells.get(index).header).progress_of(version) {
                Progress::Waiting { .. } if !position.refused.contains(&version) => {
                    if let Some(lease) = self.try_lease(index, version) {
                        position.next = version + 1;
                        position.until_scan -= 1;
                        return Some(lease);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn lease_oldest(self, position: &mut QueuePosition, first: u64) -> Result<Work, ReadError> {
        for _ in 0..retry_limit(self.handle.shape().cells() as usize * CACHE_LINE) {
            let (mut others_leased, mut refused) = (false, BTreeSet::new());
            self.help_commit(self.head());
            let oldest = self
                .cells()
                .filter_map(|(index, cell)| {
                    let version = cell::readable(cell).filter(|&version| version >= first)?;
                    let is_refused = position.refused.contains(&version);
                    match delivery(cell.header).progress_of(version) {
                        Progress::Waiting { .. } | Progress::Leased { .. } if is_refused => {
                            refused.insert(version);
                        }
                        Progress::Waiting { .. } => return Some((version, index)),
                        Progress::Leased { .. } => others_leased = true,
                        Progress::Done => {}
                    }
                    None
                })
                .min();
            if !self.is_current() {
                return Err(ReadError::Removed);
            }
            // The others are done.
            position.refused = refused;
            let Some((version, index)) = oldest else {
                return Ok(Work::Nothing { others_leased });
            };
            if let Some(lease) = self.try_lease(index, version) {
                position.next = position.next.max(version + 1);
                position.until_scan = self.handle.shape().cells();
                return Ok(Work::Leased(lease));
            }
        }
        // Other workers leased each of them first.
        Err(ReadError::Overtaken)
    }

    /// Leases this message, if it waits.
    fn try_lease(self, index: u32, version: u64) -> Option<Lease> {
        let cell = self.slot().cells.get(index).header;
        let seen = delivery(cell);
        let Progress::Waiting { attempt } = seen.progress_of(version) else {
            return None;
        };
        let leased = Delivery::new(version, Progress::Leased { participant: self.context.me, attempt });
        // SeqCst: one of the workers succeeds, and `seq` is read after it. Pairs with the claim of
        // a cell.
        cell.delivery.compare_exchange(seen.bits(), leased.bits(), Ordering::SeqCst, Ordering::Relaxed).ok()?;
        reached(Step::MessageLeased);
        total_order();
        // A message from before the queue was declared may have been overwritten meanwhile. Then
        // our word is about a version that no cell holds.
        let is_there = Seq::from_bits(cell.seq.load(Ordering::SeqCst)).readable() == Some(version);
        is_there.then_some(Lease { cell: index, version, attempt })
    }

    /// Marks the message as done; `false` if it is not leased to us, because its key was removed.
    pub(crate) fn acknowledge(self, lease: Lease) -> bool {
        let done = self.finish(lease, Delivery::new(lease.version, Progress::Done));
        self.notify(self.not_full());
        done
    }

    /// Gives the message back, for another worker to lease, unless its key was removed.
    pub(crate) fn requeue(self, lease: Lease) {
        self.finish(lease, self.leased(lease).requeued());
        self.notify(self.new_version());
    }

    fn finish(self, lease: Lease, next: Delivery) -> bool {
        let word = &self.slot().cells.get(lease.cell).header.delivery;
        // SeqCst: pairs with `cell::delivery`, as read by `is_undelivered` and `try_lease`, and
        // with `Event::listen` of processes that wait.
        let finished =
            word.compare_exchange(self.leased(lease).bits(), next.bits(), Ordering::SeqCst, Ordering::Relaxed).is_ok();
        reached(Step::MessageFinished);
        finished
    }

    /// The word that `try_lease` wrote.
    fn leased(self, lease: Lease) -> Delivery {
        Delivery::new(lease.version, Progress::Leased { participant: self.context.me, attempt: lease.attempt })
    }

    /// Requeues the cell's message if a crashed participant has leased it. Returns whether that was
    /// so.
    pub(crate) fn reap_lease(self, cell: CellView<'_>, crashed: &ParticipantSet) -> bool {
        let seen = delivery(cell.header);
        match seen.progress() {
            Progress::Leased { participant, .. } if crashed.contains(participant) => {
                let next = seen.requeued().bits();
                // SeqCst: pairs as in `finish`.
                cell.header.delivery.compare_exchange(seen.bits(), next, Ordering::SeqCst, Ordering::Relaxed).is_ok()
            }
            _ => false,
        }
    }

    /// The number of messages that wait, and of those that are leased; `None` if the key is not a
    /// queue. Without those that the worker at this position cannot read.
    pub(crate) fn backlog(self, position: Option<&QueuePosition>) -> Option<(u32, u32)> {
        let is_refused = |version| position.is_some_and(|position| position.refused.contains(&version));
        let (mut waiting, mut leased) = (0, 0);
        // SeqCst: pairs with the compare-and-swap in `declare_queue`.
        let first = QueueWord::from_bits(self.slot().header.queue.load(Ordering::SeqCst)).first(self.generation())?;
        self.help_commit(self.head());
        for (_, cell) in self.cells() {
            if let Some(version) = cell::readable(cell).filter(|&version| version >= first) {
                match delivery(cell.header).progress_of(version) {
                    Progress::Waiting { .. } if is_refused(version) => {}
                    Progress::Waiting { .. } => waiting += 1,
                    Progress::Leased { .. } => leased += 1,
                    Progress::Done => {}
                }
            }
        }
        Some((waiting, leased))
    }
}
