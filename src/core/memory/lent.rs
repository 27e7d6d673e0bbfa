//! The bytes of one cell, lent to be written in place.

#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::Arc;

use super::region::Region;
use super::table::SlotTable;

/// The bytes of one cell, lent to be written like any other memory.
///
/// They are reached through a mapping of their own. Whoever still copies the older value of the cell, by atomic words, does that
/// through the other one: in this process, too, to the language those are other bytes, which change as if from outside. That such
/// a copy is thrown away is up to the protocol.
pub(crate) struct Lent {
    bytes: NonNull<[u8]>,
    _region: Arc<Region>,
}

// SAFETY: the bytes are nobody else's, and not tied to a thread.
unsafe impl Send for Lent {}

// SAFETY: a shared `Lent` lends its bytes for reading only.
unsafe impl Sync for Lent {}

impl Lent {
    /// Lends the first `len` bytes of a cell; `None` if it has no room for so many, or `table` does not fit the region.
    ///
    /// # Safety
    ///
    /// `lending` is a mapping that nobody uses for anything else, and while the result exists, nobody else, in any process, writes the
    /// cell, nor is another result made for it.
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
        // SAFETY: mapped for as long as the region lives, initialised, and written through `bytes_mut` alone, by the contract of
        // `new`; the words that they are have interior mutability, so nothing else is assumed of them.
        unsafe { self.bytes.as_ref() }
    }

    /// Where the bytes from `from` on lie, which is at most their length. To be used as `bytes` and `bytes_mut` are: to read while this is borrowed,
    /// and to write while it is borrowed exclusively.
    pub(crate) fn tail(&mut self, from: usize) -> NonNull<[u8]> {
        assert!(from <= self.bytes.len());
        // SAFETY: `from` is inside the bytes, or at their end.
        let first = unsafe { self.bytes.cast::<u8>().byte_add(from) };
        NonNull::slice_from_raw_parts(first, self.bytes.len() - from)
    }

    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; and exclusive, since this is the only one for the cell, borrowed exclusively.
        unsafe { self.bytes.as_mut() }
    }
}
