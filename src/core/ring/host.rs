//! What the protocol needs of its surroundings. The store implements it; so do the scenarios under
//! loom.

use std::ops::Range;
use std::time::Duration;

use crate::core::memory::extents::Extents;
use crate::core::memory::slot_view::SlotView;
use crate::sync::AtomicU32;

/// There is no space for more bytes: memory, disk, a quota, or a limit of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoSpace {
    /// How many bytes were to be reserved.
    pub(crate) needed: u64,
    /// How many bytes are available.
    pub(crate) available: u64,
    /// What stands in the way.
    pub(crate) reason: SpaceReason,
}

/// Why space could not be reserved, in a `NoSpace` error.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{SetError, SpaceReason};
///
/// fn advice(error: &SetError) -> &'static str {
///     match error {
///         SetError::NoSpace { reason: SpaceReason::FileSizeLimit { .. }, .. } => "raise `ulimit -f`",
///         SetError::NoSpace { reason: SpaceReason::Full, .. } => "free some space",
///         _ => "see the text of the error",
///     }
/// }
/// # let error = SetError::NoSpace { needed: 2, available: 1, reason: SpaceReason::Full };
/// # assert_eq!(advice(&error), "free some space");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpaceReason {
    /// The file system is full, or the key's span.
    Full,
    /// The file would be longer than this process may make one (`RLIMIT_FSIZE`).
    FileSizeLimit {
        /// The longest file that this process may make, in bytes.
        limit: u64,
    },
    /// Another thread or process has been reserving space, and does not finish: it may be stopped.
    /// Only where the file system, or a sandbox, has no `fallocate`.
    Busy {
        /// How long this process waited.
        waited: Duration,
    },
    /// The operating system refused for another reason, such as a quota (`EDQUOT`).
    Refused {
        /// The number of its error.
        errno: i32,
    },
}

/// Why the extents of a slot cannot be mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unmapped {
    /// The store's file ends before: somebody has cut it.
    Truncated,
    /// The kernel refused with this error.
    Refused { errno: i32 },
}

/// The surroundings of a participant: the operating system, the other participants, and the header
/// of the store.
pub(crate) trait Host: Send + Sync {
    /// Whether auto-vacuum is on: then bytes of older values must not stay in cells.
    fn auto_vacuum(&self) -> bool;

    /// The version to publish after `before`. In a file, this may block until the disk knows its
    /// epoch.
    fn next_version(&self, before: u64) -> u64;

    /// The first version that may be published after the last recovery; 0 if there was none.
    fn first_version(&self) -> u64;

    /// Runs `clean` if `participant` has crashed, and prevents meanwhile that its index is assigned
    /// to another process. Several processes may do so at once.
    fn if_crashed(&self, participant: u32, clean: &mut dyn FnMut());

    /// Wakes all processes that sleep on the word.
    fn wake_all(&self, word: &AtomicU32);

    /// How many cells of the slot's ring may be touched.
    fn cells_reserved(&self, slot: &SlotView<'_>) -> u32;

    /// Reserves the space of these cells of the slot's ring. They may be reserved in part or whole.
    fn reserve_cells(&self, slot: u32, cells: Range<u32>) -> Result<(), NoSpace>;

    /// Reserves the space of the side record of a cell.
    fn reserve_side(&self, slot: u32, cell: u32) -> Result<(), NoSpace>;

    /// Reserves the space of the page of a cell, which is one of those that have a page. Its content
    /// stays.
    fn reserve_page(&self, slot: u32, cell: u32) -> Result<(), NoSpace>;

    /// Finds out how long the store's file is, so that [`Cells::page`] and [`Cells::side`] find what it has.
    ///
    /// [`Cells::page`]: crate::core::memory::cells::Cells::page
    /// [`Cells::side`]: crate::core::memory::cells::Cells::side
    fn look_at_file(&self);

    /// Makes the pages of these cells zero and gives back their space, while no other process has the
    /// store open. Cells that have no page are skipped.
    fn punch_pages(&self, slot: u32, cells: Range<u32>);

    /// Reads the page of a cell by a system call, which may be done although there is no space for it.
    /// `false` if it cannot be read.
    fn read_page(&self, slot: u32, cell: u32, out: &mut [u8]) -> bool;

    /// Reserves bytes of the slot's extents that no other process uses, and whose content is not
    /// needed: they may be zero afterwards, also if this fails.
    fn reserve(&self, slot: u32, bytes: Range<u64>) -> Result<(), NoSpace>;

    /// Reserves bytes of the slot's extents that no other process uses, and which keep their content.
    fn reserve_again(&self, slot: u32, bytes: Range<u64>) -> Result<(), NoSpace>;

    /// Makes bytes of the slot's extents zero, which no other process uses, and gives back their space.
    /// Of them, `written` from the first one on may be other than zero. `false`: the file system could
    /// not give back the space.
    fn punch(&self, slot: u32, bytes: Range<u64>, written: u64) -> bool;

    /// The slot's extents, mapped at first use, if the store's file reaches up to `end`, in bytes
    /// from the start of the extents.
    fn extents(&self, slot: u32, end: u64) -> Result<Extents<'_>, Unmapped>;

    /// Reads bytes of the slot's extents by a system call, which may be done although there is no
    /// space for them. `false` if they cannot be read.
    fn read(&self, slot: u32, start: u64, out: &mut [u8]) -> bool;
}
