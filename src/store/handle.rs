//! An open store, and what can be done with its keys. Coming by one is `open.rs`, the store as a whole `administration.rs`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::directory::{self, Full, REMOVALS, WaitLimit};
use super::error::{DirectoryError, GetError, KeyError, PatternError, SetError, UpdateError};
use super::geometry::Geometry;
use super::inner::Inner;
use super::integer::Integer;
use super::location::Location;
use super::mapped::Mapped;
use super::participant::Participant;
use super::pin::Pinned;
use super::recover::Recovery;
use super::schema;
use super::slot::Slot;
use super::snapshot::SlotSnapshot;
use super::wait::{Deadline, Spin};
use crate::core::index::{self, Place};
use crate::core::key::Key;
use crate::core::ring::Ring;

/// A key-value store in shared memory or in a file: bytes in, bytes out, among processes that have at most 128 handles open on it.
///
/// Cloning gives another handle on the same open store, as cheap as an `Arc`. Handles may be used from any thread. The store
/// itself stays where it is until it is [removed](Self::remove), whoever closes it. One in shared memory is gone when the
/// machine stops; one in a file is not: see [`recovery`](Self::recovery) and [`flush`](Self::flush).
///
/// A process may die at any moment without harm to the others: what it had published stays, what it had not is never
/// seen, and what it held is taken back by the next that needs it.
///
/// # Fork
///
/// A handle, and whatever was made with it (slots, pins, loans, publishers, subscribers, jobs, tasks), belongs to the process that opened the
/// store. In a child of `fork`, operations return an error, [`Forked`](super::Forked) or the variant of that name, which says what to do: open
/// the store again in the child. To drop what was inherited does nothing, so it stays the parent's. A program that becomes a daemon by `fork`
/// opens its stores afterwards.
///
/// A view of the store's memory is no operation, and is not checked. In a child of `fork`, an inherited sample or pin may change at any moment:
/// do not read it, receive again in the child. Do not write to an inherited loan.
///
/// In a child these still work: [`keys`](Self::keys), [`keys_matching`](Self::keys_matching), [`cells`](Self::cells),
/// [`snapshot`](Self::snapshot), [`Slot::version`] and the like. So do switches ([`set_flags`](Self::set_flags),
/// [`clear_flags`](Self::clear_flags), [`set_auto_vacuum`](Self::set_auto_vacuum)) and
/// [`report_parse_failure`](Self::report_parse_failure), since they belong to no participant.
///
/// Descriptors are close-on-exec, and the one that holds a handle's locks is closed in every child, before `fork` returns there. So what a
/// dead parent had is taken back although its children live. A child that is made by the raw system call `clone`, and not by the C
/// library's `fork`, is not noticed: it must `exec`, or leave everything alone that it has inherited.
///
/// # A file that is cut
///
/// Whoever may write to a store may also make its file shorter while others have it mapped, and nothing can keep them from it. The
/// kernel then has nothing to give to those who touch what is gone, and ends them with SIGBUS. This crate installs no handler for
/// that: signals belong to the program, and no handler could say which value is missing. The next to open the store is told
/// that it is damaged. Share stores with those only whom you would let end your process.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::Store;
///
/// # let name = format!("splinter-doc-store-{}", std::process::id());
/// let store = Store::create(&name)?;
/// store.set("user:prompt", b"Tell me a joke about computers.")?;
/// assert_eq!(store.get("user:prompt")?.as_deref(), Some(&b"Tell me a joke about computers."[..]));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Store {
    pub(super) inner: Arc<Inner>,
}

impl Store {
    pub(super) fn new(mapped: Arc<Mapped>, me: Participant, recovery: Option<Recovery>) -> Self {
        Self { inner: Arc::new(Inner::new(mapped, me, recovery)) }
    }

    pub(super) fn mapped(&self) -> &Mapped {
        &self.inner.mapped
    }

    /// Where the store was opened.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-store-location-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert_eq!(store.location().to_string(), name);
    /// # Store::remove(store.location())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.inner.mapped.location
    }

    /// The store's shape.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-store-geometry-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert_eq!((store.geometry().max_value_size, store.geometry().history), (4096, 16));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.inner.mapped.geometry
    }

    /// Sets the key's value, creating the key if there is none, and gives the version. Copies the bytes.
    ///
    /// Lock-free for a key that exists. Creating one waits for whoever is creating or removing another, ten seconds at most.
    ///
    /// # Errors
    ///
    /// [`SetError`]: no key, too large, store full, no cell to write to. The old value stays.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{SetError, StoreOptions, Store};
    /// # let name = format!("splinter-doc-set-{}", std::process::id());
    /// let store = StoreOptions::new().max_value_size(16).create(&name)?;
    /// assert_eq!(store.set("k", b"first")?, 1);
    /// assert_eq!(store.set("k", b"second")?, 2);
    /// let error = store.set("k", &[0; 17]).unwrap_err();
    /// assert_eq!(error.to_string(), "value too large: 17 bytes (a message counts with its envelope), maximum 16; shorten it, or create a store with a larger max_value_size");
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set(&self, key: &str, value: &[u8]) -> Result<u64, SetError> {
        // Before a key is created for what cannot be its value.
        self.inner.check_len(value.len())?;
        let key = Key::new(key).map_err(KeyError::from)?;
        let mut limit = WaitLimit::longest();
        for _ in 0..REMOVALS {
            let place = self.find_or_insert(&key, &mut limit)?;
            match self.inner.on_key(place, |ring| self.inner.set(ring, value)) {
                // Somebody removed the key in between, as if before us: it is created anew.
                Err(SetError::Key(KeyError::Removed)) => {}
                done => return done,
            }
        }
        Err(SetError::Key(KeyError::Removed))
    }

    /// Puts bytes behind the key's value, as one update, and gives the version. A key without a value is set to them.
    ///
    /// Of several who append at once, each finds the others' bytes, whole, before or behind its own. Blocks as
    /// [`set`](Self::set) does.
    ///
    /// # Errors
    ///
    /// [`UpdateError`]: as when setting the whole, too large among it; or a value that cannot be read. The old value stays.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-append-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.append("log", b"one,")?;
    /// assert_eq!(store.append("log", b"two")?, 2);
    /// assert_eq!(store.get("log")?.as_deref(), Some(&b"one,two"[..]));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append(&self, key: &str, bytes: &[u8]) -> Result<u64, UpdateError> {
        self.inner.check_len(bytes.len())?;
        let mut limit = WaitLimit::longest();
        for _ in 0..REMOVALS {
            match self.slot_within(key, &mut limit)?.append(bytes) {
                Err(UpdateError::Key(KeyError::Removed)) => {}
                done => return done,
            }
        }
        Err(UpdateError::Key(KeyError::Removed))
    }

    /// The key's newest value, copied; `None` if there is no such key, or nothing was set under it yet. Never blocks.
    ///
    /// # Errors
    ///
    /// [`GetError`]: no key; a value that was lost or damaged; `Overtaken`: publishers replaced the value each time that it was to be read;
    /// `Removed`: the key was removed and created again each time.
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

    /// Copies the key's newest value into `value`, replacing what it held, and gives the version; `None`, and `value` as
    /// good as empty, if there is none. Allocates only if `value` is too small. Never blocks.
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
        Ok(self.on_existing(key, |ring, place| self.inner.copy_newest(ring, &place, value))?.flatten())
    }

    /// The length of the key's newest value in bytes; `None` if there is no such key, or nothing was set under it yet. Never
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
    /// # let name = format!("splinter-doc-size-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.set("k", b"value")?;
    /// assert_eq!((store.size("k")?, store.size("other")?), (Some(5), None));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn size(&self, key: &str) -> Result<Option<usize>, GetError> {
        Ok(self.on_existing(key, |ring, place| self.inner.newest_len(ring, place))?.and_then(|(_, len)| len))
    }

    /// What there is to know of a key at one moment, without its value; `None` if there is no such key. Never blocks.
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
        self.on_existing(key, |ring, place| SlotSnapshot::take(&self.inner, ring, place))
    }

    /// A handle on the key's slot, creating the key, without a value, if there is none. Blocks as [`set`](Self::set) does.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`]: no key, or every slot has one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-slot-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let slot = store.slot("k")?;
    /// slot.set(b"v")?;
    /// assert_eq!(store.get("k")?.as_deref(), Some(&b"v"[..]));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn slot(&self, key: &str) -> Result<Slot, DirectoryError> {
        self.slot_within(key, &mut WaitLimit::longest())
    }

    /// Pins the newest value of a key; `None` if there is none.
    pub(crate) fn pin(&self, key: &str) -> Result<Option<Pinned>, GetError> {
        self.inner.check_fork()?;
        let key = Key::new(key).map_err(KeyError::from)?;
        for _ in 0..REMOVALS {
            let Some(place) = index::find(self.mapped(), &key) else {
                return Ok(None);
            };
            match Pinned::newest(&self.inner, place) {
                // Somebody removed the key in between: look for it again.
                Err(GetError::Key(KeyError::Removed)) => {}
                pinned => return pinned,
            }
        }
        Err(GetError::Key(KeyError::Removed))
    }

    /// As [`slot`](Self::slot), and creates nothing.
    pub(crate) fn existing_slot(&self, key: &str) -> Result<Option<Slot>, KeyError> {
        let place = index::find(self.mapped(), &Key::new(key).map_err(KeyError::from)?);
        Ok(place.map(|place| Slot::new(Arc::clone(&self.inner), place)))
    }

    /// As [`slot`](Self::slot), waiting no longer than `limit`.
    pub(crate) fn slot_within(&self, key: &str, limit: &mut WaitLimit) -> Result<Slot, DirectoryError> {
        let place = self.find_or_insert(&Key::new(key).map_err(KeyError::from)?, limit)?;
        Ok(Slot::new(Arc::clone(&self.inner), place))
    }

    fn find_or_insert(&self, key: &Key<'_>, limit: &mut WaitLimit) -> Result<Place, DirectoryError> {
        self.inner.check_fork()?;
        if let Some(place) = index::find(self.mapped(), key) {
            return Ok(place);
        }
        let inserted = self.inner.directory(limit)?.insert(key);
        inserted.map_err(|Full| DirectoryError::Full { slots: self.geometry().slots })
    }

    /// A handle on a key whose value is an integer, creating the key if there is none. Blocks as [`set`](Self::set) does.
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

    /// Removes the key and its values; whether there was one. Waits for whoever is creating or removing a key, ten seconds at
    /// most.
    ///
    /// With auto-vacuum on, no byte of its name and values is left in its slot. Where a reader has a value pinned, or a writer is
    /// stopped in the middle of a publish, that is so once they let go.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`]: no key, or the directory could not be locked.
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
        self.inner.check_fork()?;
        let key = Key::new(key).map_err(KeyError::from)?;
        let removed = self.inner.directory(&mut WaitLimit::longest())?.remove(&key);
        if let Some(slot) = removed {
            self.inner.on_slot(slot, |ring| self.inner.wake(ring));
        }
        Ok(removed.is_some())
    }

    /// All keys, sorted, each once. A key that is created or removed meanwhile may or may not be among them. Never blocks.
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
        let mut keys: Vec<_> = directory::keys(self.mapped()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The keys that match a pattern, sorted, each once: `?` is any character, `*` any number of them, `[abc]`, `[a-z]` and
    /// `[!a-z]` one of those or none of them. Never blocks.
    ///
    /// # Errors
    ///
    /// [`PatternError`]: not a pattern.
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

    /// Waits until the key is set from now on, and gives the version; `None` if that did not happen in time. Without a
    /// `timeout`, waits for ever.
    ///
    /// The key is created, without a value, if there is none, so whoever waits may come before whoever sets. To miss no update
    /// between two calls, use [`poll_after`](Self::poll_after). The timeout covers creating the key, too, which waits ten seconds at most for
    /// others that create or remove keys.
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

    /// Waits until the key has a version larger than `seen`, and gives the newest; `None` if that did not happen in time.
    /// Without a `timeout`, waits for ever.
    ///
    /// No update between two calls is missed: pass the version that the last one gave. That holds across removals of the key,
    /// too: no later key of the same name has a version that this one had. The timeout covers creating the key, too: one of zero makes a single attempt.
    /// While it is waited for, a key that is removed is
    /// created anew, without a value. Spins briefly, then sleeps. A writer that dies in the instant between publishing and
    /// waking delays those who sleep by a tenth of a second at most.
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
            // If not, somebody removed the key in between.
            if let Ok(version) = slot.wait(seen, deadline, &mut spin) {
                return Ok(version);
            }
        }
    }

    /// Remembers what a fingerprint stands for, as far as there is room.
    pub(crate) fn remember_schema(&self, fingerprint: u64, text: &str) {
        if self.inner.check_fork().is_err() {
            return;
        }
        schema::remember(&self.inner.mapped, fingerprint, text);
    }

    /// What a fingerprint stands for, if anybody remembered it here.
    pub(crate) fn recall_schema(&self, fingerprint: u64) -> Option<String> {
        schema::recall(&self.inner.mapped, fingerprint)
    }

    /// Does something with a slot without making a handle on it.
    #[inline]
    fn on_existing<T>(
        &self,
        key: &str,
        mut read: impl FnMut(Ring<'_>, Place) -> Result<T, GetError>,
    ) -> Result<Option<T>, GetError> {
        self.inner.check_fork()?;
        let key = Key::new(key).map_err(KeyError::from)?;
        for _ in 0..REMOVALS {
            let Some(place) = index::find(self.mapped(), &key) else {
                return Ok(None);
            };
            match self.inner.on_key(place, |ring| read(ring, place)) {
                // Somebody removed the key in between: look for it again.
                Err(GetError::Key(KeyError::Removed)) => {}
                done => return done.map(Some),
            }
        }
        Err(GetError::Key(KeyError::Removed))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("location", &self.location())
            .field("geometry", &self.geometry())
            .field("participant", &self.inner.me)
            .finish_non_exhaustive()
    }
}
