//! Stores without a name: creating one, and opening one by a descriptor.
//!
//! A file without a name cannot be opened a second time by it, which its locks need. So it is opened
//! by `/proc/self/fd`. The descriptor that a process was given may share its open file description
//! with the process that gave it, and locks belong to descriptions.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::io::Errno;

use super::create::initialise;
use super::open::{Sharing, open_through};
use super::opening::map;
use super::options::StoreOptions;
use super::refused::{creating_refused, creating_without_space, refused, too_large};
use crate::os::fork::UninheritedFile;
use crate::os::{file, limits};
use crate::store::error::OpenError;
use crate::store::location::Location;
use crate::store::mapped::StoreShape;
use crate::store::store::Store;

impl Store {
    /// Creates a store without a name, with the default [options](StoreOptions): see
    /// [`StoreOptions::anonymous`].
    ///
    /// # Errors
    ///
    /// As [`StoreOptions::anonymous`].
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::store::Store;
    ///
    /// let store = Store::anonymous()?;
    /// store.set("k", b"v")?;
    /// assert_eq!(store.location().to_string(), "anonymous store");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn anonymous() -> Result<Self, OpenError> {
        StoreOptions::new().anonymous()
    }

    /// Opens the store that a descriptor leads to: one that was inherited from the process that
    /// started this one, or received over a Unix socket (`SCM_RIGHTS`). The descriptor comes from
    /// [`as_fd`](Self::as_fd) there. It is closed with the store.
    ///
    /// Works for every store, whether it has a name or not. Its [location](Self::location) is
    /// [`Location::Anonymous`] here. Blocks as [`open`](Self::open) does.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open). [`OpenError::Unsupported`]: `/proc` is not mounted, which is
    /// needed to open the file once more, for its locks. [`OpenError::PermissionDenied`]: the store
    /// belongs to another user, whose [mode](StoreOptions::mode) does not allow it, or the descriptor
    /// is for reading only.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::fd::AsFd;
    /// use splinter_bus::store::Store;
    ///
    /// let store = Store::anonymous()?;
    /// store.set("k", b"v")?;
    /// let other = Store::from_fd(store.as_fd().try_clone_to_owned()?)?;
    /// assert_eq!(other.get("k")?.as_deref(), Some(&b"v"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_fd(descriptor: OwnedFd) -> Result<Self, OpenError> {
        let (location, file) = (Location::Anonymous, File::from(descriptor));
        let status = file::status(&file).map_err(refused("examine", &location))?;
        if !status.is_regular {
            let reason = "its descriptor is not that of a regular file".to_owned();
            return Err(OpenError::NotAStore { name: location.to_string(), reason });
        }
        if !file::is_writable(&file).map_err(refused("examine", &location))? {
            return Err(refused("write to", &location)(Errno::ACCESS.into()));
        }
        file::close_on_exec(&file).map_err(refused("examine", &location))?;
        let locks = |file: &File| open_again(&location, file).map(Some);
        let opened = open_through(&location, file, Sharing::Process, locks)?;
        opened.ok_or_else(|| OpenError::Unsettled { name: location.to_string() })
    }
}

impl AsFd for Store {
    /// The descriptor of the store's file, to be inherited or sent to another process, which opens it
    /// by [`Store::from_fd`]. It is close-on-exec: a child that is to inherit it needs a duplicate that
    /// is not.
    ///
    /// Whoever has it may read and write the store, whatever its mode. Do not truncate or write to the
    /// file.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mapped().file.as_fd()
    }
}

impl StoreOptions {
    /// Creates a store in memory that has no name: only processes that are given its descriptor can
    /// open it. It ends with the last of them, however they end.
    ///
    /// The memory is that of a `memfd`: it counts for the memory of the processes (their cgroup), and
    /// not for the size of `/dev/shm`.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create), except for those of names. [`OpenError::Unsupported`]: the
    /// kernel has no anonymous files, a sandbox refuses them, or `/proc` is not mounted.
    ///
    /// # Examples
    ///
    /// A child process that inherits the store as its standard input:
    ///
    /// ```no_run
    /// use std::os::fd::AsFd;
    /// use std::process::{Command, Stdio};
    /// use splinter_bus::store::{Store, StoreOptions};
    ///
    /// let store = StoreOptions::new().slots(100).anonymous()?;
    /// let worker = Command::new("worker").stdin(Stdio::from(store.as_fd().try_clone_to_owned()?)).spawn()?;
    ///
    /// // And in the child:
    /// let store = Store::from_fd(std::io::stdin().as_fd().try_clone_to_owned()?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn anonymous(&self) -> Result<Store, OpenError> {
        let (location, dimensions) = (&Location::Anonymous, self.dimensions());
        let layout = dimensions.layout()?;
        let len = layout.fixed_len();
        // Checked before a file grows: the kernel ends a process that exceeds this limit.
        if limits::file_size().is_some_and(|limit| len > limit) {
            return Err(too_large(location, len));
        }
        let file = file::anonymous("splinter-bus").map_err(|error| match error.kind() {
            ErrorKind::Unsupported => missing(location, "the kernel has no anonymous files (memfd_create)"),
            _ => creating_refused("create", location, len)(error),
        })?;
        file.set_len(len).map_err(creating_refused("create", location, len))?;
        let locks = open_again(location, &file)?;
        let mapped = map(location, StoreShape { dimensions, layout, checksums: false }, file, locks)?;
        mapped.reserve_first().map_err(|space| creating_without_space(location, space))?;
        initialise(location, self, mapped)
    }
}

/// Opens a file without a name once more, for its locks.
fn open_again(location: &Location, file: &File) -> Result<UninheritedFile, OpenError> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let locks =
        UninheritedFile::open(|| file::open(&path, file::Links::Follow)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => missing(location, "/proc is not mounted, by which it is opened again for its locks"),
            _ => refused("open", location)(error),
        })?;
    match file::is_same(file, locks.fd()).map_err(refused("examine", location))? {
        true => Ok(locks),
        false => Err(missing(location, "/proc is that of another pid namespace")),
    }
}

fn missing(location: &Location, what: &str) -> OpenError {
    let source = io::Error::new(ErrorKind::Unsupported, what);
    OpenError::Unsupported { action: "open", name: location.to_string(), source }
}
