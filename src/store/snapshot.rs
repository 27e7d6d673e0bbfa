//! What there is to know of a store, or of a key in it, at one moment.

use super::directory::Place;
use super::flags::Flags;
use super::geometry::Geometry;
use super::ring::{ReadError, Ring};

/// What a store says of itself. Each field is true at some moment of the call; those that change do so independently.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-snapshot-type-{}", std::process::id());
/// let store = Store::create(&name)?;
/// store.set("k", b"v")?;
/// let snapshot = store.snapshot();
/// assert_eq!((snapshot.keys, snapshot.geometry), (1, store.geometry()));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreSnapshot {
    /// A random number that tells this store from any other that had its name.
    pub id: u64,
    /// The version of the layout.
    pub layout: u32,
    /// The store's shape.
    pub geometry: Geometry,
    /// The length of the whole store in bytes.
    pub total_len: u64,
    /// Whether it is in a file, and its values carry checksums.
    pub persistent: bool,
    /// When it was created, in nanoseconds since the Unix epoch.
    pub created: u64,
    /// The number of keys. After somebody died in the middle of creating or removing one, it may be off by one until the next
    /// is created or removed.
    pub keys: u32,
    /// The switches.
    pub flags: Flags,
    /// What readers rejected.
    pub diagnostics: Diagnostics,
}

/// What readers rejected in a store.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-diagnostics-{}", std::process::id());
/// let store = Store::create(&name)?;
/// store.report_parse_failure();
/// assert_eq!(store.diagnostics().parse_failures, 1);
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Diagnostics {
    /// Frames that were damaged, or of another type than the reader's.
    pub parse_failures: u64,
    /// When the last of them was rejected, in nanoseconds since the Unix epoch; 0 if none was.
    pub last_failure_epoch: u64,
}

/// What there is to know of a key without reading its value. `version` and `len` belong together.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-slot-snapshot-type-{}", std::process::id());
/// let store = Store::create(&name)?;
/// store.set("k", b"")?;
/// let snapshot = store.slot_snapshot("k")?.unwrap();
/// assert_eq!((snapshot.first_version, snapshot.version, snapshot.len), (1, 1, Some(0)));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotSnapshot {
    /// Which of the store's slots it is.
    pub slot: u32,
    /// The newest version; while nothing was set yet, the one after which this key's begin.
    pub version: u64,
    /// The length of the newest value in bytes; `None` while nothing was set yet.
    pub len: Option<usize>,
    /// The first version that can be read, if it is still kept.
    pub first_version: u64,
}

impl SlotSnapshot {
    pub(super) fn take(ring: Ring<'_>, place: Place) -> Result<Self, ReadError> {
        // Before the version, which it never passes.
        let first_version = ring.born() + 1;
        let (version, len) = ring.newest_len(place.generation)?;
        Ok(Self { slot: place.slot, version, len, first_version })
    }
}

/// How the cells of a slot are used at one moment.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::{Store, StoreOptions};
/// # let name = format!("splinter-doc-cells-{}", std::process::id());
/// let store = StoreOptions::new().history(3).spare(2).create(&name)?;
/// let slot = store.slot("k")?;
/// slot.set(b"v")?;
/// assert_eq!((slot.cells().readable, slot.cells().free), (1, 4));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CellCounts {
    /// Cells that hold a value that can be read.
    pub readable: u32,
    /// Cells that hold nothing.
    pub free: u32,
    /// Cells that a writer is filling, or was when it died or stopped, and those that are lent.
    pub in_flight: u32,
    /// Cells that a participant has pinned; they are readable as well.
    pub pinned: u32,
    /// Cells whose value a lossless subscriber has not received, or a work queue not done with; they are readable as well.
    pub owed: u32,
}
