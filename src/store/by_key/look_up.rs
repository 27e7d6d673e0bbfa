//! Looking a key up, or creating it, and using its slot.
//!
//! Any process may remove a key at any moment, also while another uses its slot. An operation that
//! works on the key by its name then looks the key up again, or creates it again, as if the removal
//! had come first. [`retry_if_removed`] is the one place that does so.

use std::sync::Arc;

use crate::core::index::{self, SlotRef};
use crate::core::key::Key;
use crate::core::ring::NoSpace;
use crate::core::shape::Shape;
use crate::store::directory::{InsertError, WaitLimit};
use crate::store::error::{DirectoryError, GetError, KeyError, SetError, ShapeError, UpdateError};
use crate::store::key_options::KeyOptions;
use crate::store::slot::Slot;
use crate::store::store::Store;

/// How many times an operation is repeated because its key was removed during it. More often is no
/// coincidence.
const REMOVALS: usize = 1000;

/// An error that can mean that the key was removed while it was used.
pub(crate) trait KeyRemoved: From<KeyError> {
    /// Whether it means that.
    fn is_removed(&self) -> bool;
}

/// Repeats an attempt while it fails because the key was removed.
#[inline]
pub(crate) fn retry_if_removed<T, E: KeyRemoved>(mut attempt: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    for _ in 0..REMOVALS {
        match attempt() {
            Err(error) if error.is_removed() => {}
            outcome => return outcome,
        }
    }
    Err(KeyError::Removed.into())
}

impl Store {
    /// A handle on the key's slot, creating the key, without a value, if there is none. Blocks as
    /// [`set`](Self::set) does.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`]: not a valid key, or every slot has one.
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

    /// The key's slot, as [`slot`](Self::slot). If the key does not exist, it is created with these
    /// options.
    ///
    /// # Errors
    ///
    /// As [`slot`](Self::slot); and [`DirectoryError::Shape`]: the options ask for what no key of
    /// this store can have, or the key exists with less.
    ///
    /// # Examples
    ///
    /// See [`KeyOptions`].
    pub fn slot_with(&self, key: &str, options: &KeyOptions) -> Result<Slot, DirectoryError> {
        self.slot_with_options(key, options, &mut WaitLimit::longest())
    }

    /// As [`slot`](Self::slot), waiting no longer than `limit`.
    pub(crate) fn slot_within(&self, key: &str, limit: &mut WaitLimit) -> Result<Slot, DirectoryError> {
        self.slot_with_options(key, &KeyOptions::new(), limit)
    }

    pub(crate) fn slot_with_options(
        &self,
        key: &str,
        options: &KeyOptions,
        limit: &mut WaitLimit,
    ) -> Result<Slot, DirectoryError> {
        Ok(self.slot_at(self.find_or_insert(&Key::new(key).map_err(KeyError::from)?, options, limit)?))
    }

    /// A handle on the key's slot; `None` if there is no such key. Creates nothing, and never blocks.
    ///
    /// # Errors
    ///
    /// [`KeyError`]: not a valid key, or this is a child of the process that opened the store.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-existing-slot-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert!(store.existing_slot("k")?.is_none());
    /// store.set("k", b"v")?;
    /// assert_eq!(store.existing_slot("k")?.unwrap().version(), 1);
    /// assert_eq!(store.keys(), ["k"]);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn existing_slot(&self, key: &str) -> Result<Option<Slot>, KeyError> {
        self.existing_slot_of(&Key::new(key).map_err(KeyError::from)?)
    }

    /// As [`existing_slot`](Self::existing_slot), also for keys of the system.
    pub(crate) fn existing_slot_of(&self, key: &Key<'_>) -> Result<Option<Slot>, KeyError> {
        self.check_fork()?;
        Ok(index::find(self.mapped(), key).map(|slot_ref| self.slot_at(slot_ref)))
    }

    /// Acts on the slot of a key, which is created if there is none. Acts again if the key was
    /// removed meanwhile.
    #[inline]
    pub(super) fn with_key<T, E>(
        &self,
        key: &str,
        limit: &mut WaitLimit,
        mut act: impl FnMut(SlotRef) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: KeyRemoved + From<DirectoryError>,
    {
        let key = Key::new(key).map_err(KeyError::from)?;
        retry_if_removed(|| act(self.find_or_insert(&key, &KeyOptions::new(), limit)?))
    }

    /// As [`with_key`](Self::with_key), with a handle on the slot.
    pub(crate) fn with_slot<T, E>(
        &self,
        key: &str,
        limit: &mut WaitLimit,
        mut act: impl FnMut(Slot) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: KeyRemoved + From<DirectoryError>,
    {
        self.with_key(key, limit, |slot_ref| act(self.slot_at(slot_ref)))
    }

    /// As [`with_slot`](Self::with_slot). If the key does not exist, it is created with these options.
    pub(crate) fn with_slot_of<T, E>(
        &self,
        key: &str,
        options: &KeyOptions,
        limit: &mut WaitLimit,
        mut act: impl FnMut(Slot) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: KeyRemoved + From<DirectoryError>,
    {
        retry_if_removed(|| act(self.slot_with_options(key, options, limit)?))
    }

    /// As [`with_slot`](Self::with_slot), with a handle that the caller keeps: it is replaced if
    /// its key was removed.
    pub(crate) fn with_kept_slot<T, E>(
        &self,
        key: &str,
        slot: &mut Slot,
        limit: &mut WaitLimit,
        mut act: impl FnMut(&Slot) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: KeyRemoved + From<DirectoryError>,
    {
        let mut is_removed = false;
        retry_if_removed(|| {
            if is_removed {
                *slot = self.slot_within(key, limit)?;
            }
            is_removed = true;
            act(slot)
        })
    }

    /// Acts on the slot of a key; `None` if there is no such key. Acts again if the key was removed
    /// meanwhile.
    #[inline]
    pub(crate) fn with_existing_key<T>(
        &self,
        key: &str,
        mut act: impl FnMut(SlotRef) -> Result<T, GetError>,
    ) -> Result<Option<T>, GetError> {
        self.check_fork()?;
        let key = Key::new(key).map_err(KeyError::from)?;
        retry_if_removed(|| match index::find(self.mapped(), &key) {
            Some(slot_ref) => act(slot_ref).map(Some),
            None => Ok(None),
        })
    }

    pub(super) fn slot_at(&self, slot_ref: SlotRef) -> Slot {
        Slot::new(Arc::clone(&self.session), slot_ref)
    }

    pub(super) fn find_or_insert(
        &self,
        key: &Key<'_>,
        options: &KeyOptions,
        limit: &mut WaitLimit,
    ) -> Result<SlotRef, DirectoryError> {
        self.check_fork()?;
        let found = match index::find(self.mapped(), key) {
            Some(slot_ref) => slot_ref,
            None => self.insert(key, self.shape_of_new_key(options)?, limit)?,
        };
        if *options != KeyOptions::new() {
            // If the key is removed meanwhile, the caller finds out when it uses the slot.
            let shape = self.session.on_key(found, |ring| ring.handle.shape());
            options.check(&key.text(), shape)?;
        }
        Ok(found)
    }

    /// Creates a key of this shape, unless it exists.
    fn insert(&self, key: &Key<'_>, shape: Shape, limit: &mut WaitLimit) -> Result<SlotRef, DirectoryError> {
        let insert = |limit: &mut WaitLimit| Ok::<_, DirectoryError>(self.session.directory(limit)?.insert(key, shape));
        let inserted = match insert(limit)? {
            Err(InsertError::NoSpace(_)) if self.session.trim() > 0 => insert(limit)?,
            inserted => inserted,
        };
        inserted.map_err(|error| match error {
            InsertError::Full => DirectoryError::Full { slots: self.dimensions().slots },
            InsertError::Held(held) => DirectoryError::Held { held, slots: self.dimensions().slots },
            InsertError::NoSpace(NoSpace { needed, available, reason }) => {
                DirectoryError::NoSpace { needed, available, reason }
            }
        })
    }

    /// As [`slot`](Self::slot), with a shape that some store has for the key.
    pub(crate) fn insert_with_shape(
        &self,
        key: &Key<'_>,
        shape: Shape,
        limit: &mut WaitLimit,
    ) -> Result<Slot, DirectoryError> {
        Ok(self.slot_at(self.insert(key, shape, limit)?))
    }

    /// The shape of a key that this handle creates with these options.
    pub(super) fn shape_of_new_key(&self, options: &KeyOptions) -> Result<Shape, ShapeError> {
        let mapped = self.mapped();
        options.or(&self.key_options).shape(mapped.checksums, mapped.layout.max_cells(), mapped.layout.span)
    }
}

impl KeyRemoved for GetError {
    #[inline]
    fn is_removed(&self) -> bool {
        matches!(self, Self::Key(KeyError::Removed))
    }
}

impl KeyRemoved for SetError {
    #[inline]
    fn is_removed(&self) -> bool {
        matches!(self, Self::Key(KeyError::Removed))
    }
}

impl KeyRemoved for UpdateError {
    fn is_removed(&self) -> bool {
        matches!(self, Self::Key(KeyError::Removed))
    }
}
