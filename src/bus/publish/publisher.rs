//! Publishing under one key.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::sent::{Sent, limit_of, publish_frame};
use super::writer::{Chunk, Stamp, Writer};
use crate::bus::error::PublishError;
use crate::bus::handle::Bus;
use crate::bus::ids::Ids;
use crate::bus::parts;
use crate::bus::shared::Shared;
use crate::frame::{self, Outgoing};
use crate::message::{Fault, Message};
use crate::os::clock;
use crate::store::directory::REMOVALS;
use crate::store::wait::Deadline;
use crate::store::{KeyError, SetError, Slot, Store};

/// Publishes messages under one key, with envelopes of its own making. Keeps the key's slot and a buffer, so that a publish
/// allocates nothing once the buffer has grown.
///
/// A message that is larger than a cell goes in parts, and comes back as one message. It may have as many as the store keeps versions of
/// a key; more only with a timeout, on a key with lossless subscribers; and on a work queue it must fit into a cell.
///
/// If the key is removed, the next publish or loan creates it again. That waits for others that create or remove keys, ten seconds at most,
/// or no longer than the timeout of that publish.
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
/// assert_eq!((tick.envelope().from(), tick.envelope().to(), tick.count), ("clock", "display", 1));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Publisher<T> {
    pub(super) store: Store,
    pub(super) slot: Slot,
    pub(super) key: Arc<str>,
    pub(super) ids: Ids,
    pub(super) writer: Writer,
    message: PhantomData<fn(&T)>,
}

impl<T: Message> Bus<T> {
    /// Publishes a message under a key, creating the key if there is none.
    ///
    /// Who publishes often under one key is better served by a [publisher](Self::publisher), which finds the key once and
    /// keeps its buffer. Creating a key waits for others that create or remove keys, ten seconds at most.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published then.
    pub fn publish(&self, key: &str, message: &T) -> Result<Sent, PublishError> {
        let ts = clock::unix_nanos();
        let id = self.shared.ids.next(ts);
        let mut writer = Writer::new(&self.shared);
        let fingerprint = self.shared.message_type.fingerprint();
        writer.write(message, Stamp { fingerprint, ts, id, chunk: Chunk::ONLY })?;
        if writer.bytes().len() > self.store.geometry().max_value_size as usize {
            // It goes in parts.
            return self.publisher(key)?.publish(message);
        }
        let version = self.store.set(key, writer.bytes())?;
        Ok(Sent { id, version })
    }

    /// A publisher for one key, which is created if there is none. That waits for others that create or remove keys, ten seconds at most.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: no key, or no room for it.
    pub fn publisher(&self, key: &str) -> Result<Publisher<T>, PublishError> {
        Publisher::new(&self.store, &self.shared, key)
    }
}

impl<T: Message> Publisher<T> {
    fn new(store: &Store, shared: &Arc<Shared>, key: &str) -> Result<Self, PublishError> {
        Ok(Self {
            slot: store.slot(key)?,
            store: store.clone(),
            key: key.into(),
            ids: Ids::new(),
            writer: Writer::new(shared),
            message: PhantomData,
        })
    }

    /// The sender's component id, to 255 bytes. Program name, cut at 200 bytes, and process id, if none is set or it is empty.
    ///
    /// With a longer one, and so with a longer recipient or trace, each publish fails with [`PublishError::Frame`].
    #[must_use]
    pub fn from(mut self, component: impl Into<String>) -> Self {
        self.writer.sender.from = component.into();
        self
    }

    /// The recipient's component id, to 255 bytes. `*`, which means all, if none is set or it is empty.
    #[must_use]
    pub fn to(mut self, component: impl Into<String>) -> Self {
        self.writer.sender.to = component.into();
        self
    }

    /// After how long messages are to be discarded: 1 millisecond to 2^32 - 1 milliseconds, which are 49.7 days. A fraction of a millisecond is
    /// rounded up. Never, if not set.
    ///
    /// With a shorter or longer one, each publish fails with [`PublishError::Ttl`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use splinter_bus::{Bus, PublishError};
    ///
    /// # let name = format!("splinter-doc-ttl-{}", std::process::id());
    /// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
    /// let mut publisher = bus.publisher("k")?.ttl(Duration::from_micros(1500));
    /// publisher.publish(&b"message".to_vec())?;
    /// assert_eq!(bus.get("k")?.unwrap().envelope().ttl(), Some(Duration::from_millis(2)));
    /// let mut publisher = publisher.ttl(Duration::from_micros(500));
    /// assert!(matches!(publisher.publish(&b"message".to_vec()), Err(PublishError::Ttl { .. })));
    /// # splinter_bus::Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.writer.sender.set_ttl(ttl);
        self
    }

    /// The trace or span that messages belong to, to 255 bytes.
    #[must_use]
    pub fn trace(mut self, trace: impl Into<String>) -> Self {
        self.writer.sender.trace = trace.into();
        self
    }

    /// Another recipient from now on.
    pub fn set_to(&mut self, component: &str) {
        self.writer.sender.to.clear();
        self.writer.sender.to.push_str(component);
    }

    /// The key that it publishes under.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Publishes a message of its own, with a new id.
    ///
    /// Lock-free; makes system calls only if a subscriber sleeps, or if every cell of the key is in somebody's hands. In a file, it also
    /// waits for one small write to the disk in every 67 million versions of a key, and at the first publish after a recovery.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published then.
    #[inline]
    pub fn publish(&mut self, message: &T) -> Result<Sent, PublishError> {
        self.publish_within(message, Deadline::Now)
    }

    /// As [`publish`](Self::publish), and waits for a cell, at most for `timeout`, while none may be overwritten: until lossless
    /// subscribers and workers of a queue have received what they are to receive, and readers have let go of what they have pinned.
    ///
    /// Of a message that goes in parts, each part is waited for that long.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published then. (Of a message that goes in parts, some may have been: whoever receives them is told
    /// that the message is incomplete.)
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use splinter_bus::bus::SubscribeOptions;
    /// use splinter_bus::store::SetError;
    /// use splinter_bus::{Bus, PublishError};
    ///
    /// # let name = format!("splinter-doc-publish-timeout-{}", std::process::id());
    /// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
    /// let mut log = bus.subscribe_with("log", &SubscribeOptions::new().lossless())?;
    /// let mut publisher = bus.publisher("log")?;
    /// let line = b"line".to_vec();
    /// while publisher.publish(&line).is_ok() {}
    /// let waited = publisher.publish_timeout(&line, Duration::from_millis(5));
    /// assert!(matches!(waited, Err(PublishError::Set(SetError::Backpressure(_)))));
    /// log.recv()?;
    /// publisher.publish_timeout(&line, Duration::from_millis(5))?;
    /// # splinter_bus::Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish_timeout(&mut self, message: &T, timeout: Duration) -> Result<Sent, PublishError> {
        self.publish_within(message, Deadline::after(Some(timeout)))
    }

    #[inline]
    fn publish_within(&mut self, message: &T, deadline: Deadline) -> Result<Sent, PublishError> {
        let ts = clock::unix_nanos();
        let id = self.ids.next_mut(ts);
        let stamp = Stamp { fingerprint: self.fingerprint(), ts, id, chunk: Chunk::ONLY };
        self.send(message, stamp, deadline)
    }

    /// Tells whoever subscribes to this key that something went wrong with the message `id`.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published then.
    pub fn fault(&mut self, id: Uuid, fault: &Fault) -> Result<Sent, PublishError> {
        let fingerprint = self.writer.sender.shared.fault_fingerprint;
        let stamp = Stamp { fingerprint, ts: clock::unix_nanos(), id, chunk: Chunk::ONLY };
        self.send(fault, stamp, Deadline::Now)
    }

    #[inline]
    pub(super) fn send<M: Message>(
        &mut self,
        message: &M,
        stamp: Stamp,
        deadline: Deadline,
    ) -> Result<Sent, PublishError> {
        self.writer.write(message, stamp)?;
        let frame = self.writer.bytes();
        if frame.len() > self.slot.max_len() {
            return self.send_parts::<M>(stamp, deadline);
        }
        let id = stamp.id;
        match self.slot.set_within(frame, deadline) {
            Ok(version) => Ok(Sent { id, version }),
            Err(SetError::Key(KeyError::Removed)) => {
                let (version, slot) = publish_frame(&self.store, &self.key, self.writer.bytes(), deadline)?;
                self.slot = slot;
                Ok(Sent { id, version })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Publishes the frame that was written in as many frames as it takes.
    #[cold]
    fn send_parts<M: Message>(&mut self, stamp: Stamp, deadline: Deadline) -> Result<Sent, PublishError> {
        self.slot.check_fork()?;
        let (len, max) = (self.writer.bytes().len(), self.slot.max_len());
        let mut envelope = self.writer.sender.part_envelope::<M>(stamp);
        let overhead = frame::head_len(&envelope)? + parts::PREFIX_LEN;
        let Some(room) = max.checked_sub(overhead).filter(|&room| room > 0) else {
            return Err(SetError::TooLarge { len, max }.into());
        };
        let total = u32::try_from(len).map_err(|_| SetError::TooLarge { len, max })?;
        let number = self.ids.next_mut(stamp.ts).as_u64_pair().1;
        let parts = len.div_ceil(room);
        let mut part = Vec::with_capacity(max);
        let mut limit = limit_of(deadline);
        'again: for _ in 0..REMOVALS {
            self.check_parts(len, parts, deadline)?;
            let mut version = 0;
            for (seq, bytes) in (0..).zip(self.writer.bytes().chunks(room)) {
                envelope = Outgoing { seq, eof: seq as usize + 1 == parts, ..envelope };
                frame::write::<PublishError>(&mut part, &envelope, |payload| {
                    payload.extend_from_slice(&parts::prefix(number, total));
                    payload.extend_from_slice(bytes);
                    Ok(())
                })?;
                version = match self.slot.set_within(&part, deadline) {
                    Ok(version) => version,
                    Err(SetError::Key(KeyError::Removed)) => {
                        self.slot = self.store.slot_within(&self.key, &mut limit)?;
                        continue 'again;
                    }
                    Err(error) => return Err(error.into()),
                };
            }
            return Ok(Sent { id: stamp.id, version });
        }
        Err(KeyError::Removed.into())
    }

    /// Whether a message of so many parts can be received, and sent without waiting if nobody wants to wait.
    fn check_parts(&self, len: usize, parts: usize, deadline: Deadline) -> Result<(), PublishError> {
        if self.slot.is_queue() {
            return Err(SetError::TooLarge { len, max: self.slot.max_len() }.into());
        }
        let history = self.store.geometry().history;
        let waits = !matches!(deadline, Deadline::Now) && self.slot.has_lossless();
        if parts > history as usize && !waits {
            return Err(PublishError::TooManyParts { len, parts, history });
        }
        let cells = self.slot.cells();
        let room = cells.total().saturating_sub(cells.retained + cells.pinned + cells.in_flight);
        if matches!(deadline, Deadline::Now) && cells.retained > 0 && (room as usize) < parts {
            return Err(SetError::Backpressure(Box::new(cells)).into());
        }
        Ok(())
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.writer.sender.shared.message_type.fingerprint()
    }
}

impl<T> fmt::Debug for Publisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("key", &self.key).field("slot", &self.slot).finish_non_exhaustive()
    }
}
