//! Work queues: each message to one worker.
//!
//! Who has a message is said in the cell that holds it, by one word, so there is no second place that could disagree. A message
//! that is not done is never overwritten.

use super::attempts::attempts;
use super::cell::{self, delivery};
use super::cursor::Begin;
use super::error::ReadError;
use super::ring::Ring;
use crate::core::delivery::{Delivery, Progress, Queue};
use crate::core::memory::cell_view::CellView;
use crate::core::memory::records::CACHE_LINE;
use crate::core::participant_set::ParticipantSet;
use crate::core::word::Seq;
use crate::kill_points::{Step, reached};
use crate::sync::{Ordering, fence, total_order};

/// A message that this participant has to handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    cell: u32,
    pub(crate) version: u64,
    pub(crate) attempt: u8,
}

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Leased(Taken),
    /// Nothing that is not in somebody's hands.
    Nothing {
        /// Somebody else has messages in hand.
        others_leased: bool,
    },
}

/// How a worker goes through a queue: in order of versions, with a look at everything once in a while.
#[derive(Debug)]
pub(crate) struct Position {
    /// The version that is most likely the next.
    next: u64,
    /// How many messages may be taken before the next look for older ones that were given back.
    credit: u32,
}

impl Position {
    pub(crate) fn new() -> Self {
        Self { next: 0, credit: 0 }
    }
}

/// How many messages that others have taken a worker passes by before it looks at all there are.
const STRIDES: u64 = 8;

impl<'a> Ring<'a> {
    /// Makes the key a work queue, from this version on, unless it is one.
    ///
    /// In two steps. Once it is tentative, writers and purges keep its messages, and nobody takes one. It is made final, by anybody, above
    /// what a purge takes that may not have seen the first step; so nobody who finds the key declared hurries past that.
    pub(crate) fn declare_queue(self, begin: Begin) -> Result<(), ReadError> {
        let queue = &self.slot().header.queue;
        let (generation, mut left_by_a_purge) = (self.handle.generation(), false);
        loop {
            // SeqCst: as the compare-and-swap below.
            let seen = Queue::from_bits(queue.load(Ordering::SeqCst));
            if !self.is_current() {
                return Err(ReadError::Removed);
            }
            let next = match seen.first(generation) {
                None => Queue::tentative(generation, self.begin_of(begin)),
                Some(first) if seen.is_tentative() => {
                    // SeqCst: pairs with `purge`. Whose fence comes second sees the tentative word, or the intent.
                    fence(Ordering::SeqCst);
                    let purged = self.purge_intent();
                    left_by_a_purge |= purged >= first;
                    seen.finalised(purged)
                }
                Some(_) => break,
            };
            // SeqCst: pairs with `is_undelivered`: what is published after this is not overwritten before it is done.
            if queue.compare_exchange(seen.bits(), next.bits(), Ordering::SeqCst, Ordering::SeqCst).is_err() {
                continue;
            }
            reached(if next.is_tentative() { Step::QueueTentative } else { Step::QueueDeclared });
            // If the key was removed before our compare-and-swap, that has acquired the change of the generation, by way of what
            // `forget_deliveries` wrote; if later, our word is zeroed there.
            if !self.is_current() {
                // The word speaks of no key that there is, but only as long as none has the same few bits of a generation.
                let _ = queue.compare_exchange(next.bits(), 0, Ordering::SeqCst, Ordering::Relaxed);
                return Err(ReadError::Removed);
            }
        }
        if left_by_a_purge {
            self.finish_purge();
        }
        Ok(())
    }

    /// Makes a tentative declaration final, of a slot that nobody else has: after the machine stopped.
    pub(crate) fn finalise_recovered_queue(self) {
        let word = &self.slot().header.queue;
        let queue = Queue::from_bits(word.load(Ordering::Relaxed));
        if queue.is_tentative() {
            word.store(queue.finalised(self.purge_intent()).bits(), Ordering::Relaxed);
        }
    }

    /// Takes the oldest message that nobody has.
    pub(crate) fn take_message(self, position: &mut Position) -> Result<Work, ReadError> {
        let mut queue = Queue::from_bits(self.slot().header.queue.load(Ordering::SeqCst));
        if queue.is_tentative() {
            self.declare_queue(Begin::Next)?;
            queue = Queue::from_bits(self.slot().header.queue.load(Ordering::SeqCst));
        }
        let first = queue.first(self.handle.generation()).filter(|_| !queue.is_tentative());
        let Some(first) = first.filter(|_| self.is_current()) else {
            return Err(ReadError::Removed);
        };
        if position.credit > 0
            && let Some(taken) = self.take_near(position)
        {
            return Ok(Work::Leased(taken));
        }
        self.take_oldest(position, first)
    }

    /// The next one in order, passing by what others have.
    fn take_near(self, position: &mut Position) -> Option<Taken> {
        let head = self.head();
        self.help_commit(head);
        for version in position.next..(position.next + STRIDES).min(head.version() + 1) {
            let index = self.find_index(head, version)?;
            match delivery(self.slot().cells.get(index).header).progress_of(version) {
                Progress::Waiting { .. } => {
                    if let Some(taken) = self.take_this(index, version) {
                        position.next = version + 1;
                        position.credit -= 1;
                        return Some(taken);
                    }
                }
                Progress::Leased { .. } | Progress::Done => {}
            }
        }
        None
    }

    fn take_oldest(self, position: &mut Position, first: u64) -> Result<Work, ReadError> {
        for _ in 0..attempts(self.slot().cells.count() as usize * CACHE_LINE) {
            let mut others_leased = false;
            self.help_commit(self.head());
            let oldest = self
                .cells()
                .filter_map(|(index, cell)| {
                    let version = cell::readable(cell).filter(|&version| version >= first)?;
                    match delivery(cell.header).progress_of(version) {
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
            let Some((version, index)) = oldest else {
                return Ok(Work::Nothing { others_leased });
            };
            if let Some(taken) = self.take_this(index, version) {
                position.next = position.next.max(version + 1);
                position.credit = self.slot().cells.count();
                return Ok(Work::Leased(taken));
            }
        }
        // Others have taken each of them first.
        Err(ReadError::Overtaken)
    }

    /// Takes this message, if nobody has it.
    fn take_this(self, index: u32, version: u64) -> Option<Taken> {
        let cell = self.slot().cells.get(index).header;
        let seen = delivery(cell);
        let Progress::Waiting { attempt } = seen.progress_of(version) else {
            return None;
        };
        let mine = Delivery::new(version, Progress::Leased { participant: self.context.me, attempt });
        // SeqCst: one of those who want it gets it; and `seq` is read after it.
        cell.delivery.compare_exchange(seen.bits(), mine.bits(), Ordering::SeqCst, Ordering::Relaxed).ok()?;
        reached(Step::MessageLeased);
        total_order();
        // A message from before the queue was declared may have been overwritten meanwhile: then the word speaks of nothing.
        let held = Seq::from_bits(cell.seq.load(Ordering::SeqCst)).readable() == Some(version);
        held.then_some(Taken { cell: index, version, attempt })
    }

    /// Says that the message was handled; `false` when it is not ours, because its key was removed.
    pub(crate) fn acknowledge(self, taken: Taken) -> bool {
        let done = self.finish(taken, Delivery::new(taken.version, Progress::Done));
        self.notify(self.not_full());
        done
    }

    /// Lets another worker have the message, unless its key was removed.
    pub(crate) fn requeue(self, taken: Taken) {
        self.finish(taken, self.mine(taken).requeued());
        self.notify(self.new_version());
    }

    fn finish(self, taken: Taken, next: Delivery) -> bool {
        let word = &self.slot().cells.get(taken.cell).header.delivery;
        // SeqCst: pairs with `is_undelivered` and `take_this`, and with the bells of those who wait.
        let finished =
            word.compare_exchange(self.mine(taken).bits(), next.bits(), Ordering::SeqCst, Ordering::Relaxed).is_ok();
        reached(Step::MessageFinished);
        finished
    }

    fn mine(self, taken: Taken) -> Delivery {
        Delivery::new(taken.version, Progress::Leased { participant: self.context.me, attempt: taken.attempt })
    }

    /// Gives back what a participant that is dead had taken; whether that was anything.
    pub(crate) fn reap_taken(self, cell: CellView<'_>, dead: &ParticipantSet) -> bool {
        let seen = delivery(cell.header);
        match seen.progress() {
            Progress::Leased { participant, .. } if dead.contains(participant) => {
                let next = seen.requeued().bits();
                // SeqCst: as in `requeue`.
                cell.header.delivery.compare_exchange(seen.bits(), next, Ordering::SeqCst, Ordering::Relaxed).is_ok()
            }
            _ => false,
        }
    }

    /// How many messages nobody has, and how many somebody has in hand; `None` if the key is no queue.
    pub(crate) fn backlog(self) -> Option<(u32, u32)> {
        let (mut waiting, mut taken) = (0, 0);
        let first = Queue::from_bits(self.slot().header.queue.load(Ordering::SeqCst)).first(self.generation())?;
        self.help_commit(self.head());
        for (_, cell) in self.cells() {
            if let Some(version) = cell::readable(cell).filter(|&version| version >= first) {
                match delivery(cell.header).progress_of(version) {
                    Progress::Waiting { .. } => waiting += 1,
                    Progress::Leased { .. } => taken += 1,
                    Progress::Done => {}
                }
            }
        }
        Some((waiting, taken))
    }
}
