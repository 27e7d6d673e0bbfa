//! A slot as the protocol sees it: its header, its cursors and its cells.

use super::cells::Cells;
use super::extents::Window;
use super::records::SlotHeader;
use crate::sync::AtomicU64;

/// The slot of one key.
#[derive(Clone, Copy)]
pub(crate) struct SlotView<'a> {
    /// The slot's index in the store.
    pub(crate) index: u32,
    pub(crate) header: &'a SlotHeader,
    /// The cursors beyond those in the header, as far as any key may have them. Those that the
    /// shape of the key does not have may not be touched: no space is reserved for them.
    pub(crate) further_cursors: &'a [AtomicU64],
    /// The cells that the ring has addresses for.
    pub(crate) cells: Cells<'a>,
    /// What is known of the extents.
    pub(crate) window: &'a Window,
}
