//! Values that stay while somebody looks at them.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

use super::error::GetError;
use super::inner::Inner;
use crate::core::index::Place;
use crate::core::ring::{Exactly, Pin, Ring};

/// A value that no writer overwrites while this exists: read it in place.
///
/// A pin takes one of the key's cells from its writers. If its process dies, the pin is gone. Bytes that are read in place stay as they
/// are as long as everybody who may write to the store keeps to the protocol; who does not trust them so far reads a copy.
///
/// A child of `fork` inherits the bytes, and not the pin: they stay as they are only until the parent drops its pin, or ends. To drop the
/// child's copy does nothing.
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
/// assert_eq!(*pinned, *b"pinned");
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a pin that is dropped at once pins nothing"]
pub struct Pinned {
    inner: Arc<Inner>,
    slot: u32,
    pin: Pin,
    /// The value, where it lies in the mapping that `inner` keeps.
    bytes: NonNull<[u8]>,
}

// SAFETY: the bytes are in a mapping, which is tied to no thread, and are only read; all other fields are `Send`.
unsafe impl Send for Pinned {}
// SAFETY: a shared `Pinned` lends its bytes for reading only; all other fields are `Sync`.
unsafe impl Sync for Pinned {}

/// What became of the wish to pin one version.
pub(crate) enum PinnedVersion {
    Pinned(Pinned),
    NotYet,
    Gone,
    /// A writer that stands still has chosen it to be overwritten: it can be copied, and not pinned.
    Claimed,
}

/// How often each cell is pinned by this handle: its pins share one bit, which the last one clears.
#[derive(Debug, Default)]
pub(crate) struct LocalPins {
    counts: Mutex<Counts>,
}

type Counts = FxHashMap<(u32, u32), u32>;

#[cfg(test)]
impl LocalPins {
    /// Keeps everybody else of this handle from pinning and unpinning.
    pub(super) fn locked(&self) -> impl Drop + '_ {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocalPins {
    /// Zeroes what lies behind the newest value of a slot.
    pub(super) fn scrub_behind_newest(&self, slot: u32, ring: Ring<'_>) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let held = |cell| counts.contains_key(&(slot, cell));
        if let Ok(Some(pin)) = ring.pin_newest(held) {
            ring.scrub_behind(pin);
            if !held(pin.cell) {
                ring.unpin(pin.cell);
            }
        }
    }
}

impl Pinned {
    pub(super) fn newest(inner: &Arc<Inner>, place: Place) -> Result<Option<Self>, GetError> {
        inner.check_fork()?;
        let mut counts = inner.pins.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let held = |cell| counts.contains_key(&(place.slot, cell));
        let Some(pin) = inner.on_key(place, |ring| ring.pin_newest(held))? else {
            return Ok(None);
        };
        Ok(Some(Self::counted(inner, place, pin, &mut counts)))
    }

    pub(super) fn version_of(inner: &Arc<Inner>, place: Place, version: u64) -> Result<PinnedVersion, GetError> {
        inner.check_fork()?;
        let mut counts = inner.pins.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let held = |cell| counts.contains_key(&(place.slot, cell));
        Ok(match inner.on_key(place, |ring| ring.pin_version(version, held))? {
            Exactly::Pinned(pin) => PinnedVersion::Pinned(Self::counted(inner, place, pin, &mut counts)),
            Exactly::NotYet => PinnedVersion::NotYet,
            Exactly::Gone => PinnedVersion::Gone,
            Exactly::Claimed => PinnedVersion::Claimed,
        })
    }

    fn counted(inner: &Arc<Inner>, place: Place, pin: Pin, counts: &mut Counts) -> Self {
        *counts.entry((place.slot, pin.cell)).or_default() += 1;
        let len = inner.on_slot(place.slot, |ring| ring.pinned_len(pin));
        // SAFETY: `pin` keeps every writer from the cell until the result is dropped, or its process ends: who has chosen the cell before
        // looks at the pins before it writes, and `pin_newest` and `pin_version` take no cell that somebody writes. Nobody scrubs
        // it but behind the value. `deref` lends the bytes no longer than that.
        let bytes = NonNull::from(unsafe { inner.mapped.slot(place.slot).cells.get(pin.cell).bytes(len) });
        Self { inner: Arc::clone(inner), slot: place.slot, pin, bytes }
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
        self.inner.on_slot(self.slot, |ring| ring.copy_pinned(self.pin, value));
    }

    /// Copies the first bytes of the value; those beyond its end are left as they are, or become whatever lies there.
    #[inline]
    pub(crate) fn copy_start(&self, start: &mut [u8]) {
        self.inner.on_slot(self.slot, |ring| ring.copy_pinned_start(self.pin, start));
    }
}

impl Deref for Pinned {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `counted` took a slice of these bytes, in a mapping that stays where it is while `inner` lives, and nobody writes them
        // while `self` has its pin, as said there.
        unsafe { self.bytes.as_ref() }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.inner.check_fork().is_err() {
            // The pin is the parent's.
            return;
        }
        let mut counts = self.inner.pins.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (self.slot, self.pin.cell);
        if let Some(count) = counts.get_mut(&place) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&place);
                self.inner.on_slot(self.slot, |ring| ring.unpin(self.pin.cell));
            }
        }
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").field("version", &self.pin.version).finish_non_exhaustive()
    }
}
