//! Setting and getting the values of keys.

use crate::core::place::Places;
use crate::core::ring::Appended;
use crate::store::directory::WaitLimit;
use crate::store::error::{DirectoryError, GetError, SetError, UpdateError};
use crate::store::key_options::KeyOptions;
use crate::store::slot::{Integer, Pinned, SlotSnapshot};
use crate::store::store::Store;

impl Store {
    /// Sets the key's value, creating the key if there is none. Returns the version. Copies the
    /// bytes.
    ///
    /// Lock-free for a key that exists. Creating one waits for other processes that create or
    /// remove keys, ten seconds at most.
    ///
    /// # Errors
    ///
    /// [`SetError`]: not a valid key, too large, store full, no cell to write to. The old value
    /// stays.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{SetError, StoreOptions, Store};
    /// # let name = format!("splinter-doc-set-{}", std::process::id());
    /// let store = StoreOptions::new().span(2 << 20).create(&name)?;
    /// assert_eq!(store.set("k", b"first")?, 1);
    /// assert_eq!(store.set("k", b"second")?, 2);
    /// assert_eq!(store.set("k", &[0; 65_536])?, 3);
    /// let error = store.set("k", &[0; 65_537]).unwrap_err();
    /// assert!(error.to_string().starts_with("value too large: 65537 bytes (a message counts with its envelope), maximum 65536"));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set(&self, key: &str, value: &[u8]) -> Result<u64, SetError> {
        self.check_len(key, value.len())?;
        self.with_key(key, &mut WaitLimit::longest(), |slot_ref| {
            self.session.on_key(slot_ref, |ring| self.session.set(ring, value))
        })
    }

    /// Refuses a value that is too long before a key is created for it.
    pub(crate) fn check_len(&self, key: &str, len: usize) -> Result<(), SetError> {
        let dimensions = self.dimensions();
        if len <= dimensions.inline_size as usize {
            return Ok(());
        }
        let max = match self.existing_slot(key)? {
            Some(slot) => slot.max_len(),
            None => {
                let shape = self.shape_of_new_key(&KeyOptions::new()).map_err(DirectoryError::from)?;
                Places::new(shape.cells(), dimensions.span).max_len() as usize
            }
        };
        if len > max { Err(SetError::TooLarge { len, max }) } else { Ok(()) }
    }

    /// Appends bytes to the key's value, as one update. Returns the version and the length of the new
    /// value. A key without a value is set to them.
    ///
    /// Several processes may append at the same time: the bytes of each stay together. Blocks as
    /// [`set`](Self::set) does.
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
    /// # let name = format!("splinter-doc-append-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.append("log", b"one,")?;
    /// let appended = store.append("log", b"two")?;
    /// assert_eq!((appended.version, appended.len), (2, 7));
    /// assert_eq!(store.get("log")?.as_deref(), Some(&b"one,two"[..]));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append(&self, key: &str, bytes: &[u8]) -> Result<Appended, UpdateError> {
        self.check_len(key, bytes.len())?;
        self.with_slot(key, &mut WaitLimit::longest(), |slot| slot.append(bytes))
    }

    /// The key's newest value, copied; `None` if there is no such key, or it has no value yet.
    /// Never blocks.
    ///
    /// # Errors
    ///
    /// [`GetError`]: not a valid key; the value was lost or damaged; `Overtaken`: publishers
    /// replaced the value during each attempt to read it; `Removed`: the key was removed and
    /// created again during each attempt.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-get-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert_eq!(store.get("k")?, None);
    /// store.set("k", b"")?;
    /// assert_eq!(store.get("k")?, Some(vec![]));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, GetError> {
        let mut value = Vec::new();
        Ok(self.get_into(key, &mut value)?.map(|_| value))
    }

    /// Copies the key's newest value into `value`, replacing its content. Returns the version;
    /// `None` if there is no value, and then the content of `value` has no meaning. Allocates only
    /// if `value` is too small. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-get-into-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.set("k", b"v")?;
    /// let mut value = Vec::with_capacity(4096);
    /// assert_eq!(store.get_into("k", &mut value)?, Some(1));
    /// assert_eq!(value, b"v");
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_into(&self, key: &str, value: &mut Vec<u8>) -> Result<Option<u64>, GetError> {
        let version = self.with_existing_key(key, |slot_ref| {
            self.session.on_key(slot_ref, |ring| self.session.copy_newest(ring, value))
        })?;
        Ok(version.flatten())
    }

    /// The length of the key's newest value in bytes; `None` if there is no such key, or it has no
    /// value yet. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-size-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.set("k", b"value")?;
    /// assert_eq!((store.size("k")?, store.size("other")?), (Some(5), None));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn size(&self, key: &str) -> Result<Option<usize>, GetError> {
        let newest = self
            .with_existing_key(key, |slot_ref| self.session.on_key(slot_ref, |ring| self.session.newest_len(ring)))?;
        Ok(newest.and_then(|(_, len)| len))
    }

    /// The state of a key at one moment, without its value; `None` if there is no such key. Never
    /// blocks.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-snapshot-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.set("k", b"value")?;
    /// let snapshot = store.slot_snapshot("k")?.unwrap();
    /// assert_eq!((snapshot.version, snapshot.len), (1, Some(5)));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn slot_snapshot(&self, key: &str) -> Result<Option<SlotSnapshot>, GetError> {
        self.with_existing_key(key, |slot_ref| {
            self.session.on_key(slot_ref, |ring| SlotSnapshot::take(&self.session, ring, slot_ref))
        })
    }

    /// Pins the newest value of a key; `None` if there is none.
    pub(crate) fn pin(&self, key: &str) -> Result<Option<Pinned>, GetError> {
        Ok(self.with_existing_key(key, |slot_ref| Pinned::newest(&self.session, slot_ref))?.flatten())
    }

    /// A handle on a key whose value is an integer, creating the key if there is none. Blocks as
    /// [`set`](Self::set) does.
    ///
    /// # Errors
    ///
    /// As [`slot`](Self::slot).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-store-integer-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert_eq!(store.integer("tokens")?.fetch_add(7)?, 0);
    /// assert_eq!(store.integer("tokens")?.get()?, Some(7));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn integer(&self, key: &str) -> Result<Integer, DirectoryError> {
        Ok(Integer::new(self.slot(key)?))
    }
}
