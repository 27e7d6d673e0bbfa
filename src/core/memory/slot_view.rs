//! A slot as the protocol sees it: its header, its cursors and its cells.

use super::cells::Cells;
use super::records::SlotHeader;
use crate::sync::AtomicU64;

/// The slot of one key.
#[derive(Clone, Copy)]
pub(crate) struct SlotView<'a> {
    pub(crate) header: &'a SlotHeader,
    /// The cursors of its lossless subscribers: `word::Cursor`.
    pub(crate) cursors: &'a [AtomicU64],
    pub(crate) cells: Cells<'a>,
}
