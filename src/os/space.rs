//! Space of sparse files: reserving it, giving it back, and finding what is used of it.
//!
//! Reserved space cannot run out later. Where it is not reserved, a file has holes: they read as
//! zeros, and take no space. On a tmpfs without free space, an access to a hole through a mapping
//! ends the process with SIGBUS.
//!
//! A call that fails leaves the content and the earlier reservations of its range as they were. Of
//! what it has reserved itself, tmpfs takes all back, and ext4 keeps all. So a range in which nobody
//! has anything is reserved by [`reserve_fresh`], which gives everything back.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, SeekFrom, StatVfs};
use rustix::io::Errno;

use super::file::is_missing;
use super::limits;

/// Why a range could not be reserved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReserveError {
    /// The file would be longer than this process may make files (RLIMIT_FSIZE). The kernel was not
    /// asked, since it ends the process then.
    #[error("the file would be longer than the limit of this process, {limit} bytes")]
    FileSizeLimit { limit: u64 },
    /// There is not enough space, the quota is used up, or on a tmpfs there is not enough memory.
    #[error(transparent)]
    NoSpace(io::Error),
    /// The kernel or the file system has no such call, or a sandbox refuses it.
    #[error("space of this file cannot be reserved (fallocate)")]
    Unsupported,
    /// Another reason of the kernel.
    #[error(transparent)]
    Io(io::Error),
}

impl From<Errno> for ReserveError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOSPC | Errno::DQUOT | Errno::NOMEM => Self::NoSpace(error.into()),
            error if is_missing(error) => Self::Unsupported,
            error => Self::Io(error.into()),
        }
    }
}

impl From<ReserveError> for io::Error {
    fn from(error: ReserveError) -> Self {
        match error {
            ReserveError::FileSizeLimit { .. } => Errno::FBIG.into(),
            ReserveError::NoSpace(error) | ReserveError::Io(error) => error,
            ReserveError::Unsupported => Errno::OPNOTSUPP.into(),
        }
    }
}

/// The outcome of giving space back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Punched {
    /// All whole blocks of the range are holes.
    All,
    /// The kernel or the file system has no such call, or a sandbox refuses it. Nothing changed.
    Unsupported,
}

/// Reserves the bytes from `from` to `to`, so that later accesses cannot fail for lack of space.
/// The file grows if it ends before `to`. Bytes that exist keep their content.
///
/// Others may reserve and use the same range meanwhile: if this fails, it takes nothing from them.
/// What it has reserved until then may stay reserved.
///
/// # Errors
///
/// [`ReserveError`].
pub(crate) fn reserve(file: impl AsFd, from: u64, to: u64) -> Result<(), ReserveError> {
    /// On older kernels, a signal makes a call on tmpfs undo its reservation, so a long call may
    /// never end. A call of this size takes microseconds, so it ends between two ticks of a
    /// profiler's timer.
    const SHORTEST_STEP: u64 = 1 << 16;
    check_growth(&file, to)?;
    let (mut from, mut step) = (from, u64::MAX);
    while from < to {
        let len = step.min(to - from);
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), from, len) {
            Ok(()) => from += len,
            Err(Errno::INTR) => step = (len / 2).max(SHORTEST_STEP),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// As [`reserve`], for a range that nobody else uses or reserves, and whose content is not needed.
///
/// If this fails, all whole pages of the range are holes afterwards, where the file system supports
/// that, also those that were reserved or written before.
///
/// # Errors
///
/// [`ReserveError`].
pub(crate) fn reserve_fresh(file: impl AsFd, from: u64, to: u64) -> Result<(), ReserveError> {
    reserve(&file, from, to).inspect_err(|_| {
        // The caller gets the reason of the first failure.
        let _ = punch(&file, from, to);
    })
}

/// Refuses to make the file longer than this process may: the kernel would send SIGXFSZ, which ends
/// the process. A file that is already longer may be reserved to its end.
fn check_growth(file: impl AsFd, to: u64) -> Result<(), ReserveError> {
    match limits::file_size().filter(|&limit| to > limit) {
        Some(limit) if to > super::file::status(file).map_err(ReserveError::Io)?.len => {
            Err(ReserveError::FileSizeLimit { limit })
        }
        _ => Ok(()),
    }
}

/// Reserves the bytes from `from` to `to` by writing zeros over them: for file systems that cannot
/// [`reserve`], and ranges that nobody else uses.
///
/// # Errors
///
/// `EFBIG` if `to` is beyond the limit of this process, RLIMIT_FSIZE, also if the file is longer:
/// the kernel would send SIGXFSZ. Else the kernel's reason.
pub(crate) fn write_zeros(file: &File, from: u64, to: u64) -> io::Result<()> {
    if limits::file_size().is_some_and(|limit| to > limit) {
        return Err(Errno::FBIG.into());
    }
    let zeros = vec![0; to.saturating_sub(from).min(PIECE) as usize];
    let mut at = from;
    while at < to {
        let len = (to - at).min(PIECE) as usize;
        file.write_all_at(&zeros[..len], at)?;
        at += len as u64;
    }
    Ok(())
}

/// Reserves the bytes from `from` to `to` by writing what is there already, and zeros where the file
/// ends before: for file systems that cannot [`reserve`], and ranges that nobody else uses.
///
/// # Errors
///
/// As [`write_zeros`]. Nothing that was there is lost.
pub(crate) fn rewrite(file: &File, from: u64, to: u64) -> io::Result<()> {
    if limits::file_size().is_some_and(|limit| to > limit) {
        return Err(Errno::FBIG.into());
    }
    let mut bytes = vec![0; to.saturating_sub(from).min(PIECE) as usize];
    let mut at = from;
    while at < to {
        let piece = &mut bytes[..(to - at).min(PIECE) as usize];
        let read = read_at(file, piece, at)?;
        piece[read..].fill(0);
        file.write_all_at(piece, at)?;
        at += piece.len() as u64;
    }
    Ok(())
}

/// How much is read or written at once.
const PIECE: u64 = 1 << 20;

/// Gives the space of all whole blocks between `from` and `to` back. All bytes of the range are zero
/// afterwards; nothing outside of it changes. The length of the file stays.
///
/// A block is a page at least. Of blocks that are in the range in part, the kernel zeroes that part.
///
/// # Errors
///
/// The kernel's reason. File systems on disks may need space to do this.
pub(crate) fn punch(file: impl AsFd, from: u64, to: u64) -> io::Result<Punched> {
    if from >= to {
        return Ok(Punched::All);
    }
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match rustix::io::retry_on_intr(|| rustix::fs::fallocate(&file, flags, from, to - from)) {
        Err(error) if is_missing(error) => Ok(Punched::Unsupported),
        done => {
            done?;
            Ok(Punched::All)
        }
    }
}

/// How many bytes are free, for this user, in the file system of this file.
pub(crate) fn available(file: impl AsFd) -> io::Result<u64> {
    Ok(free(&rustix::fs::fstatvfs(file)?))
}

/// How many bytes are free, for this user, in the file system of this directory.
pub(crate) fn available_in(directory: &Path) -> io::Result<u64> {
    Ok(free(&rustix::fs::statvfs(directory)?))
}

fn free(stat: &StatVfs) -> u64 {
    if stat.f_blocks == 0 {
        // A tmpfs without a limit, or the one of anonymous files: memory is its limit.
        return available_memory().unwrap_or(u64::MAX);
    }
    stat.f_bavail.saturating_mul(stat.f_frsize)
}

/// How many bytes of memory may be taken without swapping: see proc_meminfo(5).
fn available_memory() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// How many bytes of space the file takes, reserved or written.
pub(crate) fn reserved(file: impl AsFd) -> io::Result<u64> {
    // The unit is always 512 bytes: see inode(7).
    Ok(u64::try_from(rustix::fs::fstat(file)?.st_blocks).unwrap_or(0) * 512)
}

/// The ranges between `from` and `to` that may hold something other than zeros, in order, in whole
/// pages. Reserved space that was never written is not among them. All of them up to the end of the
/// file, if the file system does not say.
///
/// Moves the position of the open file description, which nothing here uses.
pub(crate) fn data_ranges(file: impl AsFd, from: u64, to: u64) -> io::Result<Vec<Range<u64>>> {
    let (mut ranges, mut at) = (Vec::new(), from);
    while at < to {
        let from = match rustix::fs::seek(&file, SeekFrom::Data(at)) {
            Ok(from) if from < to => from,
            // There is nothing behind `at`.
            Ok(_) | Err(Errno::NXIO) => break,
            Err(error) if is_missing(error) => {
                let end = super::file::status(&file)?.len.min(to);
                ranges.extend((at < end).then_some(at..end));
                break;
            }
            Err(error) => return Err(error.into()),
        };
        at = match rustix::fs::seek(&file, SeekFrom::Hole(from)) {
            // If the space is given back between both calls, the hole may begin at `from`.
            Ok(hole) => hole.clamp(from + 1, to),
            // The file was cut behind `from` meanwhile.
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        ranges.push(from..at);
    }
    Ok(ranges)
}

/// Reads bytes at this offset, until the buffer is full or the file ends. Returns how many were
/// read: fewer than the buffer has only at the end of the file.
#[inline]
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests;
