//! Accesses to one cell, which the protocol files share.
//!
//! `copy` is the validated read of this crate: copy by relaxed atomic words, acquire fence, check
//! `seq` again. It is a seqlock's read side (Lamport 1977, "Concurrent reading and writing"; Boehm
//! 2012, "Can seqlocks get along with programming language memory models?"), with one difference:
//! writers do not increment a counter, but `seq` names the version, which a cell never holds again.

use crate::core::epoch;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::records::CellHeader;
use crate::core::memory::words::{self, WORD};
use crate::core::ring::ring::Ring;
use crate::core::word::{Delivery, Seq};
use crate::sync::{AtomicU64, Ordering, fence};

/// The version that can be read from the cell now.
#[inline]
pub(crate) fn readable(cell: CellView<'_>) -> Option<u64> {
    #[cfg(test)]
    cell_checks::note();
    // Acquire: pairs with the release of `seq` in `commit_cell` and `help_commit`; a thread
    // that sees the version sees its bytes.
    Seq::from_bits(cell.header.seq.load(Ordering::Acquire)).readable()
}

/// Whether this version can be read from the cell now.
#[inline]
pub(crate) fn holds(cell: CellView<'_>, version: u64) -> bool {
    #[cfg(test)]
    cell_checks::note();
    // Acquire: pairs as in `readable`.
    Seq::bits_hold(cell.header.seq.load(Ordering::Acquire), version)
}

/// The length of the cell's value in bytes, as the cell says. It is read from shared memory, so it
/// may be any number.
#[inline]
pub(crate) fn len(cell: CellView<'_>) -> usize {
    cell.header.len.load(Ordering::Relaxed) as usize
}

/// The outcome of copying a value out of its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copied {
    Whole,
    /// The cell does not hold the version any more.
    Overwritten,
    /// The value must be read under a pin. Nothing was copied. (The same if its place is not mapped
    /// yet: the pin maps it.)
    Long,
}

impl Ring<'_> {
    /// Copies the value of a cell that held `version` when the caller checked.
    #[inline(always)]
    pub(crate) fn copy(self, index: u32, cell: CellView<'_>, version: u64, out: &mut Vec<u8>) -> Copied {
        let len = len(cell);
        let words = if len <= cell.words.len() * WORD {
            cell.words
        } else {
            match self.kept_words(index, len) {
                Some(words) => words,
                None => return Copied::Long,
            }
        };
        set_len(out, len);
        words::load(words, out);
        // Acquire: pairs with the release fence of the claim; if any word that was copied was a later
        // writer's, the load of `seq` below sees that writer's mark.
        fence(Ordering::Acquire);
        let holds = Seq::bits_hold(cell.header.seq.load(Ordering::Relaxed), version);
        if holds { Copied::Whole } else { Copied::Overwritten }
    }
}

/// Makes `out` exactly `len` bytes long. The caller overwrites all of them.
#[inline]
pub(crate) fn set_len(out: &mut Vec<u8>, len: usize) {
    // Values of one key tend to have one length.
    if out.len() != len {
        resize(out, len);
    }
}

#[cold]
fn resize(out: &mut Vec<u8>, len: usize) {
    out.resize(len, 0);
}

/// Which worker has the message in this cell.
pub(crate) fn delivery(cell: &CellHeader) -> Delivery {
    // SeqCst: pairs with `acknowledge`. Done is final; a writer that sees it may overwrite the
    // value, and comes after the worker's last read.
    Delivery::from_bits(cell.delivery.load(Ordering::SeqCst))
}

/// Whether any participant reads the value in place.
#[inline]
pub(crate) fn pinned(cell: &CellHeader) -> bool {
    // SeqCst: pairs with the pins in `pin_newest` and `unpin`; see the claim. All words are loaded,
    // with one branch.
    cell.pins.iter().fold(0, |all, pins: &AtomicU64| all | pins.load(Ordering::SeqCst)) != 0
}

/// The version that was published before this one, which the cell holds; `None` if it is not known.
pub(crate) fn version_before(cell: CellView<'_>, version: u64) -> Option<u64> {
    // Relaxed: if it belongs to another version, it is discarded with all else that was read of the
    // cell.
    epoch::version_before(version, cell.header.gap.load(Ordering::Relaxed))
}

/// Counts the checks of cells, for tests of what a look-up costs.
#[cfg(test)]
pub(crate) mod cell_checks {
    use std::cell::Cell;

    thread_local! {
        static CHECKS: Cell<u64> = const { Cell::new(0) };
    }

    pub(crate) fn note() {
        CHECKS.set(CHECKS.get() + 1);
    }

    /// The number of checks on this thread since the last call.
    pub(crate) fn take() -> u64 {
        CHECKS.replace(0)
    }
}
