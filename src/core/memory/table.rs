//! Tables of records in a region: offsets and counts, checked once against the length of the
//! mapping.

use std::marker::PhantomData;

use super::records::SlotHeader;
use crate::sync::AtomicU64;

/// A table of records that was found to lie inside a mapping.
#[derive(Debug)]
pub(crate) struct Table<T> {
    pub(super) offset: usize,
    pub(super) count: usize,
    pub(super) checked_len: usize,
    records: PhantomData<fn() -> T>,
}

impl<T> Table<T> {
    #[inline]
    pub(super) fn new(offset: usize, count: usize, len: usize) -> Option<Self> {
        let end = count.checked_mul(size_of::<T>())?.checked_add(offset)?;
        let fits = end <= len && offset.is_multiple_of(align_of::<T>());
        fits.then_some(Self { offset, count, checked_len: len, records: PhantomData })
    }

    /// The offset of the record at `index`, in bytes from the start of the mapping.
    pub(crate) fn offset_of(&self, index: usize) -> usize {
        self.offset + index * size_of::<T>()
    }
}

/// The layout of slots and rings, not checked yet. Offsets and strides are in bytes; those of the
/// parts of a ring are from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotLayout {
    pub(crate) headers: usize,
    pub(crate) slots: usize,
    /// How many cells of each slot lie beside those of other slots.
    pub(crate) dense_cells: u32,
    /// Where these cells of slot 0 begin.
    pub(crate) first_cells: usize,
    pub(crate) first_cells_stride: usize,
    /// Where their pages of slot 0 begin.
    pub(crate) first_pages: usize,
    pub(crate) first_pages_stride: usize,
    pub(crate) rings: usize,
    pub(crate) ring_stride: usize,
    pub(crate) further_cursors: usize,
    pub(crate) sides: usize,
    pub(crate) cells: usize,
    /// How many cells a ring has addresses for.
    pub(crate) max_cells: u32,
    pub(crate) cell_stride: usize,
    pub(crate) cell_words: usize,
}

/// Slots and rings that were found to lie inside a mapping.
#[derive(Debug)]
pub(crate) struct SlotTable {
    pub(super) headers: Table<SlotHeader>,
    pub(super) layout: SlotLayout,
}

/// One of the two tables of the index.
pub(crate) type IndexTable = Table<AtomicU64>;
