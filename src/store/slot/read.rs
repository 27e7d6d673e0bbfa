//! Copying values out of slots.

use super::slot::Slot;
use crate::core::lookup::Lookup;
use crate::core::ring::{Pin, PinError, ReadError, Ring};
use crate::store::error::{GetError, KeyError};
use crate::store::session::Session;

impl Slot {
    /// Copies the newest value into `value`, replacing its content. Returns the version; `None` if
    /// nothing was set yet. Never blocks.
    ///
    /// A value that is longer than the store's inline size and than 4 KiB is pinned while it is copied,
    /// and so is any value after eight failed copies. That takes one of the key's cells from publishers
    /// meanwhile.
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
        self.session().copy_newest(self.ring(), value)
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
        self.session().copy_version(self.ring(), version, value)
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
        Ok(self.session().newest_len(self.ring())?.1)
    }
}

impl Session {
    /// Copies the newest value of a slot into `value`, replacing its content. Returns the version;
    /// `None` if there is no value.
    #[inline]
    pub(crate) fn copy_newest(&self, ring: Ring<'_>, value: &mut Vec<u8>) -> Result<Option<u64>, GetError> {
        match ring.copy_newest_now(value) {
            Some(version) => Ok(Some(version)),
            None => self.copy_newest_again(ring, value),
        }
    }

    #[inline(never)]
    fn copy_newest_again(&self, ring: Ring<'_>, value: &mut Vec<u8>) -> Result<Option<u64>, GetError> {
        ring.copy_newest_again(value).or_else(|error| self.copy_newest_pinned(error, ring, value))
    }

    #[inline(never)]
    fn copy_newest_pinned(
        &self,
        error: ReadError,
        ring: Ring<'_>,
        value: &mut Vec<u8>,
    ) -> Result<Option<u64>, GetError> {
        if !matches!(error, ReadError::Overtaken | ReadError::Long) {
            return Err(error.into());
        }
        let copied = self.pins.with_newest(ring, |pin| (ring.copy_pinned(pin, value), pin.version))?;
        match copied {
            None => Ok(None),
            Some((true, version)) => Ok(Some(version)),
            Some((false, _)) => Err(GetError::Key(KeyError::Damaged)),
        }
    }

    fn copy_and_unpin(&self, ring: Ring<'_>, pin: Pin, value: &mut Vec<u8>) -> Result<(), GetError> {
        let copied = ring.copy_pinned(pin, value);
        self.pins.unpin(ring, pin);
        if copied { Ok(()) } else { Err(GetError::Key(KeyError::Damaged)) }
    }

    /// Copies this one version into `value`, if it is kept.
    #[inline]
    pub(crate) fn copy_version(
        &self,
        ring: Ring<'_>,
        version: u64,
        value: &mut Vec<u8>,
    ) -> Result<Lookup<()>, GetError> {
        match ring.copy_version(version, value) {
            Err(ReadError::Long) => self.copy_long_version(ring, version, value),
            outcome => Ok(outcome?),
        }
    }

    #[inline(never)]
    fn copy_long_version(&self, ring: Ring<'_>, version: u64, value: &mut Vec<u8>) -> Result<Lookup<()>, GetError> {
        match self.pins.pin_version(ring, version) {
            Ok(Lookup::Found(pin)) => self.copy_and_unpin(ring, pin, value).map(Lookup::Found),
            Ok(Lookup::NotYet) => Ok(Lookup::NotYet),
            Ok(Lookup::Gone) => Ok(Lookup::Gone),
            Err(PinError::Claimed) => Ok(ring.copy_unpinned(version, value)?),
            Err(PinError::Removed) => Err(GetError::Key(KeyError::Removed)),
        }
    }

    /// The newest version of a slot and the length of its value in bytes; no length if there is no
    /// value.
    pub(crate) fn newest_len(&self, ring: Ring<'_>) -> Result<(u64, Option<usize>), GetError> {
        match ring.newest_len() {
            Err(ReadError::Overtaken) => {
                match self.pins.with_newest(ring, |pin| (pin.version, ring.pinned_len(pin)))? {
                    Some((version, len)) => Ok((version, Some(len.ok_or(KeyError::Damaged)?))),
                    None => Ok((ring.head().version(), None)),
                }
            }
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
            ReadError::Corrupt | ReadError::Long => Self::Key(KeyError::Damaged),
        }
    }
}
