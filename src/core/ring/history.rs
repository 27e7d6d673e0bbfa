//! All versions that a slot keeps, found by one look at each cell.
//!
//! A reader that goes through history one version at a time (`oldest_from`, then a look-up, for each) looks at every cell for every version.
//! Here the cells are looked at once and sorted by version. A version never moves to another cell, so that the place found for it is where it
//! is, or it is gone.

use super::read::{self, ReadError};
use super::{Ring, Seq};
use crate::core::memory::view::CellView;
use crate::sync::Ordering;

/// A version, and the cell in which it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeptVersion {
    pub(crate) version: u64,
    cell: u32,
}

impl<'a> Ring<'a> {
    /// The versions from `from` on that are kept now, oldest first.
    pub(crate) fn kept_from(self, from: u64) -> Vec<KeptVersion> {
        let from = from.max(self.base_version() + 1);
        self.help_commit(self.head());
        let found =
            |(index, cell): (u32, CellView<'a>)| Some(KeptVersion { version: read::readable(cell)?, cell: index });
        let mut kept: Vec<_> = self.cells().filter_map(found).filter(|kept| kept.version >= from).collect();
        kept.sort_unstable();
        kept
    }

    /// Copies a version that was kept into `out`, replacing what it held; `false` if it was overwritten, or purged, meanwhile.
    pub(crate) fn copy_kept(self, kept: KeptVersion, generation: u64, out: &mut Vec<u8>) -> Result<bool, ReadError> {
        let cell = self.slot.cells.get(kept.cell);
        // Acquire: see `readable`.
        let is_there =
            Seq::bits_hold(cell.header.seq.load(Ordering::Acquire), kept.version) && kept.version > self.base_version();
        let copied = is_there && read::copy(cell, kept.version, out);
        if self.generation() == generation { Ok(copied) } else { Err(ReadError::Removed) }
    }
}

/// Counts the looks at cells, for tests of what a look-up costs.
#[cfg(all(test, not(loom)))]
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
