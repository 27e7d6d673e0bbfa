//! The cells of one slot in mapped memory: one after the other, each followed by its value, at a distance that is known
//! when the store is opened.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::cell_view::CellView;
use super::records::CellHeader;
use crate::sync::AtomicU64;

/// The cells of one slot.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a> {
    first: NonNull<u8>,
    stride: usize,
    count: u32,
    words: usize,
    memory: PhantomData<&'a [AtomicU64]>,
}

impl<'a> Cells<'a> {
    /// # Safety
    ///
    /// `first` is aligned to 8 and `stride` is a multiple of 8, at least the size of a header and `words` words; the
    /// `count` strides from `first` on are mapped, readable and writable, for `'a`, and are only touched atomically.
    pub(in crate::core::memory) unsafe fn new(first: NonNull<u8>, stride: usize, count: u32, words: usize) -> Self {
        Self { first, stride, count, words, memory: PhantomData }
    }

    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The cell at `index`, which is below [`count`](Self::count).
    #[inline]
    pub(crate) fn get(&self, index: u32) -> CellView<'a> {
        // Without a message of its own: one that names numbers has the compiler keep them in memory, at twice the cost
        // of a small read.
        assert!(index < self.count);
        // SAFETY: `index` is below `count`, so by the contract of `new` the result is inside the mapping.
        let cell = unsafe { self.first.byte_add(index as usize * self.stride) };
        // SAFETY: mapped for `'a`, aligned to 8 (`first` and `stride` are), and all atomics (`Shared`).
        let header = unsafe { cell.cast::<CellHeader>().as_ref() };
        // SAFETY: a stride has room for the header and the words behind it.
        let words = unsafe { cell.byte_add(size_of::<CellHeader>()) }.cast::<AtomicU64>();
        // SAFETY: `words` words from here on are in this stride, mapped for `'a`, aligned, and all atomics.
        let words = unsafe { NonNull::slice_from_raw_parts(words, self.words).as_ref() };
        CellView { header, words }
    }
}

impl<'a> CellView<'a> {
    /// The first `len` bytes of the value, as they lie there; fewer if there is no room for so many.
    ///
    /// # Safety
    ///
    /// Nobody, in any process, writes these bytes during `'a`.
    pub(crate) unsafe fn bytes(&self, len: usize) -> &'a [u8] {
        let len = len.min(size_of_val(self.words));
        // SAFETY: the bytes are those of `words`, which live for `'a`, are initialised, and are not written meanwhile, as the caller
        // promises; atomics that nobody writes may be read like any other memory.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast::<u8>(), len) }
    }
}
