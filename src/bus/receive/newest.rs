//! Reading the newest message of a key, or a given version, without subscribing.

use super::origin::Origin;
use super::sample::Sample;
use super::sender_types::Reads;
use super::storage::{AlignedBytes, Storage};
use crate::bus::error::RecvError;
use crate::bus::handle::Bus;
use crate::bus::received::Received;
use crate::message::{DecodeOwned, InPlace};
use crate::store::{GetError, KeyError, Lookup};

impl<T> Bus<T> {
    /// Returns a copy of the newest message of a key; `None` if there is none. Never blocks.
    ///
    /// The message is returned by value. Read plain types of more than 256 KiB by
    /// [`sample`](Self::sample), because they may not fit on the stack of a thread.
    ///
    /// # Errors
    ///
    /// [`RecvError`]: the newest version is not a valid message of type `T`.
    pub fn get(&self, key: &str) -> Result<Option<Received<T>>, RecvError>
    where
        T: DecodeOwned,
    {
        let mut bytes = Vec::new();
        let Some(version) = self.store.get_into(key, &mut bytes).map_err(|error| RecvError::of(error, key))? else {
            return Ok(None);
        };
        let origin = self.origin(key, version);
        origin.message(&origin.parse(&mut bytes)?)
    }

    /// Returns the newest message of a key, to be read in place; `None` if there is none. Never
    /// blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]: the newest version is not a valid message of type `T`.
    pub fn sample(&self, key: &str) -> Result<Option<Sample<T>>, RecvError>
    where
        T: InPlace,
    {
        let Some(pinned) = self.store.pin(key).map_err(|error| RecvError::of(error, key))? else {
            return Ok(None);
        };
        self.origin(key, pinned.version()).sample(Storage::Pinned(pinned))
    }

    /// Returns a given version of a key, to be read in place. `None` if it was not published yet,
    /// or is not kept any more. Never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]: the version is not a valid message of type `T`.
    pub fn sample_version(&self, key: &str, version: u64) -> Result<Option<Sample<T>>, RecvError>
    where
        T: InPlace,
    {
        let Some(slot) = self.store.existing_slot(key).map_err(|error| RecvError::of(error.into(), key))? else {
            return Ok(None);
        };
        let storage = match slot.try_pin(version) {
            Ok(Lookup::Found(pinned)) => Storage::Pinned(pinned),
            Ok(Lookup::NotYet | Lookup::Gone) | Err(GetError::Key(KeyError::Removed)) => return Ok(None),
            Err(GetError::Claimed { .. }) => {
                let mut bytes = Vec::new();
                match slot.get_version_into(version, &mut bytes) {
                    Ok(Lookup::Found(())) => Storage::Copied(AlignedBytes::copy_of(&bytes)),
                    Ok(Lookup::NotYet | Lookup::Gone) | Err(GetError::Key(KeyError::Removed)) => return Ok(None),
                    Err(error) => return Err(RecvError::of(error, key)),
                }
            }
            Err(error) => return Err(RecvError::of(error, key)),
        };
        self.origin(key, version).sample(storage)
    }

    fn origin<'a>(&'a self, key: &'a str, version: u64) -> Origin<'a> {
        Origin { shared: &self.shared, store: &self.store, key, version, reads: Reads::Compatible }
    }
}
