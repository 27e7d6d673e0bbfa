//! What can go wrong in a slot.

use crate::core::cell_counts::CellCounts;

/// Why nothing could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// The key was removed from the slot.
    Removed,
    /// The value was lost when the machine stopped.
    Lost,
    /// Others changed what was to be read, or took it, each time. Nothing is wrong with the slot.
    Overtaken,
    /// The slot's words contradict each other: something other than this protocol wrote there.
    Corrupt,
}

/// Why a filled cell could not become the newest. The claim was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitError {
    /// No cell could be claimed: this is how they are used.
    Backpressure(CellCounts),
    /// The key was removed from the slot.
    Removed,
    /// The slot has used up its versions.
    Exhausted,
}

/// Every cell but the newest is pinned, is still to be received, or is held by a writer who does not go on: this is how they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backpressure(pub(crate) CellCounts);
