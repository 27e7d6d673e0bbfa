//! Accesses to one cell, which the protocol files share.

use crate::core::epoch;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::records::CellHeader;
use crate::core::word::{Delivery, Seq};
use crate::sync::{AtomicU64, Ordering};

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
