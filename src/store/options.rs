//! How a store shall be: builder for creating one.

use super::error::OpenError;
use super::geometry::Geometry;
use super::handle::Store;
use super::open;

/// What a new store looks like. Without a word more: 128 slots, values to 4,096 bytes, the newest 16 of each key kept,
/// 8 spare cells, mode 0600, auto-vacuum on; 13 MB.
///
/// The options describe a store that is created; one that is opened is as its creator made it.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{Store, StoreOptions};
///
/// # let name = format!("splinter-doc-options-{}", std::process::id());
/// let store = StoreOptions::new().slots(16).max_value_size(256).create(&name)?;
/// assert_eq!(store.geometry().slots, 16);
/// assert_eq!(Store::open(&name)?.geometry(), store.geometry());
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub(super) geometry: Geometry,
    pub(super) mode: u32,
    pub(super) auto_vacuum: bool,
}

impl StoreOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self { geometry: Geometry::DEFAULT, mode: 0o600, auto_vacuum: true }
    }

    /// How many keys the store has room for: 1 to 2^24.
    #[must_use]
    pub fn slots(mut self, slots: u32) -> Self {
        self.geometry.slots = slots;
        self
    }

    /// The largest value, in bytes: 1 to 2^30. On a bus, the envelope is part of the value: 64 bytes and the names.
    #[must_use]
    pub fn max_value_size(mut self, bytes: u64) -> Self {
        self.geometry.max_value_size = bytes;
        self
    }

    /// How many of a key's newest values are kept for subscribers that fall behind: 1 to 4,096.
    #[must_use]
    pub fn history(mut self, values: u32) -> Self {
        self.geometry.history = values;
        self
    }

    /// Cells beyond history, for writers at work: 1 to 4,096. Beyond this many writers of one key that are stopped in the
    /// middle of a publish, history gives way, and beyond `history + spare - 2` of them, publishers are refused.
    #[must_use]
    pub fn spare(mut self, cells: u32) -> Self {
        self.geometry.spare = cells;
        self
    }

    /// The permissions of the store, such as `0o660` to share it with a group. Exactly these, whatever the umask.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode & 0o777;
        self
    }

    /// Whether older values are zeroed as they are overwritten, so that no byte of them is left in the store.
    #[must_use]
    pub fn auto_vacuum(mut self, on: bool) -> Self {
        self.auto_vacuum = on;
        self
    }

    /// Creates the store `name` under `/dev/shm`, with all its space reserved. Does not block.
    ///
    /// The name appears when the store is complete: whoever opens it finds it whole, and a creator that dies on the way
    /// leaves no store behind.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: the name is taken or no name, the geometry impossible, the space not there.
    pub fn create(&self, name: &str) -> Result<Store, OpenError> {
        open::create(name, self)
    }

    /// Creates the store `name`, or opens it if it exists.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create) and [`Store::open`], except that the name is taken or missing.
    pub fn create_or_open(&self, name: &str) -> Result<Store, OpenError> {
        open::until_settled(name, || match open::create(name, self) {
            Err(OpenError::AlreadyExists { .. }) => open::open(name),
            done => done,
        })
    }

    /// Opens the store `name`, or creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create) and [`Store::open`], except that the name is taken or missing.
    pub fn open_or_create(&self, name: &str) -> Result<Store, OpenError> {
        open::until_settled(name, || match open::open(name) {
            Err(OpenError::NotFound { .. }) => open::create(name, self),
            done => done,
        })
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self::new()
    }
}
