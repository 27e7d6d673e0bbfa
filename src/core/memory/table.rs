//! Where records lie in a region, checked once.

use std::marker::PhantomData;

use super::records::SlotHeader;
use crate::sync::AtomicU64;

/// Where records were found to lie inside a mapping.
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
pub(crate) struct SlotLayout {
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
    pub(super) headers: Table<SlotHeader>,
    pub(super) cursors: Table<AtomicU64>,
    pub(super) layout: SlotLayout,
    pub(super) cells_len: usize,
}

/// The index of the directory: two tables of words, one of them in use.
pub(crate) type IndexTable = Table<AtomicU64>;
