//! The result of a publish, and publishing under a key that was removed meanwhile.

use uuid::Uuid;

use crate::bus::error::PublishError;
use crate::store::directory::{REMOVALS, WaitLimit};
use crate::store::wait::Deadline;
use crate::store::{KeyError, SetError, Slot, Store};

/// The id and version of a message that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The id of the message.
    pub id: Uuid,
    /// The message's version of its key.
    pub version: u64,
}

/// Creates a key that was removed, and publishes a frame under it.
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

/// The limit of a publisher's wait for the directory: its wait for a free cell, if it has one.
pub(super) fn limit_of(deadline: Deadline) -> WaitLimit {
    match deadline {
        Deadline::Now => WaitLimit::longest(),
        _ => WaitLimit::until(deadline),
    }
}
