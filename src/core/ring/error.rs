//! Errors of the operations on one slot.

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
    /// The slot's words contradict each other: something other than this protocol wrote there.
    Corrupt,
}

/// Why a filled cell could not become the newest value. The claim was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitError {
    /// No cell could be claimed. How the cells are used.
    Backpressure(CellCounts),
    /// The key was removed from the slot.
    Removed,
    /// The slot has used up its versions.
    Exhausted,
}

/// No cell could be claimed: except for the newest value's, each is pinned or retained, or owned by
/// a writer that does not go on. How the cells are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backpressure(pub(crate) CellCounts);
