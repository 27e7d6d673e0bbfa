//! Opening a store, removing one, and telling what is none.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use shared_memory::ShmemError;

use super::create;
use super::error::OpenError;
use super::handle::Store;
use super::identity::{self, MAGIC, Shape};
use super::location::Location;
use super::mapped::Mapped;
use super::memory::Memory;
use super::options::StoreOptions;
use super::participant::{self, Joined};
use super::recover::{self, Recovery};
use crate::core::memory::records::PARTICIPANTS;
use crate::os::file::{self, Links};
use crate::os::fork::UninheritedFile;
use crate::os::mapping::Mapping;
use crate::os::{file_system, limits};
use crate::sync::Ordering;

impl Store {
    /// Creates a store with the default [options](StoreOptions).
    ///
    /// # Errors
    ///
    /// As [`StoreOptions::create`].
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::store::{OpenError, Store};
    ///
    /// # let name = format!("splinter-doc-store-create-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert!(matches!(Store::create(&name), Err(OpenError::AlreadyExists { .. })));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(location: impl Into<Location>) -> Result<Self, OpenError> {
        StoreOptions::new().create(location)
    }

    /// Opens a store.
    ///
    /// Does not block, unless the store is in a file. The first to open such a store waits for one small write to the disk. It also checks every
    /// value if the machine has stopped since the store was last used, the last who had it open were killed, the file is a copy, or the kernel does
    /// not say its boot id. That takes as long as reading the values, and others wait for it, ten seconds at most. See
    /// [`recovery`](Self::recovery).
    ///
    /// # Errors
    ///
    /// [`OpenError`]: no such store, no permission, not a store of this version, damaged, or open 128 times already;
    /// on a file system that is shared with other machines; a limit of the process, on open files or memory, is
    /// reached.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::store::{OpenError, Store};
    ///
    /// # let name = format!("splinter-doc-store-open-{}", std::process::id());
    /// assert!(matches!(Store::open(&name), Err(OpenError::NotFound { .. })));
    /// Store::create(&name)?.set("k", b"v")?;
    /// assert_eq!(Store::open(&name)?.get("k")?.as_deref(), Some(&b"v"[..]));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(location: impl Into<Location>) -> Result<Self, OpenError> {
        open(&location.into())
    }

    /// Creates a store with the default [options](StoreOptions), or opens it if it exists.
    ///
    /// # Errors
    ///
    /// As [`StoreOptions::create_or_open`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-store-create-or-open-{}", std::process::id());
    /// let (first, second) = (Store::create_or_open(&name)?, Store::create_or_open(&name)?);
    /// assert_ne!(first.participant(), second.participant());
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_or_open(location: impl Into<Location>) -> Result<Self, OpenError> {
        StoreOptions::new().create_or_open(location)
    }

    /// Opens a store, or creates it with the default [options](StoreOptions) if it does not exist.
    ///
    /// # Errors
    ///
    /// As [`StoreOptions::open_or_create`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-store-open-or-create-{}", std::process::id());
    /// let store = Store::open_or_create(&name)?;
    /// assert_eq!(store.geometry().slots, 128);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(location: impl Into<Location>) -> Result<Self, OpenError> {
        StoreOptions::new().open_or_create(location)
    }

    /// Removes a store's name. Whoever has the store open keeps it, nameless, until they close it; its space is freed then.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: no such store, no permission, or not a splinter store, which is then left alone.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-store-remove-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// Store::remove(&name)?;
    /// assert!(Store::open(&name).is_err());
    /// store.set("k", b"v")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove(location: impl Into<Location>) -> Result<(), OpenError> {
        remove(&location.into())
    }
}

/// How often an operation is begun anew when the name changes hands in the middle of it.
pub(super) const ATTEMPTS: usize = 64;

pub(super) fn create_or_open(location: &Location, options: &StoreOptions) -> Result<Store, OpenError> {
    until_settled(location, || match create::create(location, options) {
        Err(OpenError::AlreadyExists { .. }) => open(location),
        done => done,
    })
}

pub(super) fn open_or_create(location: &Location, options: &StoreOptions) -> Result<Store, OpenError> {
    until_settled(location, || match open(location) {
        Err(OpenError::NotFound { .. }) => create::create(location, options),
        done => done,
    })
}

/// Repeats what fails only because somebody else created or removed the name at the same moment.
fn until_settled(
    location: &Location,
    mut attempt: impl FnMut() -> Result<Store, OpenError>,
) -> Result<Store, OpenError> {
    for _ in 0..ATTEMPTS {
        match attempt() {
            Err(OpenError::AlreadyExists { .. } | OpenError::NotFound { .. } | OpenError::Unsettled { .. }) => {}
            done => return done,
        }
    }
    Err(OpenError::Unsettled { name: location.to_string() })
}

pub(super) fn open(location: &Location) -> Result<Store, OpenError> {
    location.check()?;
    for _ in 0..ATTEMPTS {
        let file = open_file(location, location.links())?;
        if let Some(file_system) = file_system::shared_with_other_machines(&file) {
            return Err(OpenError::NetworkFileSystem { name: location.to_string(), file_system });
        }
        let len = file::status(&file).map_err(refused("examine", location))?.len;
        let seen = identity::read(&file, len).map_err(refused("read", location))?;
        let shape = identity::check(location, seen.as_ref(), len)?;
        let mapping = match location {
            Location::Memory(name) => match Mapping::open_segment(name) {
                Err(ShmemError::MapOpenFailed(code)) if code == libc::ENOENT as u32 => {
                    return Err(OpenError::NotFound { name: location.to_string() });
                }
                mapping => mapping.map_err(os_error).map_err(mapping_refused("map", location, len))?,
            },
            Location::File(_) => {
                Mapping::of_file(&file, len as usize).map_err(mapping_refused("map", location, len))?
            }
        };
        let memory = Memory::new(mapping).map_err(mapping_refused("map", location, len))?;
        let Some(locks) = open_locks(location, &location.path(), &file, location.links())? else {
            continue;
        };
        // A mapping by name may be of another store than `file`.
        let same = seen.as_ref().is_some_and(|seen| {
            let id = memory.region.header().identity.id.load(Ordering::Relaxed);
            id == seen.id.load(Ordering::Relaxed) && memory.region.len() as u64 == len
        });
        if same {
            let mapped = map(location, shape, memory, file, locks)?;
            // Acquire: pairs with the release in `found`.
            mapped.header().identity.magic.load(Ordering::Acquire);
            let mut settled = recover::check_or_recover(&mapped, location)?;
            let (joined, recovery) = (participant::join(&mapped), settled.recovery.take());
            drop(settled);
            return enter(mapped, joined, recovery);
        }
    }
    Err(OpenError::Unsettled { name: location.to_string() })
}

pub(super) fn remove(location: &Location) -> Result<(), OpenError> {
    location.check()?;
    let file = open_file(location, Links::Refuse)?;
    let len = file::status(&file).map_err(refused("examine", location))?.len;
    let identity = identity::read(&file, len).map_err(refused("read", location))?;
    if identity.is_none_or(|identity| identity.magic.load(Ordering::Relaxed) != MAGIC) {
        let reason = "it does not begin as one does".to_owned();
        return Err(OpenError::NotAStore { name: location.to_string(), reason });
    }
    file::unlink(&location.path()).map_err(|error| match error.kind() {
        ErrorKind::NotFound => OpenError::NotFound { name: location.to_string() },
        _ => refused("remove", location)(error),
    })
}

pub(super) fn map(
    location: &Location,
    shape: Shape,
    memory: Memory,
    file: File,
    locks: UninheritedFile,
) -> Result<Arc<Mapped>, OpenError> {
    let Shape { geometry, checksums } = shape;
    let layout = geometry.layout()?;
    let tables = layout.tables(geometry, &memory.region).ok_or_else(|| OpenError::Damaged {
        name: location.to_string(),
        reason: format!("its mapping of {} bytes is too short for its {} bytes", memory.region.len(), layout.total_len),
    })?;
    Ok(Arc::new(Mapped { location: location.clone(), geometry, checksums, memory, tables, file, locks }))
}

/// Makes a handle of a mapping whose participant we are, if we are.
pub(super) fn enter(
    mapped: Arc<Mapped>,
    joined: io::Result<Joined>,
    recovery: Option<Recovery>,
) -> Result<Store, OpenError> {
    let name = || mapped.location.to_string();
    match joined.map_err(refused("lock", &mapped.location))? {
        Joined::As(me) => Ok(Store::new(mapped, me, recovery)),
        Joined::Full => Err(OpenError::TooManyParticipants { name: name(), max: PARTICIPANTS }),
        Joined::LockedOut => Err(OpenError::LockedOut { name: name() }),
    }
}

fn open_file(location: &Location, links: Links) -> Result<File, OpenError> {
    let name = || location.to_string();
    let not_a_store = |reason: &str| OpenError::NotAStore { name: name(), reason: reason.to_owned() };
    let path = location.path();
    let file = file::open(&path, links).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::NOENT) if file::is_link(&path) => not_a_store("it is a symbolic link that leads nowhere"),
        Some(Errno::NOENT) => OpenError::NotFound { name: name() },
        Some(Errno::LOOP) => not_a_store("it is a symbolic link"),
        Some(Errno::ISDIR) => not_a_store("it is a directory"),
        Some(Errno::NXIO | Errno::OPNOTSUPP) => not_a_store("it is not a regular file"),
        Some(Errno::TXTBSY) => not_a_store("it is a program that is running"),
        _ => refused("open", location)(error),
    })?;
    if !file::status(&file).map_err(refused("examine", location))?.is_regular {
        return Err(not_a_store("it is not a regular file"));
    }
    Ok(file)
}

/// Opens a store's file once more, for its locks; `None` if its name is another file's by now.
///
/// By name: `/proc`, which could tell the file from its descriptor, is not everywhere.
pub(super) fn open_locks(
    location: &Location,
    path: &Path,
    file: &File,
    links: Links,
) -> Result<Option<UninheritedFile>, OpenError> {
    let locks = match UninheritedFile::open(|| file::open(path, links)) {
        Err(error) if is_another(&error) => return Ok(None),
        locks => locks.map_err(refused("open", location))?,
    };
    let same = file::is_same(file, locks.fd()).map_err(refused("examine", location))?;
    Ok(same.then_some(locks))
}

/// Whether a file could not be opened because there is none of its name any more, or something else.
fn is_another(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOENT | Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::OPNOTSUPP))
}

/// What the kernel's refusal means to who asked.
pub(super) fn refused<'a>(action: &'static str, location: &'a Location) -> impl FnOnce(io::Error) -> OpenError + 'a {
    move |source| {
        let name = location.to_string();
        match Errno::from_io_error(&source) {
            Some(Errno::ACCESS | Errno::PERM) => OpenError::PermissionDenied { action, name, source },
            Some(Errno::ROFS) => OpenError::ReadOnly { action, name },
            Some(Errno::NOENT | Errno::NOTDIR) => {
                OpenError::NoDirectory { name, directory: location.directory().display().to_string() }
            }
            Some(Errno::MFILE) => OpenError::TooManyFiles { action, name, limit: limits::open_files() },
            Some(Errno::NFILE) => OpenError::TooManyFiles { action, name, limit: None },
            _ if source.kind() == ErrorKind::Unsupported => OpenError::Unsupported { action, name, source },
            _ => OpenError::Io { action, name, source },
        }
    }
}

/// As [`refused`], of mapping `len` bytes.
pub(super) fn mapping_refused(
    action: &'static str,
    location: &Location,
    len: u64,
) -> impl FnOnce(io::Error) -> OpenError {
    move |source| match Errno::from_io_error(&source) {
        // Addresses, mappings or memory; EAGAIN: memory that may be locked, in a process that locks all of its own.
        Some(Errno::NOMEM | Errno::AGAIN) => {
            let limit = limits::address_space();
            OpenError::NoMemory { name: location.to_string(), needed: len, limit, source }
        }
        Some(Errno::NODEV) => {
            let source =
                io::Error::new(ErrorKind::Unsupported, format!("its file system has no shared mappings: {source}"));
            refused(action, location)(source)
        }
        _ => refused(action, location)(source),
    }
}

/// What the kernel said to the crate that makes segments.
pub(super) fn os_error(error: ShmemError) -> io::Error {
    match error {
        ShmemError::MapCreateFailed(code) | ShmemError::MapOpenFailed(code) | ShmemError::UnknownOsError(code) => {
            io::Error::from_raw_os_error(code as i32)
        }
        error => io::Error::other(error.to_string()),
    }
}
