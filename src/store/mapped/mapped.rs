//! A mapped store: its memory, and the file behind it.

use std::fs::File;
use std::os::fd::BorrowedFd;

use super::memory::Memory;
use crate::core::index::Indexed;
use crate::core::memory::records::{DirectoryHeader, ParticipantEntry, SchemaEntry, SlotHeader, StoreHeader};
use crate::core::memory::slot_view::SlotView;
use crate::os::fork::UninheritedFile;
use crate::store::geometry::{Geometry, Tables};
use crate::sync::AtomicU64;

/// A mapping of a store whose geometry was checked against its real length.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) geometry: Geometry,
    /// Whether cells carry checksums.
    pub(crate) checksums: bool,
    pub(crate) memory: Memory,
    pub(crate) tables: Tables,
    /// The file that is mapped.
    pub(crate) file: File,
    /// The same file, opened a second time, for locks only. A mapping keeps the open file
    /// description through which it was made, and with it the locks of that description: a child of
    /// `fork` would keep those of its dead parent. Nothing is mapped through this one, and children
    /// do not have it.
    pub(crate) locks: UninheritedFile,
}

impl Mapped {
    #[inline]
    pub(crate) fn header(&self) -> &StoreHeader {
        self.memory.region.header()
    }

    pub(crate) fn participants(&self) -> &[ParticipantEntry] {
        self.memory.region.table(&self.tables.participants)
    }

    pub(crate) fn schemas(&self) -> &[SchemaEntry] {
        self.memory.region.table(&self.tables.schemas)
    }

    /// The slot at `index`, which is below the number of slots.
    #[inline]
    pub(crate) fn slot(&self, index: u32) -> SlotView<'_> {
        self.memory.region.slot(&self.tables.slots, index)
    }

    /// An upper bound of the slots that were ever used. The rest are as they were created.
    pub(crate) fn used_slots(&self) -> u32 {
        // One more than the header says, in case a process crashed while it took a fresh slot.
        let fresh = self.directory_header().used_slots.load(crate::sync::Ordering::Acquire);
        fresh.saturating_add(1).min(self.geometry.slots)
    }

    /// The descriptor whose locks are ours. Not to be called in a child of the process that opened
    /// the store.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.locks.fd()
    }
}

impl Indexed for Mapped {
    fn directory_header(&self) -> &DirectoryHeader {
        &self.memory.region.header().directory
    }

    #[inline]
    fn table(&self, which: u64) -> &[AtomicU64] {
        self.memory.region.table(&self.tables.indexes[(which & 1) as usize])
    }

    #[inline]
    fn slots(&self) -> u32 {
        self.geometry.slots
    }

    #[inline]
    fn slot_header(&self, slot: u32) -> &SlotHeader {
        self.slot(slot).header
    }
}
