//! The envelope of a received message.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::names::Names;
use crate::frame::{Frame, Kind};
use crate::message::EnvelopeFields;

/// The envelope of a received message: its id, sender, recipient, kind and time of sending.
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
    attempt: u8,
    marks: Marks,
    names: Names,
}

/// A [`Kind`] and two flags in one byte. Every value of the byte is valid.
///
/// If some values were invalid, `Option<Received<T>>` would use one of them for `None`. The
/// compiler would then move a message in two pieces, before and after that byte.
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
        // The frame was parsed, so this is the number of a kind.
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
            attempt: frame.attempt(),
            marks: Marks::of(frame),
            names: Names::of(frame),
        }
    }

    /// The id of the message. For a response or an error, this is the id of the query.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The kind of the message: what it is for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.marks.kind()
    }

    /// The sender's component id.
    #[must_use]
    pub fn from(&self) -> &str {
        self.names.from()
    }

    /// The recipient's component id; `*` if the message is for all.
    #[must_use]
    pub fn to(&self) -> &str {
        self.names.to()
    }

    /// The trace or span id; empty if the message has none.
    #[must_use]
    pub fn trace(&self) -> &str {
        self.names.trace()
    }

    /// Where the sender expects answers: a key, or `KEY#LANE`; empty if the message says nothing
    /// about it.
    #[must_use]
    pub fn reply_to(&self) -> &str {
        self.names.reply_to()
    }

    /// 1 for the first delivery of what this message answers; more if the answer was begun again
    /// after a worker died. 255 stands for 255 or more.
    ///
    /// The sender says this. How often a message of a work queue was leased is
    /// [`Job::attempt`](crate::Job::attempt).
    #[must_use]
    pub fn attempt(&self) -> u8 {
        self.attempt
    }

    /// The number of the message in its stream, counted from 0.
    #[must_use]
    pub fn seq(&self) -> u32 {
        self.seq
    }

    /// Whether this is the last message of its stream. `true` for a message outside of streams.
    #[must_use]
    pub fn eof(&self) -> bool {
        self.marks.has(Marks::EOF)
    }

    /// The time after which the message expires; `None` if it does not expire.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl_ms().map(|ttl| Duration::from_millis(ttl.into()))
    }

    /// All fields, for their JSON form.
    pub(super) fn fields(&self) -> EnvelopeFields<'_> {
        EnvelopeFields {
            id: self.id,
            ts: self.ts,
            from: self.from(),
            kind: self.kind(),
            to: self.to(),
            reply_to: self.reply_to(),
            ttl_ms: self.ttl_ms(),
            trace: self.trace(),
            seq: self.seq,
            eof: self.eof(),
            attempt: self.attempt(),
        }
    }

    fn ttl_ms(&self) -> Option<u32> {
        self.marks.has(Marks::TTL).then_some(self.ttl)
    }

    /// The time of sending, by the sender's clock.
    #[must_use]
    pub fn sent_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.ts)
    }

    /// The message's version of its key.
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
            .field("reply_to", &self.reply_to())
            .field("ts", &self.ts)
            .field("ttl", &self.ttl())
            .field("seq", &self.seq)
            .field("eof", &self.eof())
            .field("attempt", &self.attempt)
            .field("version", &self.version)
            .finish()
    }
}
