//! The cells of one slot under loom, in a `Vec`: loom's atomics cannot be laid over bytes.

use super::cell_view::CellView;
use super::records::{CellHeader, SideRecord};
use crate::sync::{AtomicU64, Presence};

/// One cell, and whether its space is reserved.
pub(crate) struct HeapCell {
    pub(crate) header: CellHeader,
    pub(crate) words: Vec<AtomicU64>,
    pub(crate) side: SideRecord,
    pub(crate) presence: Presence,
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

    pub(crate) fn side(&self, index: u32) -> &'a SideRecord {
        &self.0[index as usize].side
    }
}
