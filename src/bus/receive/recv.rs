//! Receiving copies of messages.

use std::time::Duration;

use super::origin::Origin;
use super::subscriber::Subscriber;
use crate::bus::error::RecvError;
use crate::bus::received::Received;
use crate::message::DecodeOwned;
use crate::store::Version;
use crate::store::wait::Deadline;

impl<T> Subscriber<T> {
    /// The next message; waits for it, for ever if need be. Spins briefly, then sleeps.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    #[inline]
    pub fn recv(&mut self) -> Result<Received<T>, RecvError>
    where
        T: DecodeOwned,
    {
        loop {
            if let Some(received) = self.next_until(Deadline::Never, Self::look)? {
                return Ok(received);
            }
        }
    }

    /// The next message; `None` if there is none within `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Received<T>>, RecvError>
    where
        T: DecodeOwned,
    {
        self.next_until(Deadline::after(Some(timeout)), Self::look)
    }

    /// The next message; `None` if it was not published yet. Never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    #[inline]
    pub fn try_recv(&mut self) -> Result<Option<Received<T>>, RecvError>
    where
        T: DecodeOwned,
    {
        self.try_next(Self::look)
    }
}

impl<T: DecodeOwned> Subscriber<T> {
    #[inline(never)]
    fn look(&mut self) -> Result<Option<Received<T>>, RecvError> {
        loop {
            match self.slot.get_version_into(self.next, &mut self.frame) {
                Ok(Version::NotYet) => return self.nothing(),
                Ok(Version::Copied) => {
                    let version = self.next;
                    self.pass();
                    let origin = Origin { shared: &self.shared, store: &self.store, key: &self.key, version };
                    let frame = origin.parse(&mut self.frame)?;
                    if !frame.is_part() {
                        return origin.message(&frame);
                    }
                    let message = self.look_at_part(version);
                    if !matches!(message, Ok(None)) {
                        return message;
                    }
                }
                Ok(Version::Gone) => self.skip_what_is_gone()?,
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    /// The message that the part which was copied completes.
    #[cold]
    fn look_at_part(&mut self, version: u64) -> Result<Option<Received<T>>, RecvError> {
        let origin = Origin { shared: &self.shared, store: &self.store, key: &self.key, version };
        let part = origin.parse(&mut self.frame)?;
        let Some(mut whole) = self.parts.accept(&part)? else {
            return Ok(None);
        };
        let frame = origin.parse(&mut whole)?;
        origin.message(&frame)
    }
}

impl<T: DecodeOwned> Iterator for Subscriber<T> {
    type Item = Result<Received<T>, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.recv())
    }
}
