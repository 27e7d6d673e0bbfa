//! Creating a key again that was removed while a receiver used it.

use std::time::Duration;

use crate::bus::error::RecvError;
use crate::store::directory::{LONGEST_WAIT, WaitLimit};
use crate::store::{DirectoryError, Slot, Store};

/// How long a receiver waits before it tries again to create its key, if the directory was busy.
pub(super) const RECREATE_INTERVAL: Duration = Duration::from_millis(10);

/// Creates the key again, or looks it up; `None` if the directory stayed busy for `limit`.
#[cold]
pub(super) fn recreate_slot(store: &Store, key: &str, limit: Duration) -> Result<Option<Slot>, RecvError> {
    match store.slot_within(key, &mut WaitLimit::new(limit.min(LONGEST_WAIT))) {
        Ok(slot) => Ok(Some(slot)),
        Err(DirectoryError::Busy { .. }) => Ok(None),
        Err(DirectoryError::Key(error)) => Err(RecvError::of(error.into(), key)),
        Err(error) => Err(RecvError::Declare(error.into())),
    }
}
