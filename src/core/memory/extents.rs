//! The extents of one slot in mapped memory: its long values.
//!
//! Like cells, they are addresses. Space is reserved place by place (`core::place`), by the owner of a
//! cell, and given back by it. A place is read only while the reader has pinned its cell, or by a
//! system call: memory for which there is no space must not be touched.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::words::WORD;
use crate::sync::AtomicU64;

/// The extents of one slot.
#[derive(Clone, Copy)]
pub(crate) struct Extents<'a> {
    base: NonNull<u8>,
    len: usize,
    memory: PhantomData<&'a [AtomicU64]>,
}

impl<'a> Extents<'a> {
    /// # Safety
    ///
    /// `base` is the start of a page; the `len` bytes from it on are mapped, readable and writable,
    /// for `'a`, and this process accesses them through `Extents` only.
    pub(crate) unsafe fn new(base: NonNull<u8>, len: usize) -> Self {
        Self { base, len, memory: PhantomData }
    }

    /// The words of the `len` bytes from `start` on, the last one whole; `None` if they are not all
    /// in the extents. `start` is a multiple of eight.
    #[inline]
    pub(crate) fn words(self, start: u64, len: usize) -> Option<&'a [AtomicU64]> {
        let start = usize::try_from(start).ok().filter(|start| start.is_multiple_of(WORD))?;
        let count = len.div_ceil(WORD);
        if start.checked_add(count.checked_mul(WORD)?)? > self.len {
            return None;
        }
        // SAFETY: `start` is inside the mapping, or at its end.
        let first = unsafe { self.base.byte_add(start) }.cast::<AtomicU64>();
        // SAFETY: `count` words from here on are inside the mapping, which lives for `'a`; aligned,
        // because the base is a page and `start` a multiple of eight; and all atomics.
        Some(unsafe { NonNull::slice_from_raw_parts(first, count).as_ref() })
    }
}
