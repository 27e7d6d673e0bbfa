//! Append: publishing the newest value with more bytes after it.
//!
//! A short result is a read-modify-write as in `modify.rs`. For a long one, the newest value is
//! pinned, so that its place can be read; its bytes are copied into the claimed cell's place; and
//! `head` is moved from the pinned value.
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
//! record.
//!
//! - **Fast path.** The claimed cell holds the log as it was some appends ago: what was appended since
//!   is copied.
//! - **Slow path.** It does not: all bytes are copied. Another publisher was first: again, with the
//!   same cell.
//! - **Crash.** As of a publish: before `head` moves, nothing was changed. The pin is reaped.

use super::claim::Claim;
use super::modify::ModifyError;
use super::publish::Advance;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::words;
use crate::core::place::Tier;
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

/// A value that was made by an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) version: u64,
    /// Its length in bytes.
    pub(crate) len: usize,
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
    tier: Tier,
    prefix: Option<Prefix>,
}

impl<'a> Ring<'a> {
    /// Publishes the newest value followed by `tail`. Rejected: the result would have this many
    /// bytes, which is more than `max`.
    pub(crate) fn append(self, tail: &[u8], max: usize, pins: &impl PinNewest) -> Result<Appended, ModifyError<usize>> {
        loop {
            let is_done = |outcome: &Result<_, _>| !matches!(outcome, Err(ModifyError::Rejected(len)) if *len <= max);
            let outcome = self.append_short(tail, max);
            if is_done(&outcome) {
                return outcome;
            }
            // Rejected, if the newest value was replaced by a short one meanwhile.
            let outcome = self.append_long(tail, max, pins);
            if is_done(&outcome) {
                return outcome;
            }
        }
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
        let place = self.value_words(index, self.slot().cells.get(index), len).ok_or(CommitError::Unmapped)?;
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
        } else {
            let side = self.slot().cells.side(index);
            side.chain_base.store(base, Ordering::Relaxed);
            side.chain_version.store(expected.version() + 1, Ordering::Relaxed);
        }
        self.complete_long(index, len);
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
            Some(_) => CommitError::Unmapped.into(),
            None => ModifyError::Read(ReadError::Corrupt),
        }
    }

    /// The cell of the last attempt, if the value still fits into its tier; else another one.
    fn prepared(self, attempt: &mut Option<Attempt>, len: usize) -> Result<&mut Attempt, CommitError> {
        let tier = Tier::of(len);
        let last = match attempt.take() {
            Some(last) if last.tier == tier => last,
            last => {
                if let Some(Attempt { claim, .. }) = last {
                    self.abandon(claim);
                }
                let claim = self.claim_long(len)?;
                let prefix = self.held_prefix(&claim, tier);
                return Ok(attempt.insert(Attempt { claim, tier, prefix }));
            }
        };
        let last = attempt.insert(last);
        self.reserve_place(&last.claim, len)?;
        Ok(last)
    }

    /// What a cell that was just claimed held, if that is still in its place of this tier.
    fn held_prefix(self, claim: &Claim, tier: Tier) -> Option<Prefix> {
        let len = cell::len(self.slot().cells.get(claim.cell));
        let is_there = len > self.slot().cells.inline_len() && Tier::of(len) == tier && !self.context.checksums;
        claim.held_version().filter(|_| is_there).map(|version| Prefix { version, len })
    }

    /// The version since which there were only appends, up to the pinned one.
    fn chain_base(self, pin: Pin, len: usize) -> u64 {
        if len <= self.slot().cells.inline_len() {
            return pin.version;
        }
        let side = self.slot().cells.side(pin.cell);
        if side.chain_version.load(Ordering::Relaxed) == pin.version {
            side.chain_base.load(Ordering::Relaxed).min(pin.version)
        } else {
            pin.version
        }
    }
}
