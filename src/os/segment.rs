//! Shared memory segments as the files under `/dev/shm` that they are: names, room, permissions.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags, RenameFlags};

const DIRECTORY: &str = "/dev/shm";

fn path(name: &str) -> PathBuf {
    PathBuf::from(DIRECTORY).join(name)
}

/// Opens the segment for reading and writing; never follows a symbolic link.
pub(crate) fn open(name: &str) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::open(path(name), flags, Mode::empty())?))
}

/// Whether anything has this name.
pub(crate) fn exists(name: &str) -> io::Result<bool> {
    match rustix::fs::statat(CWD, path(name), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(rustix::io::Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reserves the first `len` bytes, so that touching them later cannot fail for want of memory.
pub(crate) fn reserve(file: &File, len: u64) -> io::Result<()> {
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len) {
            Err(rustix::io::Errno::INTR) => {}
            done => return Ok(done?),
        }
    }
}

/// How many bytes the file system under `/dev/shm` has left.
pub(crate) fn available() -> io::Result<u64> {
    let stat = rustix::fs::statvfs(DIRECTORY)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Gives a segment its final name, unless that name is taken (`AlreadyExists`). Atomic: nobody sees a state between.
pub(crate) fn publish(draft: &str, name: &str) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(CWD, path(draft), CWD, path(name), RenameFlags::NOREPLACE)?)
}

/// Removes the name; whoever has the segment mapped keeps it.
pub(crate) fn unlink(name: &str) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(CWD, path(name), AtFlags::empty())?)
}

/// The names of all segments that start with `prefix`.
pub(crate) fn with_prefix(prefix: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(DIRECTORY)? {
        if let Ok(name) = entry?.file_name().into_string()
            && name.starts_with(prefix)
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Sets the permission bits exactly, whatever the umask.
pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::fchmod(file.as_fd(), Mode::from_raw_mode(mode))?)
}
