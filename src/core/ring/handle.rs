//! What one handle on a key remembers.

use super::cached_head::CachedHead;
use super::read_hint::ReadHint;
use crate::core::memory::slot_view::SlotView;
use crate::sync::Ordering;

/// A slot and the generation of its key, with what this handle remembers of its last publish and its last read.
pub(crate) struct Handle<'a> {
    slot: SlotView<'a>,
    generation: u64,
    pub(crate) cached_head: CachedHead,
    pub(crate) read_hint: ReadHint,
}

impl<'a> Handle<'a> {
    /// A handle on the key that the slot has in this generation.
    #[inline]
    pub(crate) fn new(slot: SlotView<'a>, generation: u64) -> Self {
        Self { slot, generation, cached_head: CachedHead::default(), read_hint: ReadHint::default() }
    }

    /// A handle on the key that the slot has now, if it has one.
    pub(crate) fn of_present_key(slot: SlotView<'a>) -> Self {
        // Acquire: see `Ring::generation`.
        Self::new(slot, slot.header.generation.load(Ordering::Acquire))
    }

    /// The slot.
    #[inline]
    pub(crate) fn slot(&self) -> &SlotView<'a> {
        &self.slot
    }

    /// The generation of the slot while it has the key.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }
}
