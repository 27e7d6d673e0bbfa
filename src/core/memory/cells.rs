//! The ring of one slot in mapped memory: side records, and cells, each followed by its inline
//! value, at a stride that is known when the store is opened; and a page for each of the first cells.
//!
//! The first cells of all slots lie side by side, and so do their pages. So keys with few cells are dense:
//! many of them share an entry of the tables by which a processor finds memory. The further cells of each
//! slot are far from those of others, because a ring may become long. They have no page.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::cell_view::CellView;
use super::reach::Reach;
use super::records::{CellHeader, SideRecord};
use super::words::WORD;
use crate::sync::AtomicU64;

/// The longest value in a cell's page, in bytes.
pub(crate) const PAGE_LEN: usize = 4096;

/// The cells of one slot.
///
/// They are addresses: a cell may be touched once its space is reserved (`SlotHeader::cells_reserved`),
/// its page once the cell says so (`CellHeader::residue`). Nobody may touch one before, because the kernel
/// ends a process that touches memory for which there is no space.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a> {
    sides: NonNull<SideRecord>,
    /// The same, in bytes from the start of the file.
    sides_offset: usize,
    /// Where the first cells begin.
    first: NonNull<u8>,
    /// Where the pages of the first cells begin.
    pages: NonNull<u8>,
    /// The same, in bytes from the start of the file.
    pages_offset: usize,
    /// How long the file is known to be.
    reach: &'a Reach,
    /// How many bytes the further cells are beyond the place that the stride gives them.
    gap: usize,
    stride: usize,
    /// How many first cells there are.
    dense: u32,
    max: u32,
    words: usize,
    memory: PhantomData<&'a [AtomicU64]>,
}

/// What the cells of a slot are made of.
pub(in crate::core::memory) struct CellParts<'a> {
    pub(in crate::core::memory) sides: NonNull<SideRecord>,
    pub(in crate::core::memory) sides_offset: usize,
    pub(in crate::core::memory) first: NonNull<u8>,
    pub(in crate::core::memory) pages: NonNull<u8>,
    pub(in crate::core::memory) pages_offset: usize,
    pub(in crate::core::memory) reach: &'a Reach,
    pub(in crate::core::memory) gap: usize,
    pub(in crate::core::memory) stride: usize,
    pub(in crate::core::memory) dense: u32,
    pub(in crate::core::memory) max: u32,
    pub(in crate::core::memory) words: usize,
}

impl<'a> Cells<'a> {
    /// # Safety
    ///
    /// `sides`, `first` and `pages` are aligned to 64; `stride` and `gap` are multiples of 64; a stride is at
    /// least the size of a header and `words` words; `max` side records from `sides` on, `dense` strides from
    /// `first` on, `max` strides from `gap` bytes behind `first` on, and `dense` pages from `pages` on are
    /// mapped, readable and writable, for `'a`, and are only touched atomically.
    pub(in crate::core::memory) unsafe fn new(parts: CellParts<'a>) -> Self {
        let CellParts { sides, sides_offset, first, pages, pages_offset, reach, gap, stride, dense, max, words } =
            parts;
        let memory = PhantomData;
        Self { sides, sides_offset, first, pages, pages_offset, reach, gap, stride, dense, max, words, memory }
    }

    /// How many cells the ring has addresses for.
    #[inline]
    pub(crate) fn max(&self) -> u32 {
        self.max
    }

    /// The longest inline value in bytes.
    #[inline]
    pub(crate) fn inline_len(&self) -> usize {
        self.words * size_of::<u64>()
    }

    /// The cell at `index`, which is reserved.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> CellView<'a> {
        // Without a message: one with numbers makes the compiler keep them in memory, at twice the
        // cost of a small read.
        assert!(index < self.max);
        // Computed: a branch would be predicted wrong twice in each round of a longer ring.
        let gap = usize::from(index >= self.dense).wrapping_neg() & self.gap;
        // SAFETY: `index` is below `max`, and below `dense` for the first cells, so by the contract of
        // `new` the result is inside the mapping.
        let cell = unsafe { self.first.byte_add(index as usize * self.stride + gap) };
        // SAFETY: mapped for `'a`, aligned to 64 (`first`, `gap` and `stride` are), and all atomics
        // (`Shared`).
        let header = unsafe { cell.cast::<CellHeader>().as_ref() };
        // SAFETY: a stride has room for the header and the words behind it.
        let words = unsafe { cell.byte_add(size_of::<CellHeader>()) }.cast::<AtomicU64>();
        // SAFETY: `words` words from here on are in this stride, mapped for `'a`, aligned, and all
        // atomics.
        let words = unsafe { NonNull::slice_from_raw_parts(words, self.words).as_ref() };
        CellView { header, words }
    }

    /// How many of the cells have a page.
    #[inline]
    pub(crate) fn pages(&self) -> u32 {
        self.dense
    }

    /// The words of the page of the cell at `index`, if it can have one, and the file is known to reach that
    /// far. It is reserved.
    #[inline]
    pub(crate) fn page(&self, index: u32) -> Option<&'a [AtomicU64]> {
        let from = index as usize * PAGE_LEN;
        if index >= self.dense || !self.reach.has(self.pages_offset + from + PAGE_LEN) {
            return None;
        }
        // SAFETY: `index` is below `dense`, so by the contract of `new` the page is inside the mapping.
        let page = unsafe { self.pages.byte_add(from) }.cast::<AtomicU64>();
        // SAFETY: the words of a page, mapped for `'a`, aligned (`pages` is), and all atomics.
        Some(unsafe { NonNull::slice_from_raw_parts(page, PAGE_LEN / WORD).as_ref() })
    }

    /// The side record of the cell at `index`, if the file is known to reach that far. It is reserved.
    #[inline]
    pub(crate) fn side(&self, index: u32) -> Option<&'a SideRecord> {
        assert!(index < self.max);
        if !self.reach.has(self.sides_offset + (index as usize + 1) * size_of::<SideRecord>()) {
            return None;
        }
        // SAFETY: `index` is below `max`, so by the contract of `new` the result is inside the
        // mapping.
        let side = unsafe { self.sides.add(index as usize) };
        // SAFETY: mapped for `'a`, aligned, and all atomics (`Shared`).
        Some(unsafe { side.as_ref() })
    }
}
