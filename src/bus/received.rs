//! A received message with its envelope.

use std::ops::Deref;

use serde::{Serialize, Serializer};

use super::envelope::Envelope;
use crate::message::FrameJson;

/// A received message and its envelope. Dereferences to the message.
///
/// It has few methods of its own, so that it does not hide methods of the message. Everything else
/// about the message is in [`envelope`](Self::envelope).
///
/// Serializes to the JSON form of its frame: the fields of the envelope, and the message as
/// `payload`, as its type serializes it. [`MessageType::frame_to_json`](crate::message::MessageType::frame_to_json)
/// writes all that a frame says, such as numbers of 128 bits.
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
        FrameJson::new(&self.envelope.fields(), &self.message).serialize(serializer)
    }
}
