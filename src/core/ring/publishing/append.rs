//! Append: publishing the newest value with more bytes after it.
//!
//! An inline result is a read-modify-write as in `modify.rs`. For a longer one, the newest value is
//! pinned, so that its place can be read; its bytes are copied into the page or place of the claimed cell;
//! and `head` is moved from the pinned value.
//!
//! **The chain.** A log that grows by appends would be copied whole each time. But the claimed cell
//! often holds an older state of the same log, whose bytes are still in its place. So each append
//! records in the side record of its cell since which version there were only appends
//! (`chain_base`). If the claimed cell held a version from then on, its bytes are the beginning of
//! the newest value, and only the rest is copied.
//!
//! The record counts only for the version that it names (`chain_version`). It is written before
//! `head` moves, and erased with the place. A cell that gets an ordinary value keeps the record of an
//! older version, which means nothing. In a file, whose checksums need all bytes anyway, there is no
//! record; nor of values in cells and their pages, which are copied fast.
//!
//! - **Fast path.** The claimed cell holds the log as it was some appends ago: what was appended since
//!   is copied.
//! - **Slow path.** It does not: all bytes are copied. Another publisher was first: again, with the
//!   same cell.
//! - **Crash.** As of a publish: before `head` moves, nothing was changed. The pin is reaped.

use super::claim::Claim;
use super::modify::ModifyError;
use super::publish::Advance;
use super::storage::Storage;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::words;
use crate::core::ring::cell;
use crate::core::ring::error::{CommitError, ReadError};
use crate::core::ring::reading::pin::Pin;
use crate::core::ring::ring::Ring;
use crate::core::word::Head;
use crate::sync::{AtomicU64, Ordering};

/// How a participant pins the newest value. Its threads share one pin bit for each cell, so they
/// have to count.
pub(crate) trait PinNewest {
    fn pin(&self, ring: Ring<'_>) -> Result<Option<Pin>, ReadError>;

    fn unpin(&self, ring: Ring<'_>, pin: Pin);
}

/// The value that an append made.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-appended-{}", std::process::id());
/// let store = Store::create(&name)?;
/// store.append("log", b"one,")?;
/// let appended = store.append("log", b"two")?;
/// assert_eq!((appended.version, appended.len), (2, 7));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Appended {
    /// Its version.
    pub version: u64,
    /// Its length in bytes.
    pub len: usize,
}

/// What a claimed cell's place still holds: the first `len` bytes of this version.
#[derive(Clone, Copy)]
struct Prefix {
    version: u64,
    len: usize,
}

/// A claimed cell on its way to become the next value.
struct Attempt {
    claim: Claim,
    storage: Storage,
    prefix: Option<Prefix>,
}

impl<'a> Ring<'a> {
    /// Publishes the newest value followed by `tail`. Rejected: the result would have this many
    /// bytes, which is more than `max`.
    pub(crate) fn append(self, tail: &[u8], max: usize, pins: &impl PinNewest) -> Result<Appended, ModifyError<usize>> {
        // By the length that the result would have now. The other attempt would claim a cell in vain, and
        // empty it.
        let mut len = self.newest_len_now() + tail.len();
        loop {
            let is_short = len <= self.slot().cells.inline_len();
            match if is_short { self.append_short(tail, max) } else { self.append_long(tail, max, pins) } {
                // Another publisher has replaced a short value by a long one, or the other way round.
                Err(ModifyError::Rejected(total)) if total <= max => len = total,
                outcome => return outcome,
            }
        }
    }

    /// The length of the newest value, which another publisher may be replacing.
    fn newest_len_now(self) -> usize {
        let newest = self.head().cell().filter(|&index| self.is_reserved(index));
        newest.map_or(0, |index| cell::len(self.slot().cells.get(index)))
    }

    /// Rejected: the result would have this many bytes, which is more than an inline value has.
    fn append_short(self, tail: &[u8], max: usize) -> Result<Appended, ModifyError<usize>> {
        let (max, mut total) = (max.min(self.slot().cells.inline_len()), 0);
        let version = self.modify(|newest: Option<CellView<'a>>| {
            let len = newest.map_or(0, cell::len);
            total = len + tail.len();
            if total > max {
                return Err(total);
            }
            let mut value = Vec::with_capacity(total);
            if let Some(cell) = newest {
                value.resize(len, 0);
                words::load(cell.words, &mut value);
            }
            value.extend_from_slice(tail);
            Ok(value)
        })?;
        Ok(Appended { version, len: total })
    }

    /// Rejected: the result would have this many bytes, which is more than `max`, or an inline value.
    fn append_long(self, tail: &[u8], max: usize, pins: &impl PinNewest) -> Result<Appended, ModifyError<usize>> {
        let mut attempt = None;
        let outcome = loop {
            let pin = match pins.pin(self) {
                Ok(pin) => pin,
                Err(error) => break Err(ModifyError::Read(error)),
            };
            let outcome = self.try_append(&mut attempt, pin, tail, max);
            if let Some(pin) = pin {
                pins.unpin(self, pin);
            }
            if let Some(outcome) = outcome.transpose() {
                break outcome;
            }
        };
        if let Some(Attempt { claim, .. }) = attempt {
            self.abandon(claim);
        }
        outcome
    }

    /// One attempt to append to the pinned value. `None`: another publisher was first.
    fn try_append(
        self,
        attempt: &mut Option<Attempt>,
        pin: Option<Pin>,
        tail: &[u8],
        max: usize,
    ) -> Result<Option<Appended>, ModifyError<usize>> {
        let newest = pin.map(|pin| self.pinned_words(pin).ok_or_else(|| self.unreadable(pin))).transpose()?;
        let (old, old_len): (&[AtomicU64], usize) = newest.unwrap_or_default();
        let len = old_len + tail.len();
        if len > max || len <= self.slot().cells.inline_len() {
            return Err(ModifyError::Rejected(len));
        }
        let expected = pin.map_or_else(|| self.head(), |pin| Head::of(pin.cell, pin.version));
        if pin.is_none() && expected.cell().is_some() {
            return Ok(None);
        }
        let base = pin.map_or(expected.version(), |pin| self.chain_base(pin, old_len));
        let current = self.prepared(attempt, len)?;
        let index = current.claim.cell;
        let place =
            self.value_words(index, self.slot().cells.get(index), len).ok_or_else(|| self.unmapped(index, len))?;
        // Only appends have been made since that version, so its bytes are the newest value's first.
        let held = current.prefix.filter(|prefix| prefix.version >= base).map_or(0, |prefix| prefix.len.min(old_len));
        let whole = held / words::WORD;
        self.raise_written(index, len);
        words::copy(&place[whole..], &old[whole..old_len.div_ceil(words::WORD)]);
        words::store_at(place, old_len, tail);
        current.prefix = Some(Prefix { version: expected.version(), len: old_len });
        if self.context.checksums {
            let mut bytes = vec![0; len];
            words::load(place, &mut bytes);
            self.sum(&mut current.claim, &bytes);
        } else if let Storage::Place(_) = current.storage
            && let Some(side) = self.side(index)
        {
            side.chain_base.store(base, Ordering::Relaxed);
            side.chain_version.store(expected.version() + 1, Ordering::Relaxed);
        }
        self.complete(index, len);
        match self.advance(&current.claim, expected) {
            Advance::Done(version) => {
                if let Some(Attempt { claim, .. }) = attempt.take() {
                    self.commit_cell(claim, version);
                }
                Ok(Some(Appended { version, len }))
            }
            Advance::Overtaken(_) => Ok(None),
            Advance::Failed(error) => Err(error.into()),
        }
    }

    /// Why a pinned value cannot be read in place.
    #[cold]
    fn unreadable(self, pin: Pin) -> ModifyError<usize> {
        match self.pinned_len(pin) {
            Some(len) => self.unmapped(pin.cell, len).into(),
            None => ModifyError::Read(ReadError::Corrupt),
        }
    }

    /// The cell of the last attempt, if the value still goes to the same storage; else another one.
    fn prepared(self, attempt: &mut Option<Attempt>, len: usize) -> Result<&mut Attempt, CommitError> {
        let last = match attempt.take() {
            Some(last) if last.storage == self.storage(last.claim.cell, len) => last,
            last => {
                if let Some(Attempt { claim, .. }) = last {
                    self.abandon(claim);
                }
                let claim = self.claim_for(len)?;
                let storage = self.storage(claim.cell, len);
                let prefix = self.held_prefix(&claim, storage);
                return Ok(attempt.insert(Attempt { claim, storage, prefix }));
            }
        };
        let last = attempt.insert(last);
        self.reserve_storage(&last.claim, len)?;
        Ok(last)
    }

    /// What a cell that was just claimed held, if that is still in this storage, and a chain is recorded.
    fn held_prefix(self, claim: &Claim, storage: Storage) -> Option<Prefix> {
        let len = cell::len(self.slot().cells.get(claim.cell));
        let is_there = matches!(storage, Storage::Place(_)) && self.storage(claim.cell, len) == storage;
        let is_there = is_there && !self.context.checksums;
        claim.held_version().filter(|_| is_there).map(|version| Prefix { version, len })
    }

    /// The version since which there were only appends, up to the pinned one.
    fn chain_base(self, pin: Pin, len: usize) -> u64 {
        let is_recorded = matches!(self.storage(pin.cell, len), Storage::Place(_));
        let Some(side) = is_recorded.then(|| self.side(pin.cell)).flatten() else { return pin.version };
        if side.chain_version.load(Ordering::Relaxed) == pin.version {
            side.chain_base.load(Ordering::Relaxed).min(pin.version)
        } else {
            pin.version
        }
    }
}
