//! A handle that keeps the mapping of its slot.

#![allow(unsafe_code)]

use std::sync::Arc;

use super::handle::Handle;
use crate::core::memory::region::Region;
use crate::core::memory::slot_view::SlotView;
use crate::core::memory::table::SlotTable;

/// A [`Handle`] that keeps the region mapped that its slot lies in.
pub(crate) struct OwnedHandle {
    /// Lent only for as long as this is borrowed, and with it the region.
    handle: Handle<'static>,
    region: Arc<Region>,
}

// SAFETY: a handle gives access to nothing but atomics, which any thread may touch.
unsafe impl Send for OwnedHandle {}
// SAFETY: a handle gives access to nothing but atomics, which any thread may touch.
unsafe impl Sync for OwnedHandle {}

impl OwnedHandle {
    /// A handle on the slot at `index`, which is below the number of slots, while it has the key of this generation.
    pub(crate) fn new(region: &Arc<Region>, table: &SlotTable, index: u32, generation: u64) -> Self {
        let view = region.slot(table, index);
        // SAFETY: only the lifetime changes. The memory stays mapped where it is while the region lives, which this keeps.
        let view = unsafe { std::mem::transmute::<SlotView<'_>, SlotView<'static>>(view) };
        Self { handle: Handle::new(view, generation), region: Arc::clone(region) }
    }

    /// The handle.
    #[inline]
    pub(crate) fn get(&self) -> &Handle<'_> {
        &self.handle
    }
}

impl Clone for OwnedHandle {
    /// A handle on the same key, which remembers nothing yet.
    fn clone(&self) -> Self {
        Self { handle: Handle::new(*self.handle.slot(), self.handle.generation()), region: Arc::clone(&self.region) }
    }
}
