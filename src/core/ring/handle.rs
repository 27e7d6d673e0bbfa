//! A handle on a key: its slot, and what this handle remembers of it.

use super::cached_head::CachedHead;
use super::permutation::Permutation;
use super::read_hint::ReadHint;
use crate::core::memory::slot_view::SlotView;
use crate::core::shape::Shape;
use crate::sync::{AtomicU32, Ordering};

/// A slot, the generation and the shape of its key, and what this handle remembers of its last
/// publish and its last read.
///
/// The handle is on the key, not on the slot: once the slot has another generation, operations
/// report that the key was removed.
pub(crate) struct Handle<'a> {
    slot: SlotView<'a>,
    generation: u64,
    shape: Shape,
    permutation: &'static Permutation,
    /// How many cells of the ring are reserved, as far as this handle knows.
    cells: AtomicU32,
    pub(crate) cached_head: CachedHead,
    pub(crate) read_hint: ReadHint,
}

impl<'a> Handle<'a> {
    /// A handle on the key that the slot has in this generation, with `cells` cells reserved.
    ///
    /// The caller has read the generation before. If the slot has the same one later, the shape is
    /// that of the key: it changes only while the slot has none.
    #[inline]
    pub(crate) fn new(slot: SlotView<'a>, generation: u64, cells: u32) -> Self {
        // Acquire: the generation that is checked later is read after the shape.
        let shape = Shape::from_bits(slot.header.shape.load(Ordering::Acquire), slot.cells.max());
        Self {
            slot,
            generation,
            shape,
            permutation: Permutation::of(shape.cells()),
            cells: AtomicU32::new(cells),
            cached_head: CachedHead::default(),
            read_hint: ReadHint::default(),
        }
    }

    /// A handle on the key that the slot has now, if it has one.
    pub(crate) fn of_present_key(slot: SlotView<'a>, cells: u32) -> Self {
        // Acquire: pairs as in `Ring::generation`.
        Self::new(slot, slot.header.generation.load(Ordering::Acquire), cells)
    }

    #[inline]
    pub(crate) fn slot(&self) -> &SlotView<'a> {
        &self.slot
    }

    /// The generation of the slot while it has the key.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// How many cells and cursors the key has.
    #[inline]
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Which cell comes after which.
    #[inline]
    pub(crate) fn permutation(&self) -> &'static Permutation {
        self.permutation
    }

    /// Whether the cell is known to be reserved. If not, it may be all the same.
    #[inline]
    pub(crate) fn knows_cell(&self, index: u32) -> bool {
        // Relaxed: a cell that is reserved stays so.
        index < self.cells.load(Ordering::Relaxed)
    }

    pub(crate) fn known_cells(&self) -> u32 {
        self.cells.load(Ordering::Relaxed)
    }

    pub(super) fn note_cells(&self, cells: u32) {
        self.cells.store(cells, Ordering::Relaxed);
    }
}
