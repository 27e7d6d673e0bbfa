//! Waiting until a key is set.

use std::time::Duration;

use super::slot::Slot;
use crate::store::error::GetError;
use crate::store::wait::{Deadline, Spin, wait_for_event};

impl Slot {
    /// Waits until the key is set after the call. Returns the version; `None` if that did not
    /// happen in time. Without a `timeout`, there is no time limit.
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

    /// Waits until the newest version is larger than `seen`. Returns it; `None` if that did not
    /// happen in time. Without a `timeout`, there is no time limit.
    ///
    /// No update between two calls is missed: pass the version that the last one gave. Spins
    /// briefly, then sleeps. A writer that dies between publishing and waking delays sleepers by a
    /// tenth of a second at most.
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
        let check = || ring.newer_than(seen);
        let newer = wait_for_event(ring.new_version(), deadline, spin, || check().is_some(), check);
        Ok(newer.transpose()?)
    }
}
