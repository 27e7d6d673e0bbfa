//! One key: its slot as one handle of a participant sees it, and the accesses to the slot's words
//! that all protocol files share.

use super::cell;
use super::context::Context;
use super::handle::Handle;
use crate::core::cell_counts::CellCounts;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::records::{Event, HEADER_CURSORS};
use crate::core::memory::slot_view::SlotView;
use crate::core::word::{Head, MAX_VERSION, Seq};
use crate::sync::{AtomicU64, Ordering};

/// A key as one handle of a participant sees it. Two references, so that passing it costs nothing.
///
/// The operations are in the other files of this folder, one `impl` block per concept.
#[derive(Clone, Copy)]
pub(crate) struct Ring<'a> {
    pub(crate) handle: &'a Handle<'a>,
    pub(crate) context: &'a Context,
}

impl<'a> Ring<'a> {
    #[inline]
    pub(crate) fn new(handle: &'a Handle<'a>, context: &'a Context) -> Self {
        Self { handle, context }
    }

    #[inline(always)]
    pub(crate) fn slot(self) -> &'a SlotView<'a> {
        self.handle.slot()
    }

    /// The newest version and its cell.
    #[inline]
    pub(crate) fn head(self) -> Head {
        // Acquire: pairs with the release of `head` in `move_head`; a thread that sees a version
        // sees its cell's bytes.
        Head::from_bits(self.slot().header.head.load(Ordering::Acquire))
    }

    /// The slot's present generation; odd while it has a key.
    #[inline]
    pub(crate) fn generation(self) -> u64 {
        // Acquire: pairs with the release in `index::assign`; a thread that sees the generation
        // sees the key and `base_version`.
        self.slot().header.generation.load(Ordering::Acquire)
    }

    /// Whether the slot still has the key of this handle.
    #[inline]
    pub(crate) fn is_current(self) -> bool {
        self.generation() == self.handle.generation()
    }

    /// The event of processes that wait for a newer version.
    #[inline]
    pub(crate) fn new_version(self) -> &'a Event {
        &self.slot().header.new_version
    }

    /// The event of publishers that wait for free space.
    #[inline]
    pub(crate) fn not_full(self) -> &'a Event {
        &self.slot().header.not_full
    }

    /// Wakes the processes that wait for the event. It has happened: the change is a SeqCst access
    /// before this.
    #[inline]
    pub(crate) fn notify(self, event: &Event) {
        if event.notify() {
            self.context.host.wake_all(&event.word);
        }
    }

    /// The version after which the present key's values begin, or those that a purge has left.
    #[inline]
    pub(crate) fn base_version(self) -> u64 {
        // Clamped, so that a damaged word is a version, too, and the next one can be computed.
        self.slot().header.base_version.load(Ordering::Relaxed).min(MAX_VERSION)
    }

    /// Whether the cell may be touched.
    #[inline]
    pub(crate) fn is_reserved(self, index: u32) -> bool {
        self.handle.knows_cell(index) || index < self.reserved_cells()
    }

    /// How many cells of the ring are reserved. Those from this index on must not be touched.
    #[cold]
    pub(crate) fn reserved_cells(self) -> u32 {
        let cells = self.context.host.cells_reserved(self.slot());
        self.handle.note_cells(cells);
        cells
    }

    /// All cells that are reserved, with their indexes. These may be more than the present key has:
    /// handles of an earlier key may use the others.
    pub(crate) fn cells(self) -> impl Iterator<Item = (u32, CellView<'a>)> + use<'a> {
        let cells = &self.slot().cells;
        (0..self.reserved_cells()).map(move |index| (index, cells.get(index)))
    }

    /// The words of the cursors that the key has room for.
    pub(crate) fn cursor_words(self) -> impl Iterator<Item = &'a AtomicU64> + use<'a> {
        let further = (self.handle.shape().cursors as usize).saturating_sub(HEADER_CURSORS);
        let SlotView { header, further_cursors, .. } = self.slot();
        header.cursors.iter().chain(&further_cursors[..further.min(further_cursors.len())])
    }

    /// The word of the cursor at `index`, which the key has room for.
    #[inline]
    pub(crate) fn cursor_word(self, index: usize) -> &'a AtomicU64 {
        let SlotView { header, further_cursors, .. } = self.slot();
        header.cursors.get(index).unwrap_or_else(|| &further_cursors[index - HEADER_CURSORS])
    }

    /// How many versions in `from..to` are in cells.
    pub(crate) fn count_stored(self, from: u64, to: u64) -> u64 {
        let versions = self.cells().filter_map(|(_, cell)| cell::readable(cell));
        versions.filter(|version| (from..to).contains(version)).count() as u64
    }

    /// Counts the cells by their use.
    pub(crate) fn count_cells(self) -> CellCounts {
        // The low-water mark is computed and not written: this is also called in the child of a
        // fork, which must not change the store.
        let (mut counts, low_water) = (CellCounts::default(), self.smallest_cursor());
        let cells = self.handle.shape().cells();
        // Cells that were never used have no space yet.
        counts.free = cells.saturating_sub(self.reserved_cells()).into();
        for (_, cell) in self.cells().filter(|&(index, _)| index < cells) {
            match Seq::from_bits(cell.header.seq.load(Ordering::Relaxed)) {
                Seq::Committed { version: 0 } => counts.free += 1,
                Seq::Committed { version } => {
                    counts.readable += 1;
                    counts.retained += u64::from(self.is_undelivered_now(cell.header, version, low_water));
                    counts.flushed += u64::from(self.is_flushed(version));
                }
                Seq::Claimed { .. } | Seq::Writing { .. } => counts.in_flight += 1,
            }
            counts.pinned += u64::from(cell.header.pins.iter().any(|pins| pins.load(Ordering::Relaxed) != 0));
        }
        counts
    }
}
