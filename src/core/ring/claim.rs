//! Step one of publishing: to find a cell that may be overwritten, and make it ours alone.

use std::iter;

use super::cell::{self, pinned};
use super::context::Scrub;
use super::error::Backpressure;
use super::low_water::ComputedLowWater;
use super::retention::Keep;
use super::ring::Ring;
use crate::core::word::{FRESH, Head, MAX_VERSION, Seq};
use crate::kill_points::{Step, reached};
use crate::sync::{Ordering, fence, pause, real_or_model, total_order, yield_now};

/// A cell that nobody else reads or writes until it is committed or released.
#[must_use = "a claimed cell is lost to the slot until it is committed or released"]
pub(crate) struct Claim {
    pub(crate) cell: u32,
    /// The word that its `seq` has meanwhile: writing.
    pub(crate) mark: u64,
    /// The checksum of the bytes that were filled in, where cells carry one.
    pub(crate) sum: u32,
}

/// Why a cell was not taken.
pub(crate) enum Refused {
    /// It is kept, pinned, or in somebody's hands: nothing was changed.
    AtFirstSight,
    /// Somebody wanted it after it was marked; the mark was taken off again.
    Afterwards,
}

impl Claim {
    /// A cell in which a dead one has left half a value: to be released, and not committed.
    pub(crate) fn inherited(cell: u32, mark: u64) -> Self {
        Self { cell, mark, sum: 0 }
    }

    /// Which cell it is.
    pub(crate) fn cell(&self) -> u32 {
        self.cell
    }
}

/// What keeps a publisher from the cells of a slot, beside the newest value.
struct InTheWay {
    /// Cells in the hands of writers, or on loan.
    writers: bool,
    /// Values that are pinned, or that somebody is still to receive.
    readers: bool,
}

/// How often a writer that found every cell in somebody's hands lets the others run before it gives up. Those who are
/// on their way through a publish are done in microseconds; this many rounds are some tens of milliseconds.
const CLAIM_ROUNDS: usize = real_or_model(512, 2);
/// From this round on it sleeps between looks, so that a writer on this core gets its turn.
const FIRST_SLEEP: usize = 64;

impl<'a> Ring<'a> {
    /// Takes the cell that is next in turn after that of a `head` which may be an older one by now.
    #[inline]
    pub(crate) fn claim_after(self, head: Head) -> Option<Claim> {
        let next = self.after(head.cell()?);
        self.claimed(next, self.take_knowing(next, Keep::History, Some(head), None))
    }

    /// Takes a cell: one that is not needed if there is one; else one that the dead left behind; else the oldest value.
    #[inline]
    pub(crate) fn claim(self) -> Result<Claim, Backpressure> {
        // The cell that is next in turn is nearly always free to take.
        let next = self.next_in_turn();
        self.try_claim(next, Keep::History).map_or_else(|| self.claim_another(next), Ok)
    }

    #[cold]
    fn claim_another(self, refused: u32) -> Result<Claim, Backpressure> {
        let (mut index, computed) = (refused, ComputedLowWater::default());
        // Twice around: others move on meanwhile. Readers let go in turn, too: what was free later is not taken before what is free by now,
        // so that versions stay where they are looked for.
        for _ in 0..2 * self.slot().cells.count() {
            index = self.after(index);
            for index in [refused, index] {
                if let Some(claim) = self.claimed(index, self.take(index, Keep::History, Some(&computed))) {
                    return Ok(claim);
                }
            }
        }
        self.claim_under_pressure()
    }

    /// All cells, from the one that is next in turn on.
    fn in_turn(self) -> impl Iterator<Item = u32> {
        let count = self.slot().cells.count() as usize;
        iter::successors(Some(self.next_in_turn()), move |&index| Some(self.after(index))).take(count)
    }

    /// The cell behind that of the newest value: a writer that is alone goes round the ring, and overwrites the oldest value first.
    #[inline]
    pub(crate) fn next_in_turn(self) -> u32 {
        self.head().cell().map_or(0, |newest| self.after(newest))
    }

    #[inline]
    pub(crate) fn after(self, index: u32) -> u32 {
        self.context.permutation.after(index)
    }

    #[cold]
    fn claim_under_pressure(self) -> Result<Claim, Backpressure> {
        for round in 0..CLAIM_ROUNDS {
            // To ask who is dead is a system call each.
            if round == 0 || round >= FIRST_SLEEP {
                self.reap_holders();
            }
            // Once in a round: cursors move on meanwhile.
            let computed = ComputedLowWater::default();
            for index in self.in_turn() {
                if let Some(claim) = self.claimed(index, self.take(index, Keep::History, Some(&computed))) {
                    return Ok(claim);
                }
            }
            if let Some(index) = self.oldest_unprotected(&computed)
                && let Some(claim) = self.try_claim(index, Keep::Undelivered)
            {
                return Ok(claim);
            }
            // Writers are done in a moment, unless they are stopped, or have the cell on loan. Who reads or is to receive may take
            // any time: that is for the publisher to wait for, or not.
            match self.in_the_way(&computed) {
                InTheWay { writers: false, .. } => break,
                InTheWay { readers: true, .. } if round >= FIRST_SLEEP => break,
                _ if round < FIRST_SLEEP => yield_now(),
                _ => pause(),
            }
        }
        Err(Backpressure(self.count_cells()))
    }

    fn in_the_way(self, computed: &ComputedLowWater) -> InTheWay {
        let mut found = InTheWay { writers: false, readers: false };
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

    /// A number of this slot that no mark on a cell ever had.
    #[cold]
    pub(crate) fn fresh_ticket(self) -> u64 {
        // Relaxed: a ticket only has to be taken once.
        FRESH | self.slot().header.tickets.fetch_add(1, Ordering::Relaxed) & MAX_VERSION
    }

    /// The oldest value that a writer in need may overwrite: not the newest, not pinned, and nobody is still to receive it.
    pub(crate) fn oldest_unprotected(self, computed: &ComputedLowWater) -> Option<u32> {
        let oldest = self.cells().filter_map(|(index, cell)| {
            let Seq::Committed { version } = Seq::from_bits(cell.header.seq.load(Ordering::Acquire)) else {
                return None;
            };
            let wanted = self.is_protected(cell.header, version, Keep::Undelivered, Some(computed));
            (self.head().cell() != Some(index) && !wanted).then_some((version, index))
        });
        oldest.min().map(|(_, index)| index)
    }

    #[inline]
    pub(crate) fn try_claim(self, index: u32, keep: Keep) -> Option<Claim> {
        self.claimed(index, self.take(index, keep, None))
    }

    #[inline]
    fn claimed(self, index: u32, outcome: Result<Claim, Refused>) -> Option<Claim> {
        match outcome {
            Ok(claim) => Some(claim),
            Err(Refused::AtFirstSight) => None,
            Err(Refused::Afterwards) => {
                // While we were at it, whoever pinned the cell may have let go, seen our mark, and left to us what it does then.
                self.discard_if_retired(index);
                None
            }
        }
    }

    /// Marks a cell as ours, unless it is to be kept.
    #[inline(never)]
    pub(crate) fn take(self, index: u32, keep: Keep, computed: Option<&ComputedLowWater>) -> Result<Claim, Refused> {
        self.take_knowing(index, keep, None, computed)
    }

    /// As [`take`](Self::take).
    ///
    /// Instead of looking at `head`, it may be told one that it has been. While at least one value is kept as history, that is enough: a cell
    /// that may be taken going by an older `head` is neither the newest one's nor kept going by the present one.
    #[inline(always)]
    fn take_knowing(
        self,
        index: u32,
        keep: Keep,
        known: Option<Head>,
        computed: Option<&ComputedLowWater>,
    ) -> Result<Claim, Refused> {
        let cell = self.slot().cells.get(index).header;
        // Acquire, so that `head` is read after it: a cell that is whole by now was published before, and a `head` read
        // later cannot be older than that.
        let seen = cell.seq.load(Ordering::Acquire);
        let Seq::Committed { version } = Seq::from_bits(seen) else {
            return Err(Refused::AtFirstSight);
        };
        if self.must_stay(index, version, known.unwrap_or_else(|| self.head()), keep)
            || self.is_protected(cell, version, keep, computed)
        {
            return Err(Refused::AtFirstSight);
        }
        let claiming = Seq::Claimed { version, participant: self.context.me };
        // SeqCst: pairs with the pins in `pin_newest`, and with `register` and `declare_queue`. We change `seq`, then look who wants the
        // value; the pinner sets its bit, then reads `seq`: in their one total order, whoever comes second sees the other.
        if cell.seq.compare_exchange(seen, claiming.bits(), Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return Err(Refused::AtFirstSight);
        }
        reached(Step::CellClaimed);
        total_order();
        if self.is_protected(cell, version, keep, computed) {
            // The value is readable again as if nothing had happened, and nothing has.
            // SeqCst: pairs with `unpin`; see `discard_if_retired`.
            cell.seq.store(seen, Ordering::SeqCst);
            reached(Step::ClaimWithdrawn);
            return Err(Refused::Afterwards);
        }
        // The version is that of this cell only once.
        let ticket = if version > 0 { version } else { self.fresh_ticket() };
        let mark = Seq::Writing { ticket, participant: self.context.me }.bits();
        // Release: pairs with the acquire in `stamp`; who sees this mark and then finds `head` at this cell sees the move of
        // `head` that came after the mark, not one before.
        cell.seq.store(mark, Ordering::Release);
        // Release: pairs with the acquire fence in `copy`; a reader that meets a byte written after this one finds
        // the mark when it looks at `seq` again.
        fence(Ordering::Release);
        reached(Step::CellWriting);
        Ok(Claim { cell: index, mark, sum: 0 })
    }

    /// Gives a claimed cell back, empty.
    #[cold]
    pub(crate) fn abandon(self, claim: Claim) {
        self.abandon_scrubbed(claim, self.context.scrub());
    }

    pub(crate) fn abandon_scrubbed(self, claim: Claim, scrub: Scrub) {
        let cell = self.slot().cells.get(claim.cell);
        cell::empty(cell, scrub);
        reached(Step::CellEmptied);
        // SeqCst: whoever claims the cell next finds it as we left it, and pairs with who waits for room. Nobody but us changes a
        // private word of ours.
        cell.header.seq.store(Seq::Committed { version: 0 }.bits(), Ordering::SeqCst);
        reached(Step::CellAbandoned);
        self.notify(self.not_full());
    }
}
