//! A received message with its envelope.

use std::ops::Deref;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::envelope::Envelope;
use crate::frame::Kind;

/// A received message and its envelope. Dereferences to the message.
///
/// It has few methods of its own, so that it does not hide methods of the message. Everything else
/// about the message is in [`envelope`](Self::envelope).
///
/// Serializes to the JSON form of its frame: the fields of the envelope, and the message as
/// `payload`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received<T> {
    message: T,
    envelope: Envelope,
}

impl<T> Received<T> {
    #[inline]
    pub(super) fn new(message: T, envelope: Envelope) -> Self {
        Self { message, envelope }
    }

    /// Returns the message without its envelope.
    ///
    /// This is an associated function, so that it does not hide a method of the message:
    /// `Received::into_inner(received)`.
    #[must_use]
    pub fn into_inner(this: Self) -> T {
        this.message
    }

    /// The envelope: id, sender, recipient, kind and time of sending.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The message's version of its key.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.envelope.version()
    }
}

impl<T> Deref for Received<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.message
    }
}

impl<T: Serialize> Serialize for Received<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let envelope = &self.envelope;
        let mut frame = serializer.serialize_struct("Frame", 12)?;
        frame.serialize_field("id", envelope.id().hyphenated().encode_lower(&mut Uuid::encode_buffer()))?;
        frame.serialize_field("ts", &humantime::format_rfc3339_millis(envelope.sent_at()).to_string())?;
        frame.serialize_field("from", envelope.from())?;
        frame.serialize_field("type", envelope.kind().name())?;
        // A heartbeat has no payload.
        match envelope.kind() {
            Kind::Heartbeat => frame.skip_field("payload")?,
            _ => frame.serialize_field("payload", &self.message)?,
        }
        frame.serialize_field("to", envelope.to())?;
        match envelope.reply_to() {
            "" => frame.skip_field("reply_to")?,
            reply_to => frame.serialize_field("reply_to", reply_to)?,
        }
        match envelope.ttl_ms() {
            Some(ttl) => frame.serialize_field("ttl_ms", &ttl)?,
            None => frame.skip_field("ttl_ms")?,
        }
        match envelope.trace() {
            "" => frame.skip_field("trace")?,
            trace => frame.serialize_field("trace", trace)?,
        }
        frame.serialize_field("seq", &envelope.seq())?;
        frame.serialize_field("eof", &envelope.eof())?;
        match envelope.attempt() {
            1 => frame.skip_field("attempt")?,
            attempt => frame.serialize_field("attempt", &attempt)?,
        }
        frame.end()
    }
}
