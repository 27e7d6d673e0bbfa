//! `Stream`: a sequence of messages with one id.

use std::fmt;

use uuid::Uuid;

use super::publisher::Publisher;
use super::sent::Sent;
use super::writer::{Chunk, MessageInfo, Overrides};
use crate::bus::error::PublishError;
use crate::frame::FaultCode;
use crate::message::{Fault, Message};
use crate::os::clock;
use crate::store::wait::Deadline;

impl<T: Message> Publisher<T> {
    /// Begins a stream of messages. `id` is that of the query that they answer, or a new one.
    pub fn stream(&mut self, id: Uuid) -> Stream<'_, T> {
        Stream { publisher: self, id, seq: 0, attempt: 1, has_ended: false }
    }
}

/// A sequence of messages with one id. They are numbered from 0, and the last one is marked.
///
/// [`finish`](Self::finish) or [`fault`](Self::fault) ends it. A stream that is dropped before publishes a fault
/// ([`FaultCode::InternalError`]), so that its receivers do not wait: also if a panic drops it, and unless the key
/// was removed, or no cell is free. A process that is killed publishes nothing.
///
/// # Examples
///
/// ```
/// use splinter_bus::Bus;
///
/// # let name = format!("splinter-doc-stream-{}", std::process::id());
/// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
/// let query = bus.publish("queries", &b"Why is the sky blue?".to_vec())?;
/// let mut answers = bus.subscribe("answers")?;
/// let mut publisher = bus.publisher("answers")?;
/// let mut stream = publisher.stream(query.id);
/// stream.send(&b"Air scatters blue light".to_vec())?;
/// stream.finish(&b" more than red light.".to_vec())?;
/// let mut text = Vec::new();
/// loop {
///     let answer = answers.recv()?;
///     assert_eq!(answer.envelope().id(), query.id);
///     text.extend_from_slice(&answer);
///     if answer.envelope().eof() {
///         break;
///     }
/// }
/// assert_eq!(text, b"Air scatters blue light more than red light.");
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), splinter_bus::Error>(())
/// ```
pub struct Stream<'a, T> {
    publisher: &'a mut Publisher<T>,
    id: Uuid,
    seq: u32,
    attempt: u8,
    /// It has its last message, or its fault.
    has_ended: bool,
}

impl<T: Message> Stream<'_, T> {
    /// Sets which attempt to answer the stream is: 1, the default, for the first, more if an earlier
    /// stream did not end. 255 stands for 255 or more.
    #[must_use]
    pub fn attempt(mut self, attempt: u8) -> Self {
        self.attempt = attempt;
        self
    }

    /// Publishes the next message of the stream, which is not the last one.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: nothing was published, and the next message gets the same number.
    pub fn send(&mut self, message: &T) -> Result<Sent, PublishError> {
        // The last number is reserved for the last message.
        let next = self.seq.checked_add(1).ok_or(PublishError::StreamTooLong)?;
        let sent = self.publish(self.publisher.fingerprint(), message, Chunk { seq: self.seq, eof: false })?;
        self.seq = next;
        Ok(sent)
    }

    /// Publishes the last message of the stream.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: the message was not published. The stream is dropped, which tries to publish a fault
    /// instead.
    pub fn finish(mut self, message: &T) -> Result<Sent, PublishError> {
        let sent = self.publish(self.publisher.fingerprint(), message, Chunk { seq: self.seq, eof: true })?;
        self.has_ended = true;
        Ok(sent)
    }

    /// Ends the stream with a fault instead of a last message. Its receivers get it as
    /// [`RecvError::Fault`](crate::RecvError::Fault).
    ///
    /// # Errors
    ///
    /// [`PublishError`]: the fault was not published. The stream is dropped, which tries to publish one again.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::frame::FaultCode;
    /// use splinter_bus::message::Fault;
    /// use splinter_bus::{Bus, RecvError};
    ///
    /// # let name = format!("splinter-doc-stream-fault-{}", std::process::id());
    /// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
    /// let query = bus.publish("queries", &b"Why is the sky blue?".to_vec())?;
    /// let mut answers = bus.subscribe("answers")?;
    /// let mut publisher = bus.publisher("answers")?;
    /// let mut stream = publisher.stream(query.id);
    /// stream.send(&b"Air scatters".to_vec())?;
    /// stream.fault(&Fault::new(FaultCode::InternalError, "the model has gone"))?;
    /// assert_eq!(**answers.recv()?, *b"Air scatters");
    /// assert!(matches!(answers.recv(), Err(RecvError::Fault(_))));
    /// # splinter_bus::Store::remove(&name)?;
    /// # Ok::<(), splinter_bus::Error>(())
    /// ```
    pub fn fault(mut self, fault: &Fault) -> Result<Sent, PublishError> {
        let sent = self.publish(self.publisher.fault_fingerprint(), fault, Chunk { seq: self.seq, eof: true })?;
        self.has_ended = true;
        Ok(sent)
    }

    /// The number of messages that were sent.
    #[must_use]
    pub fn sent(&self) -> u32 {
        self.seq
    }
}

impl<T> Stream<'_, T> {
    fn publish<M: Message>(&mut self, fingerprint: u64, message: &M, chunk: Chunk) -> Result<Sent, PublishError> {
        let overrides = Overrides { attempt: self.attempt, ..Overrides::default() };
        let info =
            MessageInfo { fingerprint, ts: clock::unix_nanos(), id: self.id, chunk, overrides: Some(&overrides) };
        self.publisher.send(message, info, Deadline::Now)
    }
}

impl<T> Drop for Stream<'_, T> {
    fn drop(&mut self) {
        // A key that was removed is not created again for this: perhaps nobody would remove it.
        if !self.has_ended && self.publisher.slot.exists() {
            let fault = Fault::new(FaultCode::InternalError, "the stream was dropped before its end");
            // If it cannot be published, the receivers are no worse off than if this process was killed.
            let _ = self.publish(self.publisher.fault_fingerprint(), &fault, Chunk { seq: self.seq, eof: true });
        }
    }
}

impl<T> fmt::Debug for Stream<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("id", &self.id).field("seq", &self.seq).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bus, Store};

    #[test]
    fn a_stream_ends_at_the_last_number_instead_of_counting_from_zero_again() {
        let name = format!("splinter-test-long-stream-{}", std::process::id());
        let bus: Bus<Vec<u8>> = Bus::create(&name).unwrap();
        Store::remove(&name).unwrap();
        let mut publisher = bus.publisher("k").unwrap();
        let mut stream = publisher.stream(Uuid::nil());
        stream.seq = u32::MAX - 1;
        stream.send(&vec![1]).unwrap();
        assert!(matches!(stream.send(&vec![2]), Err(PublishError::StreamTooLong)));
        stream.finish(&vec![3]).unwrap();
        let last = bus.get("k").unwrap().unwrap();
        assert_eq!((last.envelope().seq(), last.envelope().eof()), (u32::MAX, true));
    }
}
