//! A handle on one key: its slot, found once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::directory::Place;
use super::error::{GetError, SetError};
use super::handle::Inner;
use super::pin::Pinned;
use super::ring::{CommitError, Exact, ReadError, Ring};
use super::wait::{Deadline, Spin};
use crate::region::mapping::SlotLease;

/// A handle on one key, without looking it up again.
///
/// Stays good while the key exists: after [`Store::unset`](super::Store::unset), by anyone, every operation says that the
/// key was removed, also if it was created anew since.
#[derive(Clone)]
pub struct Slot {
    inner: Arc<Inner>,
    lease: SlotLease,
    place: Place,
}

/// What became of one version of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// It is in the caller's buffer.
    Copied,
    /// It was not published yet.
    NotYet,
    /// It was overwritten, or it never was this key's.
    Gone,
}

/// How the cells of a slot are used at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CellCounts {
    /// Cells that hold a value that can be read.
    pub readable: u32,
    /// Cells that hold nothing.
    pub free: u32,
    /// Cells that a writer is filling, or was when it died or stopped.
    pub in_flight: u32,
    /// Cells that a participant has pinned; they are readable as well.
    pub pinned: u32,
}

impl Slot {
    pub(super) fn new(inner: Arc<Inner>, place: Place) -> Self {
        let lease = inner.lease(place.slot);
        Self { inner, lease, place }
    }

    #[inline]
    fn ring(&self) -> Ring<'_> {
        self.inner.ring(&self.lease)
    }

    /// Sets the value and gives its version. Copies the bytes; lock-free; makes a system call only if somebody sleeps.
    ///
    /// # Errors
    ///
    /// [`SetError`]: too large, no cell to write to, or the key was removed. The old value stays.
    #[inline]
    pub fn set(&self, value: &[u8]) -> Result<u64, SetError> {
        self.inner.check_len(value)?;
        let ring = self.ring();
        let version = ring.publish(value, self.place.generation, &*self.inner)?;
        self.inner.wake(ring);
        ring.expect_to_publish(value.len());
        Ok(version)
    }

    /// Copies the newest value into `value`, replacing what it held, and gives the version; `None` if nothing was set yet.
    /// Never blocks.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed, or the store is damaged.
    #[inline]
    pub fn get_into(&self, value: &mut Vec<u8>) -> Result<Option<u64>, GetError> {
        Ok(self.ring().copy_newest(self.place.generation, value)?)
    }

    /// Copies this one version into `value`, if it is kept. Never blocks.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed, or the store is damaged.
    #[inline]
    pub fn get_version_into(&self, version: u64, value: &mut Vec<u8>) -> Result<Version, GetError> {
        Ok(match self.ring().copy_version(version, self.place.generation, value)? {
            Exact::Copied => Version::Copied,
            Exact::NotYet => Version::NotYet,
            Exact::Gone => Version::Gone,
        })
    }

    /// The length of the newest value in bytes and its version; `None` if nothing was set yet.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed, or the store is damaged.
    pub fn len(&self) -> Result<Option<(usize, u64)>, GetError> {
        Ok(self.ring().newest_len(self.place.generation)?)
    }

    /// The version of the newest value; before the first, the version after which this key's begin. Versions of a slot
    /// count on when it is given to another key, so a key's first version need not be 1.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.ring().head().version()
    }

    /// The first version that can be this key's.
    #[must_use]
    pub fn first_version(&self) -> u64 {
        self.ring().born() + 1
    }

    /// The oldest version from `from` on that is kept; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed.
    pub fn oldest_from(&self, from: u64) -> Result<Option<u64>, GetError> {
        let oldest = self.ring().oldest_from(from);
        if self.ring().generation() == self.place.generation { Ok(oldest) } else { Err(GetError::Removed) }
    }

    /// Waits until the newest version is larger than `seen`, and gives it; `None` if that did not happen in time.
    ///
    /// No update between two calls is missed: pass the version that the last one gave. Spins briefly, then sleeps.
    /// Without a `timeout`, waits for ever. A writer that dies in the instant between publishing and waking delays those
    /// who sleep by a tenth of a second at most.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed.
    pub fn poll(&self, seen: u64, timeout: Option<Duration>) -> Result<Option<u64>, GetError> {
        self.wait(seen, Deadline::after(timeout), &mut Spin::default())
    }

    #[inline]
    pub(crate) fn wait(&self, seen: u64, deadline: Deadline, spin: &mut Spin) -> Result<Option<u64>, GetError> {
        let ring = self.ring();
        let newer = super::wait::for_newer(ring, seen, self.place.generation, deadline, spin);
        if ring.generation() == self.place.generation { Ok(newer) } else { Err(GetError::Removed) }
    }

    /// Pins the newest value: it is not overwritten until the pin is dropped. `None` if nothing was set yet.
    ///
    /// A pin takes one of the key's cells from its writers. The pins of a process that dies are taken back.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed, or the store is damaged.
    pub fn pin(&self) -> Result<Option<Pinned>, GetError> {
        Pinned::newest(&self.inner, self.place)
    }

    /// How the slot's cells are used now.
    #[must_use]
    pub fn cells(&self) -> CellCounts {
        self.ring().count_cells()
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
            CommitError::Backpressure => Self::Backpressure,
            CommitError::Removed => Self::Removed,
            CommitError::Exhausted => Self::Exhausted,
        }
    }
}

impl From<ReadError> for GetError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Removed => Self::Removed,
            ReadError::Corrupt => Self::Damaged,
        }
    }
}
