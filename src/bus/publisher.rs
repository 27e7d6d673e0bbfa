//! Publishing under one key.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::error::PublishError;
use super::handle::Shared;
use super::ids::Ids;
use crate::frame::{self, Outgoing};
use crate::message::{Fault, Message};
use crate::os::clock;
use crate::store::{SetError, Slot, Store};

/// How often a key that others keep removing is declared again for one publish.
const ATTEMPTS: usize = 1000;

/// A message that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Its id.
    pub id: Uuid,
    /// Its version under its key.
    pub version: u64,
}

/// Publishes messages under one key, with envelopes of its own making. Keeps the key's slot and a buffer, so that a publish
/// allocates nothing once the buffer has grown.
///
/// If the key is removed, the next publish creates it anew.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use splinter_bus::{Bus, Message, Store};
///
/// #[derive(Message, serde::Serialize, serde::Deserialize)]
/// struct Tick { count: u64 }
///
/// # let name = format!("splinter-doc-publisher-{}", std::process::id());
/// let bus: Bus<Tick> = Bus::create(&name)?;
/// let mut ticks = bus.publisher("ticks")?.from("clock").to("display").ttl(Duration::from_secs(5));
/// ticks.publish(&Tick { count: 1 })?;
/// let tick = bus.get("ticks")?.expect("one was published");
/// assert_eq!((tick.from(), tick.to(), tick.count), ("clock", "display", 1));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Publisher<T> {
    store: Store,
    slot: Slot,
    key: String,
    ids: Ids,
    writer: Writer,
    message: PhantomData<fn(&T)>,
}

/// A message's place in its stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    seq: u32,
    eof: bool,
}

impl Chunk {
    /// A message of its own.
    pub(super) const ONLY: Self = Self { seq: 0, eof: true };
}

/// Makes frames: the parts of an envelope that stay, and the buffer.
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// Empty: that of the bus.
    from: String,
    to: String,
    trace: String,
    ttl: Option<u32>,
    frame: Vec<u8>,
}

impl<T: Message> Publisher<T> {
    pub(super) fn new(store: &Store, shared: &Arc<Shared>, key: &str) -> Result<Self, PublishError> {
        Ok(Self {
            slot: store.slot(key)?,
            store: store.clone(),
            key: key.to_owned(),
            ids: Ids::new(),
            writer: Writer::new(shared),
            message: PhantomData,
        })
    }

    /// The sender's component id, to 255 bytes; program name and process id if none is set.
    #[must_use]
    pub fn from(mut self, component: impl Into<String>) -> Self {
        self.writer.from = component.into();
        self
    }

    /// The recipient's component id, to 255 bytes; `*`, for all, if none is set.
    #[must_use]
    pub fn to(mut self, component: impl Into<String>) -> Self {
        self.writer.to = component.into();
        self
    }

    /// After how long messages are to be discarded: whole milliseconds, to 49 days. Never, if not set.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.writer.ttl = Some(u32::try_from(ttl.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// The trace or span that messages belong to, to 255 bytes.
    #[must_use]
    pub fn trace(mut self, trace: impl Into<String>) -> Self {
        self.writer.trace = trace.into();
        self
    }

    /// Another recipient from now on.
    pub fn set_to(&mut self, component: &str) {
        self.writer.to.clear();
        self.writer.to.push_str(component);
    }

    /// The key that it publishes under.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Publishes a message of its own, with a new id.
    ///
    /// Lock-free; makes system calls only if a subscriber sleeps, or if every cell of the key is in somebody's hands.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published then.
    #[inline]
    pub fn publish(&mut self, message: &T) -> Result<Sent, PublishError> {
        let ts = clock::unix_nanos();
        let id = self.ids.next_mut(ts);
        self.send(message, self.fingerprint(), ts, id, Chunk::ONLY)
    }

    /// A stream of messages with one id: that of the query that they answer, or one of the caller's own.
    pub fn stream(&mut self, id: Uuid) -> Stream<'_, T> {
        Stream { publisher: self, id, seq: 0 }
    }

    /// Tells whoever subscribes to this key that something went wrong with the message `id`.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published then.
    pub fn fault(&mut self, id: Uuid, fault: &Fault) -> Result<Sent, PublishError> {
        self.send(fault, self.writer.shared.fault_fingerprint, clock::unix_nanos(), id, Chunk::ONLY)
    }

    #[inline]
    fn send<M: Message>(
        &mut self,
        message: &M,
        fingerprint: u64,
        ts: u64,
        id: Uuid,
        chunk: Chunk,
    ) -> Result<Sent, PublishError> {
        self.writer.write(message, fingerprint, ts, id, chunk)?;
        match self.slot.set(self.writer.bytes()) {
            Ok(version) => Ok(Sent { id, version }),
            Err(SetError::Removed) => self.declare_and_set(id),
            Err(error) => Err(PublishError::of(error)),
        }
    }

    fn fingerprint(&self) -> u64 {
        self.writer.shared.message_type.fingerprint()
    }

    #[cold]
    fn declare_and_set(&mut self, id: Uuid) -> Result<Sent, PublishError> {
        for _ in 0..ATTEMPTS {
            self.slot = self.store.slot(&self.key)?;
            match self.slot.set(self.writer.bytes()) {
                Ok(version) => return Ok(Sent { id, version }),
                Err(SetError::Removed) => {}
                Err(error) => return Err(PublishError::of(error)),
            }
        }
        Err(PublishError::of(SetError::Removed))
    }
}

impl Writer {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let [from, to, trace] = [const { String::new() }; 3];
        Self { shared: Arc::clone(shared), from, to, trace, ttl: None, frame: Vec::new() }
    }

    /// The frame that was written last.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.frame
    }

    #[inline]
    pub(super) fn write<M: Message>(
        &mut self,
        message: &M,
        fingerprint: u64,
        ts: u64,
        id: Uuid,
        chunk: Chunk,
    ) -> Result<(), PublishError> {
        let envelope = Outgoing {
            kind: M::KIND,
            encoding: M::ENCODING,
            fingerprint,
            id,
            ts,
            ttl: self.ttl,
            seq: chunk.seq,
            eof: chunk.eof,
            from: if self.from.is_empty() { &self.shared.from } else { &self.from },
            to: &self.to,
            trace: &self.trace,
        };
        frame::write(&mut self.frame, &envelope, |payload| message.encode(payload).map_err(PublishError::from))
    }
}

/// Messages that belong together: one id, numbered from 0, the last one marked.
///
/// A stream that is dropped without its last message leaves those who receive it waiting: finish it, or report a
/// [fault](Publisher::fault).
pub struct Stream<'a, T> {
    publisher: &'a mut Publisher<T>,
    id: Uuid,
    seq: u32,
}

impl<T: Message> Stream<'_, T> {
    /// Publishes the next message of the stream, after which there will be others.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; the number is used again for the next one.
    pub fn send(&mut self, message: &T) -> Result<Sent, PublishError> {
        let sent = self.publish(message, Chunk { seq: self.seq, eof: false })?;
        self.seq += 1;
        Ok(sent)
    }

    /// Publishes the last message of the stream.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; the stream has no end then.
    pub fn finish(mut self, message: &T) -> Result<Sent, PublishError> {
        self.publish(message, Chunk { seq: self.seq, eof: true })
    }

    fn publish(&mut self, message: &T, chunk: Chunk) -> Result<Sent, PublishError> {
        self.publisher.send(message, self.publisher.fingerprint(), clock::unix_nanos(), self.id, chunk)
    }

    /// How many messages were sent.
    #[must_use]
    pub fn sent(&self) -> u32 {
        self.seq
    }
}

impl<T> fmt::Debug for Publisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("key", &self.key).field("slot", &self.slot).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Stream<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("id", &self.id).field("seq", &self.seq).finish_non_exhaustive()
    }
}
