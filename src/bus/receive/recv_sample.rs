//! Receiving messages from a subscriber, to be read in place.

use std::time::Duration;

use super::origin::Origin;
use super::sample::Sample;
use super::storage::{AlignedBytes, Storage};
use super::subscriber::Subscriber;
use crate::bus::error::RecvError;
use crate::message::InPlace;
use crate::store::wait::Deadline;
use crate::store::{GetError, Lookup};

impl<T> Subscriber<T> {
    /// Receives the next message, to be read in place; waits for it without a limit. Spins briefly,
    /// then sleeps.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call continues after the messages that the error reports.
    #[inline]
    pub fn recv_sample(&mut self) -> Result<Sample<T>, RecvError>
    where
        T: InPlace,
    {
        loop {
            if let Some(sample) = self.next_until(Deadline::Never, Self::pin_next)? {
                return Ok(sample);
            }
        }
    }

    /// Receives the next message, to be read in place; waits at most `timeout` for it and then
    /// returns `None`.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call continues after the messages that the error reports.
    pub fn recv_sample_timeout(&mut self, timeout: Duration) -> Result<Option<Sample<T>>, RecvError>
    where
        T: InPlace,
    {
        self.next_until(Deadline::after(Some(timeout)), Self::pin_next)
    }

    /// Receives the next message, to be read in place; `None` if it was not published yet. Never
    /// blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call continues after the messages that the error reports.
    #[inline]
    pub fn try_recv_sample(&mut self) -> Result<Option<Sample<T>>, RecvError>
    where
        T: InPlace,
    {
        self.try_next(Self::pin_next)
    }
}

impl<T: InPlace> Subscriber<T> {
    #[inline]
    fn pin_next(&mut self) -> Result<Option<Sample<T>>, RecvError> {
        let mut newest = None;
        loop {
            let version = self.next;
            let storage = match self.slot.try_pin(version) {
                Ok(Lookup::NotYet) => return self.none_or_error(),
                Ok(Lookup::Found(pinned)) => Storage::Pinned(pinned),
                Ok(Lookup::Gone) => {
                    self.skip_overwritten()?;
                    continue;
                }
                Err(GetError::Claimed { .. }) => match self.slot.get_version_into(version, &mut self.frame) {
                    Ok(Lookup::Found(())) => Storage::Copied(AlignedBytes::copy_of(&self.frame)),
                    Ok(Lookup::NotYet | Lookup::Gone) => {
                        self.skip_overwritten()?;
                        continue;
                    }
                    Err(error) => return Err(self.failed(error)),
                },
                Err(error) => return Err(self.failed(error)),
            };
            self.advance();
            let origin =
                Origin { shared: &self.shared, store: &self.store, key: &self.key, version, reads: self.reads };
            // Without this branch, each sample would be copied once more.
            let Some(component) = &self.addressed_to else {
                return origin.sample(storage);
            };
            match origin.sample_if(storage, |frame| frame.is_for(component)) {
                Ok(None) if self.should_continue(&mut newest)? => {}
                found => return found,
            }
        }
    }
}
