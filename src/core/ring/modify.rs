//! Making the next value from the newest, as one step: no update of anybody is lost in between.

use super::cell;
use super::error::{CommitError, ReadError};
use super::publish::Advance;
use super::ring::Ring;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::words::{self, WORD};
use crate::sync::{Ordering, fence};

/// Why nothing was modified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModifyError<E> {
    /// The value could not be made the newest.
    Commit(CommitError),
    /// The newest value cannot be read.
    Read(ReadError),
    /// The newest value is not one from which the next could be made.
    Unfit(E),
}

impl<E> From<CommitError> for ModifyError<E> {
    fn from(error: CommitError) -> Self {
        Self::Commit(error)
    }
}

/// Why an integer was left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The value has this many bytes, which is no integer.
    Len(usize),
    /// The caller did not want to change this one.
    Unwanted(u64),
}

impl<'a> Ring<'a> {
    /// Publishes the newest value with `tail` behind it. Unfit: it would be this long, which is more than `max`.
    pub(crate) fn append(self, tail: &[u8], max: usize) -> Result<u64, ModifyError<usize>> {
        self.modify(|newest| {
            let len = newest.map_or(0, cell::len);
            if len + tail.len() > max {
                return Err(len + tail.len());
            }
            let mut value = Vec::with_capacity(len + tail.len());
            if let Some(cell) = newest {
                value.resize(len, 0);
                words::load(cell.words, &mut value);
            }
            value.extend_from_slice(tail);
            Ok(value)
        })
    }

    /// Publishes what `next` makes of the newest value, taken as an integer, and gives the integer that it was; no value counts
    /// as 0. `next` gives nothing when it wants nothing changed.
    pub(crate) fn modify_integer(self, next: impl Fn(u64) -> Option<u64>) -> Result<u64, ModifyError<Unfit>> {
        let mut before = 0;
        self.modify(|newest| {
            before = match newest {
                None => 0,
                Some(cell) => integer(cell).map_err(Unfit::Len)?,
            };
            next(before).map(u64::to_le_bytes).ok_or(Unfit::Unwanted(before))
        })?;
        Ok(before)
    }

    /// Publishes what `next` makes of the newest value, and gives its version. Waiters are not woken yet.
    ///
    /// `next` is called again whenever somebody else publishes first. It may then have seen bytes of two values: what it
    /// made of them is thrown away, errors too. What it gives fits into a cell.
    fn modify<B: AsRef<[u8]>, E>(
        self,
        mut next: impl FnMut(Option<CellView<'a>>) -> Result<B, E>,
    ) -> Result<u64, ModifyError<E>> {
        let mut claim = self.claim_for_key()?;
        let mut seen = self.head();
        let error = loop {
            // While `head` stays, so does its cell: nobody claims the newest. So if the compare-and-swap in `advance` finds
            // `head` as it was, `next` saw one value, all of it, and it is still the newest.
            let newest = match seen.cell().map(|index| self.cell(index)).transpose() {
                Ok(newest) => newest,
                Err(error) => break ModifyError::Read(error),
            };
            match next(newest) {
                Ok(bytes) => {
                    self.fill(&mut claim, bytes.as_ref());
                    match self.advance(&claim, seen) {
                        Advance::Done(version) => {
                            self.release_committed(claim, version);
                            return Ok(version);
                        }
                        Advance::Overtaken(now) => seen = now,
                        Advance::Failed(error) => break error.into(),
                    }
                }
                Err(error) => {
                    // Acquire: `head` is read after all that `next` has read.
                    fence(Ordering::Acquire);
                    let now = self.head();
                    if now == seen {
                        break if self.is_current() { ModifyError::Unfit(error) } else { CommitError::Removed.into() };
                    }
                    seen = now;
                }
            }
        };
        self.abandon(claim);
        Err(error)
    }
}

/// What an integer's bytes say, in the order of bytes that is the same everywhere; the length of what is none.
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
