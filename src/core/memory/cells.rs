//! The ring of one slot in mapped memory: side records, and cells, each followed by its inline
//! value, at a stride that is known when the store is opened.
//!
//! The first cells of all slots lie side by side, so that keys with few cells are dense: many of them
//! share a page and the entries of page tables. The further cells of each slot are far from those of
//! others, because a ring may become long.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::cell_view::CellView;
use super::records::{CellHeader, SideRecord};
use crate::sync::AtomicU64;

/// How many cells of each slot lie beside those of other slots.
pub(crate) const FIRST_CELLS: u32 = 4;

/// The cells of one slot.
///
/// They are addresses: a cell may be touched once its space is reserved (`SlotHeader::cells_reserved`).
/// Nobody may touch one before, because the kernel ends a process that touches memory for which
/// there is no space.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a> {
    sides: NonNull<SideRecord>,
    /// Where the first cells begin.
    first: NonNull<u8>,
    /// How many bytes the further cells are beyond the place that the stride gives them.
    gap: usize,
    stride: usize,
    max: u32,
    words: usize,
    memory: PhantomData<&'a [AtomicU64]>,
}

impl<'a> Cells<'a> {
    /// # Safety
    ///
    /// `sides` and `first` are aligned to 64; `stride` and `gap` are multiples of 64; a stride is at least
    /// the size of a header and `words` words; `max` side records from `sides` on, [`FIRST_CELLS`]
    /// strides from `first` on, and `max` strides from `gap` bytes behind `first` on are mapped,
    /// readable and writable, for `'a`, and are only touched atomically.
    pub(in crate::core::memory) unsafe fn new(
        sides: NonNull<SideRecord>,
        first: NonNull<u8>,
        gap: usize,
        stride: usize,
        max: u32,
        words: usize,
    ) -> Self {
        Self { sides, first, gap, stride, max, words, memory: PhantomData }
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
        let gap = usize::from(index >= FIRST_CELLS).wrapping_neg() & self.gap;
        // SAFETY: `index` is below `max`, and below `FIRST_CELLS` for the first cells, so by the
        // contract of `new` the result is inside the mapping.
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

    /// The side record of the cell at `index`, which is reserved.
    #[inline]
    pub(crate) fn side(&self, index: u32) -> &'a SideRecord {
        assert!(index < self.max);
        // SAFETY: `index` is below `max`, so by the contract of `new` the result is inside the
        // mapping.
        let side = unsafe { self.sides.add(index as usize) };
        // SAFETY: mapped for `'a`, aligned, and all atomics (`Shared`).
        unsafe { side.as_ref() }
    }
}
