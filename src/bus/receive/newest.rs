//! Reading the newest message of a key, and any version of it, without subscribing.

use super::origin::Origin;
use super::sample::Sample;
use super::storage::{AlignedBytes, Storage};
use crate::bus::error::RecvError;
use crate::bus::handle::Bus;
use crate::bus::parts;
use crate::bus::received::Received;
use crate::frame;
use crate::message::{DecodeOwned, InPlace};
use crate::store::directory::REMOVALS;
use crate::store::pin::PinnedVersion;
use crate::store::{GetError, KeyError, Version};

impl<T> Bus<T> {
    /// The newest message of a key; `None` if there is none. Never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]: it is not valid.
    pub fn get(&self, key: &str) -> Result<Option<Received<T>>, RecvError>
    where
        T: DecodeOwned,
    {
        let mut bytes = Vec::new();
        let Some(version) = self.store.get_into(key, &mut bytes).map_err(|error| RecvError::of(error, key))? else {
            return Ok(None);
        };
        let origin = self.origin(key, version);
        let frame = origin.parse(&mut bytes)?;
        if !frame.is_part() {
            return origin.message(&frame);
        }
        let Some((version, mut bytes)) = self.newest_whole(key)? else {
            return Ok(None);
        };
        let origin = self.origin(key, version);
        origin.message(&origin.parse(&mut bytes)?)
    }

    /// The newest message of a key, to be read in place; `None` if there is none. Never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]: it is not valid.
    pub fn sample(&self, key: &str) -> Result<Option<Sample<T>>, RecvError>
    where
        T: InPlace,
    {
        let Some(pinned) = self.store.pin(key).map_err(|error| RecvError::of(error, key))? else {
            return Ok(None);
        };
        if !frame::is_part(&pinned) {
            return self.origin(key, pinned.version()).sample(Storage::Pinned(pinned)).map(Some);
        }
        let Some((version, bytes)) = self.newest_whole(key)? else {
            return Ok(None);
        };
        self.origin(key, version).sample(Storage::Copied(AlignedBytes::copy_of(&bytes))).map(Some)
    }

    /// This version of a key, to be read in place; `None` if it is not kept, or was not published yet. Never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]: it is not valid, or a part of a message that is larger than a cell.
    pub fn sample_version(&self, key: &str, version: u64) -> Result<Option<Sample<T>>, RecvError>
    where
        T: InPlace,
    {
        let Some(slot) = self.store.existing_slot(key).map_err(|error| RecvError::of(error.into(), key))? else {
            return Ok(None);
        };
        let storage = match slot.try_pin(version) {
            Ok(PinnedVersion::Pinned(pinned)) => Storage::Pinned(pinned),
            Ok(PinnedVersion::NotYet | PinnedVersion::Gone) | Err(GetError::Key(KeyError::Removed)) => return Ok(None),
            Ok(PinnedVersion::Claimed) => {
                let mut bytes = Vec::new();
                match slot.get_version_into(version, &mut bytes) {
                    Ok(Version::Copied) => Storage::Copied(AlignedBytes::copy_of(&bytes)),
                    Ok(Version::NotYet | Version::Gone) | Err(GetError::Key(KeyError::Removed)) => return Ok(None),
                    Err(error) => return Err(RecvError::of(error, key)),
                }
            }
            Err(error) => return Err(RecvError::of(error, key)),
        };
        self.origin(key, version).sample(storage).map(Some)
    }

    fn origin<'a>(&'a self, key: &'a str, version: u64) -> Origin<'a> {
        Origin { shared: &self.shared, store: &self.store, key, version }
    }

    /// The newest message that is complete, where the newest version is a part of one.
    #[cold]
    fn newest_whole(&self, key: &str) -> Result<Option<(u64, Vec<u8>)>, RecvError> {
        for _ in 0..REMOVALS {
            // Looked up and not created: a reader waits for nobody.
            let Some(slot) = self.store.existing_slot(key).map_err(|error| RecvError::of(error.into(), key))? else {
                return Ok(None);
            };
            match parts::newest_whole(&slot) {
                // Removed in between: look again.
                Err(GetError::Key(KeyError::Removed)) => {}
                newest => return newest.map_err(|error| RecvError::of(error, key)),
            }
        }
        Err(RecvError::of(GetError::Key(KeyError::Removed), key))
    }
}
