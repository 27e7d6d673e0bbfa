//! A store with a message type.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::shared::Shared;
use crate::message::{Message, MessageType};
use crate::store::{Location, OpenError, Store};

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
    pub(super) store: Store,
    pub(super) shared: Arc<Shared>,
    message: PhantomData<fn() -> T>,
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
        Self { store, shared: Arc::new(Shared::new(message_type)), message: PhantomData }
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
