//! Copying values out of slots.

use std::sync::Arc;

use super::pinned::Pinned;
use super::slot::Slot;
use crate::core::index::SlotRef;
use crate::core::lookup::Lookup;
use crate::core::ring::{ReadError, Ring};
use crate::store::error::{GetError, KeyError};
use crate::store::session::Session;

impl Slot {
    /// Copies the newest value into `value`, replacing its content. Returns the version; `None` if
    /// nothing was set yet. Never blocks.
    ///
    /// After eight failed copies (fewer, down to two, if values may be larger than 1 MiB), it pins the value. That takes one of
    /// the key's cells from publishers until the copy is done.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed, its value was lost, the store is damaged, or `Overtaken`:
    /// publishers replaced the value during each attempt to read it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-get-into-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// slot.set(b"v")?;
    /// let mut value = Vec::new();
    /// assert_eq!(slot.get_into(&mut value)?, Some(1));
    /// assert_eq!(value, b"v");
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn get_into(&self, value: &mut Vec<u8>) -> Result<Option<u64>, GetError> {
        self.check_fork()?;
        self.session().copy_newest(self.ring(), &self.slot_ref, value)
    }

    /// Copies this one version into `value`, if it is kept. Never blocks.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed, its value was lost, or the store is damaged. Never
    /// `Overtaken`: a version that was overwritten is [`Lookup::Gone`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Lookup, Store};
    /// # let name = format!("splinter-doc-slot-get-version-into-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// slot.set(b"first")?;
    /// slot.set(b"second")?;
    /// let mut value = Vec::new();
    /// assert_eq!(slot.get_version_into(1, &mut value)?, Lookup::Found(()));
    /// assert_eq!(value, b"first");
    /// assert_eq!(slot.get_version_into(3, &mut value)?, Lookup::NotYet);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn get_version_into(&self, version: u64, value: &mut Vec<u8>) -> Result<Lookup<()>, GetError> {
        self.check_fork()?;
        Ok(self.ring().copy_version(version, value)?)
    }

    /// The length of the newest value in bytes; `None` if nothing was set yet. Never blocks.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed, its value was lost or damaged, or `Overtaken`, as for
    /// [`get_into`](Self::get_into).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-size-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// slot.set(b"value")?;
    /// assert_eq!(slot.size()?, Some(5));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn size(&self) -> Result<Option<usize>, GetError> {
        self.check_fork()?;
        Ok(self.session().newest_len(self.ring(), self.slot_ref)?.1)
    }
}

impl Session {
    /// Copies the newest value of a slot into `value`, replacing its content. Returns the version;
    /// `None` if there is no value.
    #[inline]
    pub(crate) fn copy_newest(
        self: &Arc<Self>,
        ring: Ring<'_>,
        slot_ref: &SlotRef,
        value: &mut Vec<u8>,
    ) -> Result<Option<u64>, GetError> {
        ring.copy_newest(value).or_else(|error| self.copy_newest_pinned(error, slot_ref, value))
    }

    #[cold]
    fn copy_newest_pinned(
        self: &Arc<Self>,
        error: ReadError,
        slot_ref: &SlotRef,
        value: &mut Vec<u8>,
    ) -> Result<Option<u64>, GetError> {
        if error != ReadError::Overtaken {
            return Err(error.into());
        }
        Ok(Pinned::newest(self, *slot_ref)?.map(|pinned| {
            pinned.copy_into(value);
            pinned.version()
        }))
    }

    /// The newest version of a slot and the length of its value in bytes; no length if there is no
    /// value.
    pub(crate) fn newest_len(
        self: &Arc<Self>,
        ring: Ring<'_>,
        slot_ref: SlotRef,
    ) -> Result<(u64, Option<usize>), GetError> {
        match ring.newest_len() {
            Err(ReadError::Overtaken) => Ok(match Pinned::newest(self, slot_ref)? {
                Some(pinned) => (pinned.version(), Some(pinned.len())),
                None => (ring.head().version(), None),
            }),
            newest => Ok(newest?),
        }
    }
}

impl From<ReadError> for GetError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Removed => Self::Key(KeyError::Removed),
            ReadError::Lost => Self::Lost,
            ReadError::Overtaken => Self::Overtaken,
            ReadError::Corrupt => Self::Key(KeyError::Damaged),
        }
    }
}
