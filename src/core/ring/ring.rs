//! One slot, as a participant sees it.

use super::cell;
use super::context::Context;
use super::handle::Handle;
use crate::core::cell_counts::CellCounts;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::records::Event;
use crate::core::memory::slot_view::SlotView;
use crate::core::word::{Head, MAX_VERSION, Seq};
use crate::sync::Ordering;

/// A key, as one handle of a participant sees it. Two references, so that passing it on costs nothing.
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

    /// The newest version and where it is.
    #[inline]
    pub(crate) fn head(self) -> Head {
        // Acquire: pairs with the release of `head` in `advance`; whoever sees a version sees its cell's bytes.
        Head::from_bits(self.slot().header.head.load(Ordering::Acquire))
    }

    /// The slot's present generation; odd while it has a key.
    #[inline]
    pub(crate) fn generation(self) -> u64 {
        // Acquire: pairs with the release in `index::assign`; whoever sees the generation sees the key and `base_version`.
        self.slot().header.generation.load(Ordering::Acquire)
    }

    /// Whether the slot still has the key of this handle.
    #[inline]
    pub(crate) fn is_current(self) -> bool {
        self.generation() == self.handle.generation()
    }

    /// The event of those who wait for a newer version.
    #[inline]
    pub(crate) fn new_version(self) -> &'a Event {
        &self.slot().header.new_version
    }

    /// The event of publishers that wait for free space.
    #[inline]
    pub(crate) fn not_full(self) -> &'a Event {
        &self.slot().header.not_full
    }

    /// Wakes those who wait for the event, which has happened.
    #[inline]
    pub(crate) fn notify(self, event: &Event) {
        if event.notify() {
            self.context.host.wake_all(&event.word);
        }
    }

    /// The version after which the present key's values begin, or what is left of them after a purge.
    #[inline]
    pub(crate) fn base_version(self) -> u64 {
        // Whatever is read there is one, so that the next one can be computed.
        self.slot().header.base_version.load(Ordering::Relaxed).min(MAX_VERSION)
    }

    pub(crate) fn cells(self) -> impl Iterator<Item = (u32, CellView<'a>)> + use<'a> {
        let cells = &self.slot().cells;
        (0..cells.count()).map(move |index| (index, cells.get(index)))
    }

    /// How many versions from `from` on, and before `to`, are in cells.
    pub(crate) fn kept_between(self, from: u64, to: u64) -> u64 {
        let versions = self.cells().filter_map(|(_, cell)| cell::readable(cell));
        versions.filter(|version| (from..to).contains(version)).count() as u64
    }

    /// How the cells are used now.
    pub(crate) fn count_cells(self) -> CellCounts {
        // Computed, and not written down: this is also called in the child of a fork, which changes nothing.
        let (mut counts, low_water) = (CellCounts::default(), self.smallest_cursor());
        for (_, cell) in self.cells() {
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
