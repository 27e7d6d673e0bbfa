//! Receiving copies of messages from a subscriber.

use std::time::Duration;

use super::origin::Origin;
use super::subscriber::Subscriber;
use crate::bus::error::RecvError;
use crate::bus::received::Received;
use crate::message::DecodeOwned;
use crate::store::Lookup;
use crate::store::wait::Deadline;

impl<T> Subscriber<T> {
    /// Receives the next message; waits for it without a limit. Spins briefly, then sleeps.
    ///
    /// The message is returned by value. Read plain types of more than 256 KiB by
    /// [`recv_sample`](Self::recv_sample), because they may not fit on the stack of a thread.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call continues after the messages that the error reports.
    #[inline]
    pub fn recv(&mut self) -> Result<Received<T>, RecvError>
    where
        T: DecodeOwned,
    {
        loop {
            if let Some(received) = self.next_until(Deadline::Never, Self::copy_next)? {
                return Ok(received);
            }
        }
    }

    /// Receives the next message; waits at most `timeout` for it and then returns `None`.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call continues after the messages that the error reports.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Received<T>>, RecvError>
    where
        T: DecodeOwned,
    {
        self.next_until(Deadline::after(Some(timeout)), Self::copy_next)
    }

    /// Receives the next message; `None` if it was not published yet. Never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call continues after the messages that the error reports.
    #[inline]
    pub fn try_recv(&mut self) -> Result<Option<Received<T>>, RecvError>
    where
        T: DecodeOwned,
    {
        self.try_next(Self::copy_next)
    }
}

impl<T: DecodeOwned> Subscriber<T> {
    #[inline(never)]
    fn copy_next(&mut self) -> Result<Option<Received<T>>, RecvError> {
        let mut newest = None;
        loop {
            match self.slot.get_version_into(self.next, &mut self.frame) {
                Ok(Lookup::NotYet) => return self.none_or_error(),
                Ok(Lookup::Found(())) => {
                    let version = self.next;
                    self.advance();
                    let origin =
                        Origin { shared: &self.shared, store: &self.store, key: &self.key, version, reads: self.reads };
                    let frame = origin.parse(&mut self.frame)?;
                    if self.addressed_to.as_deref().is_none_or(|component| frame.is_for(component)) {
                        return origin.message(&frame);
                    }
                    if !self.should_continue(&mut newest)? {
                        return Ok(None);
                    }
                }
                Ok(Lookup::Gone) => self.skip_overwritten()?,
                Err(error) => return Err(self.failed(error)),
            }
        }
    }
}

impl<T: DecodeOwned> Iterator for Subscriber<T> {
    type Item = Result<Received<T>, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.recv())
    }
}
