//! Claiming: the first step of publishing. Find a cell that may be overwritten, and become its
//! owner.
//!
//! A claim is announced, then checked, as in Dekker's algorithm: compare-and-swap `seq` from
//! committed to claimed, then read the pins, cursors and flushes again. A reader announces itself,
//! then reads `seq`. In the one total order of SeqCst accesses, one of the two sees the other. If
//! the value is pinned or retained after all, the claim is withdrawn; the value was readable all
//! the time. The claim is also withdrawn if the slot does not have the key of the handle any more: then
//! the value may belong to another key.
//!
//! - **Fast path.** The cell after the newest value's is free to claim, as it nearly always is for
//!   a single writer.
//! - **Slow path.** Two passes over all cells. Then, while other writers own cells, rounds of
//!   reaping, of overwriting history, and of letting those writers run, for some tens of
//!   milliseconds. Then [`ClaimError::Backpressure`].
//!
//! **Crash** after each step:
//!
//! | step | leaves |
//! | --- | --- |
//! | `CellChosen` | nothing |
//! | `CellClaimed` | a value that is whole and readable, and cannot be claimed until the claim is reaped |
//! | `ClaimWithdrawn` | possibly a retired value that nobody discarded: the next reap does |
//! | `CellsReserved` | space that the next writer uses |
//! | `CellWriting`, `CellEmptied` | a cell that is not readable: the participant that reaps it empties and frees it |
//! | `CellAbandoned` | publishers asleep that could go on; they check again after a tenth of a second |

use std::iter;

use crate::core::memory::cell_view::CellView;
use crate::core::memory::records::CellHeader;
use crate::core::ring::cell::pinned;
use crate::core::ring::context::Scrub;
use crate::core::ring::delivering::low_water::ComputedLowWater;
use crate::core::ring::error::ClaimError;
use crate::core::ring::host::NoSpace;
use crate::core::ring::permutation::BLOCK;
use crate::core::ring::retaining::retention::Keep;
use crate::core::ring::ring::Ring;
use crate::core::word::{FRESH_TICKET, Head, MAX_VERSION, Seq};
use crate::kill_points::{Step, reached};
use crate::sync::{Ordering, fence, pause, real_or_model, total_order, yield_now};

/// A cell that no other participant reads or writes until it is committed or abandoned.
#[must_use = "a claimed cell is lost to the slot until it is committed or released"]
pub(crate) struct Claim {
    pub(crate) cell: u32,
    /// The cell's `seq` meanwhile: writing.
    pub(crate) mark: u64,
    /// The checksum of the bytes that were written, where cells carry one.
    pub(crate) sum: u32,
}

/// Why a cell was not claimed.
pub(crate) enum Refused {
    /// It is retained, pinned, or owned by a writer. Nothing was changed.
    BeforeClaim,
    /// It was found pinned or retained after the claim; the claim was withdrawn.
    AfterClaim,
    /// The slot has another key than the handle; the claim was withdrawn.
    OfAnotherKey,
}

impl Claim {
    /// A cell in which a crashed writer has left part of a value. It is to be abandoned, not
    /// committed.
    pub(crate) fn inherited(cell: u32, mark: u64) -> Self {
        Self { cell, mark, sum: 0 }
    }

    /// The version that the cell held when it was claimed, if it held one.
    pub(crate) fn held_version(&self) -> Option<u64> {
        match Seq::from_bits(self.mark) {
            Seq::Writing { ticket, .. } => Some(ticket).filter(|&ticket| ticket < FRESH_TICKET),
            _ => None,
        }
    }
}

/// What keeps a publisher from the cells of a slot, beside the newest value.
struct Obstacles {
    /// Cells that writers own, or that are on loan.
    writers: bool,
    /// Values that are pinned or undelivered.
    readers: bool,
}

/// How often a writer that found no cell lets the owners of cells run before it gives up. A publish
/// takes microseconds; this many rounds take some tens of milliseconds.
const CLAIM_ROUNDS: usize = real_or_model(512, 2);
/// From this round on it sleeps between rounds, so that a writer on the same core runs.
const FIRST_SLEEP: usize = 64;

impl<'a> Ring<'a> {
    /// Claims the cell after that of `head`, which may be an old one by now.
    #[inline]
    pub(crate) fn claim_after(self, head: Head) -> Option<(Claim, CellView<'a>)> {
        let next = Some(self.after(head.cell()?)).filter(|&next| self.handle.knows_cell(next))?;
        let cell = self.slot().cells.get(next);
        let outcome = self.claim_cell_knowing_head(next, cell.header, Keep::History, Some(head), None);
        Some((self.claimed(next, outcome).ok()??, cell))
    }

    /// Claims a cell: one that is not needed, if there is one; else one that a crashed participant
    /// has left; else that of the oldest value.
    #[inline]
    pub(crate) fn claim(self) -> Result<Claim, ClaimError> {
        // The cell that is next in turn can nearly always be claimed.
        let next = self.next_in_turn();
        if self.handle.knows_cell(next)
            && let Some(claim) = self.try_claim(next, Keep::History)?
        {
            return Ok(claim);
        }
        self.claim_another(next)
    }

    #[cold]
    fn claim_another(self, refused: u32) -> Result<Claim, ClaimError> {
        let reserved = self.reserve_up_to(refused)?;
        // 0 only if another program writes to the number.
        let refused = refused.min(reserved.saturating_sub(1));
        let (mut index, computed) = (refused, ComputedLowWater::default());
        // Two passes: other participants make progress meanwhile. Readers unpin in the same order.
        // So the cell that was refused first is tried again before each later one, and versions
        // stay where readers expect them.
        for _ in 0..2 * self.handle.shape().cells() {
            index = self.after(index);
            for index in [refused, index] {
                if let Some(claim) = self.claimed(index, self.claim_cell(index, Keep::History, Some(&computed)))? {
                    return Ok(claim);
                }
            }
        }
        if reserved < self.handle.shape().cells() && self.reserve_up_to(reserved)? > reserved {
            return self.claim_another(reserved);
        }
        self.claim_under_pressure()
    }

    /// Reserves the ring up to this cell, if there is space, and returns how many cells are
    /// reserved: at least one.
    ///
    /// A key that is set once needs one page. From the second value on, its ring is reserved in
    /// blocks of the permutation, so that cells are used in its order from the start.
    #[cold]
    pub(crate) fn reserve_up_to(self, index: u32) -> Result<u32, ClaimError> {
        let (reserved, cells) = (self.reserved_cells(), self.handle.shape().cells());
        if index < reserved || reserved >= cells {
            return Ok(reserved);
        }
        let to = if index == 0 { 1 } else { (index / BLOCK + 1).saturating_mul(BLOCK).min(cells) };
        match self.reserve_cells(reserved, to).or_else(|_| self.reserve_cells(reserved, reserved + 1)) {
            Ok(reserved) => Ok(reserved),
            // The writer does with the cells that there are.
            Err(_) if reserved > 0 => Ok(reserved),
            Err(space) => Err(ClaimError::NoSpace(space)),
        }
    }

    /// Reserves another cell, if the key has more. Returns whether it has.
    #[cold]
    fn reserve_another(self) -> Result<bool, ClaimError> {
        let reserved = self.reserved_cells();
        if reserved >= self.handle.shape().cells() {
            return Ok(false);
        }
        self.reserve_cells(reserved, reserved + 1).map_err(ClaimError::NoSpace)?;
        Ok(true)
    }

    fn reserve_cells(self, from: u32, to: u32) -> Result<u32, NoSpace> {
        self.context.host.reserve_cells(self.slot().index, from..to)?;
        // SeqCst: the space is there before others see the number; and the process that removes the
        // key loads the number after it has changed the generation, so that it finds every cell that a
        // late writer has claimed.
        self.slot().header.cells_reserved.fetch_max(to, Ordering::SeqCst);
        reached(Step::CellsReserved);
        Ok(self.reserved_cells())
    }

    /// All cells, beginning with the one that is next in turn.
    fn in_turn(self) -> impl Iterator<Item = u32> {
        let count = self.handle.shape().cells() as usize;
        iter::successors(Some(self.next_in_turn()), move |&index| Some(self.after(index))).take(count)
    }

    /// The cell after that of the newest value. A single writer goes round the ring and overwrites
    /// the oldest value first.
    #[inline]
    pub(crate) fn next_in_turn(self) -> u32 {
        self.head().cell().map_or(0, |newest| self.after(newest))
    }

    #[inline]
    pub(crate) fn after(self, index: u32) -> u32 {
        self.handle.permutation().after(index)
    }

    #[cold]
    fn claim_under_pressure(self) -> Result<Claim, ClaimError> {
        loop {
            if let Some(claim) = self.claim_within_rounds()? {
                return Ok(claim);
            }
            let cells = self.count_cells();
            // Nobody holds a cell: there would be more of them if there was space.
            let is_short_of_space = cells.retained + cells.pinned + cells.in_flight + cells.flushed == 0;
            if !is_short_of_space || !self.reserve_another()? {
                return Err(ClaimError::Backpressure(cells));
            }
        }
    }

    fn claim_within_rounds(self) -> Result<Option<Claim>, ClaimError> {
        for round in 0..CLAIM_ROUNDS {
            if !self.is_current() {
                return Err(ClaimError::Removed);
            }
            // Finding out whether a participant has crashed is a system call each.
            if round == 0 || round >= FIRST_SLEEP {
                self.reap_holders();
            }
            // Computed once in a round: cursors move on meanwhile.
            let computed = ComputedLowWater::default();
            for index in self.in_turn() {
                if let Some(claim) = self.claimed(index, self.claim_cell(index, Keep::History, Some(&computed)))? {
                    return Ok(Some(claim));
                }
            }
            if let Some(index) = self.oldest_unprotected(&computed)
                && let Some(claim) = self.try_claim(index, Keep::Undelivered)?
            {
                return Ok(Some(claim));
            }
            // A writer finishes in a moment, unless it is stopped, or has the cell on loan. Readers
            // may take any time: the publisher decides whether to wait for them.
            match self.obstacles(&computed) {
                Obstacles { writers: false, .. } => break,
                Obstacles { readers: true, .. } if round >= FIRST_SLEEP => break,
                _ if round < FIRST_SLEEP => yield_now(),
                _ => pause(),
            }
        }
        Ok(None)
    }

    fn obstacles(self, computed: &ComputedLowWater) -> Obstacles {
        let mut found = Obstacles { writers: false, readers: false };
        for (_, cell) in self.cells() {
            match Seq::from_bits(cell.header.seq.load(Ordering::Acquire)) {
                Seq::Committed { version } => {
                    found.readers |= pinned(cell.header) || self.is_undelivered(cell.header, version, Some(computed));
                }
                Seq::Claimed { .. } | Seq::Writing { .. } => found.writers = true,
            }
        }
        found
    }

    /// A ticket that no `seq` of this slot ever had.
    #[cold]
    pub(crate) fn fresh_ticket(self) -> u64 {
        // Relaxed: a ticket only has to be unique.
        FRESH_TICKET | self.slot().header.next_ticket.fetch_add(1, Ordering::Relaxed) & MAX_VERSION
    }

    /// The cell of the oldest value that a writer without free cells may overwrite: not the newest,
    /// not pinned, not retained.
    pub(crate) fn oldest_unprotected(self, computed: &ComputedLowWater) -> Option<u32> {
        let cells = self.handle.shape().cells();
        let oldest = self.cells().filter(|&(index, _)| index < cells).filter_map(|(index, cell)| {
            let Seq::Committed { version } = Seq::from_bits(cell.header.seq.load(Ordering::Acquire)) else {
                return None;
            };
            let is_protected = self.is_protected(cell.header, version, Keep::Undelivered, Some(computed));
            (self.head().cell() != Some(index) && !is_protected).then_some((version, index))
        });
        oldest.min().map(|(_, index)| index)
    }

    #[inline]
    pub(crate) fn try_claim(self, index: u32, keep: Keep) -> Result<Option<Claim>, ClaimError> {
        self.claimed(index, self.claim_cell(index, keep, None))
    }

    #[inline]
    fn claimed(self, index: u32, outcome: Result<Claim, Refused>) -> Result<Option<Claim>, ClaimError> {
        match outcome {
            Ok(claim) => Ok(Some(claim)),
            Err(Refused::BeforeClaim) => Ok(None),
            Err(Refused::AfterClaim) => {
                // Meanwhile the reader may have unpinned the cell, seen our claim, and left the
                // retired value to us.
                self.discard_if_retired(index);
                Ok(None)
            }
            Err(Refused::OfAnotherKey) => {
                // The process that removed the key may have seen our claim.
                self.discard_if_retired(index);
                Err(ClaimError::Removed)
            }
        }
    }

    /// Claims a cell, unless `keep`, a pin or retention spares it.
    #[inline(never)]
    pub(crate) fn claim_cell(
        self,
        index: u32,
        keep: Keep,
        computed: Option<&ComputedLowWater>,
    ) -> Result<Claim, Refused> {
        if !self.is_reserved(index) {
            return Err(Refused::BeforeClaim);
        }
        self.claim_cell_knowing_head(index, self.slot().cells.get(index).header, keep, None, computed)
    }

    /// As [`claim_cell`](Self::claim_cell), but with a `head` that the caller knows, which may be an old one.
    ///
    /// That is enough while at least one value is history: a cell that may be claimed by an old
    /// `head` is neither the newest value's nor spared by the present `head`.
    #[inline(always)]
    fn claim_cell_knowing_head(
        self,
        index: u32,
        cell: &CellHeader,
        keep: Keep,
        known: Option<Head>,
        computed: Option<&ComputedLowWater>,
    ) -> Result<Claim, Refused> {
        let (_, version) = self.mark_claimed(index, cell, keep, known, computed)?;
        // A cell holds a version only once, so the version serves as ticket.
        let ticket = if version > 0 { version } else { self.fresh_ticket() };
        let mark = Seq::Writing { ticket, participant: self.context.me }.bits();
        // Release: pairs with the acquire in `help_commit`; a helper that sees this mark and then
        // finds `head` at this cell sees the move of `head` that came after the mark, not one
        // before it.
        cell.seq.store(mark, Ordering::Release);
        // Release: pairs with the acquire fence in `Ring::copy`; a reader that copies a byte
        // written after this fence finds the mark when it reads `seq` again.
        fence(Ordering::Release);
        reached(Step::CellWriting);
        Ok(Claim { cell: index, mark, sum: 0 })
    }

    /// Marks a cell as claimed, which leaves its value readable. Returns what `seq` was, and the version.
    #[inline(always)]
    pub(crate) fn mark_claimed(
        self,
        index: u32,
        cell: &CellHeader,
        keep: Keep,
        known: Option<Head>,
        computed: Option<&ComputedLowWater>,
    ) -> Result<(u64, u64), Refused> {
        // Acquire: pairs with the release of `seq` in `commit_cell` and `help_commit`. `head`
        // is read after it: the value of a committed cell was published before, and a `head` that
        // is read later is not older than that.
        let seen = cell.seq.load(Ordering::Acquire);
        let Seq::Committed { version } = Seq::from_bits(seen) else {
            return Err(Refused::BeforeClaim);
        };
        if self.must_stay(index, version, known.unwrap_or_else(|| self.head()), keep)
            || self.is_protected(cell, version, keep, computed)
        {
            return Err(Refused::BeforeClaim);
        }
        reached(Step::CellChosen);
        let claimed = Seq::Claimed { version, participant: self.context.me };
        // SeqCst: pairs with the pins in `pin_newest`, and with `register`, `declare_queue` and
        // `begin_flush`. We change `seq`, then read pins, cursors and flushes; a reader sets its
        // pin, then reads `seq`. In their one total order, the second one sees the first.
        if cell.seq.compare_exchange(seen, claimed.bits(), Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return Err(Refused::BeforeClaim);
        }
        reached(Step::CellClaimed);
        total_order();
        let is_ours = !keep.respects_retention() || self.is_still_current();
        if !is_ours || self.is_protected(cell, version, keep, computed) {
            withdraw(cell, seen);
            return Err(if is_ours { Refused::AfterClaim } else { Refused::OfAnotherKey });
        }
        Ok((seen, version))
    }

    /// Frees a cell that we own, without publishing it.
    #[cold]
    pub(crate) fn abandon(self, claim: Claim) {
        self.abandon_scrubbed(claim, self.context.scrub());
    }

    pub(crate) fn abandon_scrubbed(self, claim: Claim, scrub: Scrub) {
        self.empty(claim.cell, scrub);
        reached(Step::CellEmptied);
        let cell = self.slot().cells.get(claim.cell);
        // SeqCst: pairs with the claim of the next writer, which finds the cell as we left it, and
        // with `Event::listen`. A store: nobody else changes our writing word, because `head` does
        // not name the cell.
        cell.header.seq.store(Seq::Committed { version: 0 }.bits(), Ordering::SeqCst);
        reached(Step::CellAbandoned);
        self.notify(self.not_full());
    }
}

/// Withdraws a claim: `seq` is again what it was. Nothing of the value was touched.
#[inline(always)]
pub(crate) fn withdraw(cell: &CellHeader, seen: u64) {
    // SeqCst: pairs with `unpin`; see `discard_if_retired`.
    cell.seq.store(seen, Ordering::SeqCst);
    reached(Step::ClaimWithdrawn);
}
