//! Setting a value only if the key has not changed.

use super::slot::Slot;
use crate::store::by_key::look_up::retry_if_removed;
use crate::store::directory::WaitLimit;
use crate::store::error::SetError;
use crate::store::store::Store;

impl Slot {
    /// Sets the value if the newest version is `expected`; 0 stands for a key that has no value yet.
    /// Returns the new version in `Ok`; if it was not set, the newest version in `Err`, or 0 if there
    /// is no value.
    ///
    /// So several processes can change a value of any kind, and none overwrites a change that it has
    /// not seen: read value and version, compute the new value, and begin again if it is refused. As
    /// [`set`](Self::set) otherwise. No version is ever used twice, so a value that was replaced and
    /// set again is not mistaken for the old one.
    ///
    /// # Errors
    ///
    /// [`SetError`]: as for [`set`](Self::set). The old value stays.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-set-if-version-{}", std::process::id());
    /// let slot = Store::create(&name)?.slot("list")?;
    /// assert_eq!(slot.set_if_version(0, b"a")?, Ok(1));
    ///
    /// // Another element, whatever others do.
    /// let mut list = Vec::new();
    /// loop {
    ///     let version = slot.get_into(&mut list)?.unwrap_or(0);
    ///     list.extend(b",b");
    ///     if slot.set_if_version(version, &list)?.is_ok() {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(slot.set_if_version(1, b"late")?, Err(2));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_if_version(&self, expected: u64, value: &[u8]) -> Result<Result<u64, u64>, SetError> {
        self.check_fork()?;
        let (session, ring) = (self.session(), self.ring());
        let publish = || ring.publish_if(expected, value);
        let outcome = publish().or_else(|error| session.retry_with_space(error, publish))?;
        if outcome.is_ok() {
            session.wake(ring);
        }
        Ok(outcome)
    }
}

impl Store {
    /// Sets the key's value if its newest version is `expected`: see [`Slot::set_if_version`]. 0 stands
    /// for a key that does not exist, or has no value yet; only then the key is created.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-set-if-version-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert_eq!(store.set_if_version("leader", 0, b"process 1")?, Ok(1));
    /// assert_eq!(store.set_if_version("leader", 0, b"process 2")?, Err(1));
    /// assert_eq!(store.set_if_version("other", 7, b"")?, Err(0));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_if_version(&self, key: &str, expected: u64, value: &[u8]) -> Result<Result<u64, u64>, SetError> {
        self.check_len(key, value.len())?;
        if expected == 0 {
            return self.with_slot(key, &mut WaitLimit::longest(), |slot| slot.set_if_version(expected, value));
        }
        retry_if_removed(|| match self.existing_slot(key)? {
            Some(slot) => slot.set_if_version(expected, value),
            None => Ok(Err(0)),
        })
    }
}
