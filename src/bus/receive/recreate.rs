//! Creating a key again that was removed under its receiver.

use std::time::Duration;

use crate::bus::error::RecvError;
use crate::store::directory::{LONGEST_WAIT, WaitLimit};
use crate::store::{DirectoryError, Slot, Store};

/// When to look again whether a key that was removed can be declared, while somebody else has the directory of keys.
pub(super) const RECREATE_INTERVAL: Duration = Duration::from_millis(10);

/// Has a key again, which was removed; `None` when others kept the directory of keys for longer than `patience`.
#[cold]
pub(super) fn recreate_slot(store: &Store, key: &str, patience: Duration) -> Result<Option<Slot>, RecvError> {
    match store.slot_within(key, &mut WaitLimit::new(patience.min(LONGEST_WAIT))) {
        Ok(slot) => Ok(Some(slot)),
        Err(DirectoryError::Busy { .. }) => Ok(None),
        Err(DirectoryError::Key(error)) => Err(RecvError::of(error.into(), key)),
        Err(error) => Err(RecvError::Declare(error.into())),
    }
}
