//! Listing and removing keys.

use crate::core::index;
use crate::core::key::Key;
use crate::store::directory::WaitLimit;
use crate::store::error::{DirectoryError, KeyError, PatternError};
use crate::store::mapped::Mapped;
use crate::store::store::Store;

impl Store {
    /// Removes the key and its values. Returns whether there was such a key. Waits for other
    /// processes that create or remove keys, ten seconds at most.
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
    /// store.set("k", b"v")?;
    /// assert!(store.unset("k")?);
    /// assert!(!store.unset("k")?);
    /// assert_eq!(store.get("k")?, None);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unset(&self, key: &str) -> Result<bool, DirectoryError> {
        self.session.check_fork()?;
        let key = Key::new(key).map_err(KeyError::from)?;
        let removed = self.session.directory(&mut WaitLimit::longest())?.remove(&key);
        if let Some(slot) = removed {
            self.session.on_slot(slot, |ring| self.session.wake(ring));
        }
        Ok(removed.is_some())
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
        let mut keys: Vec<_> = present_keys(self.mapped()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
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
        let mut keys = self.keys();
        keys.retain(|key| matches.matches(key));
        Ok(keys)
    }
}

/// All keys, in no order. A key that is created again in another slot meanwhile may be there twice.
fn present_keys(mapped: &Mapped) -> impl Iterator<Item = String> {
    (0..mapped.used_slots()).filter_map(|slot| index::key_of(mapped, slot))
}
