//! `Bus`: a store together with a message type.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::shared::Shared;
use crate::message::{Message, MessageType};
use crate::store::{Location, OpenError, Store};

/// A bus for messages of type `T`, on a store that several processes have open.
///
/// Cloning returns another handle on the same open store. Handles can be used from any thread. At
/// most 254 processes can have a store open, each with any number of handles: see [`Store`].
///
/// A process may die at any moment: what it published stays, and what it did not finish publishing
/// is never seen.
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
    pub(super) store: Store,
    pub(super) shared: Arc<Shared>,
    message: PhantomData<fn() -> T>,
}

impl<T> Bus<T> {
    /// Creates a store with the default options and returns a bus on it.
    ///
    /// # Errors
    ///
    /// Those of [`Store::create`].
    pub fn create(location: impl Into<Location>) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Store::create(location).map(Self::on)
    }

    /// Opens a store and returns a bus on it.
    ///
    /// # Errors
    ///
    /// Those of [`Store::open`].
    pub fn open(location: impl Into<Location>) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Store::open(location).map(Self::on)
    }

    /// Creates a store with the default options, or opens it if it exists, and returns a bus on it.
    ///
    /// # Errors
    ///
    /// Those of [`Store::create_or_open`].
    pub fn create_or_open(location: impl Into<Location>) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Store::create_or_open(location).map(Self::on)
    }

    /// Opens a store, or creates it with the default options if it does not exist, and returns a
    /// bus on it.
    ///
    /// # Errors
    ///
    /// Those of [`Store::open_or_create`].
    pub fn open_or_create(location: impl Into<Location>) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Store::open_or_create(location).map(Self::on)
    }

    /// Makes a bus on an open store. Any number of buses, of any types, can share the store.
    #[must_use]
    pub fn on(store: Store) -> Self
    where
        T: Message,
    {
        Self { store, shared: Arc::new(Shared::new::<T>()), message: PhantomData }
    }
}

impl<T: Message> Bus<T> {
    /// The store that the bus uses.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The identity of the message type: its name, version, encoding, schema and fingerprint.
    #[must_use]
    pub fn message_type(&self) -> &MessageType {
        &self.shared.message_type
    }
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
