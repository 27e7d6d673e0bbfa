//! A cell as the protocol sees it: a header of atomics and the words of a value.

#![allow(unsafe_code)]

use super::records::{CACHE_LINE, CellHeader};
use crate::sync::AtomicU64;

/// How many bytes of a value are prefetched at most. The processor streams longer values by itself.
const PREFETCHED: usize = 512;

/// One cell of a key: its header, and the words of its inline value.
#[derive(Clone, Copy)]
pub(crate) struct CellView<'a> {
    pub(crate) header: &'a CellHeader,
    pub(crate) words: &'a [AtomicU64],
}

impl<'a> CellView<'a> {
    /// Prefetches the cell's lines, for `len` bytes of its value, for writing. A hint: it changes
    /// nothing that anybody sees.
    #[inline]
    pub(crate) fn prefetch_to_write(&self, len: usize) {
        for line in 0..(size_of::<CellHeader>() + len.min(PREFETCHED)).div_ceil(CACHE_LINE) {
            prefetch::to_write(self.line(line));
        }
    }

    /// Prefetches the cell's second line. The first one says how long the value is, so without the
    /// hint a reader waits for one line, then for the other.
    #[inline]
    pub(crate) fn prefetch_second_line(&self) {
        prefetch::to_read(self.line(1));
    }

    /// Prefetches the cell's lines, for `len` bytes of its value, for reading.
    #[inline]
    pub(crate) fn prefetch_to_read(&self, len: usize) {
        for line in 0..(size_of::<CellHeader>() + len.min(PREFETCHED)).div_ceil(CACHE_LINE) {
            prefetch::to_read(self.line(line));
        }
    }

    #[inline]
    fn line(&self, line: usize) -> *const u8 {
        std::ptr::from_ref(self.header).cast::<u8>().wrapping_byte_add(line * CACHE_LINE)
    }
}

/// Prefetch hints, where the processor takes them. Nothing depends on them.
#[cfg(target_arch = "x86_64")]
mod prefetch {
    use std::arch::asm;

    #[inline]
    pub(super) fn to_read(line: *const u8) {
        // SAFETY: a prefetch changes nothing and does not fault, whatever the address.
        unsafe { asm!("prefetcht0 [{}]", in(reg) line, options(nostack, preserves_flags, readonly)) }
    }

    #[inline]
    pub(super) fn to_write(line: *const u8) {
        // The intrinsic becomes a prefetch for reading, unless the whole program is built for newer
        // processors.
        // SAFETY: as above; processors without this instruction execute it as a no-op.
        unsafe { asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags, readonly)) }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod prefetch {
    pub(super) fn to_read(_: *const u8) {}

    pub(super) fn to_write(_: *const u8) {}
}
