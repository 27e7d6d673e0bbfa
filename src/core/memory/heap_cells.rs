//! The cells of one slot under loom, in a `Vec`: loom's atomics cannot be laid over bytes.

use super::cell_view::CellView;
use super::records::{CellHeader, SideRecord};
use crate::sync::{AtomicU64, Presence, Space};

/// The longest value in a cell's page, in bytes.
pub(crate) const PAGE_LEN: usize = 8;

/// One cell, and whether there is space for it and for its side record.
pub(crate) struct HeapCell {
    pub(crate) header: CellHeader,
    pub(crate) words: Vec<AtomicU64>,
    pub(crate) page: AtomicU64,
    pub(crate) page_space: Space,
    pub(crate) presence: Presence,
    pub(crate) side: SideRecord,
    pub(crate) side_space: Space,
}

impl HeapCell {
    /// A cell whose value has so many words, without space.
    pub(crate) fn new(words: usize) -> Self {
        Self {
            header: CellHeader::default(),
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            page: AtomicU64::new(0),
            page_space: Space::default(),
            presence: Presence::default(),
            side: SideRecord::default(),
            side_space: Space::default(),
        }
    }
}

/// The cells of one slot.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a>(pub(crate) &'a [HeapCell]);

impl<'a> Cells<'a> {
    pub(crate) fn max(&self) -> u32 {
        self.0.len() as u32
    }

    pub(crate) fn inline_len(&self) -> usize {
        self.0[0].words.len() * size_of::<u64>()
    }

    pub(crate) fn get(&self, index: u32) -> CellView<'a> {
        let cell = &self.0[index as usize];
        assert!(cell.presence.is_there(), "a cell without space was touched");
        CellView { header: &cell.header, words: &cell.words }
    }

    pub(crate) fn pages(&self) -> u32 {
        self.max()
    }

    pub(crate) fn page(&self, index: u32) -> Option<&'a [AtomicU64]> {
        let cell = &self.0[index as usize];
        assert!(cell.page_space.touch(), "a page without space was touched");
        Some(std::slice::from_ref(&cell.page))
    }

    pub(crate) fn side(&self, index: u32) -> Option<&'a SideRecord> {
        let cell = &self.0[index as usize];
        assert!(cell.side_space.is_there(), "a side record without space was touched");
        Some(&cell.side)
    }
}
