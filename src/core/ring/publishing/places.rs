//! The places of long values: claiming a cell for one, and reserving its place.
//!
//! A value that is longer than the store's inline size is in a place of its cell, in the extents of
//! the slot (`core::place`). The place is reserved before it is written, so that a full memory or disk
//! is an error, and never a signal. It is read under a pin, so that no process touches a place whose
//! space another process is giving back. One part is not given back, once it was reserved: the first
//! page of a medium place. So a value that fits into it is read as an inline value is, without a pin;
//! that takes half as long.
//!
//! Rules:
//!
//! - Only the owner of a cell in the state "writing" reserves its places, writes to them, and gives
//!   them back.
//! - The owner checks the generation after its claim, before it touches a place: where the place is
//!   depends on the shape of the key. A participant that empties a cell takes the shape that the slot
//!   has then: it cannot change while a cell is not free.
//! - The bit of the place in `residue` is set before anything is reserved, and cleared after all of
//!   it was given back. `reserved` is raised after the space is there, and zeroed before it is given
//!   back. So whatever a crashed owner has left is found.
//! - A free cell has nothing reserved but the page that is never given back.
//!
//! **Which cell.** A medium value takes the cell that is next in turn, as an inline one does. For a
//! large value, that would take the space of all cells. It takes a cell whose place is large enough
//! already, or else the one that became free to overwrite last. So a writer that is alone uses few
//! cells, which stay in the processor's cache. Fewer values are history, too, unless the key's
//! creator asked for them: about [`LONG_HISTORY`] bytes.
//!
//! - **Fast path.** The place has space for the value.
//! - **Slow path.** It has not: reserve. There is none: reap crashed participants, give up the places
//!   of history, and try again. Then `NoSpace`.
//!
//! **Crash** after each step:
//!
//! | step | leaves |
//! | --- | --- |
//! | `PlaceMarked` | a cell in the state "writing" whose place may have space: the participant that reaps it gives it back |
//! | `PlaceReserved`, `PlaceRecorded` | the same |

use super::claim::Claim;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::records::CellHeader;
use crate::core::memory::words;
use crate::core::place::{KEPT, Place, Places, Tier};
use crate::core::ring::cell;
use crate::core::ring::error::CommitError;
use crate::core::ring::retaining::retention::Keep;
use crate::core::ring::ring::Ring;
use crate::core::shape::Shape;
use crate::core::word::{Residue, Seq};
use crate::kill_points::{Step, reached};
use crate::sync::{AtomicU64, Ordering, fence, real_or_model, total_order};

/// How many bytes of large values are history at least, unless the key's creator asked for all.
const LONG_HISTORY: usize = real_or_model(4 << 20, 64);

/// Space is reserved in multiples of this.
pub(crate) const GRANULE: u64 = real_or_model(4096, 8) as u64;

impl<'a> Ring<'a> {
    /// The longest value of the key in bytes.
    #[inline]
    pub(crate) fn max_len(self) -> usize {
        self.slot().cells.inline_len().max(self.places().max_len() as usize)
    }

    /// Where the long values of the handle's key are.
    #[inline]
    pub(crate) fn places(self) -> Places {
        Places::new(self.handle.shape().cells(), self.context.span)
    }

    /// The words of a value of `len` bytes in the cell, the last one whole. The caller owns the cell
    /// or has pinned it, and has found the slot's generation to be the handle's since. `None`: there
    /// can be no such value, or the extents cannot be mapped.
    #[inline]
    pub(crate) fn value_words(self, index: u32, cell: CellView<'a>, len: usize) -> Option<&'a [AtomicU64]> {
        if len <= self.slot().cells.inline_len() {
            return Some(cell.words);
        }
        self.long_words(self.places().get(Tier::of(len), index), len)
    }

    /// Fills `out` from the place of a long value in the cell, by a system call.
    pub(crate) fn read_long(self, index: u32, out: &mut [u8]) -> bool {
        let place = self.places().get(Tier::of(out.len()), index);
        out.len() as u64 <= place.capacity && self.context.host.read(self.slot().index, place.start, out)
    }

    /// The words of a value that is not inline, if it has at most [`KEPT`] bytes, and the extents are
    /// mapped. They may be touched without a pin: if a cell ever said such a length, their space was
    /// reserved, and it is never given back.
    #[inline]
    pub(crate) fn kept_words(self, index: u32, len: usize) -> Option<&'a [AtomicU64]> {
        if len <= KEPT { self.slot().window.words(Places::kept(index), len) } else { None }
    }

    /// The cell and the tier of the newest value; `None` if that is inline, or there is none.
    pub(crate) fn newest_place(self) -> Option<(u32, Tier)> {
        let index = self.head().cell().filter(|&index| self.is_reserved(index))?;
        let len = cell::len(self.slot().cells.get(index));
        (len > self.slot().cells.inline_len()).then(|| (index, Tier::of(len)))
    }

    fn long_words(self, place: Place, len: usize) -> Option<&'a [AtomicU64]> {
        if len as u64 > place.capacity {
            return None;
        }
        self.words_at(place.start, len)
    }

    /// The words of these bytes of the slot's extents.
    #[inline]
    fn words_at(self, start: u64, len: usize) -> Option<&'a [AtomicU64]> {
        self.slot().window.words(start, len).or_else(|| self.map_words(start, len))
    }

    #[cold]
    fn map_words(self, start: u64, len: usize) -> Option<&'a [AtomicU64]> {
        self.context.host.extents(self.slot().index, start + len as u64)?.words(start, len)
    }

    /// Claims a cell of the handle's key whose place has space for a long value of `len` bytes.
    pub(crate) fn claim_long(self, len: usize) -> Result<Claim, CommitError> {
        let claim = match Tier::of(len) {
            Tier::Medium => self.claim_for_key()?,
            Tier::Large => {
                let max = self.max_len();
                if len > max {
                    return Err(CommitError::TooLarge { len, max });
                }
                self.check_current()?;
                match self.claim_large(len) {
                    Some(claim) => claim,
                    None => self.claim_for_key()?,
                }
            }
        };
        match self.reserve_place(&claim, len) {
            Ok(()) => Ok(claim),
            Err(error) => {
                self.abandon(claim);
                Err(error)
            }
        }
    }

    fn check_current(self) -> Result<(), CommitError> {
        if self.is_current() { Ok(()) } else { Err(CommitError::Removed) }
    }

    /// Claims a cell for a large value: one whose place is large enough, or else the one that became
    /// free to overwrite last. `None` if there is neither, and no cell that was never used.
    fn claim_large(self, len: usize) -> Option<Claim> {
        let keep = Keep::Newest(self.history_of(len));
        for _ in 0..self.handle.shape().cells() {
            let Some(index) = self.best_for_large(len, keep) else { break };
            if let Some(claim) = self.try_claim(index, keep) {
                return Some(claim);
            }
        }
        let reserved = self.reserved_cells();
        let now = self.reserve_up_to(reserved).ok()?;
        (reserved..now.min(self.handle.shape().cells())).find_map(|index| self.try_claim(index, keep))
    }

    /// The cell that is best for a large value: of those whose place is large enough, or else of all,
    /// the one that became free to overwrite last.
    fn best_for_large(self, len: usize, keep: Keep) -> Option<u32> {
        // Few cells have such a place, and nothing else is read of the others.
        self.last_claimable(keep, |index, cell| {
            // Another participant may be changing it: then the claim fails.
            let residue = Residue::from_bits(cell.header.residue.load(Ordering::Relaxed));
            residue.has(Tier::Large) && self.reserved(index, Tier::Large) >= len as u64
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
        if shape.keeps_long_values { shape.history } else { shape.history.min((LONG_HISTORY / len).max(1) as u32) }
    }

    /// How many bytes of the cell's place are reserved, if it has one.
    pub(crate) fn reserved(self, index: u32, tier: Tier) -> u64 {
        self.slot().cells.side(index).reserved[tier.index()].load(Ordering::Relaxed).into()
    }

    /// Reserves the place of a claimed cell for a long value of `len` bytes.
    #[inline]
    pub(crate) fn reserve_place(self, claim: &Claim, len: usize) -> Result<(), CommitError> {
        if !self.is_still_current() {
            return Err(CommitError::Removed);
        }
        let (tier, index) = (Tier::of(len), claim.cell);
        let residue = &self.slot().cells.get(index).header.residue;
        let seen = Residue::from_bits(residue.load(Ordering::Relaxed));
        if seen.has(tier) && self.reserved(index, tier) >= len as u64 {
            return Ok(());
        }
        self.reserve_more(index, tier, len, seen)
    }

    /// Whether the slot still has the handle's key, for the owner of a cell: then it keeps its shape
    /// until the cell is released.
    #[inline]
    pub(crate) fn is_still_current(self) -> bool {
        total_order();
        // SeqCst: the claim, a SeqCst access, comes before. Pairs with the process that removes the
        // key, which changes the generation and then reads the cells (`clear`, `is_free`). One of the
        // two sees the other.
        self.slot().header.generation.load(Ordering::SeqCst) == self.handle.generation()
    }

    #[cold]
    fn reserve_more(self, index: u32, tier: Tier, len: usize, seen: Residue) -> Result<(), CommitError> {
        let (host, slot, place) = (&self.context.host, self.slot().index, self.places().get(tier, index));
        let cell = self.slot().cells.get(index).header;
        let side = || self.slot().cells.side(index);
        if seen.is_inline() {
            host.reserve_side(slot, index).map_err(CommitError::NoSpace)?;
        }
        if !seen.has(tier) {
            // Release: before anything is reserved, so that the participant that reaps the cell of a
            // crashed writer gives it back.
            cell.residue.store(seen.with(tier).bits(), Ordering::Release);
            fence(Ordering::Release);
            reached(Step::PlaceMarked);
        }
        let have = self.reserved(index, tier);
        let need = (len as u64).next_multiple_of(GRANULE);
        if have >= need {
            return Ok(());
        }
        let bytes = place.start + have..place.start + need;
        let reserve = || host.reserve(slot, bytes.clone());
        if reserve().is_err() {
            self.give_up_history(index);
            reserve().map_err(CommitError::NoSpace)?;
        }
        reached(Step::PlaceReserved);
        // Release: after the space is there.
        side().reserved[tier.index()].store(need as u32, Ordering::Release);
        reached(Step::PlaceRecorded);
        Ok(())
    }

    /// Gives back the places of all values that may be overwritten, except for the newest one.
    #[cold]
    pub(crate) fn give_up_history(self, except: u32) {
        self.reap_holders();
        for (index, _) in self.cells().filter(|&(index, cell)| index != except && has_places(cell)) {
            self.discard(index, Keep::Undelivered, self.context.scrub());
        }
    }

    /// Writes a medium value into a claimed cell, over one of the same length, which leaves nothing
    /// else to do. `false` if it is another case.
    #[inline]
    pub(crate) fn fill_medium_again(self, claim: &mut Claim, cell: &CellHeader, bytes: &[u8]) -> bool {
        let (len, tier) = (bytes.len() as u32, Tier::Medium);
        if cell.residue.load(Ordering::Relaxed) != Residue::only(tier).bits() {
            return false;
        }
        let side = self.slot().cells.side(claim.cell);
        if side.written[tier.index()].load(Ordering::Relaxed) != len
            || side.reserved[tier.index()].load(Ordering::Relaxed) < len
            || !self.is_still_current()
        {
            return false;
        }
        let Some(words) = self.slot().window.words(Places::kept(claim.cell), bytes.len()) else { return false };
        self.sum(claim, bytes);
        words::store(words, bytes);
        reached(Step::BytesWritten);
        cell.len.store(len, Ordering::Relaxed);
        reached(Step::LengthWritten);
        true
    }

    #[inline(never)]
    pub(crate) fn reserve_and_fill_long(self, claim: &mut Claim, bytes: &[u8]) -> Result<(), CommitError> {
        self.reserve_place(claim, bytes.len())?;
        self.fill_long(claim, bytes)
    }

    /// Writes a long value into a claimed cell whose place is reserved for it.
    #[inline]
    pub(crate) fn fill_long(self, claim: &mut Claim, bytes: &[u8]) -> Result<(), CommitError> {
        let cell = self.slot().cells.get(claim.cell);
        let words = self.value_words(claim.cell, cell, bytes.len()).ok_or(CommitError::Unmapped)?;
        self.raise_written(claim.cell, bytes.len());
        self.sum(claim, bytes);
        words::store(words, bytes);
        reached(Step::BytesWritten);
        self.complete_long(claim.cell, bytes.len());
        Ok(())
    }

    /// Records how far bytes are about to be written into the cell's place.
    pub(crate) fn raise_written(self, index: u32, len: usize) {
        let written = &self.slot().cells.side(index).written[Tier::of(len).index()];
        if (written.load(Ordering::Relaxed) as usize) < len {
            // Release: before the bytes, so that the participant that reaps the cell of a crashed
            // writer knows how far it may have written.
            written.store(len as u32, Ordering::Relaxed);
            fence(Ordering::Release);
            reached(Step::WrittenLenRaised);
        }
    }

    /// Writes the length of a long value, and zeroes all else in the cell.
    #[inline]
    pub(crate) fn complete_long(self, index: u32, len: usize) {
        let cell = self.slot().cells.get(index).header;
        cell.len.store(len as u32, Ordering::Relaxed);
        reached(Step::LengthWritten);
        let residue = Residue::from_bits(cell.residue.load(Ordering::Relaxed)).in_use();
        cell.residue.store(residue.bits(), Ordering::Relaxed);
        let tier = Tier::of(len);
        let is_clean = residue == Residue::only(tier) && self.written(index, tier) == len;
        if !is_clean && self.context.host.auto_vacuum() {
            self.scrub_rest(index, len);
        }
    }

    /// How many bytes of the cell's place may be other than zero.
    fn written(self, index: u32, tier: Tier) -> usize {
        self.slot().cells.side(index).written[tier.index()].load(Ordering::Relaxed) as usize
    }

    /// Zeroes all bytes in the cell and its places that do not belong to its value of `len` bytes.
    /// The caller owns the cell, or has pinned it.
    pub(crate) fn scrub_rest(self, index: u32, len: usize) {
        let cell = self.slot().cells.get(index);
        let mut residue = Residue::from_bits(cell.header.residue.load(Ordering::Relaxed));
        let tier = (len > self.slot().cells.inline_len()).then(|| Tier::of(len));
        let inline = if tier.is_none() { len } else { 0 };
        if residue.inline_len() as usize > inline {
            words::zero(cell.words, inline, residue.inline_len() as usize);
            reached(Step::TailZeroed);
            residue = residue.with_inline_len(inline as u32);
            // Release: after the bytes are zeroed. A crash in between must not leave bytes that the
            // length does not cover.
            cell.header.residue.store(residue.bits(), Ordering::Release);
        }
        for other in Tier::ALL.into_iter().filter(|&other| residue.has(other)) {
            self.scrub_place(index, other, if tier == Some(other) { len } else { 0 });
        }
    }

    /// Zeroes the bytes of the cell's place from `len` on.
    fn scrub_place(self, index: u32, tier: Tier, len: usize) {
        let written = &self.slot().cells.side(index).written[tier.index()];
        let end = u64::from(written.load(Ordering::Relaxed)).min(self.reserved(index, tier)) as usize;
        if end > len
            && let Some(words) = self.long_words(self.places().get(tier, index), end)
        {
            words::zero(words, len, end);
            reached(Step::TailZeroed);
            // Release: as above.
            written.store(len as u32, Ordering::Release);
        }
    }

    /// Gives back the space of the cell's places. Returns how many bytes that were. The caller owns
    /// the cell.
    #[cold]
    pub(crate) fn release_places(self, index: u32) -> u64 {
        let cell = self.slot().cells.get(index).header;
        let residue = Residue::from_bits(cell.residue.load(Ordering::Relaxed));
        let side = self.slot().cells.side(index);
        // The shape that the slot has now. It does not change before the cell is free.
        // Acquire: read after the cell became ours.
        let shape = self.slot().header.shape.load(Ordering::Acquire);
        let places = Places::new(Shape::from_bits(shape, self.slot().cells.max()).cells(), self.context.span);
        let reserved = Tier::ALL.map(|tier| self.reserved(index, tier));
        // What is never given back: the start of a medium place, if it was reserved.
        let kept = if self.reserved(index, Tier::Medium) >= KEPT as u64 { KEPT } else { 0 };
        side.reserved[Tier::Medium.index()].store(kept as u32, Ordering::Relaxed);
        side.reserved[Tier::Large.index()].store(0, Ordering::Relaxed);
        side.chain_version.store(0, Ordering::Relaxed);
        // Release: before the space is gone.
        fence(Ordering::Release);
        reached(Step::ReservationErased);
        let mut given_back = 0;
        for tier in Tier::ALL.into_iter().filter(|&tier| residue.has(tier)) {
            let place = places.get(tier, index);
            let written = &side.written[tier.index()];
            let len = written.load(Ordering::Relaxed) as usize;
            let kept = if tier == Tier::Medium { kept } else { 0 };
            let bytes = place.start + kept as u64..place.start + place.capacity;
            if self.context.host.punch(self.slot().index, bytes, len.saturating_sub(kept) as u64) {
                given_back += reserved[tier.index()].saturating_sub(kept as u64);
            }
            let zeroed = len.min(kept);
            if zeroed > 0
                && let Some(words) = self.long_words(place, zeroed)
            {
                words::zero(words, 0, zeroed);
            }
            written.store(0, Ordering::Relaxed);
        }
        reached(Step::PlacesPunched);
        // Release: after all of it is gone.
        cell.residue.store(residue.without_places().bits(), Ordering::Release);
        given_back
    }
}

/// Whether something may be reserved in a place of the cell.
pub(crate) fn has_places(cell: CellView<'_>) -> bool {
    !Residue::from_bits(cell.header.residue.load(Ordering::Relaxed)).is_inline()
}
