//! Opening a store, and removing one.

use std::fs::File;
use std::io::ErrorKind;
use std::sync::Arc;

use rustix::io::Errno;

use super::identity::{self, MAGIC};
use super::opening::{ATTEMPTS, into_session, map, open_locks};
use super::recover;
use super::refused::refused;
use super::registry::{Key, Registry};
use crate::os::file::{self, Links, Status};
use crate::os::file_system;
use crate::os::fork::UninheritedFile;
use crate::store::error::OpenError;
use crate::store::location::Location;
use crate::store::participant::join;
use crate::store::store::Store;
use crate::sync::Ordering;

impl Store {
    /// Opens a store.
    ///
    /// If this process has it open already, under any name, the new handle shares all that the
    /// others have: see [`Store`]. The kernel checks each time whether the name exists and may be
    /// opened.
    ///
    /// Does not block, unless the store is in a file. The first process that opens such a store
    /// waits for one small write to the disk. It also checks every value if the machine has stopped
    /// since the store was last used, if its last participants were killed, if the file is a copy,
    /// or if the kernel does not give its boot id. That takes as long as reading the values. Others
    /// wait for it, ten seconds at most. See [`recovery`](Self::recovery).
    ///
    /// # Errors
    ///
    /// [`OpenError`]: no such store; no permission; not a store of this version; damaged; open in
    /// 254 processes already; on a file system that is shared with other machines; a limit of the
    /// process, on open files or memory, is reached.
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
        open(&location.into(), Sharing::Process)
    }

    /// Opens a store as another process would: with a session of its own. For tests, which have two
    /// participants in one process so.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    #[doc(hidden)]
    pub fn open_unshared(location: impl Into<Location>) -> Result<Self, OpenError> {
        open(&location.into(), Sharing::None)
    }

    /// Removes a store's name. Processes that have the store open keep it, without a name. Its
    /// space is freed when the last of them closes it.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: no such store, no permission, or not a store of splinter-bus, which is then
    /// not touched.
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

/// Who shares a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// All handles of this process on the store.
    Process,
    /// The clones of one handle.
    None,
}

fn open(location: &Location, sharing: Sharing) -> Result<Store, OpenError> {
    location.check()?;
    for _ in 0..ATTEMPTS {
        let file = open_file(location, location.links())?;
        let locks = |file: &File| open_locks(location, &location.path(), file, location.links());
        if let Some(store) = open_through(location, file, sharing, locks)? {
            return Ok(store);
        }
    }
    Err(OpenError::Unsettled { name: location.to_string() })
}

/// Opens the store in this file, unless `open_locks` finds another file by its name: then `None`.
pub(super) fn open_through(
    location: &Location,
    file: File,
    sharing: Sharing,
    open_locks: impl FnOnce(&File) -> Result<Option<UninheritedFile>, OpenError>,
) -> Result<Option<Store>, OpenError> {
    if let Some(file_system) = file_system::shared_with_other_machines(&file) {
        return Err(OpenError::NetworkFileSystem { name: location.to_string(), file_system });
    }
    let Status { len, id: file_id, .. } = file::status(&file).map_err(refused("examine", location))?;
    let seen = identity::read(&file, len).map_err(refused("read", location))?;
    let shape = identity::check(location, seen.as_ref(), len)?;
    let key = Key { file: file_id, id: seen.map_or(0, |seen| seen.id.into_inner()), shape };
    let registry = match sharing {
        Sharing::Process => Some(Registry::of_this_process().map_err(refused("open", location))?),
        Sharing::None => None,
    };
    if let Some(session) = registry.and_then(|registry| registry.find(key)) {
        return Ok(Some(Store::new(session, location)));
    }
    let Some(locks) = open_locks(&file)? else {
        return Ok(None);
    };
    let mapped = map(location, shape, file, locks)?;
    // Acquire: pairs with the release in `initialise`.
    mapped.header().identity.magic.load(Ordering::Acquire);
    let mut checked = recover::check_or_recover(&mapped, location)?;
    let recovery = checked.recovery.take();
    let join = || into_session(location, Arc::clone(&mapped), join::join(&mapped), recovery);
    let session = match registry {
        Some(registry) => registry.find_or_join(key, join)?,
        None => Arc::new(join()?),
    };
    drop(checked);
    Ok(Some(Store::new(session, location)))
}

fn remove(location: &Location) -> Result<(), OpenError> {
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
