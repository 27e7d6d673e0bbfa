//! One cell, in the form in which the protocol sees memory.

#![allow(unsafe_code)]

use super::records::{CACHE_LINE, CellHeader};
use crate::sync::AtomicU64;

/// One value of a key: its header and its words.
#[derive(Clone, Copy)]
pub(crate) struct CellView<'a> {
    pub(crate) header: &'a CellHeader,
    pub(crate) words: &'a [AtomicU64],
}

impl<'a> CellView<'a> {
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
#[cfg(target_arch = "x86_64")]
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

#[cfg(not(target_arch = "x86_64"))]
mod prefetch {
    pub(super) fn to_read(_: *const u8) {}

    pub(super) fn to_write(_: *const u8) {}
}
