//! The options of a store that is created.

use crate::store::geometry::Geometry;

/// The options of a new store. Defaults: 128 slots, values of up to 4,096 bytes, a history of 16
/// values for each key, 8 spare cells, 8 lossless subscribers for each key, mode 0600, auto-vacuum
/// on. Such a store takes 13 MB.
///
/// The options apply to a store that is created. A store that is opened keeps those of its creator.
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
    pub(crate) geometry: Geometry,
    pub(crate) mode: u32,
    pub(crate) auto_vacuum: bool,
    pub(crate) sparse: bool,
}

impl StoreOptions {
    /// The defaults.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// # let name = format!("splinter-doc-options-new-{}", std::process::id());
    /// let store = StoreOptions::new().create(&name)?;
    /// assert!(store.auto_vacuum());
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self { geometry: Geometry::DEFAULT, mode: 0o600, auto_vacuum: true, sparse: false }
    }

    /// How many keys the store can have: 1 to 2^24.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// # let name = format!("splinter-doc-options-slots-{}", std::process::id());
    /// let store = StoreOptions::new().slots(1000).create(&name)?;
    /// assert_eq!(store.geometry().slots, 1000);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn slots(mut self, slots: u32) -> Self {
        self.geometry.slots = slots;
        self
    }

    /// The largest value in bytes: 1 to 2^30. On a bus, the envelope is part of the value: 64 bytes
    /// and the names.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// # let name = format!("splinter-doc-options-max-value-size-{}", std::process::id());
    /// let store = StoreOptions::new().max_value_size(512).create(&name)?;
    /// assert_eq!(store.geometry().max_value_size, 512);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn max_value_size(mut self, bytes: u64) -> Self {
        self.geometry.max_value_size = bytes;
        self
    }

    /// How many of a key's newest values are kept while there is any other cell that writers may
    /// overwrite: 1 to 4,096.
    ///
    /// Subscribers that fall behind find them there. No other cell may be left, because cells are
    /// pinned, on loan, retained for lossless subscribers or queues, or held by stopped writers.
    /// Then the oldest value that is not retained is overwritten, but never the newest. A message
    /// in parts takes one value for each part.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// # let name = format!("splinter-doc-options-history-{}", std::process::id());
    /// let store = StoreOptions::new().history(64).create(&name)?;
    /// assert_eq!(store.geometry().history, 64);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn history(mut self, values: u32) -> Self {
        self.geometry.history = values;
        self
    }

    /// Cells beyond history, for writers at work: 1 to 4,096. If more writers than this are stopped
    /// in the middle of a publish of one key, its history becomes shorter. If more than `history +
    /// spare - 2` are stopped, publishers are refused; in a file, if more than `history + spare -
    /// 4` are, because a flush may keep two.
    ///
    /// In a file, a [flush](crate::store::Store::flush) keeps up to two more cells of a key from being
    /// overwritten. So a key has at least four cells there: if `history + spare` is less, `spare`
    /// is raised.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// # let name = format!("splinter-doc-options-spare-{}", std::process::id());
    /// let store = StoreOptions::new().spare(16).create(&name)?;
    /// assert_eq!(store.geometry().spare, 16);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn spare(mut self, cells: u32) -> Self {
        self.geometry.spare = cells;
        self
    }

    /// How many lossless subscribers a key can have at a time: 1 to 1,024. Each takes 8 bytes in
    /// every slot.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// # let name = format!("splinter-doc-options-lossless-{}", std::process::id());
    /// let store = StoreOptions::new().lossless(32).create(&name)?;
    /// assert_eq!(store.geometry().lossless, 32);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn lossless(mut self, subscribers: u32) -> Self {
        self.geometry.lossless = subscribers;
        self
    }

    /// The permissions of the store, such as `0o660` to share it with a group. The umask is
    /// ignored.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// # let name = format!("splinter-doc-options-mode-{}", std::process::id());
    /// use std::os::unix::fs::PermissionsExt;
    ///
    /// let store = StoreOptions::new().mode(0o660).create(&name)?;
    /// let metadata = std::fs::metadata(store.location().path())?;
    /// assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode & 0o777;
        self
    }

    /// Whether older values are zeroed as they are overwritten, so that no byte of them stays in
    /// the store.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// # let name = format!("splinter-doc-options-auto-vacuum-{}", std::process::id());
    /// let store = StoreOptions::new().auto_vacuum(false).create(&name)?;
    /// assert!(!store.auto_vacuum());
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn auto_vacuum(mut self, on: bool) -> Self {
        self.auto_vacuum = on;
        self
    }

    /// Whether space is taken only when it is written to, instead of being reserved at creation.
    ///
    /// For stores that are meant to stay nearly empty, such as in tests. If the space runs out, the
    /// kernel ends the next process that writes to the store, with SIGBUS: there is no error to
    /// handle.
    ///
    /// The same can happen to a store that is not sparse on file systems that never write in place:
    /// btrfs (unless copy-on-write is off for the file), ZFS, and any file that shares blocks with
    /// a copy (`cp --reflink` on XFS or btrfs).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// # let name = format!("splinter-doc-options-sparse-{}", std::process::id());
    /// let store = StoreOptions::new().slots(1 << 20).max_value_size(1 << 20).sparse(true).create(&name)?;
    /// store.set("k", b"costs no more than what is written")?;
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn sparse(mut self, on: bool) -> Self {
        self.sparse = on;
        self
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self::new()
    }
}
