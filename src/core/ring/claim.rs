//! Step one of publishing: to find a cell that may be overwritten, and make it ours alone.

use std::iter;

use super::low_water::ComputedLowWater;
use super::reap::Reaper;
use super::{Head, Ring, Scrub, Seq, read};
use crate::kill_points::{Step, reached};
use crate::core::memory::records::CellHeader;
use crate::core::memory::view::CellView;
use crate::core::memory::words;
use crate::core::cell_counts::CellCounts;
use crate::core::word::{FRESH, MAX_VERSION};
use crate::sync::{AtomicU64, Ordering, fence, total_order, yield_now};

/// A cell that nobody else reads or writes until it is committed or released.
#[must_use = "a claimed cell is lost to the slot until it is committed or released"]
pub(crate) struct Claim {
    pub(super) cell: u32,
    /// How often values had been made obsolete before.
    pub(super) retire_epoch: u64,
    /// The checksum of the bytes that were filled in, where cells carry one.
    pub(super) sum: u32,
}

/// Every cell but the newest is pinned, is still to be received, or is held by a writer who does not go on: this is how they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backpressure(pub(crate) CellCounts);

/// What is left standing when somebody looks for a cell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// The newest `history` values, and what somebody is still to receive.
    History,
    /// The newest value, and what somebody is still to receive.
    Owed,
    /// The newest value, and all later than this version. For values that nobody can receive any more.
    After(u64),
}

/// Why a cell was not taken.
enum Refused {
    /// It is kept, pinned, or in somebody's hands: nothing was changed.
    AtFirstSight,
    /// Somebody wanted it after it was marked; the mark was taken off again.
    Afterwards,
}

impl Claim {
    /// A cell in which a dead one has left half a value: to be released, and not committed.
    pub(super) fn inherited(cell: u32) -> Self {
        Self { cell, retire_epoch: 0, sum: 0 }
    }

    /// Which cell it is.
    #[cfg(not(loom))]
    pub(crate) fn cell(&self) -> u32 {
        self.cell
    }
}

impl Keep {
    #[inline(always)]
    fn respects_retention(self) -> bool {
        !matches!(self, Self::After(_))
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
const CLAIM_ROUNDS: u32 = if cfg!(loom) { 2 } else { 512 };
/// From this round on it sleeps between looks, so that a writer on this core gets its turn.
const FIRST_SLEEP: u32 = 64;

/// How often writers that have published are let run until they let go of their cells, which takes nanoseconds, before that is left to them.
const RELEASE_ROUNDS: u32 = if cfg!(loom) { 0 } else { 64 };

impl<'a> Ring<'a> {
    /// Takes the cell that is next in turn after that of a `head` which may be an older one by now.
    #[inline]
    pub(super) fn claim_after(self, head: Head) -> Option<Claim> {
        let next = self.after(head.cell()?);
        self.claimed(next, self.take_knowing(next, Keep::History, Some(head), None))
    }

    /// Takes a cell: one that is not needed if there is one; else one that the dead left behind; else the oldest value.
    #[inline]
    pub(crate) fn claim(self, reaper: &impl Reaper) -> Result<Claim, Backpressure> {
        // The cell that is next in turn is nearly always free to take.
        let next = self.next_in_turn();
        self.try_claim(next, Keep::History).map_or_else(|| self.claim_another(next, reaper), Ok)
    }

    #[cold]
    fn claim_another(self, refused: u32, reaper: &impl Reaper) -> Result<Claim, Backpressure> {
        let (mut index, computed) = (refused, ComputedLowWater::default());
        // Twice around: others move on meanwhile. Readers let go in turn, too: what was free later is not taken before what is free by now,
        // so that versions stay where they are looked for.
        for _ in 0..2 * self.slot.cells.count() {
            index = self.after(index);
            for index in [refused, index] {
                if let Some(claim) = self.claimed(index, self.take(index, Keep::History, Some(&computed))) {
                    return Ok(claim);
                }
            }
        }
        self.claim_under_pressure(reaper)
    }

    /// All cells, from the one that is next in turn on.
    fn in_turn(self) -> impl Iterator<Item = u32> {
        let count = self.slot.cells.count() as usize;
        iter::successors(Some(self.next_in_turn()), move |&index| Some(self.after(index))).take(count)
    }

    /// The cell behind that of the newest value: a writer that is alone goes round the ring, and overwrites the oldest value first.
    #[inline]
    pub(super) fn next_in_turn(self) -> u32 {
        self.head().cell().map_or(0, |newest| self.after(newest))
    }

    #[inline]
    pub(super) fn after(self, index: u32) -> u32 {
        self.terms.order.after(index)
    }

    #[cold]
    fn claim_under_pressure(self, reaper: &impl Reaper) -> Result<Claim, Backpressure> {
        for round in 0..CLAIM_ROUNDS {
            // To ask who is dead is a system call each.
            if round == 0 || round >= FIRST_SLEEP {
                self.reap_holders(reaper);
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
                Seq::Claimed { .. } | Seq::Writing { .. } | Seq::Published { .. } => found.writers = true,
            }
        }
        found
    }

    /// A number of this slot that no mark on a cell ever had.
    #[cold]
    pub(super) fn fresh_ticket(self) -> u64 {
        // Relaxed: a ticket only has to be taken once.
        FRESH | self.slot.header.tickets.fetch_add(1, Ordering::Relaxed) & MAX_VERSION
    }

    /// The oldest value that a writer in need may overwrite: not the newest, not pinned, and nobody is still to receive it.
    pub(super) fn oldest_unprotected(self, computed: &ComputedLowWater) -> Option<u32> {
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
    pub(super) fn try_claim(self, index: u32, keep: Keep) -> Option<Claim> {
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
    fn take(self, index: u32, keep: Keep, computed: Option<&ComputedLowWater>) -> Result<Claim, Refused> {
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
        let cell = self.slot.cells.get(index).header;
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
        let claiming = Seq::Claimed { version, participant: self.terms.me };
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
        let mark = Seq::Writing { ticket, participant: self.terms.me }.bits();
        // Release: pairs with the acquire in `stamp`; who sees this mark and then finds `head` at this cell sees the move of
        // `head` that came after the mark, not one before.
        cell.seq.store(mark, Ordering::Release);
        // Release: pairs with the acquire fence in `copy`; a reader that meets a byte written after this one finds
        // the mark when it looks at `seq` again.
        fence(Ordering::Release);
        reached(Step::CellWriting);
        // Acquire: pairs with `announce_retirement`; see `release_committed`.
        let retire_epoch = self.slot.header.retire_epoch.load(Ordering::Acquire);
        Ok(Claim { cell: index, retire_epoch, sum: 0 })
    }

    /// Whether somebody reads the value in place, or is still to receive it, or a flush needs it.
    #[inline(always)]
    pub(super) fn is_protected(self, cell: &CellHeader, version: u64, keep: Keep, computed: Option<&ComputedLowWater>) -> bool {
        pinned(cell) || keep.respects_retention() && self.is_retained(cell, version, computed)
    }

    /// Whether this version is among the newest `history`.
    #[inline(always)]
    fn is_history(self, version: u64, head: Head) -> bool {
        if version.saturating_add(u64::from(self.terms.history)) > head.version() {
            return true;
        }
        #[cfg(not(loom))]
        let before_a_gap = self.terms.checksums && self.is_history_before_a_gap(version, head);
        #[cfg(loom)]
        let before_a_gap = false;
        before_a_gap
    }

    /// Whether writers must leave this cell alone.
    #[inline(always)]
    fn must_stay(self, index: u32, version: u64, head: Head, keep: Keep) -> bool {
        if version == 0 {
            return false;
        }
        let must_stay = match keep {
            Keep::History => self.is_history(version, head),
            Keep::Undelivered => false,
            Keep::After(last) => version > last,
        };
        head.cell() == Some(index) || must_stay
    }

    /// Gives a claimed cell back, empty.
    #[cold]
    pub(crate) fn abandon(self, claim: Claim) {
        self.abandon_scrubbed(claim, self.terms.scrub());
    }

    fn abandon_scrubbed(self, claim: Claim, scrub: Scrub) {
        let cell = self.slot.cells.get(claim.cell);
        empty(cell, scrub);
        reached(Step::CellEmptied);
        // SeqCst: whoever claims the cell next finds it as we left it, and pairs with who waits for room. Nobody but us changes a
        // private word of ours.
        cell.header.seq.store(Seq::Committed { version: 0 }.bits(), Ordering::SeqCst);
        reached(Step::CellAbandoned);
        self.not_full().notify();
    }

    /// Empties the slot after its key was removed: no value, and no byte of an old one. Where a reader has a value pinned
    /// or a writer stands still with a cell in hand, that is left to them: they do it when they let go.
    ///
    /// The caller has the directory's lock and has changed the slot's generation.
    pub(crate) fn clear(self, reaper: &dyn Reaper) {
        let head = &self.slot.header.head;
        let mut seen = self.head();
        loop {
            self.help_commit(seen);
            // The version moves on although nothing was published: a writer of the old key that has read `head` already,
            // even one that read "no value", fails its compare-and-swap.
            let empty = Head::empty((seen.version() + 1).min(MAX_VERSION));
            // SeqCst: pairs with the acquire of `head` in `advance`, a writer that sees it sees the generation changed; and with
            // those who wait for the slot.
            match head.compare_exchange(seen.bits(), empty.bits(), Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => seen = Head::from_bits(now),
            }
        }
        reached(Step::HeadEmptied);
        self.forget_deliveries();
        self.announce_retirement(Some(reaper), MAX_VERSION);
        for (index, _) in self.cells() {
            self.discard(index, Keep::After(MAX_VERSION), self.terms.scrub());
        }
    }

    /// Has the versions of a slot that has no key go on after this one, at least; what the last one is now.
    #[cfg(not(loom))]
    pub(crate) fn skip_to(self, version: u64) -> u64 {
        let head = &self.slot.header.head;
        let mut seen = self.head();
        loop {
            let next = Head::empty(seen.version().max(version).min(MAX_VERSION));
            if seen == next {
                return next.version();
            }
            match head.compare_exchange(seen.bits(), next.bits(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return next.version(),
                Err(now) => seen = Head::from_bits(now),
            }
        }
    }

    /// Makes the newest value the only one, none if the slot has no key, and leaves no byte of any other in the slot, whatever
    /// the switches say. What somebody is still to receive stays, with all that is newer. Gives the number of cells of which this cannot be
    /// said: they are pinned, in use by a writer, or somebody is still to receive their values.
    ///
    /// Others may do the same at the same time, and the slot may lose its key meanwhile, or get another: its versions are larger than any that
    /// are purged here.
    pub(crate) fn purge(self, reaper: &dyn Reaper) -> u32 {
        let head = self.head();
        self.help_commit(head);
        let wanted = if head.cell().is_some() { head.version().saturating_sub(1) } else { head.version() };
        // SeqCst, and a fence: pairs with `register` and `declare_queue`. They write what they want, then read this; we write this, then
        // read what they want. One of the two sees the other: what is taken here, nobody begins with.
        self.slot.header.purge_intent.fetch_max(wanted, Ordering::SeqCst);
        reached(Step::PurgeAnnounced);
        fence(Ordering::SeqCst);
        self.purge_up_to(wanted, Some(reaper))
    }

    /// Up to which version purges have gone, or are about to go.
    pub(super) fn purge_intent(self) -> u64 {
        // SeqCst: see `purge`. It never is larger than `head`, unless something else has written there.
        self.slot.header.purge_intent.load(Ordering::SeqCst).min(self.head().version())
    }

    /// Takes what a purge has left for somebody who does not want it after all, or did not come to because it was ended.
    #[cold]
    pub(super) fn finish_purge(self) {
        let wanted = self.purge_intent();
        // SeqCst: as in `purge`.
        fence(Ordering::SeqCst);
        self.purge_up_to(wanted, None);
    }

    fn purge_up_to(self, wanted: u64, reaper: Option<&dyn Reaper>) -> u32 {
        let mut owed = self.first_undelivered();
        if let Some(reaper) = reaper
            && owed.is_some_and(|owed| owed <= wanted)
        {
            // It may be retained for crashed participants.
            self.reap_holders(reaper);
            owed = self.first_undelivered();
        }
        let last = owed.map_or(wanted, |owed| wanted.min(owed.saturating_sub(1)));
        let last = self.purgeable_up_to(last);
        // SeqCst: pairs with `unpin`; see `discard_if_retired`.
        self.slot.header.base_version.fetch_max(last, Ordering::SeqCst);
        reached(Step::BaseVersionRaised);
        self.announce_retirement(reaper, last);
        let mut busy = 0;
        for (index, cell) in self.cells() {
            // Published since we looked.
            let is_newer = || read::readable(cell).is_some_and(|version| version > wanted);
            if !self.discard(index, Keep::After(last), Scrub::Always) && !is_newer() {
                busy += 1;
            }
        }
        busy
    }

    /// Called when versions up to this one were made obsolete, before their cells are emptied: those who cannot be waited for find out when they
    /// let go.
    fn announce_retirement(self, reaper: Option<&dyn Reaper>, last: u64) {
        // Release: whoever sees it sees what was made obsolete.
        self.slot.header.retire_epoch.fetch_add(1, Ordering::Release);
        // SeqCst: generation or `base_version` were changed before we look at the marks; see `discard_if_retired`.
        fence(Ordering::SeqCst);
        if let Some(reaper) = reaper {
            self.reap_holders(reaper);
        }
        self.wait_for_releases(last);
    }

    /// Gives writers that have published versions up to this one, and still hold their cells, the moment that they need to let go.
    ///
    /// Of those that take longer, it sees to it that they find out what became obsolete when they do: see `release_committed`.
    fn wait_for_releases(self, last: u64) {
        let is_held = |cell: CellView<'_>| {
            let seq = Seq::from_bits(cell.header.seq.load(Ordering::Acquire));
            matches!(seq, Seq::Published { version, .. } if version <= last)
        };
        for _ in 0..RELEASE_ROUNDS {
            if !self.cells().any(|(_, cell)| is_held(cell)) {
                return;
            }
            yield_now();
        }
        heavy_fence();
    }

    /// Up to which version values belong to nobody: their key was removed, or they were purged.
    fn retired_up_to(self) -> u64 {
        let header = self.slot.header;
        // SeqCst: pairs with `clear` and `purge`; see `discard_if_retired`. `head` first: while the generation that is read after it is
        // even, nothing that `head` can have told of has an owner.
        let last = Head::from_bits(header.head.load(Ordering::SeqCst)).version();
        let has_key = header.generation.load(Ordering::SeqCst) % 2 == 1;
        let base_version = header.base_version.load(Ordering::SeqCst);
        if has_key { base_version } else { base_version.max(last) }
    }

    /// Done by whoever lets go of a cell that others could not empty because of it.
    ///
    /// Whoever makes values obsolete (`clear`, `purge`) changes the generation or `base_version`, then looks at the marks on the cells;
    /// whoever lets go takes its mark off, then looks at generation and `base_version`. All of it is in one total order, so one of the
    /// two sees the other.
    #[cold]
    pub(super) fn discard_if_retired(self, index: u32) {
        total_order();
        let seq = &self.slot.cells.get(index).header.seq;
        if let Seq::Committed { version } = Seq::from_bits(seq.load(Ordering::SeqCst))
            && version > 0
        {
            let last = self.retired_up_to();
            if version <= last {
                self.discard(index, Keep::After(last), self.terms.scrub());
            }
        }
    }

    /// Empties a cell unless its value is to be kept; `false` if it is, or somebody has it in hand.
    fn discard(self, index: u32, keep: Keep, scrub: Scrub) -> bool {
        loop {
            match self.take(index, keep, None) {
                Ok(claim) => {
                    self.abandon_scrubbed(claim, scrub);
                    return true;
                }
                Err(Refused::AtFirstSight) => return false,
                // Pinned when we looked. If it still is, whoever unpins it sees our mark gone; else it is ours to empty.
                Err(Refused::Afterwards) => total_order(),
            }
        }
    }
}

/// Takes what was written out of a cell that nobody else can touch.
pub(super) fn empty(cell: CellView<'_>, scrub: Scrub) {
    cell.header.len.store(0, Ordering::Relaxed);
    if scrub == Scrub::Always {
        words::zero(cell.words, 0, cell.header.written_len.load(Ordering::Relaxed) as usize);
        cell.header.crc.store(0, Ordering::Relaxed);
        // Release: not before the bytes are zeroed, or a kill in between would leave some that nobody knows of.
        cell.header.written_len.store(0, Ordering::Release);
    }
}

/// Whether any participant reads the cell in place.
#[inline]
fn pinned(cell: &CellHeader) -> bool {
    // SeqCst: see `take`.
    cell.pins.iter().any(|pins: &AtomicU64| pins.load(Ordering::SeqCst) != 0)
}

/// See [`light_fence`](crate::sync::light_fence).
fn heavy_fence() {
    #[cfg(not(loom))]
    crate::os::fence::heavy();
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}

fn pause() {
    #[cfg(not(loom))]
    std::thread::sleep(std::time::Duration::from_micros(100));
    #[cfg(loom)]
    yield_now();
}
