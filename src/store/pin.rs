//! Values that stay while somebody looks at them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::directory::Place;
use super::error::GetError;
use super::inner::Inner;
use super::ring::{Pin, Ring};
use crate::region::mapping::SlotLease;

/// A value that no writer overwrites while this exists.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-pinned-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let slot = store.slot("k")?;
/// slot.set(b"pinned")?;
/// let pinned = slot.pin()?.unwrap();
/// for _ in 0..1000 {
///     slot.set(b"newer")?;
/// }
/// let mut value = Vec::new();
/// pinned.copy_into(&mut value);
/// assert_eq!(value, b"pinned");
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a pin that is dropped at once pins nothing"]
pub struct Pinned {
    inner: Arc<Inner>,
    lease: SlotLease,
    slot: u32,
    pin: Pin,
}

/// How often each cell is pinned by this handle: its pins share one bit, which the last one clears.
#[derive(Debug, Default)]
pub(crate) struct LocalPins {
    counts: Mutex<HashMap<(u32, u32), u32>>,
}

impl LocalPins {
    /// Zeroes what lies behind the newest value of a slot. The caller has the directory's lock.
    pub(super) fn scrub_behind_newest(&self, slot: u32, ring: Ring<'_>) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let held = |cell| counts.contains_key(&(slot, cell));
        if let Ok(Some(pin)) = ring.pin_newest(ring.generation(), held) {
            ring.scrub_behind(pin);
            if !held(pin.cell) {
                ring.unpin(pin.cell);
            }
        }
    }
}

impl Pinned {
    pub(super) fn newest(inner: &Arc<Inner>, place: Place) -> Result<Option<Self>, GetError> {
        let mut counts = inner.pins.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let held = |cell| counts.contains_key(&(place.slot, cell));
        let lease = inner.lease(place.slot);
        let Some(pin) = inner.ring(&lease).pin_newest(place.generation, held)? else {
            return Ok(None);
        };
        *counts.entry((place.slot, pin.cell)).or_default() += 1;
        Ok(Some(Self { inner: Arc::clone(inner), lease, slot: place.slot, pin }))
    }

    /// The version of the value.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-pinned-version-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let slot = store.slot("k")?;
    /// slot.set(b"v")?;
    /// assert_eq!(slot.pin()?.unwrap().version(), 1);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn version(&self) -> u64 {
        self.pin.version
    }

    /// Copies the value into `value`, replacing what it held. The same bytes, however often.
    ///
    /// # Examples
    ///
    /// See [`Pinned`].
    pub fn copy_into(&self, value: &mut Vec<u8>) {
        self.inner.ring(&self.lease).copy_pinned(self.pin, value);
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut counts = self.inner.pins.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (self.slot, self.pin.cell);
        if let Some(count) = counts.get_mut(&place) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&place);
                self.inner.ring(&self.lease).unpin(self.pin.cell);
            }
        }
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").field("version", &self.pin.version).finish_non_exhaustive()
    }
}
