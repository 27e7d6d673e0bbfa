//! The cursors of lossless subscribers: from such a version on, nothing is overwritten.

use std::fmt;

use super::slot::Slot;
use crate::core::ring::{RegisterError, RegisteredCursor};
use crate::store::error::KeyError;

pub(crate) use crate::core::ring::Begin;

/// Why a key has no lossless cursor for a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LosslessError {
    /// All cursors are in use.
    TooMany { max: u32 },
    /// The key, or the handle on it, cannot be used.
    Key(KeyError),
}

/// A cursor of a lossless subscriber: from its version on, nothing of the key is overwritten. Ends
/// when it is dropped, or its process dies.
pub(crate) struct Lossless {
    slot: Slot,
    /// `Some` until it is dropped.
    registered: Option<RegisteredCursor>,
}

impl Lossless {
    pub(crate) fn new(slot: &Slot, begin: Begin) -> Result<Self, LosslessError> {
        slot.check_fork().map_err(|error| LosslessError::Key(error.into()))?;
        let registered = slot.ring().register(begin);
        match registered {
            Ok(registered) => Ok(Self { slot: slot.clone(), registered: Some(registered) }),
            Err(RegisterError::Full) => Err(LosslessError::TooMany { max: slot.ring().handle.shape().cursors }),
            Err(RegisterError::Removed) => Err(LosslessError::Key(KeyError::Removed)),
        }
    }

    /// The version from which on everything is retained.
    pub(crate) fn version(&self) -> u64 {
        self.registered.as_ref().map_or(0, RegisteredCursor::version)
    }

    /// Lets everything before this version be overwritten. `false`: the cursor is gone, because its
    /// key was removed, or it was evicted.
    #[inline]
    pub(crate) fn move_to(&mut self, version: u64) -> bool {
        let Some(registered) = &mut self.registered else { return false };
        self.slot.ring().move_cursor(registered, version)
    }

    /// Whether the subscriber was evicted: what it has not received is no longer retained.
    pub(crate) fn is_evicted(&self) -> bool {
        self.registered.as_ref().is_some_and(|registered| self.slot.ring().is_evicted(registered))
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
