//! Opening a store if it exists, creating it if not.

use super::opening::ATTEMPTS;
use super::options::StoreOptions;
use crate::store::error::OpenError;
use crate::store::location::Location;
use crate::store::store::Store;

impl Store {
    /// Creates a store with the default [options](StoreOptions).
    ///
    /// # Errors
    ///
    /// As [`StoreOptions::create`].
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::store::{OpenError, Store};
    ///
    /// # let name = format!("splinter-doc-store-create-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert!(matches!(Store::create(&name), Err(OpenError::AlreadyExists { .. })));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(location: impl Into<Location>) -> Result<Self, OpenError> {
        StoreOptions::new().create(location)
    }

    /// Creates a store with the default [options](StoreOptions), or opens it if it exists.
    ///
    /// # Errors
    ///
    /// As [`StoreOptions::create_or_open`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-store-create-or-open-{}", std::process::id());
    /// let (first, second) = (Store::create_or_open(&name)?, Store::create_or_open(&name)?);
    /// assert_eq!(first.participant(), second.participant());
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_or_open(location: impl Into<Location>) -> Result<Self, OpenError> {
        StoreOptions::new().create_or_open(location)
    }

    /// Opens a store, or creates it with the default [options](StoreOptions) if it does not exist.
    ///
    /// # Errors
    ///
    /// As [`StoreOptions::open_or_create`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-store-open-or-create-{}", std::process::id());
    /// let store = Store::open_or_create(&name)?;
    /// assert_eq!(store.dimensions().slots, 1024);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(location: impl Into<Location>) -> Result<Self, OpenError> {
        StoreOptions::new().open_or_create(location)
    }
}

impl StoreOptions {
    /// Creates a store, or opens it if it exists: as [`open_or_create`](Self::open_or_create), for a
    /// store that probably does not exist yet.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create) and [`Store::open`], except that the name is taken or does
    /// not exist; and [`OpenError::OtherOptions`].
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::store::{Store, StoreOptions};
    ///
    /// # let name = format!("splinter-doc-create-or-open-{}", std::process::id());
    /// let first = StoreOptions::new().slots(99).create_or_open(&name)?;
    /// let second = StoreOptions::new().slots(16).create_or_open(&name)?;
    /// assert_eq!(second.dimensions().slots, 99, "more than was asked for is no error");
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_or_open(&self, location: impl Into<Location>) -> Result<Store, OpenError> {
        let location = location.into();
        until_settled(&location, || match self.create(&location) {
            Err(OpenError::AlreadyExists { .. }) => self.open(&location),
            done => done,
        })
    }

    /// Opens a store, or creates it if it does not exist: as [`create_or_open`](Self::create_or_open),
    /// for a store that probably exists.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create) and [`Store::open`], except that the name is taken or does
    /// not exist; and [`OpenError::OtherOptions`].
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::store::{Store, StoreOptions};
    ///
    /// # let name = format!("splinter-doc-open-or-create-{}", std::process::id());
    /// let store = StoreOptions::new().slots(16).open_or_create(&name)?;
    /// assert_eq!(store.dimensions().slots, 16);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(&self, location: impl Into<Location>) -> Result<Store, OpenError> {
        let location = location.into();
        until_settled(&location, || match self.open(&location) {
            Err(OpenError::NotFound { .. }) => self.create(&location),
            done => done,
        })
    }
}

impl StoreOptions {
    /// Opens a store that exists and has what the options ask for.
    ///
    /// # Errors
    ///
    /// Those of [`Store::open`], and [`OpenError::OtherOptions`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// use splinter_bus::store::KeyOptions;
    ///
    /// # let name = format!("splinter-doc-options-open-{}", std::process::id());
    /// Store::create(&name)?;
    /// let store = StoreOptions::new().key_options(KeyOptions::new().history(100)).open(&name)?;
    /// assert_eq!(store.slot("k")?.shape().history, 100);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(&self, location: impl Into<Location>) -> Result<Store, OpenError> {
        self.check(Store::open(location)?)
    }

    /// As [`open`](Self::open), with a session of its own: see [`Store::open_unshared`].
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    #[doc(hidden)]
    pub fn open_unshared(&self, location: impl Into<Location>) -> Result<Store, OpenError> {
        self.check(Store::open_unshared(location)?)
    }

    /// Refuses a store of other dimensions.
    fn check(&self, store: Store) -> Result<Store, OpenError> {
        let has = store.dimensions();
        if !self.are_met_by(has) {
            let name = store.location().to_string();
            let has = [has.slots.into(), has.inline_size.into(), has.span];
            return Err(OpenError::OtherOptions { name, asked: self.asked(), has });
        }
        Ok(store.with_key_options(self.key_options))
    }
}

/// Repeats an attempt that fails only because another process created or removed the name at the
/// same moment.
fn until_settled(
    location: &Location,
    mut attempt: impl FnMut() -> Result<Store, OpenError>,
) -> Result<Store, OpenError> {
    for _ in 0..ATTEMPTS {
        match attempt() {
            Err(OpenError::AlreadyExists { .. } | OpenError::NotFound { .. } | OpenError::Unsettled { .. }) => {}
            done => return done,
        }
    }
    Err(OpenError::Unsettled { name: location.to_string() })
}
