//! What writers must keep: history, what is still to be delivered, what is pinned, and what a flush has promised.

use super::cell::{self, delivery, pinned};
use super::low_water::ComputedLowWater;
use super::ring::Ring;
use crate::core::delivery::{LowWaterMark, Progress, Queue};
use crate::core::memory::records::CellHeader;
use crate::core::word::Head;
use crate::sync::Ordering;

/// What is left standing when somebody looks for a cell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The newest `history` values, and what somebody is still to receive.
    History,
    /// The newest value, and what somebody is still to receive.
    Undelivered,
    /// The newest value, and all later than this version. For values that nobody can receive any more.
    After(u64),
}

impl Keep {
    #[inline(always)]
    fn respects_retention(self) -> bool {
        !matches!(self, Self::After(_))
    }
}

impl Ring<'_> {
    /// Whether writers must not overwrite this version, which the cell holds: somebody is still to receive it, or a flush needs it.
    ///
    /// A call that looks at many cells passes what it has computed so far.
    #[inline(always)]
    pub(crate) fn is_retained(self, cell: &CellHeader, version: u64, computed: Option<&ComputedLowWater>) -> bool {
        let (floor, queue) = self.receivers();
        // One branch, and all else out of line: the registers of a publish are scarce.
        if floor.version().is_none() && queue.bits() == 0 && !self.context.checksums {
            return false;
        }
        self.is_retained_slow(cell, version, floor, queue, computed)
    }

    #[cold]
    #[inline(never)]
    fn is_retained_slow(
        self,
        cell: &CellHeader,
        version: u64,
        floor: LowWaterMark,
        queue: Queue,
        computed: Option<&ComputedLowWater>,
    ) -> bool {
        self.is_undelivered_given(cell, version, floor, queue, computed) || self.is_flushed(version)
    }

    /// Whether somebody is still to receive this version, which the cell holds.
    pub(crate) fn is_undelivered(self, cell: &CellHeader, version: u64, computed: Option<&ComputedLowWater>) -> bool {
        let (floor, queue) = self.receivers();
        self.is_undelivered_given(cell, version, floor, queue, computed)
    }

    /// As [`is_undelivered`](Self::is_undelivered), going by the smallest cursor, and without changing anything.
    pub(crate) fn is_undelivered_now(self, cell: &CellHeader, version: u64, smallest_cursor: Option<u64>) -> bool {
        smallest_cursor.is_some_and(|smallest| version >= smallest)
            || self.is_unfinished(cell, version, self.receivers().1)
    }

    /// What is said of those who are still to receive something.
    #[inline(always)]
    fn receivers(self) -> (LowWaterMark, Queue) {
        let header = self.slot().header;
        // SeqCst: pairs with `register` and `declare_queue`, as the pins do. We change `seq`, then look here; they write here,
        // then look at `seq`.
        let floor = LowWaterMark::from_bits(header.low_water.load(Ordering::SeqCst));
        let queue = Queue::from_bits(header.queue.load(Ordering::SeqCst));
        (floor, queue)
    }

    fn is_undelivered_given(
        self,
        cell: &CellHeader,
        version: u64,
        floor: LowWaterMark,
        queue: Queue,
        computed: Option<&ComputedLowWater>,
    ) -> bool {
        self.is_unread(floor, version, computed) || self.is_unfinished(cell, version, queue)
    }

    /// Whether the version is a message of the work queue that is not done.
    fn is_unfinished(self, cell: &CellHeader, version: u64, queue: Queue) -> bool {
        let is_message = queue.first(self.generation()).is_some_and(|first| version >= first);
        is_message && delivery(cell).progress_of(version) != Progress::Done
    }

    /// The smallest version that somebody is still to receive, if there is any.
    pub(crate) fn first_undelivered(self) -> Option<u64> {
        let first = Queue::from_bits(self.slot().header.queue.load(Ordering::SeqCst)).first(self.generation());
        let unfinished = first.and_then(|first| {
            let messages = self.cells().filter_map(|(_, cell)| {
                cell::readable(cell).filter(|&version| delivery(cell.header).progress_of(version) != Progress::Done)
            });
            messages.filter(|&version| version >= first).min()
        });
        unfinished.into_iter().chain(self.fresh_low_water().version()).min()
    }

    /// Whether somebody reads the value in place, or is still to receive it, or a flush needs it.
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

    /// Whether this version is among the newest `history`.
    #[inline(always)]
    fn is_history(self, version: u64, head: Head) -> bool {
        if version.saturating_add(u64::from(self.context.history)) > head.version() {
            return true;
        }
        self.context.checksums && self.is_history_before_a_gap(version, head)
    }

    /// Whether writers must leave this cell alone.
    #[inline(always)]
    pub(crate) fn must_stay(self, index: u32, version: u64, head: Head, keep: Keep) -> bool {
        if version == 0 {
            return false;
        }
        let must_stay = match keep {
            Keep::History => self.is_history(version, head),
            Keep::Undelivered => false,
            Keep::After(last) => version > last,
        };
        head.cell() == Some(index) || must_stay
    }
}
