//! Pinned values, which are not overwritten while they are read in place.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use super::slot::Slot;
use crate::core::index::SlotRef;
use crate::core::lookup::Lookup;
use crate::core::memory::lent;
use crate::core::ring::{Pin, PinError, Ring, StoredVersion};
use crate::os::limits;
use crate::store::error::{GetError, KeyError};
use crate::store::session::Session;

/// A value that no writer overwrites while this exists: read it in place.
///
/// A pin takes one of the key's cells from its writers. If its process dies, the pin is gone. Bytes
/// that are read in place stay unchanged as long as every process that may write to the store keeps
/// to the protocol. Where you do not trust them that far, read a copy.
///
/// A child of `fork` inherits the bytes, but not the pin: they stay unchanged only until the parent
/// drops its pin or ends. Dropping the child's copy does nothing.
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
    session: Arc<Session>,
    slot: u32,
    pin: Pin,
    /// The value, in the mapping that `session` keeps.
    bytes: NonNull<[u8]>,
}

// SAFETY: the bytes are in a mapping, which is tied to no thread, and are only read; all other
// fields are `Send`.
unsafe impl Send for Pinned {}
// SAFETY: a shared `Pinned` lends its bytes for reading only; all other fields are `Sync`.
unsafe impl Sync for Pinned {}

impl Slot {
    /// Pins the newest value: it is not overwritten until the pin is dropped. `None` if nothing was
    /// set yet.
    ///
    /// A pin takes one of the key's cells from its writers. The pins of a process that dies are
    /// reaped.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed, its value was lost, the store is damaged, or `Overtaken`:
    /// publishers replaced the value during each attempt to pin it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-pin-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// slot.set(b"v")?;
    /// let pinned = slot.pin()?.unwrap();
    /// assert_eq!(*pinned, *b"v");
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pin(&self) -> Result<Option<Pinned>, GetError> {
        Pinned::newest(self.session(), self.slot_ref)
    }

    /// Pins this one version; `None` if it was not published yet, or is gone.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed, or `Claimed`: a stopped writer is about to overwrite the
    /// version. Never `Overtaken`: a version that was overwritten is `None`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-pin-version-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// slot.set(b"first")?;
    /// slot.set(b"second")?;
    /// assert_eq!(slot.pin_version(1)?.as_deref(), Some(&b"first"[..]));
    /// assert!(slot.pin_version(3)?.is_none());
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pin_version(&self, version: u64) -> Result<Option<Pinned>, GetError> {
        Ok(match self.try_pin(version)? {
            Lookup::Found(pinned) => Some(pinned),
            Lookup::NotYet | Lookup::Gone => None,
        })
    }

    /// As [`pin_version`](Self::pin_version), and distinguishes what is not there yet from what is
    /// gone.
    pub(crate) fn try_pin(&self, version: u64) -> Result<Lookup<Pinned>, GetError> {
        Pinned::version_of(self.session(), self.slot_ref, version)
    }
}

impl Pinned {
    pub(crate) fn newest(session: &Arc<Session>, slot_ref: SlotRef) -> Result<Option<Self>, GetError> {
        session.check_fork()?;
        session.on_key(slot_ref, |ring| {
            let pin = session.pins.pin_newest(ring)?;
            pin.map(|pin| Self::counted(session, ring, pin)).transpose()
        })
    }

    pub(crate) fn version_of(
        session: &Arc<Session>,
        slot_ref: SlotRef,
        version: u64,
    ) -> Result<Lookup<Self>, GetError> {
        session.check_fork()?;
        session.on_key(slot_ref, |ring| match session.pins.pin_version(ring, version) {
            Ok(Lookup::Found(pin)) => Self::counted(session, ring, pin).map(Lookup::Found),
            Ok(Lookup::NotYet) => Ok(Lookup::NotYet),
            Ok(Lookup::Gone) => Ok(Lookup::Gone),
            Err(PinError::Removed) => Err(GetError::Key(KeyError::Removed)),
            Err(PinError::Claimed) => Err(GetError::Claimed { version }),
        })
    }

    fn counted(session: &Arc<Session>, ring: Ring<'_>, pin: Pin) -> Result<Self, GetError> {
        let Some((words, len)) = ring.pinned_words(pin) else {
            let is_mapping_missing = ring.pinned_len(pin).is_some();
            session.pins.unpin(ring, pin);
            return Err(if is_mapping_missing {
                GetError::NoAddresses { limit: limits::address_space() }
            } else {
                GetError::Key(KeyError::Damaged)
            });
        };
        // SAFETY: `pin` keeps every writer from the cell and its places until the result is dropped,
        // or its process ends: a writer that has claimed the cell before reads the pins before it
        // writes, and `pin_newest` and `pin_version` take no cell that is being written. The cell is
        // scrubbed only behind the value. `deref` lends the bytes no longer than that.
        let bytes = NonNull::from(unsafe { lent::bytes(words, len) });
        Ok(Self { session: Arc::clone(session), slot: ring.slot().index, pin, bytes })
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

    /// Copies the value into `value`, replacing its content. Each call gives the same bytes.
    ///
    /// # Examples
    ///
    /// See [`Pinned`].
    pub fn copy_into(&self, value: &mut Vec<u8>) {
        value.clear();
        value.extend_from_slice(self);
    }

    /// The version, and where it is.
    pub(crate) fn stored(&self) -> StoredVersion {
        StoredVersion::of_pin(self.pin)
    }

    /// Copies the first bytes of the value. Bytes of `start` beyond the end of the value are
    /// undefined afterwards.
    #[inline]
    pub(crate) fn copy_start(&self, start: &mut [u8]) {
        let len = start.len().min(self.len());
        start[..len].copy_from_slice(&self[..len]);
    }
}

impl Deref for Pinned {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `counted` took a slice of these bytes, in a mapping that stays where it is while
        // `session` lives, and no process writes them while `self` has its pin, as proved there.
        unsafe { self.bytes.as_ref() }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.session.check_fork().is_err() {
            // The pin is the parent's.
            return;
        }
        self.session.on_slot(self.slot, |ring| self.session.pins.unpin(ring, self.pin));
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").field("version", &self.pin.version).finish_non_exhaustive()
    }
}
