//! Copying a store, while others use it.
//!
//! Bytes of a store that is in use cannot be copied page by page: the pages would be from different
//! moments. Instead, the copy is a new store into which each key is published again, under its
//! versions. It gets its name when it is complete, as every new store does ([`create`](super::create)).
//! So it is sound at once, on any medium, and takes no more space than its values.

use super::create::create;
use crate::core::index::Indexed;
use crate::core::key::Key;
use crate::core::ring::{CommitError, MIN_FILE_CELLS};
use crate::core::shape::Shape;
use crate::os::file;
use crate::store::directory::WaitLimit;
use crate::store::error::{CopyError, GetError, KeyError, OpenError, SetError};
use crate::store::lifecycle::StoreOptions;
use crate::store::location::Location;
use crate::store::slot::Slot;
use crate::store::store::Store;
use crate::sync::Ordering;

impl Store {
    /// Copies the store to another place, while others use it: from shared memory into a file, for a
    /// backup, from a file into shared memory, or from one file to another. Blocks until the copy is
    /// complete; in a file, until it is on the disk.
    ///
    /// The copy is a store of its own, with the same dimensions, mode and switches. It takes only the
    /// space that its values need. Its name appears when it is complete; a process that dies before
    /// leaves no copy.
    ///
    /// *What is copied.* Every key, with its shape, its newest value, and all older ones that are still
    /// there, each under its version. So versions go on in the copy where they were, and a subscriber
    /// that remembers its last version can continue there. Messages of work queues are copied with
    /// their progress; one that a worker has at this moment waits in the copy. A key whose value was
    /// [lost](GetError::Lost) has none in the copy. What belongs to processes is not copied: lossless
    /// subscriptions, pins and loans.
    ///
    /// *From which moment.* Each key is copied at a moment of its own, with a value that is the newest
    /// when the copy of the key begins, or a newer one. Keys that are created or removed meanwhile may
    /// or may not be there. A copy that shows all keys at one moment needs publishers that pause.
    ///
    /// # Other ways to copy a file
    ///
    /// A store in a file can also be copied by programs. Each value in such a copy is one that was
    /// committed, because values carry checksums: the first process that opens the copy
    /// [recovers](Self::recovery) it. [Flush](Self::flush) before, so that the copy has what the flush
    /// promises. A store in shared memory has no checksums, and its copies are refused.
    ///
    /// A store's file is sparse: it takes only the space of its values, and is much longer. With the
    /// default dimensions, it is more than 20 GiB long once it has a value that is not short, and 1 GiB
    /// longer for each key up to the last one that has any.
    ///
    /// | program | what it does |
    /// | --- | --- |
    /// | `cp`, `cp --sparse=always` | leave out the holes; with `always`, reserved space that is zero becomes a hole, too |
    /// | `tar -S` | leaves out the holes; without `-S`, the archive has all the zeros |
    /// | `rsync -S` | reads all the zeros, and makes holes of them; without `-S`, it writes them |
    /// | `scp` | writes all the zeros: do not use it |
    /// | [`std::fs::copy`] | writes all the zeros: do not use it |
    ///
    /// Space that was reserved in the original is not reserved in such a copy. The recovery reserves
    /// it again.
    ///
    /// # Errors
    ///
    /// [`CopyError`]: the copy cannot be created, its name is taken, there is no space for it, or a
    /// value was damaged or replaced each time that it was to be read. There is no copy then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-copy-to-{}", std::process::id());
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("backup");
    /// let store = Store::create(&name)?;
    /// store.set("k", b"first")?;
    /// store.set("k", b"second")?;
    /// store.copy_to(&path)?;
    ///
    /// let copy = Store::open(&path)?;
    /// assert_eq!(copy.get("k")?.as_deref(), Some(&b"second"[..]));
    /// assert_eq!(copy.set("k", b"third")?, 3);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn copy_to(&self, location: impl Into<Location>) -> Result<(), CopyError> {
        self.check_fork()?;
        let location = location.into();
        let mode = file::mode(&self.mapped().file).map_err(|source| {
            let name = self.location().to_string();
            OpenError::Io { action: "examine", name, source }
        })?;
        let options = StoreOptions::of(self.dimensions(), mode);
        create(&location, &options, &mut |copy| fill(self, copy))?;
        Ok(())
    }
}

/// Copies everything into a new store that nobody else has open.
fn fill(source: &Store, copy: &Store) -> Result<(), CopyError> {
    let (from, to) = (source.mapped(), copy.mapped());
    let (switches, of_copy) = (&from.header().switches.flags, &to.header().switches.flags);
    of_copy.store(switches.load(Ordering::Relaxed), Ordering::Relaxed);
    if from.checksums && to.checksums {
        let first = from.directory_header().first_version.load(Ordering::Relaxed);
        to.directory_header().first_version.store(first, Ordering::Relaxed);
    }
    let mut value = Vec::new();
    for text in source.keys().into_iter().chain(source.system_keys("")) {
        let Some(key) = Key::of_any(&text) else { continue };
        let Some(slot) = source.existing_slot_of(&key).map_err(|error| CopyError::of_key(&text, error))? else {
            continue;
        };
        match copy_key(&slot, copy, &key, &mut value) {
            // It was removed meanwhile.
            Err(CopyKeyError::Read(GetError::Key(KeyError::Removed))) => {
                let unset = copy.unset_key(&key);
                unset.map_err(|error| CopyError::Write { key: text, source: error.into() })?;
            }
            Err(CopyKeyError::Read(source)) => return Err(CopyError::Read { key: text, source }),
            Err(CopyKeyError::Write(source)) => return Err(CopyError::Write { key: text, source }),
            Ok(()) => {}
        }
    }
    // Last: copies of keys began above the number that stood here. Keys that were removed meanwhile are
    // below what the source says now.
    let removed = from.directory_header().highest_removed_version.load(Ordering::Relaxed);
    to.directory_header().highest_removed_version.store(removed, Ordering::Relaxed);
    Ok(())
}

/// Copies a key and its values.
fn copy_key(slot: &Slot, copy: &Store, key: &Key<'_>, value: &mut Vec<u8>) -> Result<(), CopyKeyError> {
    let stored = slot.stored_from(0)?;
    let newest = slot.version();
    let base = if stored.is_empty() { newest } else { slot.first_version() - 1 };
    // A new key begins above this number.
    copy.mapped().directory_header().highest_removed_version.store(base, Ordering::Relaxed);
    let shape = slot.ring().handle.shape();
    let spare = if copy.mapped().checksums { MIN_FILE_CELLS.saturating_sub(shape.history) } else { 0 };
    let shape = Shape { spare: shape.spare.max(spare), ..shape };
    let copied = copy.insert_with_shape(key, shape, &mut WaitLimit::longest()).map_err(SetError::from)?;
    let ring = copied.ring();
    if copy.mapped().checksums && slot.session().mapped.checksums {
        ring.replicate_gap(slot.ring());
    }
    ring.replicate_boot(slot.ring());
    if let Some(first) = slot.ring().first_message() {
        ring.replicate_queue(first);
    }
    let mut last = base;
    for stored in stored {
        let circumstances = slot.ring().circumstances(stored);
        if slot.copy_stored(stored, value)? {
            ring.replicate(value, stored.version, circumstances)?;
            last = stored.version;
        }
    }
    if last < newest
        && let Some(pinned) = slot.pin()?
    {
        // All of it was overwritten meanwhile.
        let circumstances = slot.ring().circumstances(pinned.stored());
        ring.replicate(&pinned, pinned.version(), circumstances)?;
    }
    Ok(())
}

/// Why a key was not copied.
enum CopyKeyError {
    Read(GetError),
    Write(SetError),
}

impl From<GetError> for CopyKeyError {
    fn from(error: GetError) -> Self {
        Self::Read(error)
    }
}

impl From<SetError> for CopyKeyError {
    fn from(error: SetError) -> Self {
        Self::Write(error)
    }
}

impl From<CommitError> for CopyKeyError {
    fn from(error: CommitError) -> Self {
        Self::Write(error.into())
    }
}
