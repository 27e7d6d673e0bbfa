//! A handle on one key: its slot, found once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::{Forked, GetError, KeyError, SetError, UpdateError};
use super::inner::Inner;
use super::loan::{Loan, LoanUninit};
use super::pin::{Pinned, PinnedVersion};
use super::snapshot::SlotSnapshot;
use super::wait::{Deadline, Spin};
use crate::core::cell_counts::CellCounts;
use crate::core::index::Place;
use crate::core::memory::records::Event;
use crate::core::ring::{
    Begin, CommitError, Exact, KeptVersion, Lending, ModifyError, OwnedHandle, ReadError, Ring, Unfit,
};

/// A handle on one key, without looking it up again.
///
/// Stays good while the key exists: after [`Store::unset`](super::Store::unset), by anyone, every operation says that the
/// key was removed, also if it was created anew since.
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
    inner: Arc<Inner>,
    handle: OwnedHandle,
    place: Place,
}

/// What became of one version of a key.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::{Store, Version};
/// # let name = format!("splinter-doc-version-type-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let (slot, mut value) = (store.slot("k")?, Vec::new());
/// assert_eq!(slot.get_version_into(1, &mut value)?, Version::NotYet);
/// slot.set(b"v")?;
/// assert_eq!(slot.get_version_into(1, &mut value)?, Version::Copied);
/// store.purge()?;
/// slot.set(b"w")?;
/// store.purge()?;
/// assert_eq!(slot.get_version_into(1, &mut value)?, Version::Gone);
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// It is in the caller's buffer.
    Copied,
    /// It was not published yet.
    NotYet,
    /// It was overwritten, or it never was this key's.
    Gone,
}

impl Slot {
    pub(super) fn new(inner: Arc<Inner>, place: Place) -> Self {
        let handle = inner.handle(place);
        Self { inner, handle, place }
    }

    /// Refuses to go on in a child of the process that opened the store.
    #[inline]
    pub(crate) fn check_fork(&self) -> Result<(), Forked> {
        self.inner.check_fork()
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    #[cfg(feature = "async")]
    pub(super) fn generation(&self) -> u64 {
        self.place.generation
    }

    #[inline]
    pub(super) fn ring(&self) -> Ring<'_> {
        self.inner.ring(self.handle.get())
    }

    /// Sets the value and gives its version. Copies the bytes.
    ///
    /// Lock-free. Makes system calls only if somebody sleeps who must be woken, or if every cell is in somebody's hands: then it
    /// looks for the dead among them, and waits for the living for some tens of milliseconds. In a file, it also waits for one small
    /// write to the disk in every 67 million versions of a key, and at the first publish after a recovery.
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
        self.inner.check_len(value.len())?;
        self.inner.set(self.ring(), value)
    }

    /// As [`set`](Self::set), and waits for a cell, at most for `timeout`, while none may be overwritten: until readers let go of
    /// what they have pinned, or lossless subscribers and workers of a queue have received what they are to receive.
    ///
    /// # Errors
    ///
    /// [`SetError`]: too large, no cell in time, or the key was removed. The old value stays.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use splinter_bus::store::{SetError, StoreOptions};
    ///
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-set-timeout-{}", std::process::id());
    /// let slot = StoreOptions::new().history(1).spare(1).create(&name)?.slot("k")?;
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
        self.inner.check_len(value.len())?;
        self.inner.set_within(self.ring(), value, Deadline::after(Some(timeout)))
    }

    /// Lends a cell for a value of `len` bytes, all zero, to be written in place.
    ///
    /// Takes a cell as [`set`](Self::set) does. The first loan of a handle maps the store a second time.
    ///
    /// # Errors
    ///
    /// [`SetError`]: too large, no cell to lend, the key was removed, or the store cannot be mapped again.
    ///
    /// # Examples
    ///
    /// See [`Loan`].
    pub fn loan(&self, len: usize) -> Result<Loan, SetError> {
        self.loan_within(len, Lending::Zeroed, Deadline::Now)
    }

    /// As [`loan`](Self::loan), without zeroing the bytes first.
    ///
    /// # Errors
    ///
    /// As [`loan`](Self::loan).
    ///
    /// # Examples
    ///
    /// See [`LoanUninit`].
    pub fn loan_uninit(&self, len: usize) -> Result<LoanUninit, SetError> {
        self.loan_within(len, Lending::AsItIs, Deadline::Now).map(LoanUninit::new)
    }

    pub(crate) fn loan_within(&self, len: usize, lending: Lending, deadline: Deadline) -> Result<Loan, SetError> {
        Loan::new(&self.inner, self.place, len, lending, deadline)
    }

    /// Puts bytes behind the value, as one update, and gives the version. Without a value, sets it to them.
    ///
    /// # Errors
    ///
    /// [`UpdateError`]: as when setting the whole, or a value that cannot be read. The old value stays.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-append-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let slot = store.slot("k")?;
    /// slot.append(b"one,")?;
    /// slot.append(b"two")?;
    /// assert_eq!(store.get("k")?.as_deref(), Some(&b"one,two"[..]));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append(&self, bytes: &[u8]) -> Result<u64, UpdateError> {
        self.check_fork()?;
        self.inner.check_len(bytes.len())?;
        let (ring, max) = (self.ring(), self.inner.max_len());
        let version = ring.append(bytes, max).map_err(|error| match error {
            ModifyError::Commit(error) => SetError::from(error).into(),
            ModifyError::Read(error) => GetError::from(error).into(),
            ModifyError::Unfit(len) => UpdateError::Set(SetError::TooLarge { len, max }),
        })?;
        self.inner.wake(ring);
        Ok(version)
    }

    /// Makes the next integer of the newest one, as one update, and gives what that was.
    pub(super) fn modify_integer(&self, next: impl Fn(u64) -> Option<u64>) -> Result<u64, ModifyError<Unfit>> {
        let too_large = |_| ModifyError::Unfit(Unfit::Len(self.inner.max_len()));
        self.inner.check_len(size_of::<u64>()).map_err(too_large)?;
        let ring = self.ring();
        let before = ring.modify_integer(next)?;
        self.inner.wake(ring);
        Ok(before)
    }

    /// Copies the newest value into `value`, replacing what it held, and gives the version; `None` if nothing was set yet.
    /// Never blocks.
    ///
    /// After eight failed copies (two for values over 4 MiB), it pins the value, which takes one of the key's cells from publishers for as long
    /// as the copy takes.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed, its value was lost, the store is damaged, or `Overtaken`: publishers replaced the value each time that it
    /// was to be read.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-get-into-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// slot.set(b"v")?;
    /// let mut value = Vec::new();
    /// assert_eq!(slot.get_into(&mut value)?, Some(1));
    /// assert_eq!(value, b"v");
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn get_into(&self, value: &mut Vec<u8>) -> Result<Option<u64>, GetError> {
        self.check_fork()?;
        self.inner.copy_newest(self.ring(), &self.place, value)
    }

    /// Copies this one version into `value`, if it is kept. Never blocks.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed, its value was lost, or the store is damaged. Never `Overtaken`: a version that was overwritten is
    /// [`Version::Gone`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, Version};
    /// # let name = format!("splinter-doc-slot-get-version-into-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// slot.set(b"first")?;
    /// slot.set(b"second")?;
    /// let mut value = Vec::new();
    /// assert_eq!(slot.get_version_into(1, &mut value)?, Version::Copied);
    /// assert_eq!(value, b"first");
    /// assert_eq!(slot.get_version_into(3, &mut value)?, Version::NotYet);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn get_version_into(&self, version: u64, value: &mut Vec<u8>) -> Result<Version, GetError> {
        self.check_fork()?;
        Ok(match self.ring().copy_version(version, value)? {
            Exact::Copied => Version::Copied,
            Exact::NotYet => Version::NotYet,
            Exact::Gone => Version::Gone,
        })
    }

    /// The length of the newest value in bytes; `None` if nothing was set yet. Never blocks.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed, its value was lost or damaged, or `Overtaken`, as of [`get_into`](Self::get_into).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-size-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// slot.set(b"value")?;
    /// assert_eq!(slot.size()?, Some(5));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn size(&self) -> Result<Option<usize>, GetError> {
        self.check_fork()?;
        Ok(self.inner.newest_len(self.ring(), self.place)?.1)
    }

    /// What there is to know of the key at one moment, without its value. Never blocks.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed, its value was lost or damaged, or `Overtaken`, as of [`get_into`](Self::get_into).
    ///
    /// # Examples
    ///
    /// See [`SlotSnapshot`].
    pub fn snapshot(&self) -> Result<SlotSnapshot, GetError> {
        self.check_fork()?;
        SlotSnapshot::take(&self.inner, self.ring(), self.place)
    }

    /// The version of the newest value; before the first, the version after which this key's begin.
    ///
    /// A key that is removed and created again goes on above all versions that any removed key of the store had, so that none
    /// means two values: a key's first version need not be 1. In a file, versions can have gaps: after a loss of power, or in a copy, they
    /// continue above all that anybody can have seen.
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

    /// The first version that can be read, if it is still kept: the key's first, or the newest at the last purge.
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
        if self.ring().is_current() { Ok(oldest) } else { Err(KeyError::Removed.into()) }
    }

    /// Waits until the key is set from now on, and gives the version; `None` if that did not happen in time. Without a
    /// `timeout`, waits for ever.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-poll-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// slot.set(b"v")?;
    /// assert_eq!(slot.poll(Some(Duration::from_millis(1)))?, None);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll(&self, timeout: Option<Duration>) -> Result<Option<u64>, GetError> {
        self.poll_after(self.version(), timeout)
    }

    /// Waits until the newest version is larger than `seen`, and gives it; `None` if that did not happen in time. Without a
    /// `timeout`, waits for ever.
    ///
    /// No update between two calls is missed: pass the version that the last one gave. Spins briefly, then sleeps. A writer
    /// that dies in the instant between publishing and waking delays those who sleep by a tenth of a second at most.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-poll-after-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// slot.set(b"first")?;
    /// assert_eq!(slot.poll_after(0, None)?, Some(1));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll_after(&self, seen: u64, timeout: Option<Duration>) -> Result<Option<u64>, GetError> {
        self.wait(seen, Deadline::after(timeout), &mut Spin::default())
    }

    #[inline]
    pub(crate) fn wait(&self, seen: u64, deadline: Deadline, spin: &mut Spin) -> Result<Option<u64>, GetError> {
        self.check_fork()?;
        let ring = self.ring();
        let newer = super::wait::for_newer(ring, seen, deadline, spin);
        if ring.is_current() { Ok(newer) } else { Err(KeyError::Removed.into()) }
    }

    /// Pins the newest value: it is not overwritten until the pin is dropped. `None` if nothing was set yet.
    ///
    /// A pin takes one of the key's cells from its writers. The pins of a process that dies are taken back.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed, its value was lost, the store is damaged, or `Overtaken`: publishers replaced the value each time that it
    /// was to be pinned.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-pin-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// slot.set(b"v")?;
    /// let pinned = slot.pin()?.unwrap();
    /// assert_eq!(*pinned, *b"v");
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pin(&self) -> Result<Option<Pinned>, GetError> {
        Pinned::newest(&self.inner, self.place)
    }

    /// Pins this one version; `None` if it was not published yet, or is not kept any more.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed, or `Claimed`: a writer that stands still is about to overwrite the version. Never `Overtaken`: of a version
    /// that was overwritten, the answer is `None`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-pin-version-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("k")?;
    /// slot.set(b"first")?;
    /// slot.set(b"second")?;
    /// assert_eq!(slot.pin_version(1)?.as_deref(), Some(&b"first"[..]));
    /// assert!(slot.pin_version(3)?.is_none());
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pin_version(&self, version: u64) -> Result<Option<Pinned>, GetError> {
        match self.try_pin(version)? {
            PinnedVersion::Pinned(pinned) => Ok(Some(pinned)),
            PinnedVersion::NotYet | PinnedVersion::Gone => Ok(None),
            PinnedVersion::Claimed => Err(GetError::Claimed { version }),
        }
    }

    pub(crate) fn try_pin(&self, version: u64) -> Result<PinnedVersion, GetError> {
        Pinned::version_of(&self.inner, self.place, version)
    }

    /// How many versions from `from` on, and before `to`, were published; without those that were lost with the machine's last moments, of
    /// which nobody knows how many there were.
    pub(crate) fn published_between(&self, from: u64, to: u64) -> u64 {
        self.ring().published_between(from, to)
    }

    /// The largest value in bytes.
    #[inline]
    pub(crate) fn max_len(&self) -> usize {
        self.inner.max_len()
    }

    /// As [`set_timeout`](Self::set_timeout), of a value that is not too long.
    #[inline]
    pub(crate) fn set_within(&self, value: &[u8], deadline: Deadline) -> Result<u64, SetError> {
        match deadline {
            Deadline::Now => self.set(value),
            _ => {
                self.check_fork()?;
                self.inner.set_within(self.ring(), value, deadline)
            }
        }
    }

    /// The first version for those who begin there.
    pub(crate) fn begin(&self, begin: Begin) -> Result<u64, GetError> {
        self.check_fork()?;
        let version = self.ring().begin_of(begin);
        if self.ring().is_current() { Ok(version) } else { Err(KeyError::Removed.into()) }
    }

    /// The versions from `from` on that are kept now, oldest first. Looks once at each cell.
    pub(crate) fn kept_from(&self, from: u64) -> Result<Vec<KeptVersion>, GetError> {
        let kept = self.ring().kept_from(from);
        if self.ring().is_current() { Ok(kept) } else { Err(KeyError::Removed.into()) }
    }

    /// Copies a version that was kept into `value`, replacing what it held; `false` if it is kept no longer.
    pub(crate) fn copy_kept(&self, kept: KeptVersion, value: &mut Vec<u8>) -> Result<bool, GetError> {
        Ok(self.ring().copy_kept(kept, value)?)
    }

    /// What those sleep on who wait for the next version.
    pub(crate) fn new_version(&self) -> &Event {
        self.ring().new_version()
    }

    /// Where the slot lies: the same for all handles on it of one open store.
    #[cfg(feature = "async")]
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self.handle.get().slot().header).addr()
    }

    /// Whether the key is still there.
    pub(crate) fn exists(&self) -> bool {
        self.ring().is_current()
    }

    /// Whether the key has lossless subscribers.
    pub(crate) fn has_lossless(&self) -> bool {
        self.ring().cursors().next().is_some()
    }

    /// Whether the key is a work queue.
    pub(crate) fn is_queue(&self) -> bool {
        self.ring().backlog().is_some()
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
}

impl Clone for Slot {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.inner), self.place)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { slot, generation } = self.place;
        f.debug_struct("Slot").field("slot", &slot).field("generation", &generation).finish_non_exhaustive()
    }
}

impl From<CommitError> for SetError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Backpressure(cells) => Self::Backpressure(Box::new(cells)),
            CommitError::Removed => Self::Key(KeyError::Removed),
            CommitError::Exhausted => Self::Exhausted,
        }
    }
}

impl From<ReadError> for GetError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Removed => Self::Key(KeyError::Removed),
            ReadError::Lost => Self::Lost,
            ReadError::Overtaken => Self::Overtaken,
            ReadError::Corrupt => Self::Key(KeyError::Damaged),
        }
    }
}
