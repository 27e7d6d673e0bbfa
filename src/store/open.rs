//! Making a store, opening one, and telling what is none.
//!
//! A store is made under a draft name and gets its own in one step when it is complete. So an opener never meets one that is
//! half made, and a creator that dies leaves only a draft, which the next creator removes: its lock is free.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::io::Errno;
use shared_memory::ShmemError;
use uuid::Uuid;

use super::error::OpenError;
use super::geometry::Geometry;
use super::handle::Store;
use super::mapped::{FIRST_OWN_LAYOUT, LAYOUT, LockByte, MAGIC, Mapped};
use super::options::StoreOptions;
use super::participant;
use super::ring::AUTO_VACUUM;
use crate::os::{clock, lock, segment};
use crate::region::Region;
use crate::region::records::{Identity, StoreHeader};
use crate::sync::{AtomicU64, Ordering};

const DRAFT_PREFIX: &str = ".splinter-draft-";
/// File names under `/dev/shm` have this many bytes at most.
const MAX_NAME_LEN: usize = 255;
/// How often an operation is begun anew when the name changes hands in the middle of it.
const ATTEMPTS: usize = 64;

/// Repeats what fails only because somebody else created or removed the name at the same moment.
pub(super) fn until_settled(
    name: &str,
    mut attempt: impl FnMut() -> Result<Store, OpenError>,
) -> Result<Store, OpenError> {
    for _ in 0..ATTEMPTS {
        match attempt() {
            Err(OpenError::AlreadyExists { .. } | OpenError::NotFound { .. } | OpenError::Unsettled { .. }) => {}
            done => return done,
        }
    }
    Err(OpenError::Unsettled { name: name.to_owned() })
}

pub(super) fn create(name: &str, options: &StoreOptions) -> Result<Store, OpenError> {
    check_name(name)?;
    let layout = options.geometry.layout()?;
    if segment::exists(name).map_err(refused("look for", name))? {
        return Err(OpenError::AlreadyExists { name: name.to_owned() });
    }
    sweep_drafts();
    for _ in 0..ATTEMPTS {
        let available = segment::available().map_err(refused("find room for", name))?;
        let no_space =
            |available| OpenError::NoSpace { name: name.to_owned(), needed: layout.total_len as u64, available };
        if layout.total_len as u64 > available {
            return Err(no_space(available));
        }
        let draft = Draft::new();
        let region = Region::create(&draft.name, layout.total_len).map_err(mapping_error("create", name))?;
        // A sweep may take the draft for a dead one's until it is locked: then it is gone, and we begin anew.
        let file = match segment::open(&draft.name) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            file => file.map_err(refused("create", name))?,
        };
        if !lock::try_lock(file.as_fd(), LockByte::Draft.offset()).map_err(refused("lock", name))? {
            continue;
        }
        if let Err(error) = segment::reserve(&file, layout.total_len as u64) {
            return Err(match Errno::from_io_error(&error) {
                Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => no_space(segment::available().unwrap_or(0)),
                _ => refused("reserve the space of", name)(error),
            });
        }
        let store = found(name, options, region, file)?;
        return match segment::publish(&draft.name, name) {
            Ok(()) => {
                // Nobody sweeps what has a name of its own; if this fails, closing the file does it.
                let _ = lock::unlock(store.mapped().fd(), LockByte::Draft.offset());
                Ok(store)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(OpenError::AlreadyExists { name: name.to_owned() })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => Err(refused("name", name)(error)),
        };
    }
    Err(OpenError::Unsettled { name: name.to_owned() })
}

/// Writes the header of a new store, and joins it as its first participant.
fn found(name: &str, options: &StoreOptions, region: Region, file: File) -> Result<Store, OpenError> {
    segment::set_mode(&file, options.mode).map_err(refused("set the mode of", name))?;
    let geometry = options.geometry;
    let mapped = map(name, geometry, region, file)?;
    let StoreHeader { identity, switches, .. } = mapped.header();
    identity.layout.store(LAYOUT, Ordering::Relaxed);
    identity.slots.store(geometry.slots, Ordering::Relaxed);
    identity.history.store(geometry.history, Ordering::Relaxed);
    identity.spare.store(geometry.spare, Ordering::Relaxed);
    identity.max_value_size.store(geometry.max_value_size, Ordering::Relaxed);
    identity.total_len.store(mapped.region.len() as u64, Ordering::Relaxed);
    identity.id.store(Uuid::now_v7().as_u64_pair().1, Ordering::Relaxed);
    identity.created.store(clock::unix_nanos(), Ordering::Relaxed);
    switches.flags.store(if options.auto_vacuum { AUTO_VACUUM } else { 0 }, Ordering::Relaxed);
    // Release: pairs with the acquire in `open`; whoever sees the magic sees all of the above.
    identity.magic.store(MAGIC, Ordering::Release);
    join(mapped)
}

pub(super) fn open(name: &str) -> Result<Store, OpenError> {
    check_name(name)?;
    for _ in 0..ATTEMPTS {
        let file = open_file(name)?;
        let len = file.metadata().map_err(refused("examine", name))?.len();
        let seen = read_identity(&file, len).map_err(refused("read", name))?;
        let geometry = check_identity(name, seen.as_ref(), len)?;
        let region = match Region::open(name) {
            Err(ShmemError::MapOpenFailed(code)) if code == libc::ENOENT as u32 => {
                return Err(OpenError::NotFound { name: name.to_owned() });
            }
            region => region.map_err(mapping_error("map", name))?,
        };
        // The mapping came by name, the locks come by `file`: they must be of the same store.
        let same = seen.as_ref().is_some_and(|seen| {
            let id = region.header().identity.id.load(Ordering::Relaxed);
            id == seen.id.load(Ordering::Relaxed) && region.len() as u64 == len
        });
        if same {
            let mapped = map(name, geometry, region, file)?;
            // Acquire: pairs with the release in `found`.
            mapped.header().identity.magic.load(Ordering::Acquire);
            return join(mapped);
        }
    }
    Err(OpenError::Unsettled { name: name.to_owned() })
}

pub(super) fn remove(name: &str) -> Result<(), OpenError> {
    check_name(name)?;
    let file = open_file(name)?;
    let len = file.metadata().map_err(refused("examine", name))?.len();
    let magic = read_identity(&file, len).map_err(refused("read", name))?;
    if magic.is_none_or(|identity| identity.magic.load(Ordering::Relaxed) != MAGIC) {
        let reason = "it does not begin as one does".to_owned();
        return Err(OpenError::NotAStore { name: name.to_owned(), reason });
    }
    segment::unlink(name).map_err(|error| match error.kind() {
        ErrorKind::NotFound => OpenError::NotFound { name: name.to_owned() },
        ErrorKind::PermissionDenied => OpenError::PermissionDenied { name: name.to_owned() },
        _ => refused("remove", name)(error),
    })
}

fn map(name: &str, geometry: Geometry, region: Region, file: File) -> Result<Mapped, OpenError> {
    let layout = geometry.layout()?;
    let tables = layout.tables(geometry, &region).ok_or_else(|| OpenError::Damaged {
        name: name.to_owned(),
        reason: format!("its mapping of {} bytes is too short for its {} bytes", region.len(), layout.total_len),
    })?;
    Ok(Mapped { name: name.to_owned(), geometry, region: Arc::new(region), tables, file })
}

fn join(mapped: Mapped) -> Result<Store, OpenError> {
    match participant::join(&mapped).map_err(refused("lock", &mapped.name))? {
        Some(me) => Ok(Store::new(mapped, me)),
        None => Err(OpenError::TooManyParticipants { name: mapped.name }),
    }
}

fn open_file(name: &str) -> Result<File, OpenError> {
    let not_a_store = |reason: &str| OpenError::NotAStore { name: name.to_owned(), reason: reason.to_owned() };
    let file = segment::open(name).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::NOENT) => OpenError::NotFound { name: name.to_owned() },
        Some(Errno::ACCESS | Errno::PERM) => OpenError::PermissionDenied { name: name.to_owned() },
        Some(Errno::LOOP) => not_a_store("it is a symbolic link"),
        Some(Errno::ISDIR) => not_a_store("it is a directory"),
        _ => refused("open", name)(error),
    })?;
    if !file.metadata().map_err(refused("examine", name))?.is_file() {
        return Err(not_a_store("it is not a regular file"));
    }
    Ok(file)
}

/// The first bytes of the file, read through the file; `None` when it has not as many.
fn read_identity(file: &File, len: u64) -> io::Result<Option<Identity>> {
    if len < size_of::<Identity>() as u64 {
        return Ok(None);
    }
    let mut bytes = [0; size_of::<Identity>()];
    file.read_exact_at(&mut bytes, 0)?;
    let word = |at: usize| u64::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    let half = |at: usize| u32::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    Ok(Some(Identity {
        magic: half(0).into(),
        layout: half(4).into(),
        slots: half(8).into(),
        history: half(12).into(),
        spare: half(16).into(),
        reserved: half(20).into(),
        max_value_size: AtomicU64::new(word(24)),
        total_len: AtomicU64::new(word(32)),
        id: AtomicU64::new(word(40)),
        created: AtomicU64::new(word(48)),
    }))
}

/// The geometry of a store of ours, if it is one and all there.
fn check_identity(name: &str, identity: Option<&Identity>, len: u64) -> Result<Geometry, OpenError> {
    let name = || name.to_owned();
    let Some(identity) = identity else {
        let reason = format!("it has {len} bytes, fewer than a store's header");
        return Err(OpenError::NotAStore { name: name(), reason });
    };
    let magic = identity.magic.load(Ordering::Relaxed);
    if magic != MAGIC {
        let reason = format!("it begins with {magic:#010x} instead of {MAGIC:#010x}");
        return Err(OpenError::NotAStore { name: name(), reason });
    }
    match identity.layout.load(Ordering::Relaxed) {
        LAYOUT => {}
        layout if layout < FIRST_OWN_LAYOUT => {
            return Err(OpenError::CLibrary { name: name(), layout });
        }
        layout => {
            return Err(OpenError::OtherLayout { name: name(), layout, supported: LAYOUT });
        }
    }
    let geometry = Geometry {
        slots: identity.slots.load(Ordering::Relaxed),
        max_value_size: identity.max_value_size.load(Ordering::Relaxed),
        history: identity.history.load(Ordering::Relaxed),
        spare: identity.spare.load(Ordering::Relaxed),
    };
    let damaged = |reason: String| OpenError::Damaged { name: name(), reason };
    let layout = geometry.layout().map_err(|error| damaged(format!("its geometry is impossible: {error}")))?;
    let total_len = identity.total_len.load(Ordering::Relaxed);
    if layout.total_len as u64 != total_len || total_len != len {
        let needed = layout.total_len;
        return Err(damaged(format!(
            "its geometry needs {needed} bytes, its header says {total_len}, and it has {len}"
        )));
    }
    Ok(geometry)
}

fn check_name(name: &str) -> Result<(), OpenError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.contains('/') {
        "it has a '/', which no segment of shared memory may have in its name"
    } else if name.contains('\0') {
        "it has a NUL byte"
    } else if name.len() > MAX_NAME_LEN {
        "it has more than 255 bytes"
    } else if name == "." || name == ".." {
        "it is a directory"
    } else if name.starts_with(DRAFT_PREFIX) {
        "it begins as the names of unfinished stores do"
    } else {
        return Ok(());
    };
    Err(OpenError::Name { name: name.to_owned(), reason })
}

/// The name of a store that is not complete yet. Removed on drop, unless the store has got its own name by then.
struct Draft {
    name: String,
}

impl Draft {
    fn new() -> Self {
        Self { name: format!("{DRAFT_PREFIX}{}", Uuid::now_v7().simple()) }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Not there: it was never made, or has its own name. Anything else is left to the next sweep.
        let _ = segment::unlink(&self.name);
    }
}

/// Removes the drafts of creators that died. What cannot be examined is somebody else's, and left alone.
fn sweep_drafts() {
    for name in segment::with_prefix(DRAFT_PREFIX).unwrap_or_default() {
        let Ok(file) = segment::open(&name) else {
            continue;
        };
        if lock::try_lock(file.as_fd(), LockByte::Draft.offset()).unwrap_or(false) {
            let _ = segment::unlink(&name);
        }
    }
}

fn refused<'a>(action: &'static str, name: &'a str) -> impl FnOnce(io::Error) -> OpenError + 'a {
    move |source| OpenError::Io { action, name: name.to_owned(), source }
}

fn mapping_error<'a>(action: &'static str, name: &'a str) -> impl FnOnce(ShmemError) -> OpenError + 'a {
    move |error| {
        let source = match error {
            ShmemError::MapCreateFailed(code) | ShmemError::MapOpenFailed(code) | ShmemError::UnknownOsError(code) => {
                io::Error::from_raw_os_error(code as i32)
            }
            error => io::Error::other(error.to_string()),
        };
        OpenError::Io { action, name: name.to_owned(), source }
    }
}
