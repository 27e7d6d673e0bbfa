//! One slot with its cells, in the form in which the protocol sees memory.

use super::cells::Cells;
use super::records::SlotHeader;
use crate::sync::AtomicU64;

/// One key's home: its header and its cells.
#[derive(Clone, Copy)]
pub(crate) struct SlotView<'a> {
    pub(crate) header: &'a SlotHeader,
    /// Where its lossless subscribers are.
    pub(crate) cursors: &'a [AtomicU64],
    pub(crate) cells: Cells<'a>,
}
