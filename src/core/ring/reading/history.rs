//! Going through all versions that a slot still holds.
//!
//! A reader that asks for one version at a time (`oldest_from`, then a look-up, for each) checks
//! every cell for every version. Here one scan finds all versions and their cells, sorted. A
//! version never moves to another cell. So it is either still in the cell where the scan found it,
//! or overwritten.
//!
//! The copy is a validated read, as in `read.rs`. Nothing is written, so a crash leaves nothing.

use crate::core::memory::cell_view::CellView;
use crate::core::ring::cell;
use crate::core::ring::error::ReadError;
use crate::core::ring::reading::copy::Copied;
#[cfg(not(loom))]
use crate::core::ring::reading::pin::Pin;
use crate::core::ring::ring::Ring;
use crate::core::word::Seq;
use crate::sync::Ordering;

/// A version, and the cell in which a scan found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StoredVersion {
    pub(crate) version: u64,
    cell: u32,
}

impl StoredVersion {
    /// The version that was pinned in this cell.
    #[cfg(not(loom))]
    pub(crate) fn of_pin(pin: Pin) -> Self {
        Self { version: pin.version, cell: pin.cell }
    }

    pub(crate) fn cell(self) -> u32 {
        self.cell
    }
}

impl<'a> Ring<'a> {
    /// The versions from `from` on that are in cells now, oldest first.
    pub(crate) fn stored_from(self, from: u64) -> Vec<StoredVersion> {
        let from = from.max(self.base_version() + 1);
        self.help_commit(self.head());
        let stored =
            |(index, cell): (u32, CellView<'a>)| Some(StoredVersion { version: cell::readable(cell)?, cell: index });
        let mut versions: Vec<_> = self.cells().filter_map(stored).filter(|stored| stored.version >= from).collect();
        versions.sort_unstable();
        versions
    }

    /// Copies a version into `out`, replacing its content; `false` if it was overwritten or purged
    /// meanwhile.
    pub(crate) fn copy_stored(self, stored: StoredVersion, out: &mut Vec<u8>) -> Result<bool, ReadError> {
        let cell = self.slot().cells.get(stored.cell);
        // Acquire: pairs as in `cell::readable`.
        let is_there = Seq::bits_hold(cell.header.seq.load(Ordering::Acquire), stored.version)
            && stored.version > self.base_version();
        let copied = is_there
            && match self.copy(stored.cell, cell, stored.version, out) {
                Copied::Whole => true,
                Copied::Overwritten => false,
                Copied::Long => return Err(ReadError::Long),
            };
        if self.is_current() { Ok(copied) } else { Err(ReadError::Removed) }
    }
}
