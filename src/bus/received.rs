//! A received message with its envelope.

use std::ops::Deref;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::envelope::Envelope;
use crate::frame::Kind;

/// A received message and its envelope. Dereferences to the message.
///
/// Methods of its own are few, so that they hide none of the message: what came with the message is
/// in [`envelope`](Self::envelope).
///
/// Serializes to the JSON rendering of its frame: the fields of the envelope, with `payload` for
/// the message.
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

    /// Takes the message out.
    ///
    /// An associated function, so that it hides no method of the message:
    /// `Received::into_inner(received)`.
    #[must_use]
    pub fn into_inner(this: Self) -> T {
        this.message
    }

    /// The envelope: id, sender, recipient, kind, time.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The version of the key that the message is.
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
        let mut frame = serializer.serialize_struct("Frame", 10)?;
        frame.serialize_field("id", envelope.id().hyphenated().encode_lower(&mut Uuid::encode_buffer()))?;
        frame.serialize_field("ts", &humantime::format_rfc3339_millis(envelope.sent_at()).to_string())?;
        frame.serialize_field("from", envelope.from())?;
        frame.serialize_field("type", envelope.kind().name())?;
        // A heartbeat has none.
        match envelope.kind() {
            Kind::Heartbeat => frame.skip_field("payload")?,
            _ => frame.serialize_field("payload", &self.message)?,
        }
        frame.serialize_field("to", envelope.to())?;
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
        frame.end()
    }
}
