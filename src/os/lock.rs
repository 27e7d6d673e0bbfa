//! Exclusive locks on single bytes of a file, owned by the open file description.
//!
//! The kernel drops such a lock when the last descriptor of the description closes, which it does however the process
//! ends: a lock that can be taken is the proof that its owner is gone. The bytes lie far beyond any data; a lock needs
//! no byte behind it.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Tries to take the lock on `byte`; `false` when another open file description holds it.
///
/// A lock that this description already holds is granted again, so threads that share one keep a mutex beside it.
pub(crate) fn try_lock(file: BorrowedFd<'_>, byte: u64) -> io::Result<bool> {
    match set(file, byte, libc::F_OFD_SETLK, libc::F_WRLCK) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes the lock on `byte`, sleeping until its owner lets go or dies.
pub(crate) fn lock(file: BorrowedFd<'_>, byte: u64) -> io::Result<()> {
    loop {
        match set(file, byte, libc::F_OFD_SETLKW, libc::F_WRLCK) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Lets go of the lock on `byte`.
pub(crate) fn unlock(file: BorrowedFd<'_>, byte: u64) -> io::Result<()> {
    set(file, byte, libc::F_OFD_SETLK, libc::F_UNLCK)
}

/// Whether another open file description holds the lock on `byte`.
pub(crate) fn is_locked(file: BorrowedFd<'_>, byte: u64) -> io::Result<bool> {
    let mut request = request(byte, libc::F_WRLCK);
    call(file, libc::F_OFD_GETLK, &mut request)?;
    Ok(request.l_type != libc::F_UNLCK as libc::c_short)
}

fn set(file: BorrowedFd<'_>, byte: u64, command: libc::c_int, kind: libc::c_int) -> io::Result<()> {
    call(file, command, &mut request(byte, kind))
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
    // SAFETY: `file` is open for the whole call; the three OFD commands take a pointer to one `flock`, which `request` is,
    // exclusively ours, and the kernel keeps no pointer to it after the call.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, std::ptr::from_mut(request)) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
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
        drop(first);
        assert!(!is_locked(second.as_fd(), 7).unwrap());
        assert!(try_lock(second.as_fd(), 7).unwrap());
        unlock(second.as_fd(), 7).unwrap();
        lock(second.as_fd(), 7).unwrap();
    }
}
