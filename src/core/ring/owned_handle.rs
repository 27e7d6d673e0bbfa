//! A handle that keeps the mapping of its slot alive.

#![allow(unsafe_code)]

use std::sync::Arc;

use super::handle::Handle;
use crate::core::memory::region::Region;
use crate::core::memory::slot_view::SlotView;
use crate::core::memory::table::SlotTable;

/// A [`Handle`] that keeps its slot's region mapped.
pub(crate) struct OwnedHandle {
    /// Lent only while `self` is borrowed. So the region, which is in `self`, outlives every use.
    handle: Handle<'static>,
    region: Arc<Region>,
}

// SAFETY: a handle gives access to atomics only, which any thread may touch.
unsafe impl Send for OwnedHandle {}
// SAFETY: a handle gives access to atomics only, which any thread may touch.
unsafe impl Sync for OwnedHandle {}

impl OwnedHandle {
    /// A handle on the key that has this generation, in the slot at `index`, which is below the
    /// number of slots. `cells` of its cells are reserved.
    pub(crate) fn new(region: &Arc<Region>, table: &SlotTable, index: u32, generation: u64, cells: u32) -> Self {
        let view = region.slot(table, index);
        // SAFETY: only the lifetime changes. The memory stays mapped at its address while the
        // region lives, and `self` owns a reference to the region.
        let view = unsafe { std::mem::transmute::<SlotView<'_>, SlotView<'static>>(view) };
        Self { handle: Handle::new(view, generation, cells), region: Arc::clone(region) }
    }

    #[inline]
    pub(crate) fn get(&self) -> &Handle<'_> {
        &self.handle
    }
}

impl Clone for OwnedHandle {
    /// A handle on the same key, with an empty cached head and read hint.
    fn clone(&self) -> Self {
        Self {
            handle: Handle::new(*self.handle.slot(), self.handle.generation(), self.handle.known_cells()),
            region: Arc::clone(&self.region),
        }
    }
}
