//! The files of stores, under `/dev/shm` or anywhere else: names, permissions, identity.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, MemfdFlags, Mode, OFlags, RenameFlags, SealFlags, StatxFlags};
use rustix::io::Errno;

use super::file_system;

/// Whether a path may lead to its file through a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    Follow,
    Refuse,
}

/// Opens a file for reading and writing. Does not block, also if the name is that of a pipe or a
/// device.
pub(crate) fn open(path: &Path, links: Links) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let flags = if links == Links::Refuse { flags | OFlags::NOFOLLOW } else { flags };
    Ok(File::from(rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?))
}

/// What an open file is. Read by `fstat`, because newer calls may be missing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status {
    pub(crate) is_regular: bool,
    pub(crate) len: u64,
    pub(crate) id: FileId,
}

/// The device and the inode number of a file: no other file has both while this one is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

/// What this file is.
pub(crate) fn status(file: impl AsFd) -> io::Result<Status> {
    let stat = rustix::fs::fstat(file)?;
    let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let id = FileId { device: stat.st_dev, inode: stat.st_ino };
    Ok(Status { is_regular, len: u64::try_from(stat.st_size).unwrap_or(0), id })
}

/// Whether two descriptors are of one file.
pub(crate) fn is_same(one: impl AsFd, other: impl AsFd) -> io::Result<bool> {
    Ok(status(one)?.id == status(other)?.id)
}

/// Makes a new file of `len` zeros, readable and writable by its owner alone.
pub(crate) fn create(path: &Path, len: u64) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let file = File::from(rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR))?);
    file.set_len(len)?;
    Ok(file)
}

/// Makes an empty file in memory that has no name in any directory. It ends with its last
/// descriptor and mapping. `name` is only shown in `/proc`, after `memfd:`.
///
/// Readable and writable by its owner alone, to whom `/proc/PID/fd` leads. Nobody can cut it, or seal it further.
///
/// # Errors
///
/// The kernel's reason, `ENOSYS` if it has no such files.
pub(crate) fn anonymous(name: &str) -> io::Result<File> {
    // Kernels from 6.3 on may insist that the file is never a program, and complain if it may be.
    let file = match rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL) {
        Ok(file) => file,
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?,
        Err(error) => return Err(error.into()),
    };
    // Nobody who has it open can cut it. Nor can they seal it further: then it could not grow.
    rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::SEAL)?;
    rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    Ok(File::from(file))
}

/// Whether the descriptor is for reading and writing.
pub(crate) fn is_writable(file: &File) -> io::Result<bool> {
    Ok(rustix::fs::fcntl_getfl(file)? & OFlags::ACCMODE == OFlags::RDWR)
}

/// Has the descriptor closed when this process executes another program.
pub(crate) fn close_on_exec(file: &File) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(file, rustix::io::FdFlags::CLOEXEC)?)
}

/// Whether this name exists, also as a symbolic link that leads nowhere.
pub(crate) fn exists(path: &Path) -> io::Result<bool> {
    match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether this is a symbolic link.
pub(crate) fn is_link(path: &Path) -> bool {
    rustix::fs::lstat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

/// Gives a file its final name, unless that name is taken (`AlreadyExists`). Atomic.
///
/// If the kernel, the file system or a sandbox lacks the call that renames without replacing
/// (`renameat2`), the file gets the name as a second one. Then it also keeps the name of its draft,
/// which the caller removes.
pub(crate) fn publish(draft: &Path, path: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(renamed) if is_missing(renamed) => match rustix::fs::linkat(CWD, draft, CWD, path, AtFlags::empty()) {
            Ok(()) => Ok(()),
            // vfat, for one, has no links, and reports that they are not permitted. If neither call
            // is permitted, permissions are missing.
            Err(linked) if is_missing(linked) && !(is_denied(linked) && is_denied(renamed)) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("neither renameat2 ({renamed}) nor linkat ({linked}) gives a file a name that is free"),
            )),
            Err(linked) => Err(linked.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// Whether a call was refused because it does not exist: in the kernel, in the file system, or in a
/// sandbox.
pub(super) fn is_missing(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) || is_denied(error)
}

fn is_denied(error: Errno) -> bool {
    matches!(error, Errno::PERM | Errno::ACCESS)
}

/// Writes the names in this directory to the disk, so that they survive a loss of power.
pub(crate) fn flush_names(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Removes the name. Processes that have the file mapped keep it.
pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(CWD, path, AtFlags::empty())?)
}

/// All files in this directory whose names start with `prefix`.
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

/// The permission bits.
pub(crate) fn mode(file: &File) -> io::Result<u32> {
    Ok(rustix::fs::fstat(file)?.st_mode & 0o777)
}

/// Sets the permission bits. The umask is ignored.
pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::fchmod(file.as_fd(), Mode::from_raw_mode(mode))?)
}

/// What distinguishes a file from all others on this machine, also from copies of it: device, inode
/// number, and time of birth.
///
/// The time is 0 on tmpfs, and where the kernel does not give it (no `statx`, or a file system
/// without it). An inode number may be used again after its file is gone; then only the time of
/// birth differs. tmpfs never uses a number again, so the time is not needed there, and all
/// processes agree on the identity of a segment, whether or not they may call `statx`.
pub(crate) fn identity(file: &File) -> io::Result<[u64; 4]> {
    let device = |major: u32, minor: u32| u64::from(major) << 32 | u64::from(minor);
    if !file_system::is_tmpfs(file)
        && let Ok(stat) = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::INO | StatxFlags::BTIME)
    {
        let birth = [stat.stx_btime.tv_sec as u64, stat.stx_btime.tv_nsec.into()];
        return Ok([device(stat.stx_dev_major, stat.stx_dev_minor), stat.stx_ino, birth[0], birth[1]]);
    }
    let stat = rustix::fs::fstat(file)?;
    Ok([device(rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev)), stat.st_ino, 0, 0])
}

/// The boot id, which differs for each run of the machine; `None` if the kernel does not give it,
/// as in some containers.
///
/// # Errors
///
/// No descriptor is left to read it. A later call may have one, so this is not the same as `None`.
pub(crate) fn boot_id() -> io::Result<Option<Vec<u8>>> {
    match std::fs::read("/proc/sys/kernel/random/boot_id") {
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE)) => Err(error),
        read => Ok(read.ok().filter(|id| !id.is_empty())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, PermissionsExt};

    use super::*;

    #[test]
    fn an_anonymous_file_is_empty_private_and_cannot_be_sealed() {
        let file = anonymous("splinter-test").unwrap();
        let other = anonymous("splinter-test").unwrap();
        let status = status(&file).unwrap();
        assert!(status.is_regular && status.len == 0);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(rustix::io::fcntl_getfd(&file).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        assert!(rustix::fs::fcntl_add_seals(&file, SealFlags::GROW).is_err());
        file.write_all_at(b"a", 1 << 20).unwrap();
        assert!(!is_same(&file, &other).unwrap());
        assert_ne!(identity(&file).unwrap(), identity(&other).unwrap());
        assert!(anonymous(&"n".repeat(1000)).is_err());
    }
}
