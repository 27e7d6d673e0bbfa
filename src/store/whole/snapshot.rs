//! The state of a store at one moment.

use crate::core::cell_counts::CellCounts;
use crate::core::index::{self, Indexed};
use crate::os::clock;
use crate::store::dimensions::Dimensions;
use crate::store::flags::Flags;
use crate::store::lifecycle::LAYOUT;
use crate::store::store::Store;
use crate::sync::Ordering;

/// The state of a store. Each field is true at some moment of the call; different fields may be
/// from different moments.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-snapshot-type-{}", std::process::id());
/// let store = Store::create(&name)?;
/// store.set("k", b"v")?;
/// let snapshot = store.snapshot();
/// assert_eq!((snapshot.keys, snapshot.dimensions), (1, store.dimensions()));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreSnapshot {
    /// A random number that distinguishes this store from any other that had its name.
    pub id: u64,
    /// The version of the layout.
    pub layout: u32,
    /// The store's shape.
    pub dimensions: Dimensions,
    /// The length of the whole store in bytes.
    pub total_len: u64,
    /// Whether it is in a file, where values carry checksums.
    pub persistent: bool,
    /// When it was created, in nanoseconds since the Unix epoch.
    pub created: u64,
    /// The number of keys. After a process has crashed while it created or removed one, it may be
    /// off by one until the next is created or removed.
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
    /// Frames that were damaged, or of a type that is not the reader's.
    pub parse_failures: u64,
    /// When the last of them was rejected, in nanoseconds since the Unix epoch; 0 if none was.
    pub last_failure_epoch: u64,
}

impl Store {
    /// The state of the store now.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Flags, Store};
    /// # let name = format!("splinter-doc-snapshot-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let snapshot = store.snapshot();
    /// assert_eq!((snapshot.keys, snapshot.flags, snapshot.persistent), (0, Flags::AUTO_VACUUM, false));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> StoreSnapshot {
        let mapped = self.mapped();
        let identity = &mapped.header().identity;
        StoreSnapshot {
            id: identity.id.load(Ordering::Relaxed),
            layout: LAYOUT,
            dimensions: mapped.dimensions,
            total_len: mapped.memory.region.len() as u64,
            persistent: mapped.checksums,
            created: identity.created.load(Ordering::Relaxed),
            keys: mapped.directory_header().key_count.load(Ordering::Relaxed).min(mapped.dimensions.slots),
            flags: self.flags(),
            diagnostics: self.diagnostics(),
        }
    }

    /// How all cells of all keys are used now. Reads every cell of them.
    ///
    /// While no process publishes, holds anything or has crashed, none is in flight and none is
    /// pinned.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, KeyOptions, StoreOptions};
    /// # let name = format!("splinter-doc-store-cells-{}", std::process::id());
    /// let store = StoreOptions::new().slots(2).key_options(KeyOptions::new().history(3).spare(1)).create(&name)?;
    /// store.set("k", b"v")?;
    /// let cells = store.cells();
    /// assert_eq!((cells.total(), cells.readable, cells.in_flight, cells.pinned), (4, 1, 0, 0));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cells(&self) -> CellCounts {
        let mapped = self.mapped();
        let has_key_of_a_user = |&slot: &u32| index::stored_key_of(mapped, slot).is_some_and(|key| !key.is_of_system());
        let slots = (0..mapped.used_slots()).filter(has_key_of_a_user);
        slots.map(|slot| self.session.on_slot(slot, |ring| ring.count_cells())).sum()
    }

    /// What readers of this store have rejected so far.
    ///
    /// # Examples
    ///
    /// See [`Diagnostics`].
    #[must_use]
    pub fn diagnostics(&self) -> Diagnostics {
        let diagnostics = &self.mapped().header().diagnostics;
        Diagnostics {
            parse_failures: diagnostics.parse_failures.load(Ordering::Relaxed),
            last_failure_epoch: diagnostics.last_failure_epoch.load(Ordering::Relaxed),
        }
    }

    /// Counts a value that its reader could not decode. The typed bus does this by itself.
    ///
    /// # Examples
    ///
    /// See [`Diagnostics`].
    pub fn report_parse_failure(&self) {
        let diagnostics = &self.mapped().header().diagnostics;
        diagnostics.parse_failures.fetch_add(1, Ordering::Relaxed);
        diagnostics.last_failure_epoch.fetch_max(clock::unix_nanos(), Ordering::Relaxed);
    }
}
