//! The extents of one slot under loom, in a `Vec`, with the places that have space.

use super::words::WORD;
use crate::sync::{AtomicU64, Space};

/// One place.
pub(crate) struct HeapPlace {
    pub(crate) start: u64,
    pub(crate) words: Vec<AtomicU64>,
    pub(crate) space: Space,
}

/// The extents of one slot.
#[derive(Clone, Copy)]
pub(crate) struct Extents<'a>(pub(crate) &'a [HeapPlace]);

impl<'a> Extents<'a> {
    /// The words of the `len` bytes from `start` on. Panics if there is no space for them, as the
    /// kernel would end the process.
    pub(crate) fn words(self, start: u64, len: usize) -> Option<&'a [AtomicU64]> {
        let place = self.0.iter().find(|place| place.start == start)?;
        assert!(place.space.is_there(), "a place without space was touched");
        place.words.get(..len.div_ceil(WORD))
    }
}

/// The extents of one slot, which are always mapped.
pub(crate) struct Window(pub(crate) Extents<'static>);

impl Window {
    pub(crate) fn words(&self, start: u64, len: usize) -> Option<&[AtomicU64]> {
        self.0.words(start, len)
    }
}
