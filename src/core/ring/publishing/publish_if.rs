//! Publishing a value only if the newest version is the expected one: a compare-and-swap of whole
//! values.
//!
//! The steps are those of a publish (`publish.rs`), but `head` is moved from the expected version
//! only. No version is ever in a slot twice, so there is no ABA.
//!
//! - **Fast path.** The newest version is the expected one, and no other publisher comes between.
//! - **Slow path.** It is another one: the cell is given back, if one was claimed already.
//! - **Crash.** As of a publish.

use super::publish::Advance;
use crate::core::ring::error::CommitError;
use crate::core::ring::ring::Ring;
use crate::core::word::Head;

impl Ring<'_> {
    /// Publishes `bytes` if the newest version is `expected`; 0 means that there is no value. Returns
    /// the new version, or else the newest one; 0 if there is no value. Waiters are not notified yet.
    pub(crate) fn publish_if(self, expected: u64, bytes: &[u8]) -> Result<Result<u64, u64>, CommitError> {
        let mut seen = self.head();
        if !is_expected(seen, expected) {
            return self.refused(seen);
        }
        let claim = self.claim_and_fill(bytes)?;
        loop {
            match self.advance(&claim, seen) {
                Advance::Done(version) => {
                    self.commit_cell(claim, version);
                    return Ok(Ok(version));
                }
                // There was no value, and there is none.
                Advance::Overtaken(now) if is_expected(now, expected) => seen = now,
                Advance::Overtaken(now) => {
                    self.abandon(claim);
                    return self.refused(now);
                }
                Advance::Failed(error) => {
                    self.abandon(claim);
                    return Err(error);
                }
            }
        }
    }

    fn refused(self, now: Head) -> Result<Result<u64, u64>, CommitError> {
        if self.is_current() { Ok(Err(now.cell().map_or(0, |_| now.version()))) } else { Err(CommitError::Removed) }
    }
}

/// Whether the newest version is this one. Before the first value, `head` has the version after which
/// the key's versions begin.
fn is_expected(head: Head, expected: u64) -> bool {
    head.version() == expected || expected == 0 && head.cell().is_none()
}
