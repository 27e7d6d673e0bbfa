//! A region: mapped memory that lends tables of records and slots.

#![allow(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use super::cells::{CellParts, Cells, PAGE_LEN};
use super::extents::Window;
use super::reach::Reach;
use super::records::{CACHE_LINE, CellHeader, FURTHER_CURSORS, SideRecord, SlotHeader, StoreHeader};
use super::shared::Shared;
use super::slot_view::SlotView;
use super::table::{SlotLayout, SlotTable, Table};
use super::words::WORD;
use crate::sync::{AtomicU64, Ordering};

/// Mapped memory that lends its records and words.
pub(crate) struct Region {
    base: NonNull<u8>,
    len: usize,
    /// How long the mapped file is known to be.
    pub(crate) reach: Reach,
    /// One for each slot.
    windows: Box<[Window]>,
    // All accesses go through `base` and the windows.
    _mapping: Arc<dyn Any + Send + Sync>,
}

// SAFETY: the memory is not tied to a thread, and the mapping may be sent.
unsafe impl Send for Region {}
// SAFETY: a shared region lends references to atomics only.
unsafe impl Sync for Region {}

impl Region {
    /// A region of `len` bytes at `base`, with the extents of so many slots; `None` if that is less
    /// than a header.
    ///
    /// # Safety
    ///
    /// `base` is the start of a page. The `len` bytes from it on stay mapped there, readable and
    /// writable, until `mapping` is dropped, and this process accesses them through regions only.
    pub(crate) unsafe fn new(
        base: NonNull<u8>,
        len: usize,
        slots: u32,
        mapping: Arc<dyn Any + Send + Sync>,
    ) -> Option<Self> {
        let windows = (0..slots).map(|_| Window::unmapped()).collect();
        (len >= size_of::<StoreHeader>()).then_some(Self {
            base,
            len,
            reach: Reach::unknown(),
            windows,
            _mapping: mapping,
        })
    }

    /// Notes where the extents of a slot are mapped, and how far the file reaches.
    ///
    /// # Safety
    ///
    /// As [`Window::note`]; the mapping stays until that of the region is dropped.
    pub(crate) unsafe fn note_extents(&self, slot: u32, base: NonNull<u8>, reach: usize) {
        if let Some(window) = self.windows.get(slot as usize) {
            // SAFETY: as the caller promises. The region keeps its mapping, and the window.
            unsafe { window.note(base, reach) };
        }
    }

    /// Pre-faults the pages of a range that is reserved: writes to each without changing it. `from`
    /// is the start of a page.
    ///
    /// Every page of what is mapped here, but the first one, begins with a word that is always accessed as 8
    /// bytes.
    pub(crate) fn touch_pages(&self, from: usize, to: usize, page_size: usize) {
        let Some(words) = self.check::<AtomicU64>(from, to.saturating_sub(from) / WORD) else { return };
        for word in self.table(&words).iter().step_by(page_size / WORD).skip(usize::from(from == 0)) {
            // Writes the value that is there. A compare-and-swap, because compilers turn additions
            // of 0 into loads. If it fails, another process has written to the page, and a later
            // access may take a page fault.
            let value = word.load(Ordering::Relaxed);
            let _ = word.compare_exchange(value, value, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// The first record of every store.
    #[inline]
    pub(crate) fn header(&self) -> &StoreHeader {
        // SAFETY: a mapping starts on a page, `new` found it long enough, it lives as long as
        // `self`, and the header is made of atomics for which all bytes are valid (`Shared`).
        unsafe { self.base.cast::<StoreHeader>().as_ref() }
    }

    /// The length of the mapping in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Checks once that `count` records lie inside the mapping, so that [`table`](Self::table)
    /// lends them at no cost.
    pub(crate) fn check<T: Shared>(&self, offset: usize, count: usize) -> Option<Table<T>> {
        Table::new(offset, count, self.len)
    }

    /// Lends the records of a checked table.
    #[inline]
    pub(crate) fn table<T: Shared>(&self, table: &Table<T>) -> &[T] {
        assert!(table.checked_len <= self.len, "a table of another region");
        // SAFETY: `Table::new` checked that the records lie inside a mapping no longer than this
        // one.
        let first = unsafe { self.base.byte_add(table.offset) }.cast::<T>();
        // SAFETY: inside the mapping, which lives as long as `self`; aligned, since mappings start
        // on a page and `offset` was checked; `T` is made of atomics for which all bytes are valid
        // (`Shared`).
        unsafe { NonNull::slice_from_raw_parts(first, table.count).as_ref() }
    }

    /// Checks once that all slots and their rings lie inside the mapping, so that
    /// [`slot`](Self::slot) lends them at no cost.
    pub(crate) fn check_slots(&self, layout: SlotLayout) -> Option<SlotTable> {
        let headers = self.check::<SlotHeader>(layout.headers, layout.slots)?;
        let end = layout.ring_stride.checked_mul(layout.slots)?.checked_add(layout.rings)?;
        let first_end = layout.first_cells_stride.checked_mul(layout.slots)?.checked_add(layout.first_cells)?;
        let first_cells = (layout.dense_cells as usize).checked_mul(layout.cell_stride)?;
        let pages_end = layout.first_pages_stride.checked_mul(layout.slots)?.checked_add(layout.first_pages)?;
        let first_pages = (layout.dense_cells as usize).checked_mul(PAGE_LEN)?;
        let cell_bytes = layout.cell_words.checked_mul(WORD)?.checked_add(size_of::<CellHeader>())?;
        let sides = (layout.max_cells as usize).checked_mul(size_of::<SideRecord>())?.checked_add(layout.sides)?;
        let cells = (layout.max_cells as usize).checked_mul(layout.cell_stride)?.checked_add(layout.cells)?;
        let cursors = FURTHER_CURSORS.checked_mul(WORD)?.checked_add(layout.further_cursors)?;
        let fits = cell_bytes <= layout.cell_stride
            && cursors <= layout.sides
            && sides <= layout.cells
            && cells <= layout.ring_stride
            && first_cells <= layout.first_cells_stride
            && first_pages <= layout.first_pages_stride
            && first_end <= layout.first_pages
            && pages_end <= layout.rings
            && end <= self.len;
        let pages = [layout.first_pages, layout.first_pages_stride];
        let starts = [layout.first_cells, layout.rings, layout.further_cursors, layout.sides, layout.cells];
        let strides = [layout.cell_stride, layout.first_cells_stride, layout.ring_stride];
        let aligned = starts.iter().chain(&strides).all(|start| start.is_multiple_of(CACHE_LINE))
            && pages.iter().all(|start| start.is_multiple_of(PAGE_LEN));
        (fits && aligned && layout.slots > 0 && (1..=layout.max_cells).contains(&layout.dense_cells))
            .then_some(SlotTable { headers, layout })
    }

    /// The slot at `index`, which is below the number of slots.
    #[inline]
    pub(crate) fn slot(&self, table: &SlotTable, index: u32) -> SlotView<'_> {
        let header = &self.table(&table.headers)[index as usize];
        let SlotLayout {
            dense_cells: dense,
            first_pages,
            first_pages_stride,
            first_cells,
            first_cells_stride,
            rings,
            ring_stride,
            further_cursors,
            sides,
            cells,
            max_cells: max,
            cell_stride: stride,
            cell_words: words,
            ..
        } = table.layout;
        // SAFETY: `index` is below the number of slots, or the line above would have panicked, and
        // `check_slots` found that the rings of that many slots lie inside a mapping no longer than
        // this one (`table` compared the lengths).
        let ring = unsafe { self.base.byte_add(rings + index as usize * ring_stride) };
        // SAFETY: `check_slots` found the cursors inside the stride of a ring.
        let cursors = unsafe { ring.byte_add(further_cursors) }.cast::<AtomicU64>();
        // SAFETY: `FURTHER_CURSORS` words from here on are in this ring, mapped as long as `self`,
        // aligned, and all atomics.
        let further_cursors = unsafe { NonNull::slice_from_raw_parts(cursors, FURTHER_CURSORS).as_ref() };
        let sides_offset = rings + index as usize * ring_stride + sides;
        // SAFETY: `check_slots` found the side records inside the stride of a ring.
        let sides = unsafe { ring.byte_add(sides) }.cast::<SideRecord>();
        let first_cells = first_cells + index as usize * first_cells_stride;
        // SAFETY: as for the ring: `check_slots` found the first cells of that many slots before
        // their pages.
        let first = unsafe { self.base.byte_add(first_cells) };
        // `check_slots` found the further cells inside the stride of the ring.
        let gap = rings + index as usize * ring_stride + cells - first_cells;
        let pages_offset = first_pages + index as usize * first_pages_stride;
        // SAFETY: as for the first cells: `check_slots` found the pages of that many slots before the rings.
        let pages = unsafe { self.base.byte_add(pages_offset) };
        let parts = CellParts {
            sides,
            sides_offset,
            first,
            pages,
            pages_offset,
            reach: &self.reach,
            gap,
            stride,
            dense,
            max,
            words,
        };
        // SAFETY: `check_slots` checked alignment, strides and sizes; the views live as long as
        // `self`, and shared bytes are only accessed as atomics.
        let cells = unsafe { Cells::new(parts) };
        static UNMAPPED: Window = Window::unmapped();
        let window = self.windows.get(index as usize).unwrap_or(&UNMAPPED);
        SlotView { index, header, further_cursors, cells, window }
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("len", &self.len).finish_non_exhaustive()
    }
}
