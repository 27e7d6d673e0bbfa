//! Receiving messages that are read in place.

use std::time::Duration;

use super::origin::Origin;
use super::sample::Sample;
use super::storage::{AlignedBytes, Storage};
use super::subscriber::Subscriber;
use crate::bus::error::RecvError;
use crate::frame;
use crate::message::InPlace;
use crate::store::Version;
use crate::store::pin::PinnedVersion;
use crate::store::wait::Deadline;

impl<T> Subscriber<T> {
    /// The next message, to be read in place; waits for it, for ever if need be.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    #[inline]
    pub fn recv_sample(&mut self) -> Result<Sample<T>, RecvError>
    where
        T: InPlace,
    {
        loop {
            if let Some(sample) = self.next_until(Deadline::Never, Self::look_in_place)? {
                return Ok(sample);
            }
        }
    }

    /// The next message, to be read in place; `None` if there is none within `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    pub fn recv_sample_timeout(&mut self, timeout: Duration) -> Result<Option<Sample<T>>, RecvError>
    where
        T: InPlace,
    {
        self.next_until(Deadline::after(Some(timeout)), Self::look_in_place)
    }

    /// The next message, to be read in place; `None` if it was not published yet. Never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    #[inline]
    pub fn try_recv_sample(&mut self) -> Result<Option<Sample<T>>, RecvError>
    where
        T: InPlace,
    {
        self.try_next(Self::look_in_place)
    }
}

impl<T: InPlace> Subscriber<T> {
    #[inline]
    fn look_in_place(&mut self) -> Result<Option<Sample<T>>, RecvError> {
        loop {
            let version = self.next;
            let storage = match self.slot.try_pin(version) {
                Ok(PinnedVersion::NotYet) => return self.nothing(),
                Ok(PinnedVersion::Pinned(pinned)) => Storage::Pinned(pinned),
                Ok(PinnedVersion::Gone) => {
                    self.skip_what_is_gone()?;
                    continue;
                }
                Ok(PinnedVersion::Claimed) => match self.slot.get_version_into(version, &mut self.frame) {
                    Ok(Version::Copied) => Storage::Copied(AlignedBytes::copy_of(&self.frame)),
                    Ok(Version::NotYet | Version::Gone) => {
                        self.skip_what_is_gone()?;
                        continue;
                    }
                    Err(error) => return Err(self.lost(error)),
                },
                Err(error) => return Err(self.lost(error)),
            };
            self.pass();
            let origin = Origin { shared: &self.shared, store: &self.store, key: &self.key, version };
            if !frame::is_part(storage.as_slice()) {
                return origin.sample(storage).map(Some);
            }
            if let Storage::Pinned(pinned) = &storage {
                pinned.copy_into(&mut self.frame);
            }
            let part = origin.parse(&mut self.frame)?;
            if !part.is_part() {
                // It was one a moment ago: somebody writes to what is pinned.
                return origin.sample(Storage::Copied(AlignedBytes::copy_of(&self.frame))).map(Some);
            }
            if let Some(whole) = self.parts.accept(&part)? {
                return origin.sample(Storage::Copied(AlignedBytes::copy_of(&whole))).map(Some);
            }
        }
    }
}
