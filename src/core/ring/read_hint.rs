//! What a handle remembers of the versions that it read one after the other, so that it need not look for the next.

use super::permutation::Permutation;
use crate::core::word::Head;
use crate::sync::{AtomicU64, Ordering};

/// Where the last version was, and up to which one all are published.
///
/// A reader that is behind a writer goes its way around the cells. As long as it does, it looks neither at `head`, whose line comes from the
/// writer's core each time, nor for the place of a version, which several writers may have mixed up. Both are only hints: a cell says itself which
/// version it holds.
#[derive(Debug, Default)]
pub(crate) struct ReadHint {
    /// As in `head`.
    last: AtomicU64,
    published: AtomicU64,
}

impl ReadHint {
    /// Where this version most likely is, if it was published.
    #[inline]
    pub(crate) fn place_of(&self, version: u64, order: &Permutation) -> Option<u32> {
        // Relaxed: a version that was published once stays so, and the place is only a guess.
        if version > self.published.load(Ordering::Relaxed) {
            return None;
        }
        let last = Head::from_bits(self.last.load(Ordering::Relaxed));
        last.cell().filter(|_| last.version() + 1 == version).map(|cell| order.after(cell))
    }

    /// Notes that a version was read from this cell.
    #[inline]
    pub(crate) fn read(&self, cell: u32, version: u64) {
        self.last.store(Head::of(cell, version).bits(), Ordering::Relaxed);
    }

    /// Notes that all versions up to this one were published.
    #[inline]
    pub(crate) fn seen(&self, head: Head) {
        self.published.store(head.version(), Ordering::Relaxed);
    }
}
