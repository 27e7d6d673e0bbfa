//! A handle on one key: its slot, looked up once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::core::cell_counts::CellCounts;
use crate::core::index::SlotRef;
use crate::core::lookup::Lookup;
use crate::core::memory::records::Event;
use crate::core::ring::owned_handle::OwnedHandle;
use crate::core::ring::{Appended, Begin, ReadError, Ring, StoredVersion};
use crate::store::error::{Forked, GetError, KeyError, SetError, UpdateError};
use crate::store::key_options::KeyShape;
use crate::store::session::Session;
use crate::store::wait::Deadline;

/// A handle on one key, which is looked up only once.
///
/// It is valid while the key exists. After any process has called
/// [`Store::unset`](crate::store::Store::unset), every operation returns an error that the key was
/// removed, also if it was created again since.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{KeyError, SetError, Store};
///
/// # let name = format!("splinter-doc-slot-type-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let slot = store.slot("k")?;
/// slot.set(b"v")?;
/// store.unset("k")?;
/// assert!(matches!(slot.set(b"w"), Err(SetError::Key(KeyError::Removed))));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Slot {
    session: Arc<Session>,
    handle: OwnedHandle,
    pub(super) slot_ref: SlotRef,
}

impl Slot {
    pub(crate) fn new(session: Arc<Session>, slot_ref: SlotRef) -> Self {
        let handle = session.handle(slot_ref);
        Self { session, handle, slot_ref }
    }

    /// Refuses to go on in a child of the process that opened the store.
    #[inline]
    pub(crate) fn check_fork(&self) -> Result<(), Forked> {
        self.session.check_fork()
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    #[cfg(feature = "async")]
    pub(crate) fn generation(&self) -> u64 {
        self.slot_ref.generation
    }

    #[inline]
    pub(crate) fn ring(&self) -> Ring<'_> {
        self.session.ring(self.handle.get())
    }

    /// Sets the value. Returns its version. Copies the bytes.
    ///
    /// Lock-free. Makes system calls only if there are sleepers to wake, or if every cell is in
    /// use: then it looks for crashed participants among the users, and waits for the others for
    /// some tens of milliseconds. In a file, it also waits for one small write to the disk in every
    /// 67 million versions of a key, and at the first publish after a recovery.
    ///
    /// # Errors
    ///
    /// [`SetError`]: too large, no cell to write to, or the key was removed. The old value stays.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-set-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// assert_eq!(slot.set(b"first")?, 1);
    /// assert_eq!(slot.set(b"second")?, 2);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn set(&self, value: &[u8]) -> Result<u64, SetError> {
        self.check_fork()?;
        self.session.set(self.ring(), value)
    }

    /// As [`set`](Self::set), and waits for a cell while none may be overwritten, for `timeout` at
    /// most: until readers release what they have pinned, or lossless subscribers and workers of a
    /// queue have received what is retained for them.
    ///
    /// # Errors
    ///
    /// [`SetError`]: too large, no cell in time, or the key was removed. The old value stays.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use splinter_bus::store::{SetError, KeyOptions, StoreOptions};
    ///
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-set-timeout-{}", std::process::id());
    /// let slot = StoreOptions::new().key_options(KeyOptions::new().history(1).spare(1)).create(&name)?.slot("k")?;
    /// slot.set(b"first")?;
    /// let pinned = slot.pin()?;
    /// slot.set(b"second")?;
    /// assert!(matches!(slot.set_timeout(b"third", Duration::from_millis(5)), Err(SetError::Backpressure(_))));
    /// drop(pinned);
    /// assert_eq!(slot.set_timeout(b"third", Duration::from_millis(5))?, 3);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_timeout(&self, value: &[u8], timeout: Duration) -> Result<u64, SetError> {
        self.check_fork()?;
        self.session.set_within(self.ring(), value, Deadline::after(Some(timeout)))
    }

    /// Appends bytes to the value, as one update. Returns the version and the length of the new value.
    /// A key without a value is set to them.
    ///
    /// # Errors
    ///
    /// [`UpdateError`]: as for setting the whole value, or a value that cannot be read. The old
    /// value stays.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-append-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let slot = store.slot("k")?;
    /// slot.append(b"one,")?;
    /// assert_eq!(slot.append(b"two")?.len, 7);
    /// assert_eq!(store.get("k")?.as_deref(), Some(&b"one,two"[..]));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append(&self, bytes: &[u8]) -> Result<Appended, UpdateError> {
        self.check_fork()?;
        let (ring, max) = (self.ring(), self.max_len());
        let appended = self.session.append(ring, bytes, max)?;
        self.session.wake(ring);
        Ok(appended)
    }

    /// The version of the newest value. Before the first value, the version after which this key's
    /// versions begin.
    ///
    /// A key that is removed and created again continues above all versions of all removed keys of
    /// the store, so no version means two values: a key's first version need not be 1. In a file,
    /// versions can have gaps: after a loss of power, or in a copy, they continue above all that
    /// any process can have seen.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-version-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// slot.set(b"v")?;
    /// assert_eq!(slot.version(), 1);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn version(&self) -> u64 {
        self.ring().head().version()
    }

    /// Whether the version is from before the machine last started: the store is in a file that was
    /// recovered since.
    pub(crate) fn is_before_boot(&self, version: u64) -> bool {
        self.ring().is_before_boot(version)
    }

    /// The first version that can be read, if it is still kept: the key's first, or the newest at
    /// the last purge.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-first-version-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// assert_eq!(slot.first_version(), 1);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn first_version(&self) -> u64 {
        self.ring().base_version() + 1
    }

    /// The oldest version from `from` on that is kept; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-oldest-from-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// slot.set(b"first")?;
    /// slot.set(b"second")?;
    /// assert_eq!(slot.oldest_from(0)?, Some(1));
    /// assert_eq!(slot.oldest_from(3)?, None);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn oldest_from(&self, from: u64) -> Result<Option<u64>, GetError> {
        self.check_fork()?;
        let oldest = self.ring().oldest_from(from);
        if self.ring().is_current() { Ok(oldest) } else { Err(GetError::Key(KeyError::Removed)) }
    }

    /// How the slot's cells are used now.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-cells-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// slot.set(b"v")?;
    /// assert_eq!(slot.cells().readable, 1);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cells(&self) -> CellCounts {
        self.ring().count_cells()
    }

    /// How many versions from `from` on, and before `to`, were published. Versions that were lost
    /// when the machine stopped are not counted, because their number is unknown.
    pub(crate) fn published_between(&self, from: u64, to: u64) -> u64 {
        self.ring().published_between(from, to)
    }

    /// The longest value of the key in bytes: see [`KeyOptions`](crate::store::KeyOptions).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-max-len-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// assert!(slot.max_len() > 42 << 20);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn max_len(&self) -> usize {
        self.ring().max_len()
    }

    /// How many cells and lossless subscribers the key has.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-shape-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// assert_eq!((slot.shape().history, slot.shape().spare, slot.shape().lossless), (16, 8, 8));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn shape(&self) -> KeyShape {
        self.handle.get().shape().into()
    }

    /// As [`set_timeout`](Self::set_timeout), for a value that is not too long.
    #[inline]
    pub(crate) fn set_within(&self, value: &[u8], deadline: Deadline) -> Result<u64, SetError> {
        match deadline {
            Deadline::Now => self.set(value),
            _ => {
                self.check_fork()?;
                self.session.set_within(self.ring(), value, deadline)
            }
        }
    }

    /// The first version of a subscriber that begins there.
    pub(crate) fn begin(&self, begin: Begin) -> Result<u64, GetError> {
        self.check_fork()?;
        let version = self.ring().resolve_begin(begin);
        if self.ring().is_current() { Ok(version) } else { Err(GetError::Key(KeyError::Removed)) }
    }

    /// The versions from `from` on that are kept now, oldest first. Reads each cell once.
    pub(crate) fn stored_from(&self, from: u64) -> Result<Vec<StoredVersion>, GetError> {
        let kept = self.ring().stored_from(from);
        if self.ring().is_current() { Ok(kept) } else { Err(GetError::Key(KeyError::Removed)) }
    }

    /// At least the first `len` bytes of the newest value, or all if it has fewer; none if there is none.
    pub(crate) fn start_of_newest(&self, len: usize) -> Result<Vec<u8>, GetError> {
        self.start_of(self.stored_from(self.version())?.pop(), len)
    }

    /// As [`start_of_newest`](Self::start_of_newest), without jobs that were done.
    pub(crate) fn start_of_newest_to_do(&self, len: usize) -> Result<Vec<u8>, GetError> {
        self.start_of(self.stored_from(0)?.into_iter().rev().find(|&kept| !self.ring().is_done(kept)), len)
    }

    fn start_of(&self, kept: Option<StoredVersion>, len: usize) -> Result<Vec<u8>, GetError> {
        let mut start = Vec::new();
        match kept {
            Some(kept) if self.copy_start(kept, len, &mut start)? => Ok(start),
            _ => Ok(Vec::new()),
        }
    }

    /// Copies a version that was kept into `value`, replacing its content; `false` if it is gone.
    pub(crate) fn copy_stored(&self, kept: StoredVersion, value: &mut Vec<u8>) -> Result<bool, GetError> {
        match self.ring().copy_stored(kept, value) {
            Err(ReadError::Long) => {
                let copied = self.session.copy_version(self.ring(), kept.version, value)?;
                Ok(copied == Lookup::Found(()))
            }
            outcome => Ok(outcome?),
        }
    }

    /// Copies at least the first `len` bytes of a version that was kept into `value`, or all if it has fewer;
    /// `false` if it is gone. Pins no short value, so that no publisher lacks its cell.
    pub(crate) fn copy_start(&self, kept: StoredVersion, len: usize, value: &mut Vec<u8>) -> Result<bool, GetError> {
        match self.ring().copy_stored(kept, value) {
            Err(ReadError::Long) => match self.try_pin(kept.version)? {
                Lookup::Found(pinned) => {
                    value.resize(len.min(pinned.len()), 0);
                    pinned.copy_start(value);
                    Ok(true)
                }
                Lookup::NotYet | Lookup::Gone => Ok(false),
            },
            outcome => Ok(outcome?),
        }
    }

    /// The event of those who wait for the next version.
    pub(crate) fn new_version(&self) -> &Event {
        self.ring().new_version()
    }

    /// The address of the slot: the same for all handles on it of one session.
    #[cfg(feature = "async")]
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self.handle.get().slot().header).addr()
    }

    /// Whether the key still exists.
    pub(crate) fn exists(&self) -> bool {
        self.ring().is_current()
    }
}

impl Clone for Slot {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.session), self.slot_ref)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SlotRef { slot, generation } = self.slot_ref;
        f.debug_struct("Slot").field("slot", &slot).field("generation", &generation).finish_non_exhaustive()
    }
}
