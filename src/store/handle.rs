//! An open store.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::directory::{self, Full, Place};
use super::error::{GetError, OpenError, SetError, SlotError, UnsetError};
use super::geometry::Geometry;
use super::key::Key;
use super::mapped::Mapped;
use super::open;
use super::options::StoreOptions;
use super::participant::{self, Participant};
use super::pin::LocalPins;
use super::ring::{Reaper, Ring, Terms};
use super::schema;
use super::slot::Slot;
use crate::os::{clock, futex};
use crate::region::mapping::SlotLease;
use crate::region::records::PARTICIPANTS;
use crate::sync::Ordering;

/// A key-value store in shared memory: bytes in, bytes out, among any number of processes.
///
/// Cloning gives another handle on the same open store, as cheap as an `Arc`. Handles may be used from any thread. The store
/// itself stays under `/dev/shm` until it is [removed](Self::remove), whoever closes it.
///
/// A process may die at any moment without harm to the others: what it had published stays, what it had not is never
/// seen, and what it held is taken back by whoever comes next. A handle does not survive `fork`: open the store in the child.
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
    inner: Arc<Inner>,
}

/// What all handles of one opening share.
pub(crate) struct Inner {
    pub(crate) mapped: Mapped,
    pub(crate) me: Participant,
    terms: Terms,
    /// Keeps threads apart that would take the lock of the same dead participant: locks belong to the open file.
    reaping: Mutex<()>,
    changing_directory: Mutex<()>,
    pub(crate) pins: LocalPins,
}

/// What readers rejected in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Diagnostics {
    /// Frames that were damaged, or of another type than the reader's.
    pub parse_failures: u64,
    /// When the last of them was rejected, in nanoseconds since the Unix epoch; 0 if none was.
    pub last_failure_epoch: u64,
}

impl Store {
    /// Creates a store with the default [options](StoreOptions).
    ///
    /// # Errors
    ///
    /// As [`StoreOptions::create`].
    pub fn create(name: &str) -> Result<Self, OpenError> {
        StoreOptions::new().create(name)
    }

    /// Opens the store `name`. Does not block.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: no such store, no permission, not a store of this version, damaged, or open 128 times already.
    pub fn open(name: &str) -> Result<Self, OpenError> {
        open::open(name)
    }

    /// Creates a store with the default [options](StoreOptions), or opens it if it exists.
    ///
    /// # Errors
    ///
    /// As [`StoreOptions::create_or_open`].
    pub fn create_or_open(name: &str) -> Result<Self, OpenError> {
        StoreOptions::new().create_or_open(name)
    }

    /// Opens the store `name`, or creates it with the default [options](StoreOptions) if it does not exist.
    ///
    /// # Errors
    ///
    /// As [`StoreOptions::open_or_create`].
    pub fn open_or_create(name: &str) -> Result<Self, OpenError> {
        StoreOptions::new().open_or_create(name)
    }

    /// Removes the name. Whoever has the store open keeps it, nameless, until they close it; its memory is freed then.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: no such store, no permission, or not a splinter store, which is then left alone.
    pub fn remove(name: &str) -> Result<(), OpenError> {
        open::remove(name)
    }

    pub(super) fn new(mapped: Mapped, me: Participant) -> Self {
        let inner = Inner {
            terms: mapped.terms(me.id),
            mapped,
            me,
            reaping: Mutex::default(),
            changing_directory: Mutex::default(),
            pins: LocalPins::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(super) fn mapped(&self) -> &Mapped {
        &self.inner.mapped
    }

    /// The name under which the store was opened.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.mapped.name
    }

    /// The store's shape.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.inner.mapped.geometry
    }

    /// Sets the key's value, creating the key if there is none, and gives the version. Copies the bytes.
    ///
    /// Lock-free for a key that exists. Creating one waits for whoever is creating or removing another.
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
    /// assert_eq!(error.to_string(), "value of 17 bytes does not fit: this store's max_value_size is 16");
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set(&self, key: &str, value: &[u8]) -> Result<u64, SetError> {
        // Before a key is created for what cannot be its value.
        self.inner.check_len(value)?;
        loop {
            match self.slot(key)?.set(value) {
                // Somebody removed the key in between, as if before us: it is created anew.
                Err(SetError::Removed) => {}
                done => return done,
            }
        }
    }

    /// The key's newest value, copied; `None` if there is no such key, or nothing was set under it yet. Never blocks.
    ///
    /// # Errors
    ///
    /// [`GetError`]: no key, or a damaged store.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, GetError> {
        let mut value = Vec::new();
        Ok(self.get_into(key, &mut value)?.map(|_| value))
    }

    /// Copies the key's newest value into `value`, replacing what it held, and gives the version; `None`, and `value` as
    /// good as empty, if there is none. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_into(&self, key: &str, value: &mut Vec<u8>) -> Result<Option<u64>, GetError> {
        let key = Key::new(key)?;
        loop {
            let Some(place) = directory::find(&self.inner.mapped, &key) else {
                return Ok(None);
            };
            match self.at(place).get_into(value) {
                // Somebody removed the key in between: look for it again.
                Err(GetError::Removed) => {}
                done => return done,
            }
        }
    }

    /// A handle on the key's slot, creating the key, without a value, if there is none.
    ///
    /// # Errors
    ///
    /// [`SlotError`]: no key, or every slot has one.
    pub fn slot(&self, key: &str) -> Result<Slot, SlotError> {
        let key = Key::new(key)?;
        if let Some(place) = directory::find(&self.inner.mapped, &key) {
            return Ok(self.at(place));
        }
        match self.inner.directory()?.insert(&key) {
            Ok(place) => Ok(self.at(place)),
            Err(Full) => Err(SlotError::Full { slots: self.geometry().slots }),
        }
    }

    /// Removes the key and its values; whether there was one. Waits for whoever is creating or removing a key.
    ///
    /// With auto-vacuum on, no byte of its values is left in the store, but where a reader has one pinned.
    ///
    /// # Errors
    ///
    /// [`UnsetError`]: no key, or the directory could not be locked.
    pub fn unset(&self, key: &str) -> Result<bool, UnsetError> {
        let key = Key::new(key)?;
        let removed = self.inner.directory()?.remove(&key);
        if let Some(slot) = removed {
            self.inner.wake(self.inner.ring(&self.inner.lease(slot)));
        }
        Ok(removed.is_some())
    }

    /// All keys, sorted. A key that is created or removed meanwhile may or may not be among them.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let mut keys = directory::keys(&self.inner.mapped);
        keys.sort_unstable();
        keys
    }

    /// This open handle, as others see it.
    #[must_use]
    pub fn participant(&self) -> Participant {
        self.inner.me
    }

    /// Everyone who has the store open now.
    ///
    /// # Errors
    ///
    /// What the kernel said when it was asked for the locks.
    pub fn participants(&self) -> io::Result<Vec<Participant>> {
        participant::living(&self.inner.mapped, self.inner.me)
    }

    /// Whether a participant still has the store open. Known from the kernel at once, however it ended.
    ///
    /// A stopped process is alive.
    ///
    /// # Errors
    ///
    /// What the kernel said when it was asked for the lock.
    pub fn is_alive(&self, participant: Participant) -> io::Result<bool> {
        participant::is_alive(&self.inner.mapped, participant, self.inner.me)
    }

    /// What readers of this store rejected so far.
    #[must_use]
    pub fn diagnostics(&self) -> Diagnostics {
        let diagnostics = &self.inner.mapped.header().diagnostics;
        Diagnostics {
            parse_failures: diagnostics.parse_failures.load(Ordering::Relaxed),
            last_failure_epoch: diagnostics.last_failure_epoch.load(Ordering::Relaxed),
        }
    }

    /// Counts a value that its reader could make no sense of. The typed bus does this by itself.
    pub fn report_parse_failure(&self) {
        let diagnostics = &self.inner.mapped.header().diagnostics;
        diagnostics.parse_failures.fetch_add(1, Ordering::Relaxed);
        diagnostics.last_failure_epoch.fetch_max(clock::unix_nanos(), Ordering::Relaxed);
    }

    /// Remembers what a fingerprint stands for, as far as there is room.
    pub(crate) fn remember_schema(&self, fingerprint: u64, text: &str) {
        schema::remember(&self.inner.mapped, fingerprint, text);
    }

    /// What a fingerprint stands for, if anybody remembered it here.
    pub(crate) fn recall_schema(&self, fingerprint: u64) -> Option<String> {
        schema::recall(&self.inner.mapped, fingerprint)
    }

    fn at(&self, place: Place) -> Slot {
        Slot::new(Arc::clone(&self.inner), place)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("name", &self.name())
            .field("geometry", &self.geometry())
            .field("participant", &self.inner.me)
            .finish_non_exhaustive()
    }
}

impl Inner {
    #[inline]
    pub(crate) fn check_len(&self, value: &[u8]) -> Result<(), SetError> {
        let (len, max) = (value.len(), self.mapped.geometry.max_value_size as usize);
        if len > max { Err(SetError::TooLarge { len, max }) } else { Ok(()) }
    }

    pub(crate) fn lease(&self, slot: u32) -> SlotLease {
        SlotLease::new(&self.mapped.region, &self.mapped.tables.slots, slot)
    }

    #[inline]
    pub(crate) fn ring<'a>(&'a self, lease: &'a SlotLease) -> Ring<'a> {
        Ring::new(lease.view(), &self.terms)
    }

    fn directory(&self) -> io::Result<directory::Locked<'_>> {
        directory::lock(&self.mapped, &self.terms, &self.changing_directory)
    }

    /// Wakes whoever sleeps until something happens to the slot, which has happened.
    #[inline]
    pub(crate) fn wake(&self, ring: Ring<'_>) {
        if ring.must_wake() {
            futex::wake_all(ring.wake_word());
        }
    }
}

impl Reaper for Inner {
    fn if_dead(&self, participant: u32, clean: &mut dyn FnMut()) {
        if participant == self.me.id {
            return;
        }
        let _one_at_a_time = self.reaping.lock().unwrap_or_else(PoisonError::into_inner);
        if participant >= PARTICIPANTS as u32 {
            // Nobody can be this one: the mark is damage.
            clean();
        } else if participant::try_lock(&self.mapped, participant).unwrap_or(false) {
            clean();
            // If this fails, closing the file does it; until then the place is not used again, no more.
            let _ = participant::unlock(&self.mapped, participant);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        participant::leave(&self.mapped, self.me);
    }
}
