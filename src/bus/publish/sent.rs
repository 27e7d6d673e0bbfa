//! What publishing returns, and publishing again under a key that was removed.

use uuid::Uuid;

use crate::bus::error::PublishError;
use crate::store::directory::{REMOVALS, WaitLimit};
use crate::store::wait::Deadline;
use crate::store::{KeyError, SetError, Slot, Store};

/// A message that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Its id.
    pub id: Uuid,
    /// Its version under its key.
    pub version: u64,
}

/// Publishes a frame under a key that was removed, which is created again.
#[cold]
pub(super) fn publish_frame(
    store: &Store,
    key: &str,
    frame: &[u8],
    deadline: Deadline,
) -> Result<(u64, Slot), PublishError> {
    let mut limit = limit_of(deadline);
    for _ in 0..REMOVALS {
        let slot = store.slot_within(key, &mut limit)?;
        match slot.set_within(frame, deadline) {
            Ok(version) => return Ok((version, slot)),
            Err(SetError::Key(KeyError::Removed)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(KeyError::Removed.into())
}

/// How long a publisher waits for the directory of keys: as long as for a cell, if it waits for one.
pub(super) fn limit_of(deadline: Deadline) -> WaitLimit {
    match deadline {
        Deadline::Now => WaitLimit::longest(),
        _ => WaitLimit::until(deadline),
    }
}
