//! The result of a publish, and publishing under a key that was removed meanwhile.

use uuid::Uuid;

use crate::bus::error::PublishError;
use crate::store::directory::WaitLimit;
use crate::store::wait::Deadline;
use crate::store::{Slot, Store};

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
    store.with_slot(key, &mut limit_of(deadline), |slot| {
        let version = slot.set_within(frame, deadline)?;
        Ok((version, slot))
    })
}

/// The limit of a publisher's wait for the directory: its wait for a free cell, if it has one.
pub(super) fn limit_of(deadline: Deadline) -> WaitLimit {
    match deadline {
        Deadline::Now => WaitLimit::longest(),
        _ => WaitLimit::until(deadline),
    }
}
