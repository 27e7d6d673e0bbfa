//! One mapping of a store, and the tables in it.

#![allow(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use memmap2::{MmapOptions, MmapRaw};
use rustix::io::Errno;
use rustix::mm::{Advice, madvise};
use shared_memory::{Shmem, ShmemConf, ShmemError};

use super::records::{CellHeader, Shared, SlotHeader, StoreHeader};
use super::view::{Cells, SlotView};
use super::words::WORD;
use crate::sync::{AtomicU64, Ordering};

/// One mapping of a store, unmapped when dropped.
///
/// The name of what is mapped belongs to whoever made it: dropping a region never removes it.
pub(crate) struct Region {
    // Keeps the mapping alive; everything goes through `base`.
    source: Source,
    base: NonNull<u8>,
    len: usize,
}

enum Source {
    Segment { _keeps_it_mapped: Shmem },
    File(MmapRaw),
}

// SAFETY: the mapping is not tied to a thread, and neither `Shmem` nor `MmapRaw` has other state that is.
unsafe impl Send for Region {}
// SAFETY: a shared region lends references to atomics only.
unsafe impl Sync for Region {}

impl Region {
    /// Makes the segment `name`, `len` bytes of zeros, readable and writable by its owner alone.
    ///
    /// # Errors
    ///
    /// `ShmemError::MappingIdExists` when the name is taken, else what the kernel said.
    pub(crate) fn create(name: &str, len: usize) -> Result<Self, ShmemError> {
        let mut segment = ShmemConf::new().os_id(name).size(len).create()?;
        // The crate would unlink the name when the region is dropped, and whatever store has it by then.
        segment.set_owner(false);
        Self::of(segment)
    }

    /// Maps the whole of the segment `name`.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub(crate) fn open(name: &str) -> Result<Self, ShmemError> {
        Self::of(ShmemConf::new().os_id(name).open()?)
    }

    fn of(segment: Shmem) -> Result<Self, ShmemError> {
        let (base, len) = (segment.as_ptr(), segment.len());
        Self::new(base, len, Source::Segment { _keeps_it_mapped: segment }).ok_or(ShmemError::MapSizeZero)
    }

    /// Maps the first `len` bytes of a file.
    ///
    /// # Errors
    ///
    /// What the kernel said; `InvalidInput` when that is less than a header.
    pub(crate) fn map(file: &File, len: usize) -> io::Result<Self> {
        let mapping = MmapOptions::new().len(len).map_raw(file)?;
        let base = mapping.as_mut_ptr();
        Self::new(base, len, Source::File(mapping)).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    fn new(base: *mut u8, len: usize, source: Source) -> Option<Self> {
        let base = NonNull::new(base)?;
        (len >= size_of::<StoreHeader>()).then_some(Self { source, base, len })
    }

    /// Has everything written to the disk that is behind the mapping, if there is one. Blocks until it is there.
    pub(crate) fn flush(&self) -> io::Result<()> {
        match &self.source {
            Source::Segment { .. } => Ok(()),
            Source::File(mapping) => mapping.flush(),
        }
    }

    /// Writes the pages that hold the first `len` bytes to the disk, if there is one. Blocks until they are there.
    pub(crate) fn flush_first(&self, len: usize) -> io::Result<()> {
        match &self.source {
            Source::Segment { .. } => Ok(()),
            Source::File(mapping) => mapping.flush_range(0, len.min(self.len)),
        }
    }

    /// Has every page of the mapping there, to be written to without asking the kernel for it first. Blocks until it is.
    pub(crate) fn prefault(&self) -> io::Result<()> {
        let base = self.base.as_ptr().cast();
        // SAFETY: the range is our mapping, which lives as long as `self`; the advice brings pages in and changes nothing that is in them.
        match unsafe { madvise(base, self.len, Advice::LinuxPopulateWrite) } {
            // Kernels before 5.14 do not know the advice, and sandboxes may refuse it.
            Err(Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::ACCESS) => {
                self.touch_every_page();
                Ok(())
            }
            done => Ok(done?),
        }
    }

    /// Every page but the first begins with a word that is only ever accessed as one of 8 bytes: of a table, a
    /// slot, a cell or a value.
    fn touch_every_page(&self) {
        let words_per_page = rustix::param::page_size() / WORD;
        let Some(words) = self.check::<AtomicU64>(0, self.len / WORD) else { return };
        // The first page is there: its header was read and written.
        for word in self.table(&words).iter().step_by(words_per_page).skip(1) {
            // Writes what is there already. A compare-and-swap, because compilers turn additions of 0 into loads.
            // Should it fail, another process has written to the page, and this one may have to ask for it later.
            let value = word.load(Ordering::Relaxed);
            let _ = word.compare_exchange(value, value, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// The first record of every store.
    #[inline]
    pub(crate) fn header(&self) -> &StoreHeader {
        // SAFETY: a mapping starts on a page, `new` found it long enough, it lives as long as `self`, and the header is made
        // of atomics for which all bytes are valid (`Shared`).
        unsafe { self.base.cast::<StoreHeader>().as_ref() }
    }

    /// The length of the mapping in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Checks, once, that `count` records lie inside the mapping, for [`table`](Self::table) to lend them at no cost.
    pub(crate) fn check<T: Shared>(&self, offset: usize, count: usize) -> Option<Table<T>> {
        Table::new(offset, count, self.len)
    }

    /// Lends a table that was checked before.
    #[inline]
    pub(crate) fn table<T: Shared>(&self, table: &Table<T>) -> &[T] {
        assert!(table.checked_len <= self.len, "a table of another region");
        // SAFETY: `Table::new` checked that the records lie inside a mapping no longer than this one.
        let first = unsafe { self.base.byte_add(table.offset) }.cast::<T>();
        // SAFETY: inside the mapping, which lives as long as `self`; aligned, since mappings start on a page and `offset`
        // was checked; `T` is made of atomics for which all bytes are valid (`Shared`).
        unsafe { NonNull::slice_from_raw_parts(first, table.count).as_ref() }
    }

    /// Checks, once, that `slots` slots and their cells lie inside the mapping, for [`slot`](Self::slot) to lend them.
    pub(crate) fn check_slots(&self, place: SlotPlace) -> Option<SlotTable> {
        let headers = self.check::<SlotHeader>(place.headers, place.slots)?;
        let cursors = self.check::<AtomicU64>(place.cursors, place.cursor_stride.checked_mul(place.slots)?)?;
        let cell_bytes = place.cell_words.checked_mul(WORD)?.checked_add(size_of::<CellHeader>())?;
        let cells_len = (place.cells as usize).checked_mul(place.cell_stride)?;
        let end = cells_len.checked_mul(place.slots)?.checked_add(place.first_cell)?;
        let fits = cell_bytes <= place.cell_stride && end <= self.len && place.lossless <= place.cursor_stride;
        let aligned = place.first_cell.is_multiple_of(WORD) && place.cell_stride.is_multiple_of(WORD);
        (fits && aligned && place.slots > 0).then_some(SlotTable { headers, cursors, place, cells_len })
    }

    /// The slot at `index`, which is below the number of slots.
    #[inline]
    pub(crate) fn slot(&self, table: &SlotTable, index: u32) -> SlotView<'_> {
        let index = index as usize;
        let header = &self.table(&table.headers)[index];
        let cursors = &self.table(&table.cursors)[index * table.place.cursor_stride..][..table.place.lossless];
        // SAFETY: `index` is below the number of slots, or the line above would have panicked, and `check_slots` found
        // that the cells of that many slots lie inside a mapping no longer than this one (`table` compared the lengths).
        let first = unsafe { self.base.byte_add(table.place.first_cell + index * table.cells_len) };
        let SlotPlace { cell_stride, cells, cell_words, .. } = table.place;
        // SAFETY: `check_slots` checked alignment, stride and room; the views live as long as `self`, and shared bytes are
        // touched nowhere but through atomics.
        let cells = unsafe { Cells::new(first, cell_stride, cells, cell_words) };
        SlotView { header, cursors, cells }
    }
}

/// One slot, kept within reach: lends its view without looking up where it is.
#[derive(Clone)]
pub(crate) struct SlotLease {
    /// Lent only for as long as the lease is borrowed, and with it the region.
    view: SlotView<'static>,
    _region: Arc<Region>,
}

// SAFETY: a view gives access to nothing but atomics, which any thread may touch.
unsafe impl Send for SlotLease {}
// SAFETY: a view gives access to nothing but atomics, which any thread may touch.
unsafe impl Sync for SlotLease {}

impl SlotLease {
    /// The slot at `index`, which is below the number of slots.
    pub(crate) fn new(region: &Arc<Region>, table: &SlotTable, index: u32) -> Self {
        let view = region.slot(table, index);
        // SAFETY: only the lifetime changes. The mapping stays where it is while the region lives, which the lease sees to.
        let view = unsafe { std::mem::transmute::<SlotView<'_>, SlotView<'static>>(view) };
        Self { view, _region: Arc::clone(region) }
    }

    #[inline]
    pub(crate) fn view(&self) -> &SlotView<'_> {
        &self.view
    }
}

/// The bytes of one cell, lent to be written like any other memory.
///
/// They are reached through a mapping of their own. Whoever still copies the older value of the cell, by atomic words, does that
/// through the other one: in this process, too, to the language those are other bytes, which change as if from outside. That such
/// a copy is thrown away is up to the protocol.
pub(crate) struct Lent {
    bytes: NonNull<[u8]>,
    _region: Arc<Region>,
}

// SAFETY: the bytes are nobody else's, and not tied to a thread.
unsafe impl Send for Lent {}
// SAFETY: a shared `Lent` lends its bytes for reading only.
unsafe impl Sync for Lent {}

impl Lent {
    /// Lends the first `len` bytes of a cell; `None` if it has no room for so many, or `table` does not fit the region.
    ///
    /// # Safety
    ///
    /// `lending` is a mapping that nobody uses for anything else, and while the result exists, nobody else, in any process, writes the
    /// cell, nor is another result made for it.
    pub(crate) unsafe fn new(
        lending: &Arc<Region>,
        table: &SlotTable,
        slot: u32,
        cell: u32,
        len: usize,
    ) -> Option<Self> {
        let words = lending.slot(table, slot).cells.get(cell).words;
        if len > size_of_val(words) {
            return None;
        }
        let first = NonNull::from(words).cast::<u8>();
        Some(Self { bytes: NonNull::slice_from_raw_parts(first, len), _region: Arc::clone(lending) })
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for as long as the region lives, initialised, and written through `bytes_mut` alone, by the contract of
        // `new`; the words that they are have interior mutability, so nothing else is assumed of them.
        unsafe { self.bytes.as_ref() }
    }

    /// Where the bytes from `from` on lie, which is at most their length. To be used as `bytes` and `bytes_mut` are: to read while this is borrowed,
    /// and to write while it is borrowed exclusively.
    pub(crate) fn tail(&mut self, from: usize) -> NonNull<[u8]> {
        assert!(from <= self.bytes.len());
        // SAFETY: `from` is inside the bytes, or at their end.
        let first = unsafe { self.bytes.cast::<u8>().byte_add(from) };
        NonNull::slice_from_raw_parts(first, self.bytes.len() - from)
    }

    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; and exclusive, since this is the only one for the cell, borrowed exclusively.
        unsafe { self.bytes.as_mut() }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Where records were found to lie inside a mapping.
#[derive(Debug)]
pub(crate) struct Table<T> {
    offset: usize,
    count: usize,
    checked_len: usize,
    records: PhantomData<fn() -> T>,
}

impl<T> Table<T> {
    #[inline]
    fn new(offset: usize, count: usize, len: usize) -> Option<Self> {
        let end = count.checked_mul(size_of::<T>())?.checked_add(offset)?;
        let good = end <= len && offset.is_multiple_of(align_of::<T>());
        good.then_some(Self { offset, count, checked_len: len, records: PhantomData })
    }

    /// Where the record at `index` begins: bytes from the start of the mapping.
    pub(crate) fn offset_of(&self, index: usize) -> usize {
        self.offset + index * size_of::<T>()
    }
}

/// Where slots and their cells should lie: offsets and lengths in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlotPlace {
    pub(crate) headers: usize,
    pub(crate) slots: usize,
    pub(crate) cursors: usize,
    /// Words from one slot's cursors to the next one's.
    pub(crate) cursor_stride: usize,
    /// Cursors of a slot.
    pub(crate) lossless: usize,
    pub(crate) first_cell: usize,
    pub(crate) cells: u32,
    pub(crate) cell_stride: usize,
    pub(crate) cell_words: usize,
}

/// Where slots and their cells were found to lie inside a mapping.
#[derive(Debug)]
pub(crate) struct SlotTable {
    headers: Table<SlotHeader>,
    cursors: Table<AtomicU64>,
    place: SlotPlace,
    cells_len: usize,
}

/// The index of the directory: two tables of words, one of them in use.
pub(crate) type IndexTable = Table<AtomicU64>;
