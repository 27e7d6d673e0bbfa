//! Where a value is: in its cell, in the cell's page, or in one of the cell's places.
//!
//! | value | is in | read |
//! | --- | --- | --- |
//! | up to the store's inline size | the cell, behind its header | without a pin |
//! | up to 4 KiB, in one of the first cells | the cell's page | without a pin |
//! | longer | a place of the cell, in the extents of the slot (`core::place`) | under a pin, or by a system call |
//!
//! *Short* values are those of the first two rows, *long* ones those of the third. Page and place are
//! reserved before they are written, so that a full memory or disk is an error, and never a signal. A
//! page is not given back, once it is reserved. So a reader may touch it whenever a cell says that it has
//! a value of such a length. A place is given back. So it is read under a pin, which keeps its space; that
//! takes twice as long as a read of a page.
//!
//! Rules:
//!
//! - Only the owner of a cell in the state "writing" reserves its page and its places, writes to them, and
//!   gives places back.
//! - A claim finds the generation of its handle after it has marked the cell (`claim.rs`). From then on the
//!   shape of the key, and so where the places are, stays until the cell is free again. A participant that
//!   empties a cell takes the shape that the slot has then.
//! - The bit of a place in `residue` is set before anything is reserved, and cleared after all of it was
//!   given back. `reserved` is raised after the space is there, and zeroed before it is given back. So
//!   whatever a crashed owner has left is found. The bit of a page is set after the page is reserved.
//! - A free cell has nothing reserved but its page.
//!
//! - **Fast path.** There is space for the value.
//! - **Slow path.** There is not: reserve. There is none: reap crashed participants, give up the places
//!   of history, and try again; for a page, take a cell that has one. Then `NoSpace`.
//!
//! **Crash** after each step:
//!
//! | step | leaves |
//! | --- | --- |
//! | `PageReserved` | a page that the next value of that length uses |
//! | `PlaceMarked` | a cell in the state "writing" whose place may have space: the participant that reaps it gives it back |
//! | `PlaceReserved`, `PlaceRecorded` | the same |

use super::claim::Claim;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::cells::{Cells, PAGE_LEN};
use crate::core::memory::records::{CellHeader, SideRecord};
use crate::core::memory::words::WORD;
use crate::core::place::{Place, Places, Tier};
use crate::core::ring::cell;
use crate::core::ring::error::CommitError;
use crate::core::ring::host::{NoSpace, Unmapped};
use crate::core::ring::ring::Ring;
use crate::core::shape::Shape;
use crate::core::word::Residue;
use crate::kill_points::{Step, reached};
use crate::sync::{AtomicU64, Ordering, fence, real_or_model};

/// Space is reserved in multiples of this.
pub(crate) const GRANULE: u64 = real_or_model(4096, 8) as u64;

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    /// In its cell.
    Inline,
    /// In the cell's page.
    Page,
    /// In a place of the cell.
    Place(Tier),
}

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

    /// Where a value of this length is, in this cell.
    #[inline]
    pub(crate) fn storage(self, index: u32, len: usize) -> Storage {
        if len <= self.slot().cells.inline_len() {
            Storage::Inline
        } else if len <= PAGE_LEN && index < self.slot().cells.pages() {
            Storage::Page
        } else {
            Storage::Place(Tier::of(len))
        }
    }

    /// Whether a value of this length is in a cell or a page, in some of the cells at least.
    pub(crate) fn is_short(self, len: usize) -> bool {
        len <= self.slot().cells.inline_len().max(PAGE_LEN)
    }

    /// The words of a value that is not inline, if it is in a page of which this process knows that the
    /// file has it. They may be touched without a pin: if a cell ever said such a length, its page was
    /// reserved, and it is not given back.
    #[inline]
    pub(crate) fn known_page(self, index: u32, len: usize) -> Option<&'a [AtomicU64]> {
        if len <= PAGE_LEN { self.slot().cells.page(index) } else { None }
    }

    /// The words of a value that can be read without a pin: inline, or in a page that is known.
    #[inline(always)]
    pub(crate) fn short_words(self, index: u32, cell: CellView<'a>, len: usize) -> Option<&'a [AtomicU64]> {
        if len <= cell.words.len() * WORD { Some(cell.words) } else { self.known_page(index, len) }
    }

    /// The words of the cell's page; `None` if it has none, or the file ends before.
    #[inline]
    pub(crate) fn page(self, index: u32) -> Option<&'a [AtomicU64]> {
        self.slot().cells.page(index).or_else(|| self.look_again(|cells| cells.page(index)))
    }

    /// The side record of the cell, which has places; `None` if the file ends before: then somebody has
    /// cut it, or written to the cell.
    #[inline]
    pub(crate) fn side(self, index: u32) -> Option<&'a SideRecord> {
        self.slot().cells.side(index).or_else(|| self.look_again(|cells| cells.side(index)))
    }

    /// The same after the file was looked at, which may have grown.
    #[cold]
    fn look_again<T>(self, get: impl Fn(&Cells<'a>) -> Option<T>) -> Option<T> {
        self.context.host.look_at_file();
        get(&self.slot().cells)
    }

    /// The words of a value of `len` bytes in the cell. The caller owns the cell or has pinned it, and
    /// has found the slot's generation to be the handle's since. `None`: there can be no such value, or
    /// the extents cannot be mapped.
    #[inline]
    pub(crate) fn value_words(self, index: u32, cell: CellView<'a>, len: usize) -> Option<&'a [AtomicU64]> {
        match self.storage(index, len) {
            Storage::Inline => Some(cell.words),
            Storage::Page => self.page(index),
            Storage::Place(tier) => self.place_words(self.places().get(tier, index), len),
        }
    }

    /// Fills `out` from a value in the cell that is not inline, by a system call.
    pub(crate) fn read_unmapped(self, index: u32, out: &mut [u8]) -> bool {
        let (host, slot) = (&self.context.host, self.slot().index);
        match self.storage(index, out.len()) {
            Storage::Inline => false,
            Storage::Page => host.read_page(slot, index, out),
            Storage::Place(tier) => {
                let place = self.places().get(tier, index);
                out.len() as u64 <= place.capacity && host.read(slot, place.start, out)
            }
        }
    }

    /// The cell and the tier of the newest value, if that is long.
    pub(crate) fn newest_place(self) -> Option<(u32, Tier)> {
        let index = self.head().cell().filter(|&index| self.is_reserved(index))?;
        match self.storage(index, cell::len(self.slot().cells.get(index))) {
            Storage::Place(tier) => Some((index, tier)),
            Storage::Inline | Storage::Page => None,
        }
    }

    /// The cells whose pages are reserved.
    pub(crate) fn cells_with_pages(self) -> impl Iterator<Item = u32> {
        let pages = self.slot().cells.pages();
        let cells = self.cells().filter(move |&(index, cell)| index < pages && Residue::of(cell.header).has_page());
        cells.map(|(index, _)| index)
    }

    /// The words of a long value of `len` bytes in a place.
    #[inline]
    pub(super) fn place_words(self, place: Place, len: usize) -> Option<&'a [AtomicU64]> {
        if len as u64 > place.capacity {
            return None;
        }
        self.slot().window.words(place.start, len).or_else(|| self.map_words(place.start, len))
    }

    #[cold]
    fn map_words(self, start: u64, len: usize) -> Option<&'a [AtomicU64]> {
        self.context.host.extents(self.slot().index, start + len as u64).ok()?.words(start, len)
    }

    /// Why a value cannot be accessed in place.
    #[cold]
    pub(crate) fn unmapped(self, index: u32, len: usize) -> CommitError {
        CommitError::Unmapped(match self.storage(index, len) {
            Storage::Inline | Storage::Page => Some(Unmapped::Truncated),
            Storage::Place(tier) => {
                let end = self.places().get(tier, index).start + len as u64;
                self.context.host.extents(self.slot().index, end).err()
            }
        })
    }

    /// How many bytes of the cell's place are reserved, if it has one.
    pub(crate) fn reserved(self, index: u32, tier: Tier) -> u64 {
        self.side(index).map_or(0, |side| side.reserved[tier.index()].load(Ordering::Relaxed).into())
    }

    /// Whether the slot still has the handle's key, for the owner of a cell: then it keeps its shape
    /// until the cell is released. `total_order` was called since the claim.
    #[inline(always)]
    pub(crate) fn is_still_current(self) -> bool {
        // SeqCst: the claim, a SeqCst access, comes before. Pairs with the process that removes the
        // key, which changes the generation and then reads the cells (`clear`, `is_free`). One of the
        // two sees the other.
        self.slot().header.generation.load(Ordering::SeqCst) == self.handle.generation()
    }

    /// Reserves what a value of `len` bytes needs in a claimed cell.
    #[inline]
    pub(crate) fn reserve_storage(self, claim: &Claim, len: usize) -> Result<(), CommitError> {
        let index = claim.cell;
        let cell = self.slot().cells.get(index).header;
        let seen = Residue::of(cell);
        match self.storage(index, len) {
            Storage::Inline => Ok(()),
            Storage::Page if seen.has_page() => Ok(()),
            Storage::Page => self.reserve_page(index, cell),
            Storage::Place(tier) if seen.has(tier) && self.reserved(index, tier) >= len as u64 => Ok(()),
            Storage::Place(tier) => self.reserve_place(index, tier, len, cell),
        }
    }

    fn reserve_or_give_up_history(
        self,
        index: u32,
        reserve: impl Fn() -> Result<(), NoSpace>,
    ) -> Result<(), CommitError> {
        if reserve().is_err() {
            self.give_up_history(index);
            reserve().map_err(CommitError::NoSpace)?;
        }
        Ok(())
    }

    #[cold]
    fn reserve_page(self, index: u32, cell: &CellHeader) -> Result<(), CommitError> {
        self.reserve_or_give_up_history(index, || self.context.host.reserve_page(self.slot().index, index))?;
        reached(Step::PageReserved);
        // Release: after the space is there. Nobody else writes the word: the cell is ours.
        cell.residue.store(Residue::of(cell).with_page().bits(), Ordering::Release);
        Ok(())
    }

    #[cold]
    fn reserve_place(self, index: u32, tier: Tier, len: usize, cell: &CellHeader) -> Result<(), CommitError> {
        let (host, slot, place) = (&self.context.host, self.slot().index, self.places().get(tier, index));
        let max = self.max_len();
        if len as u64 > place.capacity {
            return Err(CommitError::TooLarge { len, max });
        }
        let seen = Residue::of(cell);
        if !seen.has_places() {
            self.reserve_or_give_up_history(index, || host.reserve_side(slot, index))?;
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
        if have == 0
            && let Some(written) = self.side(index).map(|side| &side.written[tier.index()])
            && let dirty @ 1.. = written.load(Ordering::Relaxed)
        {
            // Who gave the place back has crashed before it was done.
            host.punch(slot, place.start..place.start + place.capacity, dirty.into());
            written.store(0, Ordering::Relaxed);
        }
        let bytes = place.start + have..place.start + need;
        self.reserve_or_give_up_history(index, || host.reserve(slot, bytes.clone()))?;
        reached(Step::PlaceReserved);
        if let Some(side) = self.side(index) {
            // Release: after the space is there.
            side.reserved[tier.index()].store(need as u32, Ordering::Release);
        }
        reached(Step::PlaceRecorded);
        Ok(())
    }

    /// Gives back the space of the cell's places. Returns how many bytes that were. The caller owns
    /// the cell.
    #[cold]
    pub(crate) fn release_places(self, index: u32) -> u64 {
        let cell = self.slot().cells.get(index).header;
        let residue = Residue::of(cell);
        if !residue.has_places() {
            return 0;
        }
        let side = self.side(index);
        // The shape that the slot has now. It does not change before the cell is free.
        // Acquire: read after the cell became ours.
        let shape = self.slot().header.shape.load(Ordering::Acquire);
        let places = Places::new(Shape::from_bits(shape, self.slot().cells.max()).cells(), self.context.span);
        let reserved = Tier::ALL.map(|tier| self.reserved(index, tier));
        if let Some(side) = side {
            side.reserved.iter().for_each(|reserved| reserved.store(0, Ordering::Relaxed));
            side.chain_version.store(0, Ordering::Relaxed);
        }
        // Release: before the space is gone.
        fence(Ordering::Release);
        reached(Step::ReservationErased);
        let mut given_back = 0;
        for tier in Tier::ALL.into_iter().filter(|&tier| residue.has(tier)) {
            let Place { start, capacity, .. } = places.get(tier, index);
            let written = side.map(|side| &side.written[tier.index()]);
            let dirty = written.map_or(capacity, |written| written.load(Ordering::Relaxed).into());
            if self.context.host.punch(self.slot().index, start..start + capacity, dirty) {
                given_back += reserved[tier.index()];
            }
            written.inspect(|written| written.store(0, Ordering::Relaxed));
        }
        reached(Step::PlacesPunched);
        // Release: after all of it is gone.
        cell.residue.store(residue.without_places().bits(), Ordering::Release);
        given_back
    }
}

/// Whether something may be reserved in a place of the cell.
pub(crate) fn has_places(cell: CellView<'_>) -> bool {
    Residue::of(cell.header).has_places()
}
