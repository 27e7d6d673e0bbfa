//! The read hint: what a handle remembers of the last version that it read, so that it need not
//! search for the next one.
//!
//! A reader that follows a single writer visits the cells in the writer's order. While it does, it
//! reads neither `head`, whose line comes from the writer's core each time, nor other cells in
//! search of the version.
//!
//! - **Fast path.** The next version is in the cell after the last one, and the handle knows that
//!   it was published.
//! - **Slow path.** It is not there, because several writers interleave, or it is not known to be
//!   published: read `head` and search (`find.rs`).
//! - **Crash.** The hint is private memory of one process. A crash leaves nothing.
//!
//! It is only a hint: a cell itself says which version it holds.

use super::permutation::Permutation;
use crate::core::word::Head;
use crate::sync::{AtomicU64, Ordering};

/// The cell of the last version that was read, and a version up to which all are published.
#[derive(Debug, Default)]
pub(crate) struct ReadHint {
    /// The last version that was read, and its cell, encoded like `head`.
    last: AtomicU64,
    /// All versions up to this one are published.
    published: AtomicU64,
}

impl ReadHint {
    /// The cell that most likely holds this version, if the version is known to be published.
    #[inline]
    pub(crate) fn cell_of(&self, version: u64, permutation: &Permutation) -> Option<u32> {
        // Relaxed: a published version stays published, and the cell is only a guess.
        if version > self.published.load(Ordering::Relaxed) {
            return None;
        }
        let last = Head::from_bits(self.last.load(Ordering::Relaxed));
        last.cell().filter(|_| last.version() + 1 == version).map(|cell| permutation.after(cell))
    }

    /// Records that a version was read from this cell.
    #[inline]
    pub(crate) fn note_read(&self, cell: u32, version: u64) {
        self.last.store(Head::of(cell, version).bits(), Ordering::Relaxed);
    }

    /// Records that all versions up to this one are published.
    #[inline]
    pub(crate) fn note_published(&self, head: Head) {
        self.published.store(head.version(), Ordering::Relaxed);
    }
}
