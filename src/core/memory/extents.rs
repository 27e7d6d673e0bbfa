//! The extents of one slot in mapped memory: its long values.
//!
//! Like cells, they are addresses. Space is reserved place by place (`core::place`), by the owner of a
//! cell, and given back by it. Memory for which there is no space must not be touched. So a place is read
//! while the reader has pinned its cell, or by a system call; the first page of a medium place, which is
//! not given back, also without a pin.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

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

/// What this process has found of the extents of one slot: where they are mapped, and how far the
/// file reaches. So an access to a long value asks nobody else.
#[derive(Debug)]
pub(crate) struct Window {
    base: AtomicPtr<u8>,
    /// In bytes from the start of the extents; 0 if they are not mapped. A multiple of eight.
    reach: AtomicUsize,
}

impl Window {
    /// Of extents that are not mapped.
    pub(crate) const fn unmapped() -> Self {
        Self { base: AtomicPtr::new(ptr::null_mut()), reach: AtomicUsize::new(0) }
    }

    /// Notes where the extents are mapped, and that the file reaches this far, in bytes from their
    /// start.
    ///
    /// # Safety
    ///
    /// `base` is the start of a page, and the same each time; the `reach` bytes from it on are mapped,
    /// readable and writable, as long as `self`, and this process accesses them through windows and
    /// [`Extents`] only.
    pub(crate) unsafe fn note(&self, base: NonNull<u8>, reach: usize) {
        self.base.store(base.as_ptr(), Ordering::Relaxed);
        // Release: pairs with the acquire in `words`; `base` is there.
        self.reach.fetch_max(reach / WORD * WORD, Ordering::Release);
    }

    /// The words of the `len` bytes from `start` on, the last one whole; `None` if it is not known that
    /// they can be accessed. `start` is a multiple of eight.
    #[inline]
    pub(crate) fn words(&self, start: u64, len: usize) -> Option<&[AtomicU64]> {
        let start = usize::try_from(start).ok()? / WORD * WORD;
        // Acquire: pairs with the release in `note`.
        if start.saturating_add(len) > self.reach.load(Ordering::Acquire) {
            return None;
        }
        let first = self.base.load(Ordering::Relaxed).wrapping_byte_add(start).cast::<AtomicU64>();
        let words = NonNull::slice_from_raw_parts(NonNull::new(first)?, len.div_ceil(WORD));
        // SAFETY: `start` and `reach` are multiples of eight, so the last word is inside, too. By the
        // contract of `note`, these words are mapped as long as `self`; they are aligned, because the
        // base is a page, and all atomics.
        Some(unsafe { words.as_ref() })
    }
}
