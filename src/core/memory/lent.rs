//! The bytes of one cell, lent to a publisher that writes them in place (a loan).

#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::Arc;

use super::region::Region;
use super::table::SlotTable;

/// The bytes of one cell, lent to be written like any other memory.
///
/// They are reached through a second mapping of the store. A reader that still copies the older
/// value of the cell, by atomic words, does that through the first mapping. To the language those
/// are other bytes, also in this process, and they change as if another process wrote them. The
/// protocol discards such a copy.
pub(crate) struct Lent {
    bytes: NonNull<[u8]>,
    _region: Arc<Region>,
}

// SAFETY: nobody else uses the bytes, and they are not tied to a thread.
unsafe impl Send for Lent {}

// SAFETY: a shared `Lent` lends its bytes for reading only.
unsafe impl Sync for Lent {}

impl Lent {
    /// Lends the first `len` bytes of a cell; `None` if the cell is smaller, or `table` does not
    /// fit the region.
    ///
    /// # Safety
    ///
    /// `lending` is a mapping that is used for nothing else. While the result exists, nobody else,
    /// in any process, writes the cell, and no other result exists for it.
    pub(crate) unsafe fn new(
        lending: &Arc<Region>,
        table: &SlotTable,
        slot: u32,
        cell: u32,
        len: usize,
    ) -> Option<Self> {
        let words = lending.slot(table, slot).cells.get(cell).words;
        if len > size_of_val(words) {
            return None;
        }
        let first = NonNull::from(words).cast::<u8>();
        Some(Self { bytes: NonNull::slice_from_raw_parts(first, len), _region: Arc::clone(lending) })
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped while the region lives, initialised, and written through `bytes_mut`
        // alone, by the contract of `new`; they belong to words with interior mutability, so the
        // compiler assumes nothing else of them.
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
        // SAFETY: as in `bytes`; and exclusive, since this is the only one for the cell, borrowed
        // exclusively.
        unsafe { self.bytes.as_mut() }
    }
}
