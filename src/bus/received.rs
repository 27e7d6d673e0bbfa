//! A received message with its envelope.

use std::fmt;
use std::ops::Deref;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::names::Names;
use crate::frame::{Frame, Kind};

/// The envelope of a received message: who sent it when, to whom, and as what.
///
/// # Examples
///
/// ```
/// use splinter_bus::Bus;
/// use splinter_bus::frame::Kind;
///
/// # let name = format!("splinter-doc-envelope-{}", std::process::id());
/// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
/// bus.publisher("k")?.from("gateway").to("worker").publish(&b"hello".to_vec())?;
/// let message = bus.get("k")?.expect("one was published");
/// let envelope = message.envelope();
/// assert_eq!((envelope.from(), envelope.to(), envelope.kind()), ("gateway", "worker", Kind::Event));
/// assert_eq!((envelope.seq(), envelope.eof(), message.version()), (0, true, 1));
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), splinter_bus::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    id: Uuid,
    ts: u64,
    version: u64,
    ttl: u32,
    seq: u32,
    marks: Marks,
    names: Names,
}

/// A `Kind` and two flags in one number, all of whose values are valid.
///
/// With invalid values, `Option<Received<T>>` would use one of them for `None`, and a message would
/// be moved in pieces around that byte.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Marks(u8);

const _: () = assert!((Kind::Heartbeat as u8) < Marks::EOF, "kinds and marks do not overlap");

impl Marks {
    const EOF: u8 = 1 << 6;
    const TTL: u8 = 1 << 7;

    #[inline]
    fn of(frame: &Frame<'_>) -> Self {
        let mark = |mark, set| if set { mark } else { 0 };
        Self(frame.kind() as u8 | mark(Self::EOF, frame.eof()) | mark(Self::TTL, frame.ttl().is_some()))
    }

    fn has(self, mark: u8) -> bool {
        self.0 & mark != 0
    }

    fn kind(self) -> Kind {
        // Valid since the frame was parsed.
        Kind::from_byte(self.0 & !(Self::EOF | Self::TTL)).unwrap_or(Kind::Event)
    }
}

impl Envelope {
    #[inline]
    pub(super) fn of(frame: &Frame<'_>, version: u64) -> Self {
        Self {
            id: frame.id(),
            ts: frame.ts(),
            version,
            ttl: frame.ttl().unwrap_or(0),
            seq: frame.seq(),
            marks: Marks::of(frame),
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
        self.marks.kind()
    }

    /// The component that sent it.
    #[must_use]
    pub fn from(&self) -> &str {
        self.names.from()
    }

    /// The component that receives it; `*` for all.
    #[must_use]
    pub fn to(&self) -> &str {
        self.names.to()
    }

    /// Its trace or span id; empty if it has none.
    #[must_use]
    pub fn trace(&self) -> &str {
        self.names.trace()
    }

    /// Its number in its stream, from 0.
    #[must_use]
    pub fn seq(&self) -> u32 {
        self.seq
    }

    /// Whether it is the last message of its stream. A message that is not part of a stream is.
    #[must_use]
    pub fn eof(&self) -> bool {
        self.marks.has(Marks::EOF)
    }

    /// The time after which it expires; `None` if it does not expire.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl_ms().map(|ttl| Duration::from_millis(ttl.into()))
    }

    fn ttl_ms(&self) -> Option<u32> {
        self.marks.has(Marks::TTL).then_some(self.ttl)
    }

    /// When it was sent, by the sender's clock.
    #[must_use]
    pub fn sent_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.ts)
    }

    /// The version of the key that the message is.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("id", &self.id)
            .field("kind", &self.kind())
            .field("from", &self.from())
            .field("to", &self.to())
            .field("trace", &self.trace())
            .field("ts", &self.ts)
            .field("ttl", &self.ttl())
            .field("seq", &self.seq)
            .field("eof", &self.eof())
            .field("version", &self.version)
            .finish()
    }
}

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
        frame.serialize_field("id", envelope.id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))?;
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
        frame.serialize_field("seq", &envelope.seq)?;
        frame.serialize_field("eof", &envelope.eof())?;
        frame.end()
    }
}
