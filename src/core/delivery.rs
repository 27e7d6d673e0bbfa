//! The words that say who is still to receive what: a slot's `floor`, `queue` and cursors, and a cell's `delivery`.

use std::cmp::Ordering;
use std::fmt;

use crate::core::word::{MAX_VERSION, NUMBER_BITS};

/// A lossless subscriber's place in its slot: (participant + 1 : 8 | generation : 8 | version : 48). A zeroed word is a free place.
///
/// No version from this one on is overwritten. One word says whose it is and where, so that both change, and end, in one step. Of
/// the generation, eight bits distinguish the cursor of a key that was removed from those of the present one. Version 0 is an evicted cursor: it keeps
/// nothing, and its place is taken until its owner has noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) participant: u32,
    generation: u8,
    pub(crate) version: u64,
}

impl Cursor {
    pub(crate) const FREE: u64 = 0;

    pub(crate) fn new(participant: u32, generation: u64, version: u64) -> Self {
        Self { participant, generation: Self::tag(generation), version: version.min(MAX_VERSION) }
    }

    /// `None` for a free place. Read from shared memory, so the participant may be any of 255.
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        let participant = ((bits >> (NUMBER_BITS + 8)) as u32).checked_sub(1)?;
        Some(Self { participant, generation: (bits >> NUMBER_BITS) as u8, version: bits & MAX_VERSION })
    }

    pub(crate) fn bits(self) -> u64 {
        u64::from(self.participant + 1) << (NUMBER_BITS + 8) | u64::from(self.generation) << NUMBER_BITS | self.version
    }

    /// The same participant's cursor, evicted.
    pub(crate) fn evicted(self) -> Self {
        Self { version: 0, ..self }
    }

    pub(crate) fn is_evicted(self) -> bool {
        self.version == 0
    }

    pub(crate) fn is_of(self, generation: u64) -> bool {
        self.generation == Self::tag(generation)
    }

    /// The lowest bit of a generation that has a key is always set.
    fn tag(generation: u64) -> u8 {
        (generation >> 1) as u8
    }
}

/// The smallest cursor of a slot, as it was when somebody last looked: (participant + 1 : 8 | tag : 8 | version : 48). Cursors only move
/// on, so it is never too large. No version: there was no cursor.
///
/// The upper bits are the mark of a recomputation in progress: whose it is, and which of that participant's threads does it. Every
/// registration clears them, so a thread that finds its mark still there knows that no cursor was added since it put it there. Only that
/// thread writes that mark, so it cannot come back behind its back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LowWaterMark(u64);

impl LowWaterMark {
    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// The version from which on all are kept, if any are.
    #[inline]
    pub(crate) fn version(self) -> Option<u64> {
        Some(self.0 & MAX_VERSION).filter(|&version| version != 0)
    }

    /// Whether no value of this version may be overwritten.
    #[inline]
    pub(crate) fn guards(self, version: u64) -> bool {
        self.version().is_some_and(|floor| version >= floor)
    }

    /// The smallest cursor, and no mark.
    pub(crate) fn of(smallest: Option<u64>) -> Self {
        Self(smallest.unwrap_or(0).min(MAX_VERSION))
    }

    /// The same version, with the mark of a participant that is about to recompute it in the thread with this tag.
    pub(crate) fn marked_by(self, participant: u32, tag: u8) -> Self {
        let mark = u64::from((participant + 1) as u8) << 8 | u64::from(tag);
        Self(mark << NUMBER_BITS | self.0 & MAX_VERSION)
    }

    /// What it is once a cursor at this version is registered: no recomputation that began before is written down.
    pub(crate) fn joined_by(self, version: u64) -> Self {
        let lowest = self.version().map_or(version, |floor| floor.min(version));
        Self::of(Some(lowest.max(1)))
    }
}

/// From which version on values are messages of a work queue: (tentative : 1 | generation : 15 | version : 48). Of another generation
/// than the slot's, or zero: the key is no queue.
///
/// A queue is declared in two steps. While it is tentative, writers and purges keep its messages, and nobody takes one: its first version
/// may still move up, behind what a purge takes that did not see it in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Queue(u64);

impl Queue {
    const TENTATIVE: u64 = 1 << 63;
    const GENERATION: u64 = 0x7fff;

    pub(crate) fn tentative(generation: u64, first: u64) -> Self {
        Self(Self::TENTATIVE | (generation & Self::GENERATION) << NUMBER_BITS | first.min(MAX_VERSION))
    }

    /// The declaration made final: its messages begin above `purged`.
    pub(crate) fn finalised(self, purged: u64) -> Self {
        let first = (self.0 & MAX_VERSION).max((purged + 1).min(MAX_VERSION));
        Self(self.0 & !(Self::TENTATIVE | MAX_VERSION) | first)
    }

    pub(crate) fn is_tentative(self) -> bool {
        self.0 & Self::TENTATIVE != 0
    }

    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// The first version that is a message, if the slot's key, of this generation, is a queue, tentative or not.
    #[inline]
    pub(crate) fn first(self, generation: u64) -> Option<u64> {
        let same = self.0 >> NUMBER_BITS & Self::GENERATION == generation & Self::GENERATION;
        (self.0 != 0 && same).then_some(self.0 & MAX_VERSION)
    }
}

/// What became of one message of a work queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nobody has it; whoever takes it makes this attempt, counted from 1.
    Waiting {
        attempt: u8,
    },
    Leased {
        participant: u32,
        attempt: u8,
    },
    Done,
}

/// A cell's word for work queues: (progress : 8 | attempt : 8 | version : 48). It speaks of one version: of a later one nothing is
/// known, which is to say that nobody has taken it. So whoever publishes into the cell need not touch it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivery(u64);

impl Delivery {
    const DONE: u8 = u8::MAX;

    pub(crate) fn new(version: u64, progress: Progress) -> Self {
        let (progress, attempt) = match progress {
            Progress::Waiting { attempt } => (0, attempt),
            Progress::Leased { participant, attempt } => (participant as u8 + 1, attempt),
            Progress::Done => (Self::DONE, 0),
        };
        Self(u64::from(progress) << (NUMBER_BITS + 8) | u64::from(attempt) << NUMBER_BITS | version & MAX_VERSION)
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// The version that it speaks of.
    pub(crate) fn version(self) -> u64 {
        self.0 & MAX_VERSION
    }

    /// What it says of the version that it speaks of.
    pub(crate) fn progress(self) -> Progress {
        let attempt = (self.0 >> NUMBER_BITS) as u8;
        match (self.0 >> (NUMBER_BITS + 8)) as u8 {
            0 => Progress::Waiting { attempt: attempt.max(1) },
            Self::DONE => Progress::Done,
            participant => Progress::Leased { participant: u32::from(participant) - 1, attempt },
        }
    }

    /// What became of this version.
    ///
    /// A cell's versions only grow, so a word that speaks of a later one was written when this one had long been overwritten, after it
    /// was done.
    pub(crate) fn progress_of(self, version: u64) -> Progress {
        match self.version().cmp(&version) {
            Ordering::Less => Progress::Waiting { attempt: 1 },
            Ordering::Equal => self.progress(),
            Ordering::Greater => Progress::Done,
        }
    }

    /// What it is after whoever has taken the message is gone, or has given it back.
    pub(crate) fn requeued(self) -> Self {
        match self.progress() {
            Progress::Leased { attempt, .. } => {
                Self::new(self.version(), Progress::Waiting { attempt: attempt.saturating_add(1) })
            }
            _ => self,
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({:?}, version {})", self.progress(), self.version())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeroed_words_say_that_nothing_is_owed_to_anybody() {
        assert_eq!(Cursor::from_bits(Cursor::FREE), None);
        assert_eq!(LowWaterMark::from_bits(0).version(), None);
        assert_eq!(Queue::from_bits(0).first(1), None);
        assert_eq!(Delivery::from_bits(0).progress_of(1), Progress::Waiting { attempt: 1 });
    }

    #[test]
    fn words_are_laid_out_as_they_always_were() {
        assert_eq!(Cursor::new(127, 5, 9).bits(), 0x8002_0000_0000_0009);
        assert_eq!(LowWaterMark::of(Some(9)).bits(), 9);
        assert_eq!(LowWaterMark::of(Some(9)).marked_by(127, 5).bits(), 0x8005_0000_0000_0009);
        assert_eq!(Queue::tentative(0x1_0005, 9).bits(), 0x8005_0000_0000_0009);
        assert_eq!(Queue::tentative(0x1_0005, 9).finalised(0).bits(), 0x0005_0000_0000_0009);
        assert_eq!(Delivery::new(9, Progress::Waiting { attempt: 2 }).bits(), 0x0002_0000_0000_0009);
        assert_eq!(Delivery::new(9, Progress::Leased { participant: 127, attempt: 3 }).bits(), 0x8003_0000_0000_0009);
        assert_eq!(Delivery::new(9, Progress::Done).bits(), 0xff00_0000_0000_0009);
    }

    #[test]
    fn words_come_back_as_they_went_in() {
        let cursor = Cursor::new(127, 5, MAX_VERSION);
        assert_eq!(Cursor::from_bits(cursor.bits()), Some(cursor));
        assert!(cursor.is_of(5) && !cursor.is_of(7));
        let tentative = Queue::tentative(0x1_0003, 7);
        let queue = tentative.finalised(0);
        assert!(tentative.is_tentative() && !queue.is_tentative());
        for queue in [queue, tentative] {
            assert_eq!((queue.first(0x1_0003), queue.first(0x1_0005)), (Some(7), None));
        }
        for progress in
            [Progress::Waiting { attempt: 255 }, Progress::Leased { participant: 127, attempt: 1 }, Progress::Done]
        {
            let delivery = Delivery::new(9, progress);
            assert_eq!(delivery.progress_of(9), progress);
            assert_eq!(delivery.progress_of(10), Progress::Waiting { attempt: 1 });
            assert_eq!(delivery.progress_of(8), Progress::Done);
        }
    }

    #[test]
    fn a_message_that_is_given_back_counts_the_attempt() {
        let taken = Delivery::new(9, Progress::Leased { participant: 3, attempt: 1 });
        assert_eq!(taken.requeued().progress_of(9), Progress::Waiting { attempt: 2 });
        assert_eq!(Delivery::new(9, Progress::Done).requeued().progress_of(9), Progress::Done);
    }

    #[test]
    fn a_floor_is_the_smallest_cursor_and_every_registration_clears_the_mark() {
        let floor = LowWaterMark::from_bits(0).joined_by(10);
        assert!(floor.guards(10) && !floor.guards(9));
        let lower = floor.joined_by(4);
        assert_eq!(lower.version(), Some(4));
        // Any number that a damaged word may hold, too.
        for participant in [0, 127, 128, 254] {
            let marked = lower.marked_by(participant, 7);
            assert!(marked.guards(4) && !marked.guards(3));
            assert_ne!(marked, lower);
            assert_ne!(marked, lower.marked_by(participant, 8));
            assert_eq!((marked.joined_by(7), marked.joined_by(3)), (lower, LowWaterMark::of(Some(3))));
        }
        assert_eq!(LowWaterMark::of(None).version(), None);
    }

    #[test]
    fn a_queue_that_is_made_final_begins_above_what_was_purged() {
        let tentative = Queue::tentative(5, 7);
        for (purged, first) in [(0, 7), (6, 7), (7, 8), (20, 21), (MAX_VERSION, MAX_VERSION)] {
            assert_eq!(tentative.finalised(purged).first(5), Some(first));
        }
    }
}
