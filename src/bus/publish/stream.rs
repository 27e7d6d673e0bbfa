//! `Stream`: a sequence of messages with one id.

use std::fmt;

use uuid::Uuid;

use super::publisher::Publisher;
use super::sent::Sent;
use super::writer::{Chunk, MessageInfo, Overrides};
use crate::bus::error::PublishError;
use crate::message::Message;
use crate::os::clock;
use crate::store::wait::Deadline;

impl<T: Message> Publisher<T> {
    /// Begins a stream of messages. `id` is that of the query that they answer, or a new one.
    pub fn stream(&mut self, id: Uuid) -> Stream<'_, T> {
        Stream { publisher: self, id, seq: 0, attempt: 1 }
    }
}

/// A sequence of messages with one id. They are numbered from 0, and the last one is marked.
///
/// If a stream is dropped without its last message, its receivers wait for that message. Call
/// [`finish`](Self::finish), or report a [fault](Publisher::fault).
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
        let sent = self.publish(message, Chunk { seq: self.seq, eof: false })?;
        self.seq = next;
        Ok(sent)
    }

    /// Publishes the last message of the stream.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: the stream has no last message.
    pub fn finish(mut self, message: &T) -> Result<Sent, PublishError> {
        self.publish(message, Chunk { seq: self.seq, eof: true })
    }

    fn publish(&mut self, message: &T, chunk: Chunk) -> Result<Sent, PublishError> {
        let overrides = Overrides { attempt: self.attempt, ..Overrides::default() };
        let (fingerprint, ts) = (self.publisher.fingerprint(), clock::unix_nanos());
        let info = MessageInfo { fingerprint, ts, id: self.id, chunk, overrides: Some(&overrides) };
        self.publisher.send(message, info, Deadline::Now)
    }

    /// The number of messages that were sent.
    #[must_use]
    pub fn sent(&self) -> u32 {
        self.seq
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
