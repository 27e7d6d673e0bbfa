//! A slot with its cells, in the form in which the protocol sees memory.
//!
//! On shared memory, cells lie one after the other, each followed by its value, at a distance that is known only when the
//! store is opened. loom's atomics cannot be laid over bytes, so under `cfg(loom)` the same views lend cells of a `Vec`.

#![allow(unsafe_code)]

use super::records::{CACHE_LINE, CellHeader, SlotHeader};
use crate::sync::AtomicU64;

/// One key's home: its header and its cells.
#[derive(Clone, Copy)]
pub(crate) struct SlotView<'a> {
    pub(crate) header: &'a SlotHeader,
    /// Where its lossless subscribers are.
    pub(crate) cursors: &'a [AtomicU64],
    pub(crate) cells: Cells<'a>,
}

/// One value of a key: its header and its words.
#[derive(Clone, Copy)]
pub(crate) struct CellView<'a> {
    pub(crate) header: &'a CellHeader,
    pub(crate) words: &'a [AtomicU64],
}

impl<'a> CellView<'a> {
    /// The first `len` bytes of the value, as they lie there; fewer if there is no room for so many.
    ///
    /// # Safety
    ///
    /// Nobody, in any process, writes these bytes during `'a`.
    #[cfg(not(loom))]
    pub(crate) unsafe fn bytes(&self, len: usize) -> &'a [u8] {
        let len = len.min(size_of_val(self.words));
        // SAFETY: the bytes are those of `words`, which live for `'a`, are initialised, and are not written meanwhile, as the caller
        // promises; atomics that nobody writes may be read like any other memory.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast::<u8>(), len) }
    }

    /// Asks for the cell's lines, up to `len` bytes of its value, to be made this core's own: a hint, without effect on
    /// what anybody sees.
    #[inline]
    pub(crate) fn expect_to_write(&self, len: usize) {
        for line in 0..(size_of::<CellHeader>() + len).div_ceil(CACHE_LINE) {
            prefetch::to_write(self.line(line));
        }
    }

    /// Asks for the cell's second line: how much there is to be read is said in the first, and a reader would else wait for the one, then for the
    /// other.
    #[inline]
    pub(crate) fn expect_to_read(&self) {
        prefetch::to_read(self.line(1));
    }

    /// Asks for the cell's lines, up to `len` bytes of its value, which will be read soon.
    #[inline]
    pub(crate) fn expect_to_read_next(&self, len: usize) {
        for line in 0..(size_of::<CellHeader>() + len).div_ceil(CACHE_LINE) {
            prefetch::to_read(self.line(line));
        }
    }

    #[inline]
    fn line(&self, line: usize) -> *const u8 {
        std::ptr::from_ref(self.header).cast::<u8>().wrapping_byte_add(line * CACHE_LINE)
    }
}

/// Hints for the processor, where it takes any: nothing depends on them.
#[cfg(all(not(loom), target_arch = "x86_64"))]
mod prefetch {
    use std::arch::asm;

    #[inline]
    pub(super) fn to_read(line: *const u8) {
        // SAFETY: a prefetch changes nothing and does not fault, wherever it points.
        unsafe { asm!("prefetcht0 [{}]", in(reg) line, options(nostack, preserves_flags, readonly)) }
    }

    #[inline]
    pub(super) fn to_write(line: *const u8) {
        // The intrinsic becomes a prefetch for reading unless the whole program is built for newer processors.
        // SAFETY: as above; processors without this one take it for a no-op.
        unsafe { asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags, readonly)) }
    }
}

#[cfg(not(all(not(loom), target_arch = "x86_64")))]
mod prefetch {
    pub(super) fn to_read(_: *const u8) {}

    pub(super) fn to_write(_: *const u8) {}
}

#[cfg(not(loom))]
pub(crate) use shared::Cells;

#[cfg(not(loom))]
mod shared {
    use std::marker::PhantomData;
    use std::ptr::NonNull;

    use super::{AtomicU64, CellHeader, CellView};
    use crate::core::memory::region::Region;

    /// The cells of one slot.
    #[derive(Clone, Copy)]
    pub(crate) struct Cells<'a> {
        first: NonNull<u8>,
        stride: usize,
        count: u32,
        words: usize,
        region: PhantomData<&'a Region>,
    }

    impl<'a> Cells<'a> {
        /// # Safety
        ///
        /// `first` is aligned to 8 and `stride` is a multiple of 8, at least the size of a header and `words` words; the
        /// `count` strides from `first` on are mapped, readable and writable, for `'a`, and are only touched atomically.
        pub(in crate::core::memory) unsafe fn new(first: NonNull<u8>, stride: usize, count: u32, words: usize) -> Self {
            Self { first, stride, count, words, region: PhantomData }
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
}

#[cfg(loom)]
pub(crate) use heap::{Cells, HeapSlot};

#[cfg(loom)]
mod heap {
    use super::{AtomicU64, CellHeader, CellView, SlotView};

    /// The cells of one slot.
    #[derive(Clone, Copy)]
    pub(crate) struct Cells<'a>(&'a [(CellHeader, Vec<AtomicU64>)]);

    impl<'a> Cells<'a> {
        pub(crate) fn count(&self) -> u32 {
            self.0.len() as u32
        }

        pub(crate) fn get(&self, index: u32) -> CellView<'a> {
            let (header, words) = &self.0[index as usize];
            CellView { header, words }
        }
    }

    /// A slot of loom's atomics.
    pub(crate) struct HeapSlot(SlotView<'static>);

    impl HeapSlot {
        /// loom drops what it made when a run ends, so the little that is leaked here is the memory around it.
        pub(crate) fn new(cells: usize, words: usize, cursors: usize) -> Self {
            let cell = || (CellHeader::default(), (0..words).map(|_| AtomicU64::new(0)).collect());
            let cells: Vec<_> = (0..cells).map(|_| cell()).collect();
            let cursors: Vec<_> = (0..cursors).map(|_| AtomicU64::new(0)).collect();
            Self(SlotView { header: Box::leak(Box::default()), cursors: cursors.leak(), cells: Cells(cells.leak()) })
        }

        pub(crate) fn view(&self) -> &SlotView<'_> {
            &self.0
        }
    }
}
