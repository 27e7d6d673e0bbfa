//! A store with a message type.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::error::{PublishError, RecvError, SubscribeError};
use super::ids::Ids;
use super::publisher::{Chunk, Publisher, Sent, Writer};
use super::received::{Envelope, Received};
use super::subscriber::{Start, Subscriber};
use crate::frame::{Frame, Kind};
use crate::message::{DecodeOwned, Fault, Message, MessageType};
use crate::os::clock;
use crate::store::{GetError, Location, OpenError, Store};

/// A bus of messages of type `T`, on a store that any number of processes have open.
///
/// Cloning gives another handle on the same open store. Handles may be used from any thread.
///
/// # Examples
///
/// ```
/// use splinter_bus::{Bus, Message};
///
/// #[derive(Message, serde::Serialize, serde::Deserialize)]
/// struct Reading { sensor: String, celsius: f32 }
///
/// # let name = format!("splinter-doc-bus-{}", std::process::id());
/// let bus: Bus<Reading> = Bus::open_or_create(&name)?;
/// let mut readings = bus.subscribe("kitchen")?;
/// bus.publish("kitchen", &Reading { sensor: "oven".into(), celsius: 180.5 })?;
/// let reading = readings.recv()?;
/// assert_eq!((reading.sensor.as_str(), reading.celsius), ("oven", 180.5));
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Bus<T> {
    store: Store,
    shared: Arc<Shared>,
    message: PhantomData<fn() -> T>,
}

/// What all handles of one bus share.
pub(super) struct Shared {
    pub(super) message_type: MessageType,
    pub(super) fault_fingerprint: u64,
    /// The sender of messages that name no other.
    pub(super) from: String,
    ids: Ids,
}

impl<T: Message> Bus<T> {
    /// Creates a store with the default options, as a bus.
    ///
    /// # Errors
    ///
    /// As [`Store::create`].
    pub fn create(location: impl Into<Location>) -> Result<Self, OpenError> {
        Store::create(location).map(Self::on)
    }

    /// Opens a store as a bus.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub fn open(location: impl Into<Location>) -> Result<Self, OpenError> {
        Store::open(location).map(Self::on)
    }

    /// Creates a store with the default options, or opens it if it exists, as a bus.
    ///
    /// # Errors
    ///
    /// As [`Store::create_or_open`].
    pub fn create_or_open(location: impl Into<Location>) -> Result<Self, OpenError> {
        Store::create_or_open(location).map(Self::on)
    }

    /// Opens a store, or creates it with the default options if it does not exist, as a bus.
    ///
    /// # Errors
    ///
    /// As [`Store::open_or_create`].
    pub fn open_or_create(location: impl Into<Location>) -> Result<Self, OpenError> {
        Store::open_or_create(location).map(Self::on)
    }

    /// A bus on a store that is open already; with it, any number of types share one opening.
    #[must_use]
    pub fn on(store: Store) -> Self {
        let message_type = T::message_type();
        store.remember_schema(message_type.fingerprint(), &message_type.summary());
        let shared = Shared {
            message_type,
            fault_fingerprint: Fault::message_type().fingerprint(),
            from: default_sender(),
            ids: Ids::new(),
        };
        Self { store, shared: Arc::new(shared), message: PhantomData }
    }

    /// The store below.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What the type is to others.
    #[must_use]
    pub fn message_type(&self) -> &MessageType {
        &self.shared.message_type
    }

    /// Publishes a message under a key, creating the key if there is none.
    ///
    /// Who publishes often under one key is better served by a [publisher](Self::publisher), which finds the key once and
    /// keeps its buffer.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published then.
    pub fn publish(&self, key: &str, message: &T) -> Result<Sent, PublishError> {
        let ts = clock::unix_nanos();
        let id = self.shared.ids.next(ts);
        let mut writer = Writer::new(&self.shared);
        writer.write(message, self.shared.message_type.fingerprint(), ts, id, Chunk::ONLY)?;
        let version = self.store.set(key, writer.bytes()).map_err(PublishError::of)?;
        Ok(Sent { id, version })
    }

    /// A publisher for one key, which is created if there is none.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: no key, or no room for it.
    pub fn publisher(&self, key: &str) -> Result<Publisher<T>, PublishError> {
        Publisher::new(&self.store, &self.shared, key)
    }
}

impl<T: DecodeOwned> Bus<T> {
    /// The newest message of a key; `None` if there is none. Never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]: it is not valid.
    pub fn get(&self, key: &str) -> Result<Option<Received<T>>, RecvError> {
        let mut frame = Vec::new();
        loop {
            match self.store.get_into(key, &mut frame) {
                Ok(None) => return Ok(None),
                Ok(Some(version)) => return self.shared.receive(&self.store, key, version, &mut frame).map(Some),
                // Removed in between: look again.
                Err(GetError::Removed) => {}
                Err(error) => return Err(RecvError::of(error, key)),
            }
        }
    }

    /// Subscribes to a key, from the next message on. The key is created if there is none: a subscriber may come first.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: no key, or no room for it.
    pub fn subscribe(&self, key: &str) -> Result<Subscriber<T>, SubscribeError> {
        self.subscribe_from(key, Start::Next)
    }

    /// Subscribes to a key from a message of the caller's choice on.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: no key, or no room for it.
    pub fn subscribe_from(&self, key: &str, start: Start) -> Result<Subscriber<T>, SubscribeError> {
        Subscriber::new(&self.store, &self.shared, key, start)
    }
}

impl Shared {
    /// Makes a message of what was copied out of the store, if it is a valid one of our type.
    #[inline]
    pub(super) fn receive<T: DecodeOwned>(
        &self,
        store: &Store,
        key: &str,
        version: u64,
        bytes: &mut [u8],
    ) -> Result<Received<T>, RecvError> {
        let rejected = |error| {
            store.report_parse_failure();
            error
        };
        let key = || key.to_owned();
        let frame = match Frame::parse_mut(bytes) {
            Ok(frame) => frame,
            Err(source) => return Err(rejected(RecvError::Frame { key: key(), version, source })),
        };
        check_ttl(&frame)?;
        if frame.fingerprint() != self.message_type.fingerprint() || frame.encoding() != T::ENCODING {
            return Err(match self.fault_of(&frame, version) {
                Some(fault) => RecvError::Fault(Box::new(fault)),
                None => rejected(RecvError::OtherType {
                    key: key(),
                    version,
                    expected: format!("{}, made of {}", self.message_type, self.message_type.description()),
                    found: found_type(store, &frame),
                }),
            });
        }
        match T::decode(frame.payload()) {
            Ok(message) => Ok(Received::new(message, Envelope::of(&frame, version))),
            Err(source) => Err(rejected(RecvError::Decode { key: key(), version, source })),
        }
    }

    #[cold]
    fn fault_of(&self, frame: &Frame<'_>, version: u64) -> Option<Received<Fault>> {
        if frame.kind() != Kind::Error || frame.fingerprint() != self.fault_fingerprint {
            return None;
        }
        let fault = crate::message::Decode::decode(frame.payload()).ok()?;
        Some(Received::new(fault, Envelope::of(frame, version)))
    }
}

#[inline]
fn check_ttl(frame: &Frame<'_>) -> Result<(), RecvError> {
    let Some(ttl) = frame.ttl() else { return Ok(()) };
    let ttl = std::time::Duration::from_millis(ttl.into());
    // A sender whose clock is ahead is not late.
    let age = std::time::Duration::from_nanos(clock::unix_nanos().saturating_sub(frame.ts()));
    if age <= ttl {
        return Ok(());
    }
    Err(RecvError::Expired { id: frame.id(), from: frame.from().to_owned(), age, ttl })
}

fn found_type(store: &Store, frame: &Frame<'_>) -> String {
    let fingerprint = frame.fingerprint();
    match store.recall_schema(fingerprint) {
        Some(summary) => format!("{summary}, fingerprint {fingerprint:016x}, from {}", frame.from()),
        None => format!(
            "a type unknown to this store ({}, fingerprint {fingerprint:016x}), from {}",
            frame.encoding(),
            frame.from()
        ),
    }
}

/// Program name and process id.
fn default_sender() -> String {
    let program = std::env::args_os().next().unwrap_or_default();
    let program = std::path::Path::new(&program).file_name().unwrap_or_default().to_string_lossy();
    let program = &program[..program.floor_char_boundary(200)];
    format!("{program}-{}", std::process::id())
}

impl<T> Clone for Bus<T> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), shared: Arc::clone(&self.shared), message: PhantomData }
    }
}

impl<T> fmt::Debug for Bus<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("message", &self.shared.message_type.to_string())
            .field("store", &self.store)
            .finish()
    }
}
