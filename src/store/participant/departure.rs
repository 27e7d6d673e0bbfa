//! Waiting until a participant of this process has left.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Whether a participant of this process has left the store. Another thread that opens the store at
/// this moment waits for it, so that one process never takes two entries.
#[derive(Debug, Default)]
pub(crate) struct Departure {
    has_left: Mutex<bool>,
    changed: Condvar,
}

impl Departure {
    pub(crate) fn report(&self) {
        *self.lock() = true;
        self.changed.notify_all();
    }

    pub(crate) fn has_left(&self) -> bool {
        *self.lock()
    }

    /// Blocks until the participant has left. To be called when its last handle is being dropped:
    /// that takes one system call.
    pub(crate) fn wait(&self) {
        let left = self.changed.wait_while(self.lock(), |has_left| !*has_left);
        drop(left.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.has_left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
