//! How often each cell is pinned by this session.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::core::lookup::Lookup;
use crate::core::ring::{Pin, PinError, PinNewest, ReadError, Ring};

/// How many mutexes there are. Threads that pin values of different keys rarely share one.
const STRIPES: usize = 64;

/// How many times each cell is pinned by this session. Its pins share one bit in the cell, which
/// the last one clears.
///
/// All handles of a process on the store share this, as they share the bit. The counts of a slot
/// are under the mutex of its stripe.
#[derive(Debug)]
pub(crate) struct LocalPins {
    stripes: [Stripe; STRIPES],
}

/// The pins of some of the slots, on a line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Stripe(Mutex<Counts>);

/// How often each cell is pinned, by slot and cell.
type Counts = FxHashMap<(u32, u32), u32>;

impl LocalPins {
    /// Keeps the other threads of this session from pinning and unpinning values of this slot.
    pub(crate) fn lock(&self, slot: u32) -> MutexGuard<'_, Counts> {
        let Stripe(counts) = &self.stripes[slot as usize % STRIPES];
        counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pins the newest value of a slot, and counts the pin.
    pub(crate) fn pin_newest(&self, ring: Ring<'_>) -> Result<Option<Pin>, ReadError> {
        let slot = ring.slot().index;
        let mut counts = self.lock(slot);
        let pin = ring.pin_newest(|cell| counts.contains_key(&(slot, cell)))?;
        if let Some(pin) = pin {
            *counts.entry((slot, pin.cell)).or_default() += 1;
        }
        Ok(pin)
    }

    /// Pins this version of a slot's key, and counts the pin.
    pub(crate) fn pin_version(&self, ring: Ring<'_>, version: u64) -> Result<Lookup<Pin>, PinError> {
        let slot = ring.slot().index;
        let mut counts = self.lock(slot);
        let pin = ring.pin_version(version, |cell| counts.contains_key(&(slot, cell)))?;
        if let Lookup::Found(pin) = pin {
            *counts.entry((slot, pin.cell)).or_default() += 1;
        }
        Ok(pin)
    }

    /// Ends one pin. The last one of a cell clears the participant's bit.
    pub(crate) fn unpin(&self, ring: Ring<'_>, pin: Pin) {
        let slot = ring.slot().index;
        let key = (slot, pin.cell);
        let mut counts = self.lock(slot);
        if let Some(count) = counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&key);
                ring.unpin(pin.cell);
            }
        }
    }

    /// Zeroes the bytes behind the newest value of a slot, left there while auto-vacuum was off.
    pub(crate) fn scrub_behind_newest(&self, slot: u32, ring: Ring<'_>) {
        let counts = self.lock(slot);
        let held = |cell| counts.contains_key(&(slot, cell));
        if let Ok(Some(pin)) = ring.pin_newest(held) {
            ring.scrub_behind(pin);
            if !held(pin.cell) {
                ring.unpin(pin.cell);
            }
        }
    }
}

impl PinNewest for LocalPins {
    fn pin(&self, ring: Ring<'_>) -> Result<Option<Pin>, ReadError> {
        self.pin_newest(ring)
    }

    fn unpin(&self, ring: Ring<'_>, pin: Pin) {
        LocalPins::unpin(self, ring, pin);
    }
}

impl Default for LocalPins {
    fn default() -> Self {
        Self { stripes: [const { Stripe(Mutex::new(FxHashMap::with_hasher(rustc_hash::FxBuildHasher))) }; STRIPES] }
    }
}
