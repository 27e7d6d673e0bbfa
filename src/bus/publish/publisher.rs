//! `Publisher`: publishing under one key.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::sent::{Sent, publish_frame};
use super::ttl::Ttl;
use super::writer::{Chunk, MessageInfo, Overrides, Writer};
use crate::bus::error::PublishError;
use crate::bus::handle::Bus;
use crate::bus::ids::Ids;
use crate::bus::shared::Shared;
use crate::message::{Fault, Message};
use crate::os::clock;
use crate::store::directory::WaitLimit;
use crate::store::wait::Deadline;
use crate::store::{KeyError, KeyOptions, SetError, Slot, Store};

/// How long the first publish of a bus waits to leave its type in the store.
const TYPE_WAIT: Duration = Duration::from_millis(100);

/// Publishes messages under one key.
///
/// It adds an envelope to each message. It keeps the key's slot and a buffer, so a publish
/// allocates nothing once the buffer is large enough.
///
/// With its envelope, a message may be as long as the longest value of its key
/// ([`Slot::max_len`](crate::store::Slot::max_len)): 42.6 MiB, or 3.9 MiB on a work queue, unless
/// the options of the key or of the store say otherwise.
///
/// If the process dies during a publish, the message is either published completely or never seen,
/// and its cell is reclaimed.
///
/// If the key is removed, the next publish or loan creates it again. That waits for other processes
/// that create or remove keys, at most ten seconds or the timeout of that publish.
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
    /// Publishes a message under a key, and creates the key if it does not exist.
    ///
    /// For many messages under one key, use a [publisher](Self::publisher): it looks the key up
    /// once and reuses its buffer. Creating a key waits for other processes that create or remove
    /// keys, at most ten seconds. The first publish of a bus leaves its type in the store, for receivers
    /// with another version of it. That waits for the same processes, at most a tenth of a second; if it fails,
    /// the message is published all the same, and a publish a second later tries again.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: nothing was published.
    pub fn publish(&self, key: &str, message: &T) -> Result<Sent, PublishError> {
        let ts = clock::unix_nanos();
        let id = self.shared.ids.next(ts);
        let mut writer = Writer::new(&self.shared);
        let fingerprint = self.shared.message_type.fingerprint();
        let info = MessageInfo { fingerprint, ts, id, chunk: Chunk::ONLY, overrides: None };
        writer.write(message, info)?;
        self.shared.leave_type(&self.store, &mut WaitLimit::new(TYPE_WAIT));
        let version = self.store.set(key, writer.bytes())?;
        Ok(Sent { id, version })
    }

    /// Creates a publisher for one key, and the key if it does not exist; and leaves its type in the store.
    /// That waits for other processes that create or remove keys, at most ten seconds.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: the key is not valid or cannot be created.
    pub fn publisher(&self, key: &str) -> Result<Publisher<T>, PublishError> {
        self.publisher_with(key, &KeyOptions::new())
    }

    /// Creates a publisher for one key. If the key does not exist, it is created with these options.
    /// Waits like [`publisher`](Self::publisher).
    ///
    /// # Errors
    ///
    /// [`PublishError`]: the key is not valid or cannot be created, or it exists with less than the
    /// options ask for.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::Bus;
    /// use splinter_bus::store::KeyOptions;
    ///
    /// # let name = format!("splinter-doc-publisher-with-{}", std::process::id());
    /// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
    /// let log = KeyOptions::new().history(1000);
    /// bus.publisher_with("log", &log)?.publish(&b"line".to_vec())?;
    /// assert!(bus.publisher("log").is_ok());
    /// assert!(bus.publisher_with("log", &log.history(2000)).is_err());
    /// # splinter_bus::Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publisher_with(&self, key: &str, options: &KeyOptions) -> Result<Publisher<T>, PublishError> {
        Publisher::new(&self.store, &self.shared, key, options)
    }
}

impl<T: Message> Publisher<T> {
    fn new(store: &Store, shared: &Arc<Shared>, key: &str, options: &KeyOptions) -> Result<Self, PublishError> {
        let mut limit = WaitLimit::longest();
        let slot = store.slot_with_options(key, options, &mut limit)?;
        shared.leave_type(store, &mut limit);
        Ok(Self {
            slot,
            store: store.creating_keys_with(*options),
            key: key.into(),
            ids: Ids::new(),
            writer: Writer::new(shared),
            message: PhantomData,
        })
    }

    /// Sets the sender's component id, at most 255 bytes. The default, also for an empty id, is the
    /// program name, cut to 200 bytes, and a random number of this process: `reader-5f0c91d2`. All
    /// buses of the process have the same. A child of `fork` has another one.
    ///
    /// If it is longer than 255 bytes, each publish fails with [`PublishError::Frame`]. The same
    /// holds for the recipient, the trace, and where answers are expected.
    #[must_use]
    pub fn from(mut self, component: impl Into<String>) -> Self {
        self.writer.sender.from = component.into();
        self
    }

    /// Sets the recipient's component id, at most 255 bytes. The default, also for an empty id, is
    /// `*`: all.
    #[must_use]
    pub fn to(mut self, component: impl Into<String>) -> Self {
        self.writer.sender.to = component.into();
        self
    }

    /// Sets the time after which messages expire: 1 ms to 2^31 - 1 ms (24.8 days), rounded up to
    /// whole milliseconds. By default they do not expire.
    ///
    /// The boot clock of the machine (CLOCK_BOOTTIME) decides, so setting the wall clock changes
    /// nothing. The wall clock decides about messages that were sent before the machine last started,
    /// which stores in files still have, and about those that are older than 24.8 days.
    ///
    /// If it is out of range, each publish fails with [`PublishError::Ttl`].
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
        self.writer.sender.ttl = Ttl::of(ttl);
        self
    }

    /// Sets the trace or span to which messages belong, at most 255 bytes. The default is none.
    #[must_use]
    pub fn trace(mut self, trace: impl Into<String>) -> Self {
        self.writer.sender.trace = trace.into();
        self
    }

    /// Sets where answers are expected: a key, or `KEY#LANE`, at most 255 bytes. The default is
    /// nowhere.
    #[must_use]
    pub fn reply_to(mut self, key: impl Into<String>) -> Self {
        self.writer.sender.reply_to = key.into();
        self
    }

    /// Changes the recipient of the following messages, like [`to`](Self::to).
    pub fn set_to(&mut self, component: &str) {
        self.writer.sender.to.clear();
        self.writer.sender.to.push_str(component);
    }

    /// The key under which it publishes.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Publishes a message with a new id. Never waits for free cells.
    /// [`message`](Self::message) publishes one with another recipient, ttl or id.
    ///
    /// Lock-free. It makes a system call only if a subscriber sleeps, or if no cell of the key is
    /// free. On a store in a file, it also waits for one small write to the disk in every 67
    /// million versions of a key, and at the first publish after a recovery.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: nothing was published.
    #[inline]
    pub fn publish(&mut self, message: &T) -> Result<Sent, PublishError> {
        self.publish_within(message, Deadline::Now)
    }

    /// Like [`publish`](Self::publish), but waits at most `timeout` for a free cell. A cell becomes
    /// free when lossless subscribers and workers have received its message and no reader pins it.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: nothing was published.
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
        self.publish_with(message, None, None, deadline)
    }

    /// Publishes a message with this id, or a new one.
    #[inline]
    pub(super) fn publish_with(
        &mut self,
        message: &T,
        id: Option<Uuid>,
        overrides: Option<&Overrides<'_>>,
        deadline: Deadline,
    ) -> Result<Sent, PublishError> {
        let ts = clock::unix_nanos();
        let id = id.unwrap_or_else(|| self.ids.next_mut(ts));
        let info = MessageInfo { fingerprint: self.fingerprint(), ts, id, chunk: Chunk::ONLY, overrides };
        self.send(message, info, deadline)
    }

    /// Reports to the subscribers of this key that processing the message `id` failed.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: nothing was published.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::frame::FaultCode;
    /// use splinter_bus::message::Fault;
    /// use splinter_bus::{Bus, RecvError};
    ///
    /// # let name = format!("splinter-doc-fault-{}", std::process::id());
    /// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
    /// let query = bus.publish("queries", &b"1 / 0".to_vec())?;
    /// let mut answers = bus.subscribe("answers")?;
    /// let fault = Fault::new(FaultCode::InternalError, "division by zero");
    /// bus.publisher("answers")?.fault(query.id, &fault)?;
    /// match answers.recv() {
    ///     Err(RecvError::Fault(fault)) => assert_eq!(fault.envelope().id(), query.id),
    ///     other => panic!("{other:?}"),
    /// }
    /// # splinter_bus::Store::remove(&name)?;
    /// # Ok::<(), splinter_bus::Error>(())
    /// ```
    pub fn fault(&mut self, id: Uuid, fault: &Fault) -> Result<Sent, PublishError> {
        let fingerprint = self.fault_fingerprint();
        let info = MessageInfo { fingerprint, ts: clock::unix_nanos(), id, chunk: Chunk::ONLY, overrides: None };
        self.send(fault, info, Deadline::Now)
    }
}

impl<T> Publisher<T> {
    #[inline]
    pub(super) fn send<M: Message>(
        &mut self,
        message: &M,
        info: MessageInfo<'_>,
        deadline: Deadline,
    ) -> Result<Sent, PublishError> {
        self.writer.write(message, info)?;
        // It was left when the publisher was made, or tries again from time to time.
        self.writer.sender.shared.leave_type(&self.store, &mut WaitLimit::new(Duration::ZERO));
        let frame = self.writer.bytes();
        let id = info.id;
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

    pub(super) fn fingerprint(&self) -> u64 {
        self.writer.sender.shared.message_type.fingerprint()
    }

    pub(super) fn fault_fingerprint(&self) -> u64 {
        self.writer.sender.shared.fault_fingerprint
    }
}

impl<T> fmt::Debug for Publisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("key", &self.key).field("slot", &self.slot).finish_non_exhaustive()
    }
}
