//! Step one of publishing: to find a cell that may be overwritten, and make it ours alone.

use super::reap::Reaper;
use super::{Head, Ring, Seq};
use crate::region::records::CellHeader;
use crate::region::view::CellView;
use crate::region::words;
use crate::store::word::MAX_VERSION;
use crate::sync::{AtomicU64, Ordering, fence, total_order, yield_now};

/// A cell that nobody else reads or writes until it is committed or released.
#[must_use = "a claimed cell is lost to the slot until it is committed or released"]
pub(crate) struct Claim {
    pub(super) cell: u32,
    /// The word under which we hold it; no other claim ever has the same.
    pub(super) mark: u64,
}

/// Every cell but the newest is pinned by a reader or held by a writer who does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backpressure;

/// What a writer leaves standing when it looks for a cell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// The newest `history` values.
    History,
    /// The newest value only.
    Newest,
}

/// How often a writer that found every cell in somebody's hands lets the others run before it gives up. Those who are
/// on their way through a publish are done in microseconds; this many rounds are some tens of milliseconds.
const PATIENCE: u32 = if cfg!(loom) { 2 } else { 512 };
/// From this round on it sleeps between looks, so that a writer on this core gets its turn.
const FIRST_SLEEP: u32 = 64;

impl<'a> Ring<'a> {
    /// Takes a cell: one that is not needed if there is one; else one that the dead left behind; else the oldest value.
    #[inline]
    pub(crate) fn claim(self, reaper: &impl Reaper) -> Result<Claim, Backpressure> {
        // The cell that is next in turn is nearly always free to take.
        let (index, ticket) = self.next_ticket();
        self.try_claim(index, ticket, Keep::History).map_or_else(|| self.claim_another(reaper), Ok)
    }

    #[cold]
    fn claim_another(self, reaper: &impl Reaper) -> Result<Claim, Backpressure> {
        for _ in 0..2 * self.slot.cells.count() {
            let (index, ticket) = self.next_ticket();
            if let Some(claim) = self.try_claim(index, ticket, Keep::History) {
                return Ok(claim);
            }
        }
        self.claim_under_pressure(reaper)
    }

    #[cold]
    fn claim_under_pressure(self, reaper: &impl Reaper) -> Result<Claim, Backpressure> {
        for round in 0..PATIENCE {
            for (_, cell) in self.cells() {
                self.reap_whoever_holds(cell, reaper);
            }
            let (_, ticket) = self.next_ticket();
            for (index, _) in self.cells() {
                if let Some(claim) = self.try_claim(index, ticket, Keep::History) {
                    return Ok(claim);
                }
            }
            if let Some(index) = self.oldest_unpinned()
                && let Some(claim) = self.try_claim(index, ticket, Keep::Newest)
            {
                return Ok(claim);
            }
            if round < FIRST_SLEEP {
                yield_now();
            } else {
                pause();
            }
        }
        Err(Backpressure)
    }

    /// The next number of this slot, which makes a mark unique, and the cell it leads to.
    #[inline]
    pub(super) fn next_ticket(self) -> (u32, u64) {
        // Relaxed: a ticket only has to be taken once.
        let ticket = self.slot.header.tickets.fetch_add(1, Ordering::Relaxed) & MAX_VERSION;
        // The low half is enough to go round the ring, and divides faster.
        (ticket as u32 % self.slot.cells.count(), ticket)
    }

    /// The oldest value that a writer in need may overwrite: not the newest, not pinned.
    fn oldest_unpinned(self) -> Option<u32> {
        let oldest = self.cells().filter_map(|(index, cell)| {
            let Seq::Whole { version } = Seq::from_bits(cell.header.seq.load(Ordering::Acquire)) else {
                return None;
            };
            (self.head().cell() != Some(index) && !pinned(cell.header)).then_some((version, index))
        });
        oldest.min().map(|(_, index)| index)
    }

    #[inline]
    fn try_claim(self, index: u32, ticket: u64, keep: Keep) -> Option<Claim> {
        let cell = self.slot.cells.get(index).header;
        // Acquire, so that `head` is read after it: a cell that is whole by now was published before, and a `head` read
        // later cannot be older than that.
        let seen = cell.seq.load(Ordering::Acquire);
        let Seq::Whole { version } = Seq::from_bits(seen) else {
            return None;
        };
        if self.is_kept(index, version, self.head(), keep) || pinned(cell) {
            return None;
        }
        let claiming = Seq::Claiming { version, participant: self.terms.me };
        // SeqCst: pairs with the pins in `pin_newest`. We change `seq`, then read the pins; the pinner sets its bit, then
        // reads `seq`: in their one total order, whoever comes second sees the other.
        cell.seq.compare_exchange(seen, claiming.bits(), Ordering::SeqCst, Ordering::Relaxed).ok()?;
        total_order();
        if pinned(cell) {
            // Release: the value is readable again as if nothing had happened, and nothing has.
            cell.seq.store(seen, Ordering::Release);
            return None;
        }
        let mark = Seq::Private { ticket, participant: self.terms.me }.bits();
        cell.seq.store(mark, Ordering::Relaxed);
        // Release: pairs with the acquire fence in `copy`; a reader that meets a byte written after this one finds
        // the mark when it looks at `seq` again.
        fence(Ordering::Release);
        Some(Claim { cell: index, mark })
    }

    /// Whether writers must leave this cell alone.
    #[inline]
    fn is_kept(self, index: u32, version: u64, head: Head, keep: Keep) -> bool {
        if version == 0 {
            return false;
        }
        let in_history = version.saturating_add(u64::from(self.terms.history)) > head.version();
        head.cell() == Some(index) || (keep == Keep::History && in_history)
    }

    /// Gives a claimed cell back, empty.
    #[cold]
    pub(crate) fn release(self, claim: Claim) {
        let cell = self.slot.cells.get(claim.cell);
        self.empty(cell);
        // Release: whoever claims the cell next finds it as we left it. Nobody but us changes a private word of ours.
        cell.header.seq.store(Seq::Whole { version: 0 }.bits(), Ordering::Release);
    }

    /// Empties the slot after its key was removed: no value, and no byte of an old one, but where a reader has it pinned.
    ///
    /// The caller has the directory's lock and has changed the slot's generation.
    pub(crate) fn clear(self) {
        let head = &self.slot.header.head;
        let mut seen = self.head();
        loop {
            self.stamp(seen);
            // The version moves on although nothing was published: a writer of the old key that has read `head` already,
            // even one that read "no value", fails its compare-and-swap.
            let empty = Head::empty((seen.version() + 1).min(MAX_VERSION));
            // AcqRel: pairs with the acquire of `head` in `commit`; a writer that sees it sees the generation changed.
            match head.compare_exchange(seen.bits(), empty.bits(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => seen = Head::from_bits(now),
            }
        }
        for (index, _) in self.cells() {
            let (_, ticket) = self.next_ticket();
            if let Some(claim) = self.try_claim(index, ticket, Keep::Newest) {
                self.release(claim);
            }
        }
    }

    /// Takes what was written out of a cell that nobody else can touch.
    pub(super) fn empty(self, cell: CellView<'_>) {
        cell.header.len.store(0, Ordering::Relaxed);
        if self.terms.vacuum() {
            words::zero(cell.words, 0, cell.header.dirty.load(Ordering::Relaxed) as usize);
            // Release: not before the bytes are zeroed, or a kill in between would leave some that nobody knows of.
            cell.header.dirty.store(0, Ordering::Release);
        }
    }
}

/// Whether any participant reads the cell in place.
#[inline]
fn pinned(cell: &CellHeader) -> bool {
    // SeqCst: see `try_claim`.
    cell.pins.iter().any(|pins: &AtomicU64| pins.load(Ordering::SeqCst) != 0)
}

fn pause() {
    #[cfg(not(loom))]
    std::thread::sleep(std::time::Duration::from_micros(100));
    #[cfg(loom)]
    yield_now();
}
