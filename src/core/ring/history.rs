//! All versions that a slot keeps, found by one look at each cell.
//!
//! A reader that goes through history one version at a time (`oldest_from`, then a look-up, for each) looks at every cell for every version.
//! Here the cells are looked at once and sorted by version. A version never moves to another cell, so that the place found for it is where it
//! is, or it is gone.

use super::cell;
use super::error::ReadError;
use super::ring::Ring;
use crate::core::memory::cell_view::CellView;
use crate::core::word::Seq;
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
            |(index, cell): (u32, CellView<'a>)| Some(KeptVersion { version: cell::readable(cell)?, cell: index });
        let mut kept: Vec<_> = self.cells().filter_map(found).filter(|kept| kept.version >= from).collect();
        kept.sort_unstable();
        kept
    }

    /// Copies a version that was kept into `out`, replacing what it held; `false` if it was overwritten, or purged, meanwhile.
    pub(crate) fn copy_kept(self, kept: KeptVersion, out: &mut Vec<u8>) -> Result<bool, ReadError> {
        let cell = self.slot().cells.get(kept.cell);
        // Acquire: see `readable`.
        let is_there =
            Seq::bits_hold(cell.header.seq.load(Ordering::Acquire), kept.version) && kept.version > self.base_version();
        let copied = is_there && cell::copy(cell, kept.version, out);
        if self.is_current() { Ok(copied) } else { Err(ReadError::Removed) }
    }
}
