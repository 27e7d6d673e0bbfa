//! A mapped store: its memory, and the file behind it.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

use super::memory::Memory;
use super::space::Space;
use crate::core::index::Indexed;
use crate::core::memory::records::{DirectoryHeader, ParticipantEntry, SlotHeader, StoreHeader};
use crate::core::memory::slot_view::SlotView;
use crate::core::ring::Handle;
use crate::os::fork::UninheritedFile;
use crate::store::dimensions::{Dimensions, Layout, Tables};
use crate::sync::{AtomicU64, Ordering};

/// What is fixed when a store is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoreShape {
    pub(crate) dimensions: Dimensions,
    pub(crate) layout: Layout,
    /// Whether cells carry checksums, as in files.
    pub(crate) checksums: bool,
}

/// A mapping of a store whose dimensions were checked against its real length.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) dimensions: Dimensions,
    pub(crate) layout: Layout,
    /// Whether cells carry checksums.
    pub(crate) checksums: bool,
    pub(crate) memory: Memory,
    pub(crate) tables: Tables,
    pub(super) space: Space,
    /// The file that is mapped.
    pub(crate) file: File,
    /// The same file, opened a second time, for locks only. A mapping keeps the open file
    /// description through which it was made, and with it the locks of that description: a child of
    /// `fork` would keep those of its dead parent. Nothing is mapped through this one, and children
    /// do not have it.
    pub(crate) locks: UninheritedFile,
}

impl Mapped {
    pub(crate) fn new(shape: StoreShape, memory: Memory, file: File, locks: UninheritedFile) -> Option<Self> {
        let StoreShape { dimensions, layout, checksums } = shape;
        let tables = layout.tables(&memory.region)?;
        Some(Self { dimensions, layout, checksums, memory, tables, space: Space::new(), file, locks })
    }

    /// What was fixed when the store was created.
    pub(crate) fn shape(&self) -> StoreShape {
        StoreShape { dimensions: self.dimensions, layout: self.layout, checksums: self.checksums }
    }

    /// Writes the header to the disk, if the store is in a file. Blocks until it is there.
    pub(crate) fn flush_header(&self) -> io::Result<()> {
        self.flush_first(size_of::<StoreHeader>())
    }

    /// Writes the first `len` bytes to the disk, if the store is in a file. Blocks until they are
    /// there.
    pub(crate) fn flush_first(&self, len: usize) -> io::Result<()> {
        if self.checksums { self.memory.flush_first(len) } else { Ok(()) }
    }

    /// Writes all of the store to the disk, if it is in a file. Blocks until it is there.
    pub(crate) fn flush(&self) -> io::Result<()> {
        // The kernel knows which pages were written through a mapping.
        if self.checksums { self.file.sync_data() } else { Ok(()) }
    }

    #[inline]
    pub(crate) fn header(&self) -> &StoreHeader {
        self.memory.region.header()
    }

    pub(crate) fn participants(&self) -> &[ParticipantEntry] {
        self.memory.region.table(&self.tables.participants)
    }

    /// The slot at `index`, which is below the number of slots.
    #[inline]
    pub(crate) fn slot(&self, index: u32) -> SlotView<'_> {
        self.memory.region.slot(&self.tables.slots, index)
    }

    /// The header of the slot at `index`, which is below the number of slots.
    #[inline]
    pub(crate) fn slot_header_of(&self, index: u32) -> &SlotHeader {
        self.slot(index).header
    }

    /// A handle on the key that the slot at `index` has now, if it has one.
    #[inline]
    pub(crate) fn handle_of(&self, index: u32) -> Handle<'_> {
        Handle::of_present_key(self.slot(index), self.cells_reserved(index))
    }

    /// An upper bound of the slots that were ever used. The rest are as they were created.
    pub(crate) fn used_slots(&self) -> u32 {
        // One more than the header says, in case a process crashed while it took a fresh slot.
        let fresh = self.directory_header().used_slots.load(Ordering::Acquire);
        fresh.saturating_add(1).min(self.slots())
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
        self.dimensions.all_slots()
    }

    #[inline]
    fn slot_header(&self, slot: u32) -> &SlotHeader {
        self.slot(slot).header
    }
}
