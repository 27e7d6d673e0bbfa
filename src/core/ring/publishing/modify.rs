//! Read-modify-write of the newest value: short appends, and arithmetic on integers. No update is lost in
//! between.
//!
//! It is an optimistic update by compare-and-swap: claim a cell; read `head`; make the next value
//! from the newest one; fill the cell; move `head`. No writer claims the newest value's cell while
//! `head` names it. So a compare-and-swap that succeeds proves that the old value was read whole,
//! and that its successor replaces it.
//!
//! - **Fast path.** The first compare-and-swap succeeds.
//! - **Slow path.** Another publisher was first: again, with the same claimed cell.
//! - **Crash.** As of a publish (`publish.rs`): before `head` moves, nothing was changed.

use super::publish::Advance;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::words::{self, WORD};
use crate::core::ring::cell;
use crate::core::ring::error::{CommitError, ReadError};
use crate::core::ring::ring::Ring;
use crate::sync::{Ordering, fence};

/// Why no value was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModifyError<E> {
    /// The value could not be made the newest.
    Commit(CommitError),
    /// The newest value cannot be read.
    Read(ReadError),
    /// The function that makes the next value rejected the newest one.
    Rejected(E),
}

impl<E> From<CommitError> for ModifyError<E> {
    fn from(error: CommitError) -> Self {
        Self::Commit(error)
    }
}

/// Why a value was not changed by an operation on integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RejectedInteger {
    /// The value has this many bytes; an integer has eight.
    NotAnInteger(usize),
    /// The caller declined to change this integer.
    Declined(u64),
}

impl<'a> Ring<'a> {
    /// Publishes the integer that `next` makes of the newest one, and returns the integer that it
    /// was. No value counts as 0. If `next` returns `None`, the integer is declined.
    pub(crate) fn modify_integer(self, next: impl Fn(u64) -> Option<u64>) -> Result<u64, ModifyError<RejectedInteger>> {
        let mut before = 0;
        self.modify(|newest| {
            before = match newest {
                None => 0,
                Some(cell) => integer(cell).map_err(RejectedInteger::NotAnInteger)?,
            };
            next(before).map(u64::to_le_bytes).ok_or(RejectedInteger::Declined(before))
        })?;
        Ok(before)
    }

    /// Publishes the value that `next` makes of the newest one, and returns its version. Waiters
    /// are not notified yet.
    ///
    /// `next` is called again each time that another publisher is first. It may have read bytes of
    /// two values then: its result is discarded, errors too. Its result must be at most as long as an inline value.
    pub(crate) fn modify<B: AsRef<[u8]>, E>(
        self,
        mut next: impl FnMut(Option<CellView<'a>>) -> Result<B, E>,
    ) -> Result<u64, ModifyError<E>> {
        let mut claim = self.claim_for_key()?;
        let cell = self.slot().cells.get(claim.cell);
        let mut seen = self.head();
        let error = loop {
            // No writer claims the newest value's cell. So if the compare-and-swap in `advance`
            // finds `head` as it was, `next` read one value, all of it, and it is still the newest.
            let newest = match seen.cell().map(|index| self.cell(index)).transpose() {
                Ok(newest) => newest,
                Err(error) => break ModifyError::Read(error),
            };
            match next(newest) {
                Ok(bytes) => {
                    self.fill_inline(&mut claim, cell, bytes.as_ref());
                    match self.advance(&claim, seen) {
                        Advance::Done(version) => {
                            self.commit_cell(claim, version);
                            return Ok(version);
                        }
                        Advance::Overtaken(now) => seen = now,
                        Advance::Failed(error) => break error.into(),
                    }
                }
                Err(error) => {
                    // Acquire: pairs with the release fence of the claim. `head` is read after all
                    // that `next` has read; if any of it was a later writer's, `head` has moved.
                    fence(Ordering::Acquire);
                    let now = self.head();
                    if now == seen {
                        break if self.is_current() {
                            ModifyError::Rejected(error)
                        } else {
                            CommitError::Removed.into()
                        };
                    }
                    seen = now;
                }
            }
        };
        self.abandon(claim);
        Err(error)
    }
}

/// The integer in the cell, little-endian; if it is not one, the length of the value.
fn integer(cell: CellView<'_>) -> Result<u64, usize> {
    let mut bytes = [0; WORD];
    match cell::len(cell) {
        WORD => {
            words::load(cell.words, &mut bytes);
            Ok(u64::from_le_bytes(bytes))
        }
        len => Err(len),
    }
}
