//! Listing and removing keys.

use crate::core::index;
use crate::core::key::Key;
use crate::store::directory::WaitLimit;
use crate::store::error::{DirectoryError, KeyError, PatternError};
use crate::store::store::Store;

impl Store {
    /// Removes the key and its values. Returns the length of the newest value, 0 if nothing was set;
    /// `None` if there was no such key. Waits for other processes that create or remove keys, ten
    /// seconds at most.
    ///
    /// With auto-vacuum on, no byte of its name and values is left in its slot. A value that a
    /// reader has pinned, or that a writer has not finished, is zeroed when that process releases
    /// it. The call waits for unfinished writers, for some tens of milliseconds.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`]: not a valid key, or the directory could not be locked.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-unset-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.set("k", b"value")?;
    /// assert_eq!(store.unset("k")?, Some(5));
    /// assert_eq!(store.unset("k")?, None);
    /// assert_eq!(store.get("k")?, None);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unset(&self, key: &str) -> Result<Option<usize>, DirectoryError> {
        self.unset_key(&Key::new(key).map_err(KeyError::from)?)
    }

    /// As [`unset`](Self::unset), also for keys of the system.
    pub(crate) fn unset_key(&self, key: &Key<'_>) -> Result<Option<usize>, DirectoryError> {
        self.session.check_fork()?;
        let removed = self.session.directory(&mut WaitLimit::longest())?.remove(key);
        Ok(removed.map(|(slot, len)| {
            self.session.on_slot(slot, |ring| self.session.wake(ring));
            len
        }))
    }

    /// All keys, sorted, each once. A key that is created or removed meanwhile may or may not be
    /// among them. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-keys-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.set("b", b"")?;
    /// store.set("a", b"")?;
    /// assert_eq!(store.keys(), ["a", "b"]);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        self.for_each_key(|key| keys.push(key.to_owned()));
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Calls `visit` with each key, in no order, and without an allocation. Never blocks.
    ///
    /// A key that is created or removed meanwhile may or may not be among them; one that is removed and
    /// created again may be there twice. `visit` may use the store.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-for-each-key-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.set("llm:prompt", b"")?;
    /// store.set("log", b"")?;
    /// let mut count = 0;
    /// store.for_each_key(|key| count += usize::from(key.starts_with("llm:")));
    /// assert_eq!(count, 1);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn for_each_key(&self, mut visit: impl FnMut(&str)) {
        let mapped = self.mapped();
        for slot in 0..mapped.used_slots() {
            if let Some(key) = index::stored_key_of(mapped, slot) {
                key.with_text(&mut visit);
            }
        }
    }

    /// The keys that match a pattern, sorted, each once: `?` is any character, `*` any number of
    /// them, `[abc]`, `[a-z]` and `[!a-z]` one of those or none of them. Never blocks.
    ///
    /// # Errors
    ///
    /// [`PatternError`]: not a valid pattern.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-keys-matching-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// for key in ["llm:prompt", "llm:reply:1", "llm:reply:2", "log"] {
    ///     store.set(key, b"")?;
    /// }
    /// assert_eq!(store.keys_matching("llm:reply:*")?, ["llm:reply:1", "llm:reply:2"]);
    /// assert!(store.keys_matching("[").is_err());
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keys_matching(&self, pattern: &str) -> Result<Vec<String>, PatternError> {
        let matches = glob::Pattern::new(pattern)
            .map_err(|error| PatternError { pattern: pattern.to_owned(), reason: error.to_string() })?;
        let mut keys = Vec::new();
        self.for_each_key(|key| keys.extend(matches.matches(key).then(|| key.to_owned())));
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }
}
