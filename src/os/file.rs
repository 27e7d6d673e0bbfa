//! The files that stores are, under `/dev/shm` or anywhere else: names, room, permissions.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FallocateFlags, FileType, Mode, OFlags, RenameFlags, StatxFlags};

/// Whether a path may lead to its file through a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    Follow,
    Refuse,
}

/// Opens a file for reading and writing, without waiting for anything that it may be instead of one.
pub(crate) fn open(path: &Path, links: Links) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let flags = if links == Links::Refuse { flags | OFlags::NOFOLLOW } else { flags };
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// Whether two descriptors are of one file.
pub(crate) fn is_same(one: impl AsFd, other: impl AsFd) -> io::Result<bool> {
    let (one, other) = (rustix::fs::fstat(one)?, rustix::fs::fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// Whether this is a file, and no directory, device or pipe.
pub(crate) fn is_regular(file: impl AsFd) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(file)?.st_mode) == FileType::RegularFile)
}

/// Makes a new file of `len` zeros, readable and writable by its owner alone.
pub(crate) fn create(path: &Path, len: u64) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    file.set_len(len)?;
    Ok(file)
}

/// Whether anything has this name, be it a symbolic link that leads nowhere.
pub(crate) fn exists(path: &Path) -> io::Result<bool> {
    match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(rustix::io::Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether this is a symbolic link.
pub(crate) fn is_link(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

/// Reserves the first `len` bytes, so that touching them later cannot fail for want of room.
pub(crate) fn reserve(file: &File, len: u64) -> io::Result<()> {
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len) {
            Err(rustix::io::Errno::INTR) => {}
            done => return Ok(done?),
        }
    }
}

/// How many bytes the file system of this directory has left.
pub(crate) fn available(directory: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(directory)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Gives a file its final name, unless that name is taken (`AlreadyExists`). Atomic: nobody sees a state between.
pub(crate) fn publish(draft: &Path, path: &Path) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE)?)
}

/// Sees to it that the names in this directory survive a loss of power.
pub(crate) fn flush_names(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Removes the name; whoever has the file mapped keeps it.
pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(CWD, path, AtFlags::empty())?)
}

/// Everything in this directory whose name starts with `prefix`.
pub(crate) fn with_prefix(directory: &Path, prefix: &str) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

/// Sets the permission bits exactly, whatever the umask.
pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::fchmod(file.as_fd(), Mode::from_raw_mode(mode))?)
}

/// What tells a file from every other on this machine, copies of it too: device, number, and time of birth.
pub(crate) fn identity(file: &File) -> io::Result<[u64; 4]> {
    let wanted = StatxFlags::INO | StatxFlags::BTIME;
    let stat = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, wanted)?;
    let device = u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor);
    // A number may be used again after its file is gone; the time of birth is then another one.
    Ok([device, stat.stx_ino, stat.stx_btime.tv_sec as u64, stat.stx_btime.tv_nsec.into()])
}

/// What tells this run of the machine from every other; `None` when it cannot be read, as in some containers.
pub(crate) fn boot_id() -> Option<Vec<u8>> {
    std::fs::read("/proc/sys/kernel/random/boot_id").ok().filter(|id| !id.is_empty())
}
