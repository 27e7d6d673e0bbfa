//! Making a store.
//!
//! A store is made under a draft name and gets its own in one step when it is complete. So an opener never meets one that is
//! half made, and a creator that dies leaves only a draft, which the next creator removes: its lock is free. In a file, all of it is on the disk before it has its
//! name there.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use uuid::Uuid;

use super::error::OpenError;
use super::geometry::Geometry;
use super::handle::Store;
use super::identity::{CHECKSUMS, LAYOUT, MAGIC, Shape};
use super::location::{DRAFT_PREFIX, Location};
use super::mapped::LockByte;
use super::open::{ATTEMPTS, enter, map, mapping_error, open_locks, refused};
use super::options::StoreOptions;
use super::participant;
use super::recover;
use super::ring::AUTO_VACUUM;
use crate::kill_points::{Step, reached};
use crate::os::fork::UninheritedFile;
use crate::os::{clock, file, lock};
use crate::region::Region;
use crate::region::records::StoreHeader;
use crate::sync::Ordering;

pub(super) fn create(location: &Location, options: &StoreOptions) -> Result<Store, OpenError> {
    location.check()?;
    let geometry = match location {
        Location::Memory(_) => options.geometry,
        // What is out of range stays so.
        Location::File(_) => options.geometry.layout().map(|_| options.geometry.in_a_file())?,
    };
    let len = geometry.layout()?.total_len;
    let directory = location.directory();
    if file::exists(&location.path()).map_err(refused("look for", location))? {
        return Err(OpenError::AlreadyExists { name: location.to_string() });
    }
    sweep_drafts(&directory);
    let available = || file::available(&directory).unwrap_or(0);
    let no_space = || OpenError::NoSpace {
        name: location.to_string(),
        directory: directory.display().to_string(),
        needed: len as u64,
        available: available(),
    };
    for _ in 0..ATTEMPTS {
        if !options.sparse && len as u64 > file::available(&directory).map_err(refused("find room for", location))? {
            return Err(no_space());
        }
        // A sweep may take the draft for a dead one's until it is locked: then it is gone, and we begin anew.
        let Some((draft, region, file, locks)) = begin(location, &directory, len)? else {
            continue;
        };
        if !options.sparse
            && let Err(error) = file::reserve(&file, len as u64)
        {
            return Err(match Errno::from_io_error(&error) {
                Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => no_space(),
                _ => refused("reserve the space of", location)(error),
            });
        }
        reached(Step::DraftReserved);
        let store = found(location, geometry, options, region, file, locks)?;
        // First the store, then its name: or the machine may stop in between, and leave a file of that name that is none.
        store.mapped().region.flush().map_err(refused("write", location))?;
        reached(Step::DraftFlushed);
        return match file::publish(&draft.0, &location.path()) {
            Ok(()) => {
                reached(Step::StoreNamed);
                // Nobody sweeps what has a name of its own; if this fails, closing the file does it.
                let _ = lock::unlock(store.mapped().fd(), LockByte::Draft.offset());
                if let Location::File(_) = location {
                    // Who may not read the directory cannot do this, and has the store all the same: the kernel writes the name
                    // down by itself, a little later.
                    let _ = file::flush_names(&directory);
                }
                Ok(store)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(OpenError::AlreadyExists { name: location.to_string() })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => Err(refused("name", location)(error)),
        };
    }
    Err(OpenError::Unsettled { name: location.to_string() })
}

/// A draft, its mapping, what is mapped, and what holds its locks.
type Begun = (Draft, Region, File, UninheritedFile);

/// Makes a draft of `len` zeros, mapped and locked; `None` when a sweep took it for a dead one's.
fn begin(location: &Location, directory: &Path, len: usize) -> Result<Option<Begun>, OpenError> {
    let draft = Draft::in_directory(directory);
    let (region, file) = match location {
        Location::Memory(_) => {
            let name = draft.0.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let region = Region::create(name, len).map_err(mapping_error("create", location))?;
            // The crate that makes segments does not lend its file.
            match file::open(&draft.0, file::Links::Refuse) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                file => (region, file.map_err(refused("create", location))?),
            }
        }
        Location::File(_) => {
            let file = file::create(&draft.0, len as u64).map_err(refused("create", location))?;
            let region = Region::map(&file, len).map_err(refused("map", location))?;
            (region, file)
        }
    };
    reached(Step::DraftMade);
    let Some(locks) = open_locks(location, &draft.0, &file, file::Links::Refuse)? else {
        return Ok(None);
    };
    let locked = lock::try_lock(locks.fd(), LockByte::Draft.offset()).map_err(refused("lock", location))?;
    reached(Step::DraftLocked);
    Ok(locked.then_some((draft, region, file, locks)))
}

/// Writes the header of a new store, and joins it as its first participant.
fn found(
    location: &Location,
    geometry: Geometry,
    options: &StoreOptions,
    region: Region,
    file: File,
    locks: UninheritedFile,
) -> Result<Store, OpenError> {
    file::set_mode(&file, options.mode).map_err(refused("set the mode of", location))?;
    let shape = Shape { geometry, checksums: matches!(location, Location::File(_)) };
    let home = recover::home(&file, shape.checksums).map_err(refused("examine", location))?;
    let mapped = map(location, shape, region, file, locks)?;
    let StoreHeader { identity, switches, books, .. } = mapped.header();
    identity.layout.store(LAYOUT, Ordering::Relaxed);
    identity.slots.store(geometry.slots, Ordering::Relaxed);
    identity.history.store(geometry.history, Ordering::Relaxed);
    identity.spare.store(geometry.spare, Ordering::Relaxed);
    identity.lossless.store(geometry.lossless, Ordering::Relaxed);
    identity.traits.store(if shape.checksums { CHECKSUMS } else { 0 }, Ordering::Relaxed);
    identity.max_value_size.store(geometry.max_value_size, Ordering::Relaxed);
    identity.total_len.store(mapped.region.len() as u64, Ordering::Relaxed);
    identity.id.store(Uuid::now_v7().as_u64_pair().1, Ordering::Relaxed);
    identity.created.store(clock::unix_nanos(), Ordering::Relaxed);
    switches.flags.store(if options.auto_vacuum { AUTO_VACUUM } else { 0 }, Ordering::Relaxed);
    books.home.store(home.unwrap_or(recover::UNKNOWN), Ordering::Relaxed);
    reached(Step::HeaderWritten);
    // Release: pairs with the acquire in `open`; whoever sees the magic sees all of the above.
    identity.magic.store(MAGIC, Ordering::Release);
    reached(Step::MagicWritten);
    let joined = participant::join(&mapped);
    enter(mapped, joined, None)
}

/// The file of a store that is not complete yet. Removed on drop, unless the store has got its own name by then.
struct Draft(PathBuf);

impl Draft {
    fn in_directory(directory: &Path) -> Self {
        Self(directory.join(format!("{DRAFT_PREFIX}{}", Uuid::now_v7().simple())))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Not there: it was never made, or has its own name. Anything else is left to the next sweep.
        let _ = file::unlink(&self.0);
    }
}

/// Removes the drafts of creators that died. What cannot be examined is somebody else's, and left alone.
fn sweep_drafts(directory: &Path) {
    for path in file::with_prefix(directory, DRAFT_PREFIX).unwrap_or_default() {
        let Ok(file) = UninheritedFile::open(|| file::open(&path, file::Links::Refuse)) else {
            continue;
        };
        let ours = file::is_regular(file.fd()).unwrap_or(false);
        if ours && lock::try_lock(file.fd(), LockByte::Draft.offset()).unwrap_or(false) {
            let _ = file::unlink(&path);
        }
    }
}
