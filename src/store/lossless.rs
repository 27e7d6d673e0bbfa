//! Places in a key's history from which on nothing is overwritten.

use std::fmt;

use super::error::LosslessError;
use super::ring::{Registered, Unregistered};
use super::slot::Slot;

pub(crate) use super::ring::Begin;

/// A cursor of this handle: from its version on, nothing of the key is overwritten. Ends when it is dropped, or its process dies.
pub(crate) struct Lossless {
    slot: Slot,
    /// There until it is dropped.
    registered: Option<Registered>,
}

impl Lossless {
    pub(crate) fn new(slot: &Slot, begin: Begin) -> Result<Self, LosslessError> {
        slot.check_fork().map_err(LosslessError::Forked)?;
        let registered = slot.ring().register(begin, slot.generation(), slot.inner());
        match registered {
            Ok(registered) => Ok(Self { slot: slot.clone(), registered: Some(registered) }),
            Err(Unregistered::Full) => Err(LosslessError::TooMany { max: slot.inner().mapped.geometry.lossless }),
            Err(Unregistered::Removed) => Err(LosslessError::Removed),
        }
    }

    /// The version from which on everything is kept.
    pub(crate) fn version(&self) -> u64 {
        self.registered.as_ref().map_or(0, Registered::version)
    }

    /// Everything before this version may be overwritten.
    #[inline]
    pub(crate) fn move_to(&mut self, version: u64) {
        if let Some(registered) = &mut self.registered {
            // If the key was removed, whoever receives next is told.
            let _ = self.slot.ring().move_cursor(registered, version, self.slot.generation());
        }
    }
}

impl Drop for Lossless {
    fn drop(&mut self) {
        // In a child, the cursor is the parent's.
        if self.slot.check_fork().is_ok()
            && let Some(registered) = self.registered.take()
        {
            self.slot.ring().unregister(registered);
        }
    }
}

impl fmt::Debug for Lossless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lossless").field("version", &self.version()).finish_non_exhaustive()
    }
}
