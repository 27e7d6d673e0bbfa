//! Retention: which cells writers must not overwrite.
//!
//! A cell is spared if it holds the newest value, if its value is among the newest `history`, is
//! pinned, is undelivered (a lossless subscriber or a worker has not finished it), or is kept for a
//! flush.
//!
//! - **Fast path.** The slot has no cursor, no queue, and no checksums: one branch after two loads
//!   of a line that belongs to the writers. All else is out of line, because a publish needs all
//!   its registers.
//! - **Slow path.** Compare the version with the low-water mark, which may have to be computed
//!   (`low_water.rs`), with the queue's first message, and with the flushed versions.
//!
//! Nothing is written here, except for the low-water mark.

use crate::core::memory::records::CellHeader;
use crate::core::ring::cell::{self, delivery, pinned};
use crate::core::ring::delivering::low_water::ComputedLowWater;
use crate::core::ring::ring::Ring;
use crate::core::word::{Head, LowWaterMark, Progress, QueueWord};
use crate::sync::Ordering;

/// Which values a process that claims a cell spares, beside pinned ones and the newest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The newest `history` values, and retained ones.
    History,
    /// This many of the newest values, and retained ones.
    Newest(u32),
    /// Retained values.
    Undelivered,
    /// Values later than this version. For retired values, which nobody can receive any more.
    After(u64),
}

impl Keep {
    #[inline(always)]
    pub(crate) fn respects_retention(self) -> bool {
        !matches!(self, Self::After(_))
    }
}

impl Ring<'_> {
    /// Whether the version that the cell holds is retained: a subscriber or worker has not finished
    /// it, or a flush needs it.
    ///
    /// A scan of many cells passes the low-water mark that it has computed so far.
    #[inline(always)]
    pub(crate) fn is_retained(self, cell: &CellHeader, version: u64, computed: Option<&ComputedLowWater>) -> bool {
        let (low_water, queue) = self.receivers();
        // One branch, and all else out of line: a publish needs all its registers.
        if low_water.version().is_none() && queue.bits() == 0 && !self.context.checksums {
            return false;
        }
        self.is_retained_slow(cell, version, low_water, queue, computed)
    }

    #[cold]
    #[inline(never)]
    fn is_retained_slow(
        self,
        cell: &CellHeader,
        version: u64,
        low_water: LowWaterMark,
        queue: QueueWord,
        computed: Option<&ComputedLowWater>,
    ) -> bool {
        self.is_unread(low_water, version, computed)
            || self.is_unfinished(cell, version, queue)
            || self.is_flushed(version)
    }

    /// Whether a subscriber or a worker has not finished the version that the cell holds.
    pub(crate) fn is_undelivered(self, cell: &CellHeader, version: u64, computed: Option<&ComputedLowWater>) -> bool {
        let (low_water, queue) = self.receivers();
        self.is_unread(low_water, version, computed) || self.is_unfinished(cell, version, queue)
    }

    /// As [`is_undelivered`](Self::is_undelivered), by the smallest cursor instead of the low-water
    /// mark, which is not changed.
    pub(crate) fn is_undelivered_now(self, cell: &CellHeader, version: u64, smallest_cursor: Option<u64>) -> bool {
        smallest_cursor.is_some_and(|smallest| version >= smallest)
            || self.is_unfinished(cell, version, self.receivers().1)
    }

    /// The words about lossless subscribers and workers.
    #[inline(always)]
    fn receivers(self) -> (LowWaterMark, QueueWord) {
        let header = self.slot().header;
        // SeqCst: pairs with `register` and `declare_queue`. We change `seq`, then read these
        // words; they write these words, then read `seq`.
        let low_water = LowWaterMark::from_bits(header.low_water.load(Ordering::SeqCst));
        let queue = QueueWord::from_bits(header.queue.load(Ordering::SeqCst));
        (low_water, queue)
    }

    /// Whether the version is a message of the work queue that is not done.
    fn is_unfinished(self, cell: &CellHeader, version: u64, queue: QueueWord) -> bool {
        let is_message = queue.first(self.generation()).is_some_and(|first| version >= first);
        is_message && delivery(cell).progress_of(version) != Progress::Done
    }

    /// The smallest version that a subscriber or a worker has not finished, if there is one.
    pub(crate) fn first_undelivered(self) -> Option<u64> {
        // SeqCst: pairs as in `receivers`.
        let first = QueueWord::from_bits(self.slot().header.queue.load(Ordering::SeqCst)).first(self.generation());
        let unfinished = first.and_then(|first| {
            let messages = self.cells().filter_map(|(_, cell)| {
                cell::readable(cell).filter(|&version| delivery(cell.header).progress_of(version) != Progress::Done)
            });
            messages.filter(|&version| version >= first).min()
        });
        unfinished.into_iter().chain(self.compute_low_water().version()).min()
    }

    /// Whether the value is pinned, or retained where `keep` respects that.
    #[inline(always)]
    pub(crate) fn is_protected(
        self,
        cell: &CellHeader,
        version: u64,
        keep: Keep,
        computed: Option<&ComputedLowWater>,
    ) -> bool {
        pinned(cell) || keep.respects_retention() && self.is_retained(cell, version, computed)
    }

    /// Whether this version is among the newest `history` ones.
    #[inline(always)]
    fn is_history(self, version: u64, head: Head, history: u32) -> bool {
        if version.saturating_add(u64::from(history)) > head.version() {
            return true;
        }
        self.context.checksums && self.is_history_before_a_gap(version, head, history)
    }

    /// Whether the cell holds the newest value, or one that `keep` spares by its version.
    #[inline(always)]
    pub(crate) fn must_stay(self, index: u32, version: u64, head: Head, keep: Keep) -> bool {
        if version == 0 {
            return false;
        }
        let must_stay = match keep {
            Keep::History => self.is_history(version, head, self.handle.shape().history),
            Keep::Newest(history) => self.is_history(version, head, history),
            Keep::Undelivered => false,
            Keep::After(last) => version > last,
        };
        head.cell() == Some(index) || must_stay
    }
}
