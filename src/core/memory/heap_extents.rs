//! The extents of one slot under loom, in a `Vec`, and which of their words have space.

use std::ops::Range;

use super::words::{self, WORD};
use crate::sync::{AtomicU64, Space};

/// The words of the extents of one slot. Each word is a page of its own: it has space, or has not.
pub(crate) struct HeapExtents {
    words: Vec<AtomicU64>,
    space: Vec<Space>,
}

impl HeapExtents {
    /// Extents of `span` bytes, without space.
    pub(crate) fn new(span: usize) -> Self {
        let count = span / WORD;
        Self {
            words: (0..count).map(|_| AtomicU64::new(0)).collect(),
            space: (0..count).map(|_| Space::default()).collect(),
        }
    }

    /// Reserves these bytes, as the kernel does.
    pub(crate) fn reserve(&self, bytes: Range<u64>) {
        self.space[pages(bytes)].iter().for_each(Space::reserve);
    }

    /// Gives the space of these bytes back, as the kernel does.
    pub(crate) fn punch(&self, bytes: Range<u64>) {
        let pages = pages(bytes);
        self.space[pages.clone()].iter().for_each(Space::give_back);
        words::zero(&self.words[pages.clone()], 0, pages.len() * WORD);
    }

    /// Copies bytes from `start` on, as a system call does: whether there is space or not.
    pub(crate) fn read(&self, start: u64, out: &mut [u8]) {
        words::load(&self.words[start as usize / WORD..], out);
    }

    /// Which of the pages have space.
    pub(crate) fn reserved(&self) -> impl Iterator<Item = u64> + '_ {
        (0..).zip(&self.space).filter(|(_, space)| space.is_there()).map(|(page, _)| page * WORD as u64)
    }

    /// The word at this byte, whether there is space or not.
    pub(crate) fn word(&self, at: u64) -> &AtomicU64 {
        &self.words[at as usize / WORD]
    }
}

fn pages(bytes: Range<u64>) -> Range<usize> {
    bytes.start as usize / WORD..(bytes.end as usize).div_ceil(WORD)
}

/// The extents of one slot.
#[derive(Clone, Copy)]
pub(crate) struct Extents<'a>(pub(crate) &'a HeapExtents);

impl<'a> Extents<'a> {
    /// The words of the `len` bytes from `start` on. Panics if there is no space for them, as the
    /// kernel would end the process.
    pub(crate) fn words(self, start: u64, len: usize) -> Option<&'a [AtomicU64]> {
        let pages = pages(start..start + len as u64);
        let words = self.0.words.get(pages.clone())?;
        assert!(self.0.space[pages].iter().all(Space::touch), "bytes without space were touched");
        Some(words)
    }
}

/// The extents of one slot, which are always mapped.
pub(crate) struct Window(pub(crate) Extents<'static>);

impl Window {
    pub(crate) fn words(&self, start: u64, len: usize) -> Option<&[AtomicU64]> {
        self.0.words(start, len)
    }
}
