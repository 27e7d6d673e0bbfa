//! Claiming a cell for a value of any length, and choosing it for a large one.
//!
//! A value that is not large takes the cell that is next in turn. For a large value, that would take the
//! space of all cells. It takes a cell whose place is large enough already, or else the one that became
//! free to overwrite last. So a writer that is alone uses few cells, which stay in the processor's cache.
//! Fewer values are history, too, unless the key's creator asked for them: about [`LONG_HISTORY`] bytes.
//!
//! - **Fast path.** A value that is not large: that of `claim.rs`.
//! - **Slow path.** A large one: one or two passes over the cells.
//! - **Crash.** As of a claim (`claim.rs`), and of reserving (`storage.rs`).

use super::claim::Claim;
use super::storage::has_places;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::cells::PAGE_LEN;
use crate::core::place::Tier;
use crate::core::ring::cell::readable;
use crate::core::ring::error::{ClaimError, CommitError};
use crate::core::ring::retaining::retention::Keep;
use crate::core::ring::ring::Ring;
use crate::core::word::{Residue, Seq};
use crate::sync::{Ordering, real_or_model};

/// How many bytes of large values are history at least, unless the key's creator asked for all.
const LONG_HISTORY: usize = real_or_model(4 << 20, 64);

impl<'a> Ring<'a> {
    /// Claims a cell of the handle's key that has space for a value of `len` bytes.
    #[inline]
    pub(crate) fn claim_for(self, len: usize) -> Result<Claim, CommitError> {
        if len <= self.slot().cells.inline_len() { self.claim_for_key() } else { self.claim_beyond(len) }
    }

    /// Claims a cell, and writes the value into it.
    #[inline]
    pub(crate) fn claim_and_fill(self, bytes: &[u8]) -> Result<Claim, CommitError> {
        let mut claim = self.claim_for(bytes.len())?;
        match self.fill(&mut claim, bytes) {
            Ok(()) => Ok(claim),
            Err(error) => self.abandon_for(claim, error),
        }
    }

    #[cold]
    pub(super) fn abandon_for<T>(self, claim: Claim, error: CommitError) -> Result<T, CommitError> {
        self.abandon(claim);
        Err(error)
    }

    fn claim_beyond(self, len: usize) -> Result<Claim, CommitError> {
        let max = self.max_len();
        if len > max {
            return Err(CommitError::TooLarge { len, max });
        }
        let claim = match Tier::of(len) {
            Tier::Medium => self.claim_for_key()?,
            Tier::Large => match self.claim_large(len)? {
                Some(claim) => claim,
                None => self.claim_for_key()?,
            },
        };
        match self.reserve_storage(&claim, len) {
            Ok(()) => Ok(claim),
            Err(error) => {
                self.abandon(claim);
                let is_short_of_space = matches!(error, CommitError::NoSpace(_)) && len <= PAGE_LEN;
                if is_short_of_space { self.claim_with_page()?.ok_or(error) } else { Err(error) }
            }
        }
    }

    /// Claims a cell that has a page, when there is no space for another one: the one of the oldest value
    /// that is not history, or else of the oldest one that may be overwritten.
    #[cold]
    fn claim_with_page(self) -> Result<Option<Claim>, ClaimError> {
        for keep in [Keep::History, Keep::Undelivered] {
            let mut cells: Vec<_> = self.cells_with_pages().collect();
            cells.retain(|&index| index < self.handle.shape().cells());
            cells.sort_unstable_by_key(|&index| readable(self.slot().cells.get(index)));
            for index in cells {
                if let Some(claim) = self.try_claim(index, keep)? {
                    return Ok(Some(claim));
                }
            }
        }
        Ok(None)
    }

    /// Claims a cell for a large value: one whose place is large enough, or else the one that became
    /// free to overwrite last. `None` if there is neither, and no cell that was never used.
    fn claim_large(self, len: usize) -> Result<Option<Claim>, ClaimError> {
        let keep = Keep::Newest(self.history_of(len));
        for _ in 0..self.handle.shape().cells() {
            let Some(index) = self.best_for_large(len, keep) else { break };
            if let Some(claim) = self.try_claim(index, keep)? {
                return Ok(Some(claim));
            }
        }
        let reserved = self.reserved_cells();
        // Without space for more cells, there are these.
        let now = self.reserve_up_to(reserved).unwrap_or(reserved);
        for index in reserved..now.min(self.handle.shape().cells()) {
            if let Some(claim) = self.try_claim(index, keep)? {
                return Ok(Some(claim));
            }
        }
        Ok(None)
    }

    /// The cell that is best for a large value: of those whose place is large enough, or else of all,
    /// the one that became free to overwrite last.
    fn best_for_large(self, len: usize, keep: Keep) -> Option<u32> {
        // Few cells have such a place, and nothing else is read of the others. Another participant may
        // be changing the cell: then the claim fails.
        self.last_claimable(keep, |index, cell| {
            Residue::of(cell.header).has(Tier::Large) && self.reserved(index, Tier::Large) >= len as u64
        })
        .or_else(|| self.last_claimable(keep, |_, _| true))
    }

    /// Of the cells that may be claimed, and that `fits` accepts, the one with the newest value.
    #[inline]
    fn last_claimable(self, keep: Keep, fits: impl Fn(u32, CellView<'a>) -> bool) -> Option<u32> {
        let (head, cells) = (self.head(), self.handle.shape().cells().min(self.reserved_cells()));
        let mut best = None;
        for index in 0..cells {
            let cell = self.slot().cells.get(index);
            if !fits(index, cell) {
                continue;
            }
            // Acquire: pairs as in `claim_cell`.
            let Seq::Committed { version } = Seq::from_bits(cell.header.seq.load(Ordering::Acquire)) else {
                continue;
            };
            if best.is_none_or(|best| best <= (version, index))
                && !self.must_stay(index, version, head, keep)
                && !self.is_protected(cell.header, version, keep, None)
            {
                best = Some((version, index));
            }
        }
        best.map(|(_, index)| index)
    }

    /// How many values of this length are history.
    pub(crate) fn history_of(self, len: usize) -> u32 {
        let shape = self.handle.shape();
        if shape.keeps_long_values {
            shape.history
        } else {
            shape.history.min((LONG_HISTORY / len.max(1)).max(1) as u32)
        }
    }

    /// Gives back the places of all values that may be overwritten, except for this cell's.
    #[cold]
    pub(super) fn give_up_history(self, except: u32) {
        self.reap_holders();
        for (index, _) in self.cells().filter(|&(index, cell)| index != except && has_places(cell)) {
            self.discard(index, Keep::Undelivered, self.context.scrub());
        }
    }
}
