//! Waiting until a key is set.

use std::time::Duration;

use crate::store::directory::WaitLimit;
use crate::store::error::DirectoryError;
use crate::store::store::Store;
use crate::store::wait::{Deadline, Spin};

impl Store {
    /// Waits until the key is set after the call. Returns the version; `None` if that did not
    /// happen in time. Without a `timeout`, there is no time limit.
    ///
    /// The key is created, without a value, if there is none, so a process may wait before another
    /// one sets the key. To miss no update between two calls, use [`poll_after`](Self::poll_after).
    /// The timeout includes creating the key, which waits ten seconds at most for other processes
    /// that create or remove keys.
    ///
    /// # Errors
    ///
    /// As [`slot`](Self::slot).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::{thread, time::Duration};
    ///
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-poll-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert_eq!(store.poll("k", Some(Duration::from_millis(1)))?, None);
    /// let version = thread::scope(|scope| {
    ///     let waiter = scope.spawn(|| store.poll("k", None));
    ///     while !waiter.is_finished() {
    ///         store.set("k", b"v").unwrap();
    ///     }
    ///     waiter.join().unwrap()
    /// })?;
    /// assert!(version >= Some(1));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll(&self, key: &str, timeout: Option<Duration>) -> Result<Option<u64>, DirectoryError> {
        self.poll_from(key, None, timeout)
    }

    /// Waits until the key has a version larger than `seen`. Returns the newest; `None` if that did
    /// not happen in time. Without a `timeout`, there is no time limit.
    ///
    /// No update between two calls is missed: pass the version that the last one gave. That holds
    /// across removals of the key, too: no later key of the same name has a version that this one
    /// had. The timeout includes creating the key; with zero, there is a single attempt. A key that
    /// is removed during the wait is created again, without a value. Spins briefly, then sleeps. A
    /// writer that dies between publishing and waking delays sleepers by a tenth of a second at
    /// most.
    ///
    /// # Errors
    ///
    /// As [`slot`](Self::slot).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-poll-after-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.set("k", b"first")?;
    /// assert_eq!(store.poll_after("k", 0, None)?, Some(1));
    /// store.set("k", b"second")?;
    /// assert_eq!(store.poll_after("k", 1, None)?, Some(2));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll_after(&self, key: &str, seen: u64, timeout: Option<Duration>) -> Result<Option<u64>, DirectoryError> {
        self.poll_from(key, Some(seen), timeout)
    }

    /// As [`poll_after`](Self::poll_after), from the newest version on if none is given.
    fn poll_from(
        &self,
        key: &str,
        seen: Option<u64>,
        timeout: Option<Duration>,
    ) -> Result<Option<u64>, DirectoryError> {
        let (deadline, mut spin, mut seen) = (Deadline::after(timeout), Spin::default(), seen);
        loop {
            let slot = match self.slot_within(key, &mut WaitLimit::until(deadline)) {
                // The timeout was shorter than the longest wait for the directory.
                Err(DirectoryError::Busy { .. }) if deadline.left().is_none() => return Ok(None),
                slot => slot?,
            };
            let seen = *seen.get_or_insert_with(|| slot.version());
            // An error means that the key was removed meanwhile: then it is created again.
            if let Ok(version) = slot.wait(seen, deadline, &mut spin) {
                return Ok(version);
            }
        }
    }
}
