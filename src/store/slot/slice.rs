//! Copying values into slices of the caller.

use super::slot::Slot;
use crate::core::ring::{ReadError, Ring, Sliced};
use crate::store::error::{GetError, KeyError};
use crate::store::session::Session;
use crate::store::store::Store;

impl Slot {
    /// Copies the newest value to the front of `value`. Returns its version and its length; `None` if
    /// nothing was set yet. Never allocates, and never blocks.
    ///
    /// The rest of `value` stays as it is. Pins values as [`get_into`](Self::get_into) does.
    ///
    /// # Errors
    ///
    /// As [`get_into`](Self::get_into). [`GetError::TooShort`]: the value does not fit; the error has
    /// its length. `value` has no meaning after an error.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// use splinter_bus::store::GetError;
    ///
    /// # let name = format!("splinter-doc-slot-get-to-slice-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// slot.set(b"value")?;
    /// let mut value = [0; 16];
    /// let (version, len) = slot.get_to_slice(&mut value)?.unwrap();
    /// assert_eq!((version, &value[..len]), (1, &b"value"[..]));
    /// assert_eq!(slot.get_to_slice(&mut [0; 4]), Err(GetError::TooShort { len: 4, needed: 5 }));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_to_slice(&self, value: &mut [u8]) -> Result<Option<(u64, usize)>, GetError> {
        self.check_fork()?;
        self.session().copy_newest_to(self.ring(), value)
    }
}

impl Store {
    /// Copies the key's newest value to the front of `value`. Returns its version and its length;
    /// `None` if there is no such key, or it has no value yet. Never allocates, and never blocks.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get). [`GetError::TooShort`]: the value does not fit; the error has its length.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-get-to-slice-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.set("k", b"value")?;
    /// let mut value = [0; 16];
    /// assert_eq!(store.get_to_slice("k", &mut value)?, Some((1, 5)));
    /// assert_eq!(store.get_to_slice("other", &mut value)?, None);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_to_slice(&self, key: &str, value: &mut [u8]) -> Result<Option<(u64, usize)>, GetError> {
        let copied = self.with_existing_key(key, |slot_ref| {
            self.session.on_key(slot_ref, |ring| self.session.copy_newest_to(ring, value))
        })?;
        Ok(copied.flatten())
    }
}

impl Session {
    fn copy_newest_to(&self, ring: Ring<'_>, value: &mut [u8]) -> Result<Option<(u64, usize)>, GetError> {
        let copied = match ring.copy_newest_to(value) {
            Err(ReadError::Overtaken | ReadError::Long) => {
                let copied = self.pins.with_newest(ring, |pin| ring.copy_pinned_to(pin, value))?;
                copied.map(|copied| copied.ok_or(KeyError::Damaged)).transpose()?
            }
            copied => copied?,
        };
        match copied {
            Some(Sliced { len: needed, .. }) if needed > value.len() => {
                Err(GetError::TooShort { len: value.len(), needed })
            }
            copied => Ok(copied.map(|Sliced { version, len }| (version, len))),
        }
    }
}
