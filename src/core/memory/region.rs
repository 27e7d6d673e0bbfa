//! Mapped memory, lent as tables of records.

#![allow(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use super::cells::Cells;
use super::records::{CellHeader, SlotHeader, StoreHeader};
use super::shared::Shared;
use super::slot_view::SlotView;
use super::table::{SlotLayout, SlotTable, Table};
use super::words::WORD;
use crate::sync::{AtomicU64, Ordering};

/// Mapped memory that lends records and words of it.
pub(crate) struct Region {
    base: NonNull<u8>,
    len: usize,
    // Everything goes through `base`.
    _keeps_it_mapped: Arc<dyn Any + Send + Sync>,
}

// SAFETY: the memory is not tied to a thread, and what keeps it mapped may be sent.
unsafe impl Send for Region {}
// SAFETY: a shared region lends references to atomics only.
unsafe impl Sync for Region {}

impl Region {
    /// Lends from `len` bytes at `base`; `None` if that is less than a header.
    ///
    /// # Safety
    ///
    /// `base` is the start of a page. The `len` bytes from it on stay mapped there, readable and writable, until `mapping` is
    /// dropped, and this process accesses them through regions only.
    pub(crate) unsafe fn new(base: NonNull<u8>, len: usize, mapping: Arc<dyn Any + Send + Sync>) -> Option<Self> {
        (len >= size_of::<StoreHeader>()).then_some(Self { base, len, _keeps_it_mapped: mapping })
    }

    /// Writes to every page, without changing it, so that no later access takes a page fault.
    ///
    /// Every page but the first begins with a word that is only ever accessed as one of 8 bytes: of a table, a
    /// slot, a cell or a value.
    pub(crate) fn touch_every_page(&self, page_size: usize) {
        let words_per_page = page_size / WORD;
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
    pub(crate) fn check_slots(&self, layout: SlotLayout) -> Option<SlotTable> {
        let headers = self.check::<SlotHeader>(layout.headers, layout.slots)?;
        let cursors = self.check::<AtomicU64>(layout.cursors, layout.cursor_stride.checked_mul(layout.slots)?)?;
        let cell_bytes = layout.cell_words.checked_mul(WORD)?.checked_add(size_of::<CellHeader>())?;
        let cells_len = (layout.cells as usize).checked_mul(layout.cell_stride)?;
        let end = cells_len.checked_mul(layout.slots)?.checked_add(layout.first_cell)?;
        let fits = cell_bytes <= layout.cell_stride && end <= self.len && layout.lossless <= layout.cursor_stride;
        let aligned = layout.first_cell.is_multiple_of(WORD) && layout.cell_stride.is_multiple_of(WORD);
        (fits && aligned && layout.slots > 0).then_some(SlotTable { headers, cursors, layout, cells_len })
    }

    /// The slot at `index`, which is below the number of slots.
    #[inline]
    pub(crate) fn slot(&self, table: &SlotTable, index: u32) -> SlotView<'_> {
        let index = index as usize;
        let header = &self.table(&table.headers)[index];
        let cursors = &self.table(&table.cursors)[index * table.layout.cursor_stride..][..table.layout.lossless];
        // SAFETY: `index` is below the number of slots, or the line above would have panicked, and `check_slots` found
        // that the cells of that many slots lie inside a mapping no longer than this one (`table` compared the lengths).
        let first = unsafe { self.base.byte_add(table.layout.first_cell + index * table.cells_len) };
        let SlotLayout { cell_stride, cells, cell_words, .. } = table.layout;
        // SAFETY: `check_slots` checked alignment, stride and room; the views live as long as `self`, and shared bytes are
        // touched nowhere but through atomics.
        let cells = unsafe { Cells::new(first, cell_stride, cells, cell_words) };
        SlotView { header, cursors, cells }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("len", &self.len).finish_non_exhaustive()
    }
}
