//! Appending to a value.

use crate::core::ring::{Appended, CommitError, ModifyError, Ring};
use crate::store::error::{GetError, SetError, UpdateError};
use crate::store::session::Session;

impl Session {
    /// Publishes the newest value with `bytes` after it, at most `max` bytes in all.
    pub(crate) fn append(&self, ring: Ring<'_>, bytes: &[u8], max: usize) -> Result<Appended, UpdateError> {
        let append = || ring.append(bytes, max, &self.pins);
        let appended = match append() {
            Err(ModifyError::Commit(CommitError::NoSpace(_))) if self.trim() > 0 => append(),
            outcome => outcome,
        };
        appended.map_err(|error| match error {
            ModifyError::Commit(error) => SetError::from(error).into(),
            ModifyError::Read(error) => GetError::from(error).into(),
            ModifyError::Rejected(len) => UpdateError::Set(SetError::TooLarge { len, max }),
        })
    }
}
