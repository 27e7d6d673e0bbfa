//! Descriptors that programs with a loop of `poll` or `epoll` wait for: see eventfd(2).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::EventfdFlags;
use rustix::io::Errno;

/// A descriptor that is readable after it was signalled, until it is cleared.
#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Makes the descriptor readable. Never blocks.
    pub(crate) fn signal(&self) {
        // An error means that it is readable already: its counter is full.
        let _ = rustix::io::retry_on_intr(|| rustix::io::write(&self.0, &1_u64.to_ne_bytes()));
    }

    /// Makes the descriptor unreadable until it is signalled again. Never blocks.
    pub(crate) fn clear(&self) -> io::Result<()> {
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.0, &mut [0_u8; 8])) {
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
