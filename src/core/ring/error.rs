//! Errors of the operations on one slot.

use super::host::{NoSpace, Unmapped};
use crate::core::cell_counts::CellCounts;

/// Why nothing was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// The key was removed from the slot.
    Removed,
    /// The value was lost when the machine stopped.
    Lost,
    /// Other participants overwrote or leased it first, at each attempt. The slot is sound.
    Overtaken,
    /// The value is long: it is read under a pin.
    Long,
    /// The slot's words contradict each other: something other than this protocol wrote there.
    Corrupt,
}

/// Why a filled cell could not become the newest value. The claim was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitError {
    /// No cell could be claimed. How the cells are used.
    Backpressure(CellCounts),
    /// A value of this length is longer than the key's longest.
    TooLarge { len: usize, max: usize },
    /// There is no space for the value.
    NoSpace(NoSpace),
    /// The extents of the slot cannot be mapped; the kernel's reason, if it gave one.
    Unmapped(Option<Unmapped>),
    /// The key was removed from the slot.
    Removed,
    /// The slot has used up its versions.
    Exhausted,
}

/// Why no cell was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimError {
    /// Except for the newest value's, each cell is pinned or retained, or owned by a writer that
    /// does not go on. How the cells are used.
    Backpressure(CellCounts),
    /// No cell of the ring is reserved, and there is no space for one.
    NoSpace(NoSpace),
    /// The key was removed from the slot.
    Removed,
}

impl From<ClaimError> for CommitError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Backpressure(cells) => Self::Backpressure(cells),
            ClaimError::NoSpace(space) => Self::NoSpace(space),
            ClaimError::Removed => Self::Removed,
        }
    }
}
