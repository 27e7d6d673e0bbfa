//! A store with a message type.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::aligned::AlignedBytes;
use super::error::{PublishError, RecvError, SubscribeError};
use super::ids::Ids;
use super::options::{Start, SubscribeOptions};
use super::parts;
use super::publisher::{Chunk, Publisher, Sent, Stamp, Writer};
use super::receive::Origin;
use super::received::Received;
use super::sample::{Sample, Storage};
use super::subscriber::Subscriber;
use super::work_queue::WorkQueue;
use crate::frame;
use crate::message::{DecodeOwned, Fault, InPlace, Message, MessageType};
use crate::os::clock;
use crate::store::directory::REMOVALS;
use crate::store::pin::PinnedVersion;
use crate::store::{GetError, KeyError, Location, OpenError, Store, Version};

/// A bus of messages of type `T`, on a store that several processes have open, with at most 128 handles in all.
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

impl<T> Bus<T> {
    /// Creates a store with the default options, as a bus.
    ///
    /// # Errors
    ///
    /// As [`Store::create`].
    pub fn create(location: impl Into<Location>) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Store::create(location).map(Self::on)
    }

    /// Opens a store as a bus.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub fn open(location: impl Into<Location>) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Store::open(location).map(Self::on)
    }

    /// Creates a store with the default options, or opens it if it exists, as a bus.
    ///
    /// # Errors
    ///
    /// As [`Store::create_or_open`].
    pub fn create_or_open(location: impl Into<Location>) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Store::create_or_open(location).map(Self::on)
    }

    /// Opens a store, or creates it with the default options if it does not exist, as a bus.
    ///
    /// # Errors
    ///
    /// As [`Store::open_or_create`].
    pub fn open_or_create(location: impl Into<Location>) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Store::open_or_create(location).map(Self::on)
    }

    /// A bus on a store that is open already; with it, any number of types share one opening.
    #[must_use]
    pub fn on(store: Store) -> Self
    where
        T: Message,
    {
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
}

impl<T: Message> Bus<T> {
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

impl<T> Bus<T> {
    /// Subscribes to a key, from the next message on. The key is created if there is none: a subscriber may come first. That waits for others
    /// that create or remove keys, ten seconds at most.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: no key, or no room for it.
    pub fn subscribe(&self, key: &str) -> Result<Subscriber<T>, SubscribeError> {
        self.subscribe_with(key, &SubscribeOptions::new())
    }

    /// Subscribes to a key from a message of the caller's choice on. Waits as [`subscribe`](Self::subscribe) does.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: no key, or no room for it.
    pub fn subscribe_from(&self, key: &str, start: Start) -> Result<Subscriber<T>, SubscribeError> {
        self.subscribe_with(key, &SubscribeOptions::new().start(start))
    }

    /// Subscribes to a key, on these terms. Waits as [`subscribe`](Self::subscribe) does.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: no key, no room for it, or no room for one more lossless subscriber of it.
    pub fn subscribe_with(&self, key: &str, options: &SubscribeOptions) -> Result<Subscriber<T>, SubscribeError> {
        Subscriber::new(&self.store, &self.shared, key, options)
    }

    /// Joins the workers of a key, each of whose messages goes to one of them. Makes the key a work queue, and creates it, if need be:
    /// then from the oldest message on that is kept. Waits as [`subscribe`](Self::subscribe) does.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: no key, or no room for it.
    pub fn work_queue(&self, key: &str) -> Result<WorkQueue<T>, SubscribeError> {
        WorkQueue::new(&self.store, &self.shared, key)
    }

    fn origin<'a>(&'a self, key: &'a str, version: u64) -> Origin<'a> {
        Origin { shared: &self.shared, store: &self.store, key, version }
    }

    /// The newest message that is complete, where the newest version is a part of one.
    #[cold]
    fn newest_whole(&self, key: &str) -> Result<Option<(u64, Vec<u8>)>, RecvError> {
        for _ in 0..REMOVALS {
            // Looked up and not created: a reader waits for nobody.
            let Some(slot) = self.store.existing_slot(key).map_err(|error| RecvError::of(error.into(), key))? else {
                return Ok(None);
            };
            match parts::newest_whole(&slot) {
                // Removed in between: look again.
                Err(GetError::Key(KeyError::Removed)) => {}
                newest => return newest.map_err(|error| RecvError::of(error, key)),
            }
        }
        Err(RecvError::of(GetError::Key(KeyError::Removed), key))
    }
}

impl<T> Bus<T> {
    /// The newest message of a key; `None` if there is none. Never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]: it is not valid.
    pub fn get(&self, key: &str) -> Result<Option<Received<T>>, RecvError>
    where
        T: DecodeOwned,
    {
        let mut bytes = Vec::new();
        let Some(version) = self.store.get_into(key, &mut bytes).map_err(|error| RecvError::of(error, key))? else {
            return Ok(None);
        };
        let origin = self.origin(key, version);
        let frame = origin.parse(&mut bytes)?;
        if !frame.is_part() {
            return origin.message(&frame);
        }
        let Some((version, mut bytes)) = self.newest_whole(key)? else {
            return Ok(None);
        };
        let origin = self.origin(key, version);
        origin.message(&origin.parse(&mut bytes)?)
    }
}

impl<T> Bus<T> {
    /// The newest message of a key, to be read in place; `None` if there is none. Never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]: it is not valid.
    pub fn sample(&self, key: &str) -> Result<Option<Sample<T>>, RecvError>
    where
        T: InPlace,
    {
        let Some(pinned) = self.store.pin(key).map_err(|error| RecvError::of(error, key))? else {
            return Ok(None);
        };
        if !frame::is_part(&pinned) {
            return self.origin(key, pinned.version()).sample(Storage::Pinned(pinned)).map(Some);
        }
        let Some((version, bytes)) = self.newest_whole(key)? else {
            return Ok(None);
        };
        self.origin(key, version).sample(Storage::Copied(AlignedBytes::copy_of(&bytes))).map(Some)
    }

    /// This version of a key, to be read in place; `None` if it is not kept, or was not published yet. Never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]: it is not valid, or a part of a message that is larger than a cell.
    pub fn sample_version(&self, key: &str, version: u64) -> Result<Option<Sample<T>>, RecvError>
    where
        T: InPlace,
    {
        let Some(slot) = self.store.existing_slot(key).map_err(|error| RecvError::of(error.into(), key))? else {
            return Ok(None);
        };
        let storage = match slot.try_pin(version) {
            Ok(PinnedVersion::Pinned(pinned)) => Storage::Pinned(pinned),
            Ok(PinnedVersion::NotYet | PinnedVersion::Gone) | Err(GetError::Key(KeyError::Removed)) => return Ok(None),
            Ok(PinnedVersion::Claimed) => {
                let mut bytes = Vec::new();
                match slot.get_version_into(version, &mut bytes) {
                    Ok(Version::Copied) => Storage::Copied(AlignedBytes::copy_of(&bytes)),
                    Ok(Version::NotYet | Version::Gone) | Err(GetError::Key(KeyError::Removed)) => return Ok(None),
                    Err(error) => return Err(RecvError::of(error, key)),
                }
            }
            Err(error) => return Err(RecvError::of(error, key)),
        };
        self.origin(key, version).sample(storage).map(Some)
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
