//! Whether a wait for a newer version of a key is over.

use super::error::ReadError;
use super::ring::Ring;

impl Ring<'_> {
    /// The newest version if it is larger than `seen`, or that the key was removed; `None` if there is nothing to report.
    #[inline]
    pub(crate) fn newer_than(self, seen: u64) -> Option<Result<u64, ReadError>> {
        // Versions up to this one are no values of the key.
        let seen = seen.max(self.base_version());
        let version = self.head().version();
        if !self.is_current() {
            return Some(Err(ReadError::Removed));
        }
        (version > seen).then_some(Ok(version))
    }
}
