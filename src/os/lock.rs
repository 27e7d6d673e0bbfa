//! Locks on single bytes of a file, owned by the open file description.
//!
//! The kernel releases such a lock when the last descriptor of the description is closed, also when
//! the process is killed. So a lock that can be taken proves that its owner is gone. The bytes lie
//! far beyond any data; a lock needs no data behind it.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

/// Tries to take the lock on `byte`; `false` when another open file description holds it.
///
/// A lock that this description already holds is granted again, so threads that share one keep a
/// mutex beside it.
pub(crate) fn try_lock(file: BorrowedFd<'_>, byte: u64) -> io::Result<bool> {
    granted(set(file, byte, libc::F_WRLCK))
}

/// Tries to take the shared lock on `byte`; `false` if another description holds it exclusively.
pub(crate) fn try_lock_shared(file: BorrowedFd<'_>, byte: u64) -> io::Result<bool> {
    granted(set(file, byte, libc::F_RDLCK))
}

fn granted(answer: io::Result<()>) -> io::Result<bool> {
    match answer {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes the lock on `byte`. Waits until its owner releases it or dies, for `limit` at most;
/// `false` if that was too short.
pub(crate) fn lock_within(file: BorrowedFd<'_>, byte: u64, limit: Duration) -> io::Result<bool> {
    let locked = within(limit, || Ok(try_lock(file, byte)?.then_some(())))?;
    Ok(locked.is_some())
}

/// Makes attempts until one succeeds, for `limit` at most; a single one if that is zero. `None` if
/// none succeeded.
///
/// This polls instead of sleeping in the kernel, because that sleep has no time limit. Nobody
/// notifies either, because the holder may be killed. What these locks guard takes microseconds, so
/// polling is also faster.
fn within<T>(limit: Duration, mut attempt: impl FnMut() -> io::Result<Option<T>>) -> io::Result<Option<T>> {
    const YIELDS: u32 = 64;
    const LONGEST_PAUSE: Duration = Duration::from_millis(1);
    let start = Instant::now();
    let mut pause = Duration::from_micros(20);
    for round in 0.. {
        let outcome = attempt()?;
        if outcome.is_some() {
            return Ok(outcome);
        }
        if limit.is_zero() || start.elapsed() >= limit {
            break;
        } else if round < YIELDS {
            std::thread::yield_now();
        } else {
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
    Ok(None)
}

/// As [`lock_within`], for threads that share an open file description: the kernel's lock does not
/// exclude them from each other, so `mutex` does.
///
/// Both are tried together, so that one limit covers both: a thread that waits for another process
/// delays no other thread beyond the limit of that thread.
pub(crate) fn lock_among_threads<'a>(
    file: BorrowedFd<'_>,
    byte: u64,
    mutex: &'a Mutex<()>,
    limit: Duration,
) -> io::Result<Option<MutexGuard<'a, ()>>> {
    within(limit, || {
        let thread = match mutex.try_lock() {
            Ok(thread) => thread,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        Ok(try_lock(file, byte)?.then_some(thread))
    })
}

/// Releases the lock on `byte`.
pub(crate) fn unlock(file: BorrowedFd<'_>, byte: u64) -> io::Result<()> {
    set(file, byte, libc::F_UNLCK)
}

/// Whether another open file description holds the lock on `byte` exclusively.
pub(crate) fn is_locked(file: BorrowedFd<'_>, byte: u64) -> io::Result<bool> {
    let mut request = request(byte, libc::F_RDLCK);
    call(file, libc::F_OFD_GETLK, &mut request)?;
    Ok(request.l_type != libc::F_UNLCK as libc::c_short)
}

fn set(file: BorrowedFd<'_>, byte: u64, kind: libc::c_int) -> io::Result<()> {
    call(file, libc::F_OFD_SETLK, &mut request(byte, kind))
}

fn request(byte: u64, kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte as libc::off_t,
        l_len: 1,
        // Must be 0 for locks of an open file description.
        l_pid: 0,
    }
}

fn call(file: BorrowedFd<'_>, command: libc::c_int, request: &mut libc::flock) -> io::Result<()> {
    // SAFETY: `file` is open for the whole call; both OFD commands take a pointer to one `flock`,
    // which `request` is, exclusively ours, and the kernel keeps no pointer to it after the call.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, std::ptr::from_mut(request)) };
    if result == -1 { Err(explained(io::Error::last_os_error())) } else { Ok(()) }
}

/// The error with the reason if there are no such locks, for which the kernel reports only "invalid
/// argument".
fn explained(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP | libc::ENOLCK) => io::Error::new(
            io::ErrorKind::Unsupported,
            format!("there are no locks of open file descriptions (F_OFD_SETLK) here: {error}"),
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_byte_is_locked_for_other_descriptions_until_its_owner_closes() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let open = || File::options().read(true).write(true).open(path.path()).unwrap();
        let (first, second) = (open(), open());
        assert!(try_lock(first.as_fd(), 7).unwrap());
        assert!(!try_lock(second.as_fd(), 7).unwrap());
        assert!(is_locked(second.as_fd(), 7).unwrap());
        assert!(try_lock(second.as_fd(), 8).unwrap());
        assert!(!try_lock_shared(second.as_fd(), 7).unwrap());
        assert!(try_lock_shared(second.as_fd(), 9).unwrap() && try_lock_shared(first.as_fd(), 9).unwrap());
        assert!(!is_locked(second.as_fd(), 9).unwrap() && !try_lock(second.as_fd(), 9).unwrap());
        drop(first);
        assert!(!is_locked(second.as_fd(), 7).unwrap());
        assert!(try_lock(second.as_fd(), 7).unwrap());
        unlock(second.as_fd(), 7).unwrap();
        assert!(lock_within(second.as_fd(), 7, Duration::ZERO).unwrap());
        assert!(!lock_within(open().as_fd(), 7, Duration::from_millis(5)).unwrap());
    }
}
