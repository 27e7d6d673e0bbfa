//! How often each cell is pinned by this session.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::core::ring::Ring;

/// How many times each cell is pinned by this session. Its pins share one bit in the cell, which
/// the last one clears.
#[derive(Debug, Default)]
pub(crate) struct LocalPins {
    counts: Mutex<Counts>,
}

/// How often each cell is pinned, by slot and cell.
pub(super) type Counts = FxHashMap<(u32, u32), u32>;

impl LocalPins {
    /// Keeps the other threads of this session from pinning and unpinning.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Zeroes the bytes behind the newest value of a slot, left there while auto-vacuum was off.
    pub(crate) fn scrub_behind_newest(&self, slot: u32, ring: Ring<'_>) {
        let counts = self.lock();
        let held = |cell| counts.contains_key(&(slot, cell));
        if let Ok(Some(pin)) = ring.pin_newest(held) {
            ring.scrub_behind(pin);
            if !held(pin.cell) {
                ring.unpin(pin.cell);
            }
        }
    }
}
