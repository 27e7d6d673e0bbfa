//! Creating a store.
//!
//! A store is written under a draft name, and gets its own name in one step when it is complete. So a process that opens it
//! never finds it incomplete. Steps, and what a crash leaves after each of them:
//!
//! 1. Remove the drafts of crashed creators: their locks are free.
//! 2. Make the draft, a file of zeros, and map it. *A crash leaves a draft without a lock.*
//! 3. Lock the draft, and check that it still has its name: another creator may have removed it before it was locked.
//! 4. Reserve the space, write the header, then the magic number, and become the first participant. *A crash leaves a draft,
//!    whose lock the kernel releases: the next creator in this directory removes it.*
//! 5. Write all of it to the disk, if it is a file.
//! 6. Give it its name, unless that is taken. *A crash after this leaves a complete store. In a file, a loss of power before
//!    the directory is on the disk may leave no store, but never an incomplete one.*
//! 7. Release the draft's lock, and write the directory to the disk.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use super::clean_epoch::{self, UNKNOWN};
use super::draft::{Draft, remove_abandoned_drafts};
use super::identity::{CHECKSUMS, LAYOUT, MAGIC};
use super::opening::{ATTEMPTS, into_session, map, open_locks};
use super::options::StoreOptions;
use super::refused::{creating_refused, creating_without_space, os_error, refused, too_large};
use super::registry::{Key, Registry};
use crate::core::memory::records::StoreHeader;
use crate::kill_points::{Step, reached};
use crate::os::fork::UninheritedFile;
use crate::os::{clock, file, file_system, limits, lock, mapping};
use crate::store::dimensions::{Dimensions, SYSTEM_SLOTS};
use crate::store::error::OpenError;
use crate::store::flags::Flags;
use crate::store::location::Location;
use crate::store::mapped::{LockByte, Mapped, StoreShape};
use crate::store::participant::join;
use crate::store::session::Session;
use crate::store::store::Store;
use crate::sync::Ordering;

impl StoreOptions {
    /// Creates a store, in shared memory or in a file. Takes the space of an empty store; keys and
    /// values take theirs later.
    ///
    /// The name appears when the store is complete: a process that opens it finds all of it, and a
    /// creator that crashes leaves no store behind. A file that has the name already is not
    /// overwritten, and symbolic links are not followed.
    ///
    /// Does not block in shared memory; for a file, until it is on the disk. A store cannot be on a
    /// network file system, nor on any other whose files several machines can change. On file systems
    /// that never write in place (btrfs, ZFS), a full disk ends the process that writes.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: the name is taken or not valid; the dimensions are impossible; there is not
    /// enough space; no permission; the file system is shared with other machines; a limit of the
    /// process, on the size of files, open files or memory, is reached.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::store::{OpenError, StoreOptions};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let path = directory.path().join("a.store");
    /// let store = StoreOptions::new().slots(16).mode(0o660).create(&path)?;
    /// store.set("k", b"v")?;
    /// assert!(matches!(StoreOptions::new().create(&path), Err(OpenError::AlreadyExists { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(&self, location: impl Into<Location>) -> Result<Store, OpenError> {
        create(&location.into(), self, &mut |_| Ok(()))
    }
}

/// Creates a store, and fills it before it gets its name.
pub(super) fn create<E: From<OpenError>>(
    location: &Location,
    options: &StoreOptions,
    fill: &mut dyn FnMut(&Store) -> Result<(), E>,
) -> Result<Store, E> {
    location.check()?;
    let dimensions = options.dimensions();
    let layout = dimensions.layout().map_err(OpenError::from)?;
    let shape = StoreShape { dimensions, layout, checksums: matches!(location, Location::File(_)) };
    let len = layout.fixed_len();
    let directory = location.directory();
    if file::exists(&location.path()).map_err(refused("look for", location))? {
        return Err(OpenError::AlreadyExists { name: location.to_string() }.into());
    }
    if let Some(file_system) = file_system::directory_is_shared_with_other_machines(&directory) {
        return Err(OpenError::NetworkFileSystem { name: location.to_string(), file_system }.into());
    }
    // Checked before a file grows: the kernel ends a process that exceeds this limit.
    if limits::file_size().is_some_and(|limit| len > limit) {
        return Err(too_large(location, len).into());
    }
    remove_abandoned_drafts(&directory);
    for _ in 0..ATTEMPTS {
        // Until the draft is locked, another creator may take it for an abandoned one and remove
        // it: then we start again.
        let Some((draft, file, locks)) = begin_draft(location, &directory, len)? else {
            continue;
        };
        let mapped = map(location, shape, file, locks)?;
        let refused_space = |space| creating_without_space(location, space);
        mapped.reserve_first().map_err(refused_space)?;
        reached(Step::DraftReserved);
        let store = initialise(location, options, mapped)?;
        fill(&store)?;
        // First the store, then its name. Else the machine could stop in between, and leave an
        // incomplete file of that name.
        store.mapped().flush().map_err(refused("write", location))?;
        reached(Step::DraftFlushed);
        return match file::publish(&draft.0, &location.path()) {
            Ok(()) => {
                reached(Step::StoreNamed);
                // The file may still have the draft's name, too. That is removed before the lock is
                // released, so that no other creator finds it.
                drop(draft);
                // A file with a name of its own is no draft any more. If this fails, closing the
                // file releases the lock.
                let _ = lock::unlock(store.mapped().fd(), LockByte::Draft.offset());
                if let Location::File(_) = location {
                    // A process that may not read the directory cannot do this. Its store is
                    // complete all the same: the kernel writes the name by itself, a little later.
                    let _ = file::flush_names(&directory);
                }
                Ok(store)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(OpenError::AlreadyExists { name: location.to_string() }.into())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => Err(creating_refused("name", location, len)(error).into()),
        };
    }
    Err(OpenError::Unsettled { name: location.to_string() }.into())
}

/// Makes a draft of `len` zeros, a hole, and locks it. `None` if another creator took it for an
/// abandoned one. Also returns the file that is to be mapped, and the one that holds its locks.
fn begin_draft(
    location: &Location,
    directory: &Path,
    len: u64,
) -> Result<Option<(Draft, File, UninheritedFile)>, OpenError> {
    let draft = Draft::in_directory(directory);
    let file = match location {
        Location::Memory(_) => {
            let name = draft.0.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            mapping::create_segment(name, len as usize)
                .map_err(os_error)
                .map_err(creating_refused("create", location, len))?;
            // The crate `shared_memory` does not lend its file.
            match file::open(&draft.0, file::Links::Refuse) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                file => file.map_err(refused("create", location))?,
            }
        }
        // An anonymous store has no draft.
        Location::File(_) | Location::Anonymous => {
            file::create(&draft.0, len).map_err(creating_refused("create", location, len))?
        }
    };
    reached(Step::DraftMade);
    let Some(locks) = open_locks(location, &draft.0, &file, file::Links::Refuse)? else {
        return Ok(None);
    };
    let locked = lock::try_lock(locks.fd(), LockByte::Draft.offset()).map_err(refused("lock", location))?;
    reached(Step::DraftLocked);
    Ok(locked.then_some((draft, file, locks)))
}

/// Writes the header of a new store, and becomes its first participant.
pub(super) fn initialise(location: &Location, options: &StoreOptions, mapped: Arc<Mapped>) -> Result<Store, OpenError> {
    file::set_mode(&mapped.file, options.mode).map_err(refused("set the mode of", location))?;
    let clean_epoch = clean_epoch::of_file(&mapped.file, mapped.checksums).map_err(refused("examine", location))?;
    let StoreHeader { identity, switches, directory, .. } = mapped.header();
    let Dimensions { slots, inline_size, span, dense_cells } = mapped.dimensions;
    identity.layout.store(LAYOUT, Ordering::Relaxed);
    identity.slots.store(slots, Ordering::Relaxed);
    identity.system_slots.store(SYSTEM_SLOTS, Ordering::Relaxed);
    identity.features.store(if mapped.checksums { CHECKSUMS } else { 0 }, Ordering::Relaxed);
    identity.inline_size.store(inline_size, Ordering::Relaxed);
    identity.span.store(span, Ordering::Relaxed);
    identity.dense_cells.store(dense_cells, Ordering::Relaxed);
    identity.extents.store(mapped.layout.extents, Ordering::Relaxed);
    identity.id.store(Uuid::now_v7().as_u64_pair().1, Ordering::Relaxed);
    identity.created.store(clock::unix_nanos(), Ordering::Relaxed);
    switches.flags.store(if options.auto_vacuum { Flags::AUTO_VACUUM.bits() } else { 0 }, Ordering::Relaxed);
    directory.clean_epoch.store(clean_epoch.unwrap_or(UNKNOWN), Ordering::Relaxed);
    reached(Step::HeaderWritten);
    // Release: pairs with the acquire in `open`; a process that sees the magic number sees all of
    // the above.
    identity.magic.store(MAGIC, Ordering::Release);
    reached(Step::MagicWritten);
    let joined = join::join(&mapped);
    let session = Arc::new(into_session(location, mapped, joined, None)?);
    enter(&session).map_err(refused("create", location))?;
    Ok(Store::new(session, location).with_key_options(options.key_options))
}

/// Enters the session in the registry of this process, before the store gets its name: other
/// threads that open it share this session.
fn enter(session: &Arc<Session>) -> io::Result<()> {
    let mapped = &session.mapped;
    let file = file::status(&mapped.file)?.id;
    let id = mapped.header().identity.id.load(Ordering::Relaxed);
    Registry::of_this_process()?.enter(Key { file, id, shape: mapped.shape() }, session);
    Ok(())
}
