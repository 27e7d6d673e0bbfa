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

    /// Acts on the newest value of a slot under a pin, which ends then; `None` if there is no value.
    ///
    /// Other threads of this session that pin or unpin values of the slot wait meanwhile, unless the
    /// value is large.
    pub(crate) fn with_newest<R>(&self, ring: Ring<'_>, act: impl FnOnce(Pin) -> R) -> Result<Option<R>, ReadError> {
        let slot = ring.slot().index;
        let mut counts = self.lock(slot);
        let held = |counts: &Counts, cell| counts.contains_key(&(slot, cell));
        let Some(pin) = ring.pin_newest(|cell| held(&counts, cell))? else { return Ok(None) };
        if ring.is_large(pin) {
            *counts.entry((slot, pin.cell)).or_default() += 1;
            drop(counts);
            let outcome = act(pin);
            self.unpin(ring, pin);
            return Ok(Some(outcome));
        }
        let outcome = act(pin);
        if !held(&counts, pin.cell) {
            ring.unpin(pin.cell);
        }
        Ok(Some(outcome))
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
    pub(crate) fn scrub_behind_newest(&self, ring: Ring<'_>) {
        // If it is overtaken, a publisher has just written the value.
        let _ = self.with_newest(ring, |pin| ring.scrub_behind(pin));
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
