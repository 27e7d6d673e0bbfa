//! A message as it was received, with its envelope.

use std::ops::Deref;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::names::Names;
use crate::frame::{Frame, Kind};

/// What came with a message: who sent it when, to whom, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    id: Uuid,
    ts: u64,
    version: u64,
    ttl: Option<u32>,
    seq: u32,
    eof: bool,
    kind: Kind,
    names: Names,
}

impl Envelope {
    #[inline]
    pub(super) fn of(frame: &Frame<'_>, version: u64) -> Self {
        Self {
            id: frame.id(),
            ts: frame.ts(),
            version,
            ttl: frame.ttl(),
            seq: frame.seq(),
            eof: frame.eof(),
            kind: frame.kind(),
            names: Names::of(frame),
        }
    }

    /// The message's id; for a response or an error, the id of the query.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// What the message is for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The component that sent it.
    #[must_use]
    pub fn from(&self) -> &str {
        self.names.from()
    }

    /// The component that it is for; `*` for all.
    #[must_use]
    pub fn to(&self) -> &str {
        self.names.to()
    }

    /// Its trace or span; empty if it has none.
    #[must_use]
    pub fn trace(&self) -> &str {
        self.names.trace()
    }

    /// Its number in its stream, from 0.
    #[must_use]
    pub fn seq(&self) -> u32 {
        self.seq
    }

    /// Whether it is the last of its stream. A message of its own is.
    #[must_use]
    pub fn eof(&self) -> bool {
        self.eof
    }

    /// After how long it was to be discarded.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl.map(|ttl| Duration::from_millis(ttl.into()))
    }

    /// When it was sent, by the sender's clock.
    #[must_use]
    pub fn sent_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.ts)
    }

    /// Its version under its key.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }
}

/// A message and its envelope. Dereferences to the message.
///
/// Serializes to the JSON rendering of its frame: the fields of the envelope, with `payload` for the message.
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

    /// The message alone.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.message
    }

    /// The envelope.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The message's id; for a response or an error, the id of the query.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.envelope.id()
    }

    /// The component that sent it.
    #[must_use]
    pub fn from(&self) -> &str {
        self.envelope.from()
    }

    /// The component that it is for; `*` for all.
    #[must_use]
    pub fn to(&self) -> &str {
        self.envelope.to()
    }

    /// Its number in its stream, from 0.
    #[must_use]
    pub fn seq(&self) -> u32 {
        self.envelope.seq()
    }

    /// Whether it is the last of its stream. A message of its own is.
    #[must_use]
    pub fn eof(&self) -> bool {
        self.envelope.eof()
    }

    /// Its version under its key.
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
        frame.serialize_field("id", envelope.id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))?;
        frame.serialize_field("ts", &humantime::format_rfc3339_millis(envelope.sent_at()).to_string())?;
        frame.serialize_field("from", envelope.from())?;
        frame.serialize_field("type", envelope.kind.name())?;
        // A heartbeat has none.
        match envelope.kind {
            Kind::Heartbeat => frame.skip_field("payload")?,
            _ => frame.serialize_field("payload", &self.message)?,
        }
        frame.serialize_field("to", envelope.to())?;
        match envelope.ttl {
            Some(ttl) => frame.serialize_field("ttl_ms", &ttl)?,
            None => frame.skip_field("ttl_ms")?,
        }
        match envelope.trace() {
            "" => frame.skip_field("trace")?,
            trace => frame.serialize_field("trace", trace)?,
        }
        frame.serialize_field("seq", &envelope.seq)?;
        frame.serialize_field("eof", &envelope.eof)?;
        frame.end()
    }
}
