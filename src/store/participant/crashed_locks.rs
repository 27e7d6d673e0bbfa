//! Locks that prove that a participant has crashed, shared by the threads of one session.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::core::memory::records::PARTICIPANTS;
use crate::os::lock;
use crate::store::mapped::{LockByte, Mapped};

/// How many threads of one session hold the shared lock on each crashed participant.
///
/// The kernel's lock belongs to the open file description, which threads share: the first thread
/// takes it, the last one releases it. No thread waits here for longer than such a system call, and
/// never for another process.
#[derive(Debug)]
pub(crate) struct CrashedLocks {
    holders: Mutex<[u32; PARTICIPANTS]>,
}

impl CrashedLocks {
    pub(crate) fn new() -> Self {
        Self { holders: Mutex::new([0; PARTICIPANTS]) }
    }

    /// Runs `clean` if the participant has crashed. No process takes its entry meanwhile, but
    /// others may do the same.
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
            // Shared: a process that gets it knows that the owner is gone. One that is stopped
            // while it holds it delays only newcomers, which take another entry.
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

/// One thread's share of the lock on a crashed participant.
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
            // If this fails, closing the file releases the lock.
            let _ = lock::unlock(self.mapped.fd(), LockByte::Participant(self.id).offset());
        }
    }
}
