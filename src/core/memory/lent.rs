//! The bytes of one value in place: read while its cell is pinned, or written by a loan.

#![allow(unsafe_code)]

use std::ptr::NonNull;

use super::words::WORD;
use crate::sync::AtomicU64;

/// The first `len` bytes of a value, in place; fewer if there are fewer words.
///
/// # Safety
///
/// Nobody, in any process, writes these bytes during `'a`.
pub(crate) unsafe fn bytes(words: &[AtomicU64], len: usize) -> &[u8] {
    let len = len.min(words.len() * WORD);
    // SAFETY: the bytes are those of `words`, which live for `'a`, are initialised, and are not
    // written meanwhile, as the caller promises; atomics that nobody writes may be read like any
    // other memory.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), len) }
}

/// The bytes of one value, lent to be written like any other memory.
///
/// A value in a cell or its page is reached through a second mapping. A reader that still copies the older
/// value of the cell, by atomic words, does that through the first mapping. To the language those are
/// other bytes, also in this process, and they change as if another process wrote them. The protocol
/// discards such a copy. A longer value, which is read under a pin only, needs no second mapping: nobody
/// reads its place while it is written.
pub(crate) struct Lent {
    bytes: NonNull<[u8]>,
}

// SAFETY: nobody else uses the bytes, and they are not tied to a thread.
unsafe impl Send for Lent {}

// SAFETY: a shared `Lent` lends its bytes for reading only.
unsafe impl Sync for Lent {}

impl Lent {
    /// Lends the first `len` bytes of a value; `None` if there are fewer.
    ///
    /// # Safety
    ///
    /// While the result exists, the words stay mapped, nobody else, in any process, writes them,
    /// nobody reads them through this mapping, and no other result exists for them.
    pub(crate) unsafe fn new(words: &[AtomicU64], len: usize) -> Option<Self> {
        let first = NonNull::from(words).cast::<u8>();
        (len <= size_of_val(words)).then(|| Self { bytes: NonNull::slice_from_raw_parts(first, len) })
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped, initialised, and written through `bytes_mut` alone, by the contract of
        // `new`; they belong to words with interior mutability, so the compiler assumes nothing else
        // of them.
        unsafe { self.bytes.as_ref() }
    }

    /// A pointer to the bytes from `from` on, which is at most their number. It may be used like
    /// the results of `bytes` and `bytes_mut`: to read while `self` is borrowed, and to write while
    /// it is borrowed exclusively.
    pub(crate) fn tail(&mut self, from: usize) -> NonNull<[u8]> {
        assert!(from <= self.bytes.len());
        // SAFETY: `from` is inside the bytes, or at their end.
        let first = unsafe { self.bytes.cast::<u8>().byte_add(from) };
        NonNull::slice_from_raw_parts(first, self.bytes.len() - from)
    }

    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; and exclusive, since this is the only one for the value, borrowed
        // exclusively.
        unsafe { self.bytes.as_mut() }
    }
}
