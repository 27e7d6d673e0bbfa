//! The cells of one slot under loom, whose atomics cannot be laid over bytes.

use super::cell_view::CellView;
use super::records::CellHeader;
use crate::sync::AtomicU64;

/// The cells of one slot.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a>(pub(crate) &'a [(CellHeader, Vec<AtomicU64>)]);

impl<'a> Cells<'a> {
    pub(crate) fn count(&self) -> u32 {
        self.0.len() as u32
    }

    pub(crate) fn get(&self, index: u32) -> CellView<'a> {
        let (header, words) = &self.0[index as usize];
        CellView { header, words }
    }
}
