//! The errors of opening and creating, from what the kernel says.

use std::io::{self, ErrorKind};

use rustix::io::Errno;
use shared_memory::ShmemError;

use crate::core::ring::{NoSpace, SpaceReason};
use crate::os::{limits, space};
use crate::store::error::OpenError;
use crate::store::location::Location;

/// The error for a call that the kernel refused.
pub(crate) fn refused<'a>(action: &'static str, location: &'a Location) -> impl FnOnce(io::Error) -> OpenError + 'a {
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

/// As [`refused`], for a mapping of `len` bytes.
pub(crate) fn mapping_refused(
    action: &'static str,
    location: &Location,
    len: u64,
) -> impl FnOnce(io::Error) -> OpenError {
    move |source| match Errno::from_io_error(&source) {
        // No more addresses, mappings or memory. EAGAIN: the limit of locked memory, in a process
        // that locks all of its memory.
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

/// As [`refused`], for the creation of a store of `len` bytes.
pub(super) fn creating_refused<'a>(
    action: &'static str,
    location: &'a Location,
    len: u64,
) -> impl FnOnce(io::Error) -> OpenError + 'a {
    move |source| match Errno::from_io_error(&source) {
        Some(Errno::NOSPC | Errno::DQUOT) => no_space(location, len, Some(source)),
        Some(Errno::FBIG) => too_large(location, len),
        _ => mapping_refused(action, location, len)(source),
    }
}

pub(super) fn no_space(location: &Location, len: u64, source: Option<io::Error>) -> OpenError {
    let directory = location.directory();
    OpenError::NoSpace {
        name: location.to_string(),
        needed: len,
        available: space::available_in(&directory).unwrap_or(0),
        directory: directory.display().to_string(),
        source,
    }
}

/// The error for space that could not be reserved.
pub(crate) fn creating_without_space(location: &Location, space: NoSpace) -> OpenError {
    let errno = match space.reason {
        SpaceReason::FileSizeLimit { .. } => return too_large(location, space.needed),
        SpaceReason::Full => Errno::NOSPC,
        SpaceReason::Busy { .. } => Errno::TIMEDOUT,
        SpaceReason::Refused { errno } => Errno::from_raw_os_error(errno),
    };
    no_space(location, space.needed, Some(errno.into()))
}

pub(super) fn too_large(location: &Location, needed: u64) -> OpenError {
    // A limit that is not smaller is not the reason.
    let limit = limits::file_size().filter(|&limit| needed > limit);
    OpenError::FileTooLarge { name: location.to_string(), needed, limit }
}

/// The kernel's error behind one of the crate `shared_memory`.
pub(crate) fn os_error(error: ShmemError) -> io::Error {
    match error {
        ShmemError::MapCreateFailed(code) | ShmemError::MapOpenFailed(code) | ShmemError::UnknownOsError(code) => {
            io::Error::from_raw_os_error(code as i32)
        }
        error => io::Error::other(error.to_string()),
    }
}
