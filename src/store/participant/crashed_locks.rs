//! Locks that prove that a participant has crashed, shared by the threads of one handle.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::core::memory::records::PARTICIPANTS;
use crate::os::lock;
use crate::store::mapped::{LockByte, Mapped};

/// The shared locks on dead participants that the threads of one handle hold: how many threads hold each.
///
/// The kernel's lock belongs to the open file, which threads share: the first takes it, and the last lets go of it. Nobody waits here for
/// longer than such a system call, and never for another process.
#[derive(Debug)]
pub(crate) struct CrashedLocks {
    holders: Mutex<[u32; PARTICIPANTS]>,
}

impl CrashedLocks {
    pub(crate) fn new() -> Self {
        Self { holders: Mutex::new([0; PARTICIPANTS]) }
    }

    /// Runs `clean` if the participant is dead. Nobody takes its place meanwhile, but others may do the same.
    ///
    /// # Errors
    ///
    /// The kernel refused to answer; `clean` was not run.
    ///
    /// # Panics
    ///
    /// If there is no such participant.
    pub(crate) fn if_crashed(&self, mapped: &Mapped, id: u32, clean: impl FnOnce()) -> io::Result<()> {
        let lock = LockByte::Participant(id).offset();
        {
            let count = &mut self.holders()[id as usize];
            // Shared: a process that gets it knows that the owner is gone; and one that is stopped while it has it is in nobody's way but
            // newcomers', who take another index.
            if *count == 0 && !lock::try_lock_shared(mapped.fd(), lock)? {
                return Ok(());
            }
            *count += 1;
        }
        let _held = Held { locks: self, mapped, id };
        clean();
        Ok(())
    }

    fn holders(&self) -> MutexGuard<'_, [u32; PARTICIPANTS]> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thread's share of the lock on a dead participant.
struct Held<'a> {
    locks: &'a CrashedLocks,
    mapped: &'a Mapped,
    id: u32,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let count = &mut self.locks.holders()[self.id as usize];
        *count -= 1;
        if *count == 0 {
            // If this fails, closing the file does it.
            let _ = lock::unlock(self.mapped.fd(), LockByte::Participant(self.id).offset());
        }
    }
}
