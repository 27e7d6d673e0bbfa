//! Accesses to one cell.

use super::context::Scrub;
use crate::core::delivery::Delivery;
use crate::core::epoch;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::records::CellHeader;
use crate::core::memory::words::{self, WORD};
use crate::core::word::Seq;
use crate::sync::{AtomicU64, Ordering, fence};

/// The version that can be read from the cell now.
#[inline]
pub(crate) fn readable(cell: CellView<'_>) -> Option<u64> {
    #[cfg(test)]
    looks::note();
    // Acquire: pairs with the release of `seq` in `release_committed` and `stamp`; whoever sees the version sees its bytes.
    Seq::from_bits(cell.header.seq.load(Ordering::Acquire)).readable()
}

/// Whether this version can be read from the cell now.
#[inline]
pub(crate) fn holds(cell: CellView<'_>, version: u64) -> bool {
    #[cfg(test)]
    looks::note();
    // Acquire: see `readable`.
    Seq::bits_hold(cell.header.seq.load(Ordering::Acquire), version)
}

/// The length of what the cell holds, never more than it has room for.
#[inline]
pub(crate) fn len(cell: CellView<'_>) -> usize {
    (cell.header.len.load(Ordering::Relaxed) as usize).min(cell.words.len() * WORD)
}

/// Copies a cell that held `version` when the caller looked; `false` when it no longer did afterwards.
#[inline(always)]
pub(crate) fn copy(cell: CellView<'_>, version: u64, out: &mut Vec<u8>) -> bool {
    set_len(out, len(cell));
    words::load(cell.words, out);
    // Acquire: pairs with the release fence in `take`; if any word above was a later writer's, `seq` below is too.
    fence(Ordering::Acquire);
    Seq::bits_hold(cell.header.seq.load(Ordering::Relaxed), version)
}

/// Makes room for exactly `len` bytes, which the caller overwrites.
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

/// Who has taken the message in this cell.
pub(crate) fn delivery(cell: &CellHeader) -> Delivery {
    // SeqCst: done is final, and whoever sees it may overwrite the value that was handled before.
    Delivery::from_bits(cell.delivery.load(Ordering::SeqCst))
}

/// Whether any participant reads the cell in place.
#[inline]
pub(crate) fn pinned(cell: &CellHeader) -> bool {
    // SeqCst: see `take`.
    cell.pins.iter().any(|pins: &AtomicU64| pins.load(Ordering::SeqCst) != 0)
}

/// Takes what was written out of a cell that nobody else can touch.
pub(crate) fn empty(cell: CellView<'_>, scrub: Scrub) {
    cell.header.len.store(0, Ordering::Relaxed);
    if scrub == Scrub::Always {
        words::zero(cell.words, 0, cell.header.written_len.load(Ordering::Relaxed) as usize);
        cell.header.crc.store(0, Ordering::Relaxed);
        // Release: not before the bytes are zeroed, or a kill in between would leave some that nobody knows of.
        cell.header.written_len.store(0, Ordering::Release);
    }
}

/// The version that was published before this one, which the cell holds; `None` if nobody knows.
pub(crate) fn version_before(cell: CellView<'_>, version: u64) -> Option<u64> {
    // Relaxed: of another version, it is thrown away with what else was read of the cell.
    epoch::version_before(version, cell.header.gap.load(Ordering::Relaxed))
}

/// Counts the looks at cells, for tests of what a look-up costs.
#[cfg(test)]
pub(crate) mod looks {
    use std::cell::Cell;

    thread_local! {
        static CHECKS: Cell<u64> = const { Cell::new(0) };
    }

    pub(crate) fn note() {
        CHECKS.set(CHECKS.get() + 1);
    }

    /// How many there were on this thread since the last call.
    pub(crate) fn take() -> u64 {
        CHECKS.replace(0)
    }
}
