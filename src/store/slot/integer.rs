//! Integers under keys, which any number of threads and processes change atomically.

use std::fmt;

use super::slot::Slot;
use crate::core::ring::{ModifyError, RejectedInteger};
use crate::store::error::{GetError, KeyError, SetError, UpdateError};

/// A handle on a key whose value is an integer: an `AtomicU64` that any process can reach by its
/// name.
///
/// Every change is atomic: no change of another process is lost. It is a version of the key, so
/// other processes can wait for it. A key without a value counts as 0. The value is 8 bytes,
/// little-endian. Results wrap around, so adding `u64::MAX` subtracts 1.
///
/// As a [`Slot`], the handle is valid while the key exists.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::Store;
///
/// # let name = format!("splinter-doc-integer-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let requests = store.integer("requests")?;
/// assert_eq!(requests.fetch_add(2)?, 0);
/// assert_eq!(requests.fetch_add(1)?, 2);
/// assert_eq!(requests.get()?, Some(3));
/// assert_eq!(requests.compare_exchange(3, 0)?, Ok(3));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Integer {
    slot: Slot,
}

impl Integer {
    pub(crate) fn new(slot: Slot) -> Self {
        Self { slot }
    }

    /// The integer; `None` if nothing was set yet. Never blocks.
    ///
    /// # Errors
    ///
    /// [`UpdateError`]: the value is not an integer, or cannot be read.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-integer-get-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert_eq!(store.integer("n")?.get()?, None);
    /// store.set("n", b"text")?;
    /// assert!(store.integer("n")?.get().is_err());
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self) -> Result<Option<u64>, UpdateError> {
        let mut value = Vec::with_capacity(8);
        if self.slot.get_into(&mut value)?.is_none() {
            return Ok(None);
        }
        let bytes = value.as_slice().try_into().map_err(|_| UpdateError::NotAnInteger { len: value.len() })?;
        Ok(Some(u64::from_le_bytes(bytes)))
    }

    /// Sets the integer, also if the value was none. Returns the version.
    ///
    /// # Errors
    ///
    /// As [`Slot::set`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-integer-set-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.integer("n")?.set(258)?;
    /// assert_eq!(store.get("n")?.as_deref(), Some(&[2, 1, 0, 0, 0, 0, 0, 0][..]));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set(&self, value: u64) -> Result<u64, SetError> {
        self.slot.set(&value.to_le_bytes())
    }

    /// Adds `n`, wrapping around. Returns the previous integer.
    ///
    /// # Errors
    ///
    /// [`UpdateError`]: the value is not an integer, or no cell to write to.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-integer-add-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let n = store.integer("n")?;
    /// n.set(5)?;
    /// assert_eq!(n.fetch_add(3)?, 5);
    /// assert_eq!(n.get()?, Some(8));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fetch_add(&self, n: u64) -> Result<u64, UpdateError> {
        self.change(|before| before.wrapping_add(n))
    }

    /// Subtracts `n`, wrapping around. Returns the previous integer.
    ///
    /// # Errors
    ///
    /// [`UpdateError`]: the value is not an integer, or no cell to write to.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-integer-sub-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let n = store.integer("n")?;
    /// n.set(5)?;
    /// assert_eq!(n.fetch_sub(3)?, 5);
    /// assert_eq!(n.get()?, Some(2));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fetch_sub(&self, n: u64) -> Result<u64, UpdateError> {
        self.change(|before| before.wrapping_sub(n))
    }

    /// Clears the bits that are not in `mask`. Returns the previous integer.
    ///
    /// # Errors
    ///
    /// [`UpdateError`]: the value is not an integer, or no cell to write to.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-integer-and-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let n = store.integer("n")?;
    /// n.set(0b1100)?;
    /// assert_eq!(n.fetch_and(0b0110)?, 0b1100);
    /// assert_eq!(n.get()?, Some(0b0100));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fetch_and(&self, mask: u64) -> Result<u64, UpdateError> {
        self.change(|before| before & mask)
    }

    /// Sets the bits that are in `mask`. Returns the previous integer.
    ///
    /// # Errors
    ///
    /// [`UpdateError`]: the value is not an integer, or no cell to write to.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-integer-or-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let n = store.integer("n")?;
    /// n.set(0b1100)?;
    /// assert_eq!(n.fetch_or(0b0110)?, 0b1100);
    /// assert_eq!(n.get()?, Some(0b1110));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fetch_or(&self, mask: u64) -> Result<u64, UpdateError> {
        self.change(|before| before | mask)
    }

    /// Flips the bits that are in `mask`. Returns the previous integer.
    ///
    /// # Errors
    ///
    /// [`UpdateError`]: the value is not an integer, or no cell to write to.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-integer-xor-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let n = store.integer("n")?;
    /// n.set(0b1100)?;
    /// assert_eq!(n.fetch_xor(0b0110)?, 0b1100);
    /// assert_eq!(n.get()?, Some(0b1010));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fetch_xor(&self, mask: u64) -> Result<u64, UpdateError> {
        self.change(|before| before ^ mask)
    }

    /// Flips all bits. Returns the previous integer.
    ///
    /// # Errors
    ///
    /// [`UpdateError`]: the value is not an integer, or no cell to write to.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-integer-not-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let n = store.integer("n")?;
    /// n.set(0)?;
    /// assert_eq!(n.fetch_not()?, 0);
    /// assert_eq!(n.get()?, Some(u64::MAX));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fetch_not(&self) -> Result<u64, UpdateError> {
        self.change(|before| !before)
    }

    /// Sets the integer to `new` if it is `current`. Returns the previous integer: in `Ok` if it
    /// was changed, in `Err` if not.
    ///
    /// # Errors
    ///
    /// [`UpdateError`]: the value is not an integer, or no cell to write to.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-integer-compare-exchange-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let n = store.integer("n")?;
    /// assert_eq!(n.compare_exchange(0, 7)?, Ok(0));
    /// assert_eq!(n.compare_exchange(0, 9)?, Err(7));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn compare_exchange(&self, current: u64, new: u64) -> Result<Result<u64, u64>, UpdateError> {
        self.slot.check_fork()?;
        match self.modify(|before| (before == current).then_some(new)) {
            Ok(before) => Ok(Ok(before)),
            Err(ModifyError::Rejected(RejectedInteger::Declined(value))) => Ok(Err(value)),
            Err(error) => Err(error.into()),
        }
    }

    fn change(&self, next: impl Fn(u64) -> u64) -> Result<u64, UpdateError> {
        self.slot.check_fork()?;
        Ok(self.modify(|before| Some(next(before)))?)
    }

    fn modify(&self, next: impl Fn(u64) -> Option<u64>) -> Result<u64, ModifyError<RejectedInteger>> {
        let (session, ring) = (self.slot.session(), self.slot.ring());
        let before = ring.modify_integer(next)?;
        session.wake(ring);
        Ok(before)
    }
}

impl fmt::Debug for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Integer").field(&self.slot).finish()
    }
}

impl From<ModifyError<RejectedInteger>> for UpdateError {
    fn from(error: ModifyError<RejectedInteger>) -> Self {
        match error {
            ModifyError::Commit(error) => SetError::from(error).into(),
            ModifyError::Read(error) => GetError::from(error).into(),
            ModifyError::Rejected(RejectedInteger::NotAnInteger(len)) => Self::NotAnInteger { len },
            // Not reached: `change` changes every integer, and `compare_exchange` handles this.
            ModifyError::Rejected(RejectedInteger::Declined(_)) => Self::Key(KeyError::Damaged),
        }
    }
}
