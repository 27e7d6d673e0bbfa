//! The options of a store that is created.

use crate::store::dimensions::Dimensions;
use crate::store::key_options::KeyOptions;

/// The options of a new store. Nothing has to be chosen.
///
/// A default store has room for 1,024 keys. It takes 84 KiB when it is created, 28.5 KiB for each key of
/// short messages, and for longer values what they need while they are there. A message may have up to
/// 42 MiB. `docs/memory.md` in the repository has more figures, and says what limits, containers and huge
/// pages do.
///
/// The options apply to a store that is created. A store that exists keeps those of its creator: if
/// an option was set here that it does not meet, [`open_or_create`](Self::open_or_create) and
/// [`create_or_open`](Self::create_or_open) fail and say so.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{Store, StoreOptions};
///
/// # let name = format!("splinter-doc-options-{}", std::process::id());
/// let store = StoreOptions::new().slots(5000).create(&name)?;
/// assert_eq!(store.dimensions().slots, 5000);
/// assert_eq!(Store::open(&name)?.dimensions(), store.dimensions());
/// assert!(StoreOptions::new().slots(5001).open_or_create(&name).is_err());
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StoreOptions {
    slots: Option<u32>,
    inline_size: Option<u32>,
    span: Option<u64>,
    /// Of a copy: as many as the original has.
    dense_cells: Option<u32>,
    pub(crate) mode: u32,
    pub(crate) auto_vacuum: bool,
    pub(crate) key_options: KeyOptions,
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
        Self {
            slots: None,
            inline_size: None,
            span: None,
            mode: 0o600,
            auto_vacuum: true,
            key_options: KeyOptions::new(),
            dense_cells: None,
        }
    }

    /// How many keys the store can have: 1 to 524,288; by default 1,024.
    ///
    /// *Cost.* 512 bytes for each key that exists or existed, and 32 to 64 bytes of index for each
    /// slot: a new store takes 36 KiB with 128 slots, 84 KiB with 1,024, 4 MiB with 100,000. The rest is
    /// addresses: 16 MiB for each slot's ring (less with more than 4,096 slots, 64 GiB in all), which are
    /// mapped when the store is opened, and its [span](Self::span). 256 slots for keys of the system are
    /// added.
    ///
    /// *Change it* when the store has more keys, for example one for each session or file, or to fewer
    /// where addresses are limited.
    ///
    /// *Limits.* Slots times span is at most 8 TiB, so more than 7,936 slots need a smaller span. With
    /// more slots than 4,096, rings have less room: a key has at most 7,253 cells at 7,936 slots, 540 at
    /// 100,000, and 28 at 524,288.
    ///
    /// *Errors.* A number out of range, or too large for the span: [`OpenError::Dimensions`]. A store
    /// whose slots all have keys refuses the next key: [`DirectoryError::Full`].
    ///
    /// [`OpenError::Dimensions`]: crate::store::OpenError::Dimensions
    /// [`DirectoryError::Full`]: crate::store::DirectoryError::Full
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// # let name = format!("splinter-doc-options-slots-{}", std::process::id());
    /// let store = StoreOptions::new().slots(100_000).span(64 << 20).create(&name)?;
    /// store.set("k", b"v")?;
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = Some(slots);
        self
    }

    /// How many bytes of a value are in its cell: a multiple of 64 from 64 to 65,536; by default
    /// 1,024. Longer values are in places of their own, of whole pages.
    ///
    /// *Cost.* Each cell of each key takes this much and 64 bytes, once it is used. A key of the default
    /// shape, with 24 cells, takes 8 KiB with 256 or less, 28 KiB with 1,024, 100 KiB with 4,096, and
    /// 1.5 MiB with 65,536.
    ///
    /// *Change it* to a smaller number if there are very many keys of very small values, and to a
    /// larger one if most messages are a little longer than 4 KiB and speed matters more than memory:
    /// longer values than that, which are not inline, are read under a pin. A message counts with its
    /// envelope, of 64 bytes and its names. A larger number also saves page tables, of 12 to 16 KiB in each
    /// process for each key that has values of more than 4 KiB.
    ///
    /// *Errors.* A number out of range, or no multiple of 64, or so large that rings have no room for 24
    /// cells: [`OpenError::Dimensions`](crate::store::OpenError::Dimensions). A store that exists has to
    /// have exactly this number, if it is set.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// # let name = format!("splinter-doc-options-inline-{}", std::process::id());
    /// let store = StoreOptions::new().inline_size(256).create(&name)?;
    /// store.set("longer is fine", &[0; 1000])?;
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn inline_size(mut self, bytes: u32) -> Self {
        self.inline_size = Some(bytes);
        self
    }

    /// How many bytes of addresses each key has for its longer values: a multiple of 64 KiB from
    /// 2 MiB to 64 GiB; by default 1 GiB. The largest value of a key is its span divided by its number
    /// of cells: see [`KeyOptions`].
    ///
    /// *Cost.* Addresses, not memory: a process has 128 TiB of them, and maps the span of each key whose
    /// longer values it uses. A store's file is as long as the spans up to that of the last key with
    /// longer values, in holes: that counts for `ulimit -f`, and for programs that copy holes as zeros.
    ///
    /// *Change it* to a larger number for values of more than 42 MiB, and to a smaller one for more
    /// than 7,936 slots, or where addresses are limited (`ulimit -v`, `LimitAS=`).
    ///
    /// *Limits.* Slots times span is at most 8 TiB. A value has at most 2 GiB.
    ///
    /// *Errors.* A number out of range, no multiple of 64 KiB, or too large for the slots:
    /// [`OpenError::Dimensions`](crate::store::OpenError::Dimensions). A span that has no room for the
    /// cells of a key refuses the key: [`ShapeError::SpanTooSmall`](crate::store::ShapeError::SpanTooSmall).
    /// A value that is too long for its key: [`SetError::TooLarge`](crate::store::SetError::TooLarge), with
    /// both numbers.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// # let name = format!("splinter-doc-options-span-{}", std::process::id());
    /// let store = StoreOptions::new().slots(100).span(16 << 30).create(&name)?;
    /// assert!(store.slot("tensor")?.max_len() > 600 << 20);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn span(mut self, bytes: u64) -> Self {
        self.span = Some(bytes);
        self
    }

    /// The permission bits of the store's file, whatever the umask is; by default 0600, its owner alone.
    /// Every user of a store must be allowed to write, also one that only reads: pins, waiting and locks
    /// write. Bits other than the nine of permissions are ignored.
    ///
    /// It counts only for a store that is created: one that exists keeps its mode.
    ///
    /// *Change it* to share a store with a group (0660) or everybody (0666). All who may write have to be
    /// trusted not to damage it: see `docs/security.md` in the repository. A process of another user that
    /// opens a store by its descriptor ([`Store::from_fd`](crate::Store::from_fd)) needs it, too.
    ///
    /// *Errors.* A process that may not write to the store cannot open it:
    /// [`OpenError::PermissionDenied`](crate::store::OpenError::PermissionDenied).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// # let name = format!("splinter-doc-options-mode-{}", std::process::id());
    /// let store = StoreOptions::new().mode(0o660).create(&name)?;
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode & 0o777;
        self
    }

    /// Whether bytes of older values are zeroed when a shorter value takes their cell, and when a key
    /// is removed; by default on. It can be switched later: [`Store::set_auto_vacuum`](crate::Store::set_auto_vacuum).
    ///
    /// *Cost.* The bytes between the length of the shorter value and that of the older one are zeroed by
    /// its publisher. With values that alternate between 1 MiB and 70,000 bytes, or 60,000 and 2,000, no
    /// difference could be measured.
    ///
    /// It counts only for a store that is created: one that exists keeps its own.
    ///
    /// *Change it* only if no value is confidential. Without it, whoever may open the store can find
    /// bytes of older values. Space that is given back to the system is zero in any case.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// # let name = format!("splinter-doc-options-vacuum-{}", std::process::id());
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

    /// The options of keys that this handle creates, where a call gives none of its own. They are a
    /// default of the handle: they are not stored, and refuse no key that exists.
    ///
    /// When a store is created, they also decide how many cells of each key lie beside those of other keys,
    /// and have a page for values of up to 4 KiB: as many as a key with these options has, at most 64. So give
    /// the options that most keys will have. Other keys work as well; their further cells take some page
    /// tables, and their values of 1 to 4 KiB in these cells are read under a pin.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// use splinter_bus::store::KeyOptions;
    ///
    /// # let name = format!("splinter-doc-options-keys-{}", std::process::id());
    /// let store = StoreOptions::new().key_options(KeyOptions::new().history(2).spare(2)).create(&name)?;
    /// store.set("k", b"v")?;
    /// assert_eq!(store.slot("k")?.shape().cells(), 4);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn key_options(mut self, options: KeyOptions) -> Self {
        self.key_options = options;
        self
    }

    /// The options of a store of these dimensions and this mode.
    pub(crate) fn of(dimensions: Dimensions, mode: u32) -> Self {
        let Dimensions { slots, inline_size, span, dense_cells } = dimensions;
        let (slots, inline_size, span) = (Some(slots), Some(inline_size), Some(span));
        Self { slots, inline_size, span, dense_cells: Some(dense_cells), mode, ..Self::new() }
    }

    /// The dimensions of a store that is created.
    pub(crate) fn dimensions(&self) -> Dimensions {
        let default = Dimensions::DEFAULT;
        let dimensions = Dimensions {
            slots: self.slots.unwrap_or(default.slots),
            inline_size: self.inline_size.unwrap_or(default.inline_size),
            span: self.span.unwrap_or(default.span),
            dense_cells: self.dense_cells.unwrap_or(self.key_options.cells()),
        };
        Dimensions { dense_cells: dimensions.dense_cells_that_fit(), ..dimensions }
    }

    /// What was set of slots, inline size and span.
    pub(crate) fn asked(&self) -> [Option<u64>; 3] {
        [self.slots.map(u64::from), self.inline_size.map(u64::from), self.span]
    }

    /// Whether a store that exists has what was asked for: at least as many slots and as much span,
    /// and this inline size.
    pub(crate) fn are_met_by(&self, has: Dimensions) -> bool {
        self.slots.is_none_or(|slots| slots <= has.slots)
            && self.inline_size.is_none_or(|size| size == has.inline_size)
            && self.span.is_none_or(|span| span <= has.span)
    }
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self::new()
    }
}
