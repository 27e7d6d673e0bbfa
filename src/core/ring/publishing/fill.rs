//! Filling: writing a value into a claimed cell, and removing what older values have left there.
//!
//! `residue`, and `written` of side records, say how far bytes may be other than zero. They are raised
//! before bytes are written, and lowered after bytes are zeroed. So the participant that reaps the cell of
//! a crashed writer zeroes all of them.
//!
//! - **Fast paths**, one for each kind of storage: the value is where the last one was, and nothing is left
//!   elsewhere.
//! - **Slow path.** The value is elsewhere. With auto-vacuum, all that is left of the last ones is zeroed.
//!   Places are given back after so many short values in a row.
//!
//! **Crash** after each step: a cell that is not readable. The participant that reaps it empties it.
//! (`WrittenLenRaised`, `BytesWritten`, `LengthWritten`, `TailZeroed`, `CellLent`, `ReservationErased`,
//! `PlacesPunched`.)

use super::claim::Claim;
use super::storage::Storage;
use crate::core::checksum;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::records::CellHeader;
use crate::core::memory::words::{self, WORD};
use crate::core::place::Tier;
use crate::core::ring::context::Scrub;
use crate::core::ring::error::CommitError;
use crate::core::ring::ring::Ring;
use crate::core::word::Residue;
use crate::kill_points::{Step, reached};
use crate::sync::{AtomicU64, Ordering, fence};

/// The content of a cell that is lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lending {
    Zeroed,
    /// The bytes that were there.
    AsItIs,
}

impl<'a> Ring<'a> {
    /// Writes a value into a claimed cell that has space for it.
    #[inline]
    pub(crate) fn fill(self, claim: &mut Claim, bytes: &[u8]) -> Result<(), CommitError> {
        let cell = self.slot().cells.get(claim.cell);
        if bytes.len() <= self.slot().cells.inline_len() {
            self.fill_inline(claim, cell, bytes);
            return Ok(());
        }
        let words = self.value_words(claim.cell, cell, bytes.len());
        let words = words.ok_or_else(|| self.unmapped(claim.cell, bytes.len()))?;
        self.fill_slow(claim, cell, words, bytes);
        Ok(())
    }

    /// Writes an inline value into a claimed cell.
    #[inline(always)]
    pub(crate) fn fill_inline(self, claim: &mut Claim, cell: CellView<'a>, bytes: &[u8]) {
        let residue = Residue::of(cell.header);
        if !residue.is_inline() {
            return self.fill_slow(claim, cell, cell.words, bytes);
        }
        if residue.inline_len() < bytes.len() {
            raise(cell.header, residue.with_inline_len(bytes.len()));
        }
        self.write(claim, cell.header, cell.words, bytes);
        if residue.inline_len() >= bytes.len() + WORD && self.context.host.auto_vacuum() {
            zero_tail(cell.words, bytes.len(), residue.inline_len());
            // Release: as in `zero_tail`.
            cell.header.residue.store(residue.with_inline_len(bytes.len()).bits(), Ordering::Release);
        }
    }

    /// Writes a value into the page of a claimed cell, if the last one was there, too. `false` if it is
    /// another case.
    #[inline]
    pub(super) fn fill_page_again(self, claim: &mut Claim, cell: CellView<'a>, bytes: &[u8]) -> bool {
        let residue = Residue::of(cell.header);
        let words = if residue.is_in_page() { self.known_page(claim.cell, bytes.len()) } else { None };
        let Some(words) = words else { return false };
        if residue.page_len() < bytes.len() {
            raise(cell.header, residue.with_page_len(bytes.len()));
        }
        self.write(claim, cell.header, words, bytes);
        if residue.page_len() >= bytes.len() + WORD && self.context.host.auto_vacuum() {
            zero_tail(words, bytes.len(), residue.page_len());
            // Release: as in `zero_tail`.
            cell.header.residue.store(residue.with_page_len(bytes.len()).bits(), Ordering::Release);
        }
        true
    }

    /// Writes a medium value into a claimed cell, over one of the same length, which leaves nothing
    /// else to do. `false` if it is another case.
    #[inline]
    pub(super) fn fill_medium_again(self, claim: &mut Claim, cell: CellView<'a>, bytes: &[u8]) -> bool {
        let (len, tier) = (bytes.len() as u32, Tier::Medium);
        if !Residue::of(cell.header).is_only(tier) || self.storage(claim.cell, bytes.len()) != Storage::Place(tier) {
            return false;
        }
        let Some(side) = self.side(claim.cell) else { return false };
        if side.written[tier.index()].load(Ordering::Relaxed) != len
            || side.reserved[tier.index()].load(Ordering::Relaxed) < len
        {
            return false;
        }
        let place = self.places().get(tier, claim.cell);
        let Some(words) = self.slot().window.words(place.start, bytes.len()) else { return false };
        self.write(claim, cell.header, words, bytes);
        true
    }

    /// Writes a value to these words, which are those of its storage.
    #[inline(never)]
    fn fill_slow(self, claim: &mut Claim, cell: CellView<'a>, words: &[AtomicU64], bytes: &[u8]) {
        self.raise_written(claim.cell, bytes.len());
        self.write(claim, cell.header, words, bytes);
        self.leave_only(claim.cell, bytes.len());
    }

    #[inline(always)]
    fn write(self, claim: &mut Claim, cell: &CellHeader, words: &[AtomicU64], bytes: &[u8]) {
        self.sum(claim, bytes);
        words::store(words, bytes);
        reached(Step::BytesWritten);
        cell.len.store(bytes.len() as u32, Ordering::Relaxed);
        reached(Step::LengthWritten);
    }

    /// Adds the bytes to the claim's checksum, if cells carry one.
    #[inline(always)]
    pub(crate) fn sum(self, claim: &mut Claim, bytes: &[u8]) {
        if self.context.checksums {
            claim.sum = checksum::of(bytes);
        }
    }

    /// Prepares a claimed cell for a caller that writes `len` bytes in place, for which there is space.
    /// From now on the cell counts as written that far. Returns the words of the value.
    pub(crate) fn lend(self, claim: &Claim, len: usize, bytes: Lending) -> Result<&'a [AtomicU64], CommitError> {
        let cell = self.slot().cells.get(claim.cell);
        let words = self.value_words(claim.cell, cell, len).ok_or_else(|| self.unmapped(claim.cell, len))?;
        self.raise_written(claim.cell, len);
        // The last word is zeroed in any case: the caller does not write the bytes of it after the
        // value.
        let from = if bytes == Lending::Zeroed { 0 } else { len / WORD * WORD };
        words::zero(words, from, len);
        reached(Step::CellLent);
        Ok(words)
    }

    /// Completes a claimed cell whose `bytes` the caller has written in place.
    pub(crate) fn fill_lent(self, claim: &mut Claim, bytes: &[u8]) {
        self.sum(claim, bytes);
        self.complete(claim.cell, bytes.len());
    }

    /// Completes a claimed cell whose value of `len` bytes is written.
    pub(super) fn complete(self, index: u32, len: usize) {
        self.slot().cells.get(index).header.len.store(len as u32, Ordering::Relaxed);
        reached(Step::LengthWritten);
        self.leave_only(index, len);
    }

    /// Records how far bytes are about to be written.
    pub(super) fn raise_written(self, index: u32, len: usize) {
        let cell = self.slot().cells.get(index).header;
        let residue = Residue::of(cell);
        match self.storage(index, len) {
            Storage::Inline if residue.inline_len() < len => raise(cell, residue.with_inline_len(len)),
            Storage::Page if residue.page_len() < len => raise(cell, residue.with_page_len(len)),
            Storage::Inline | Storage::Page => {}
            Storage::Place(tier) => {
                if let Some(side) = self.side(index)
                    && let written = &side.written[tier.index()]
                    && (written.load(Ordering::Relaxed) as usize) < len
                {
                    // Release: as in `raise`.
                    written.store(len as u32, Ordering::Relaxed);
                    fence(Ordering::Release);
                    reached(Step::WrittenLenRaised);
                }
            }
        }
    }

    /// Removes what is left of older values in a claimed cell that holds one of `len` bytes.
    fn leave_only(self, index: u32, len: usize) {
        let word = &self.slot().cells.get(index).header.residue;
        let residue = Residue::from_bits(word.load(Ordering::Relaxed));
        if residue.has_places() {
            match self.storage(index, len) {
                Storage::Place(_) => word.store(residue.in_use().bits(), Ordering::Relaxed),
                Storage::Inline | Storage::Page => match residue.idle_once_more() {
                    Some(residue) => word.store(residue.bits(), Ordering::Relaxed),
                    None => _ = self.release_places(index),
                },
            }
        }
        if self.context.host.auto_vacuum() {
            self.scrub_rest(index, len);
        }
    }

    /// Zeroes all bytes of the cell, its page and its places that do not belong to its value of `len`
    /// bytes. The caller owns the cell, or has pinned it.
    pub(crate) fn scrub_rest(self, index: u32, len: usize) {
        let cell = self.slot().cells.get(index);
        let mut residue = Residue::of(cell.header);
        let storage = self.storage(index, len);
        let len_in = |other: Storage| if storage == other { len } else { 0 };
        let inline = len_in(Storage::Inline);
        if residue.inline_len() >= inline + WORD {
            zero_tail(cell.words, inline, residue.inline_len());
            residue = residue.with_inline_len(inline);
            // Release: as in `zero_tail`.
            cell.header.residue.store(residue.bits(), Ordering::Release);
        }
        let in_page = len_in(Storage::Page);
        if residue.has_page()
            && residue.page_len() >= in_page + WORD
            && let Some(words) = self.page(index)
        {
            zero_tail(words, in_page, residue.page_len());
            residue = residue.with_page_len(in_page);
            // Release: as in `zero_tail`.
            cell.header.residue.store(residue.bits(), Ordering::Release);
        }
        for tier in Tier::ALL.into_iter().filter(|&tier| residue.has(tier)) {
            self.scrub_place(index, tier, len_in(Storage::Place(tier)));
        }
    }

    /// Zeroes the bytes of the cell's place from `len` on.
    fn scrub_place(self, index: u32, tier: Tier, len: usize) {
        let Some(side) = self.side(index) else { return };
        let written = &side.written[tier.index()];
        let end = u64::from(written.load(Ordering::Relaxed)).min(self.reserved(index, tier)) as usize;
        if end > len
            && let Some(words) = self.place_words(self.places().get(tier, index), end)
        {
            words::zero(words, len, end);
            reached(Step::TailZeroed);
            // Release: as in `zero_tail`.
            written.store(len as u32, Ordering::Release);
        }
    }

    /// Removes the value from a cell that the caller owns, and gives back the space of its places.
    pub(crate) fn empty(self, index: u32, scrub: Scrub) {
        let cell = self.slot().cells.get(index);
        cell.header.len.store(0, Ordering::Relaxed);
        self.release_places(index);
        let residue = Residue::of(cell.header);
        if scrub == Scrub::Always {
            words::zero(cell.words, 0, residue.inline_len());
            if residue.has_page()
                && let Some(words) = self.page(index)
            {
                words::zero(words, 0, residue.page_len());
            }
            cell.header.crc.store(0, Ordering::Relaxed);
            // Release: as in `zero_tail`.
            cell.header.residue.store(residue.emptied().bits(), Ordering::Release);
        }
    }
}

/// Raises `residue`: before bytes are written.
#[inline(always)]
fn raise(cell: &CellHeader, residue: Residue) {
    // Release: before the bytes, so that the participant that reaps the cell of a crashed writer
    // knows how far it may have written.
    cell.residue.store(residue.bits(), Ordering::Relaxed);
    fence(Ordering::Release);
    reached(Step::WrittenLenRaised);
}

/// Zeroes the words of a value from `len` to `end`. The caller lowers `residue` afterwards, by a
/// release: a crash in between must not leave bytes that `residue` does not cover.
#[inline(always)]
fn zero_tail(words: &[AtomicU64], len: usize, end: usize) {
    words::zero(words, len, end);
    reached(Step::TailZeroed);
}
