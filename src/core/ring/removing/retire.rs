//! Retiring values: their key was removed, or they were purged. Nobody may read them any more, and
//! their cells are emptied.
//!
//! It is like the retirement of nodes in safe memory reclamation (hazard pointers, Michael 2004):
//! first make the values unreachable, by the generation or `base_version`; then empty every cell
//! that nobody holds. The process that releases the last hold on a retired value (a pin, a claim)
//! empties its cell (`discard_if_retired`). A process that retires changes generation or
//! `base_version`, then reads the holds; a process that releases a hold reads generation and
//! `base_version` after it. In the one total order, one of the two sees the other.
//!
//! - **Fast path.** Nothing is held: each cell is claimed and emptied.
//! - **Slow path.** A cell is pinned, or owned by a writer: it is left to that participant, or to
//!   the one that reaps it. A purge counts it as busy.
//!
//! **Crash** after each step:
//!
//! | step | leaves |
//! | --- | --- |
//! | `KeyUnassigned`, `HeadEmptied` | a slot without a key whose cells hold bytes: the next owner of the directory's lock finds the journal open and empties them |
//! | `PurgeAnnounced` | an intent: later registrations begin above it, and finish the purge |
//! | `BaseVersionRaised` | retired values whose cells hold bytes: the next purge, reap or writer empties or overwrites them |

use crate::core::ring::cell;
use crate::core::ring::context::Scrub;
use crate::core::ring::publishing::claim::Refused;
use crate::core::ring::retaining::retention::Keep;
use crate::core::ring::ring::Ring;
use crate::core::word::{Head, MAX_VERSION, Seq};
use crate::kill_points::{Step, reached};
use crate::sync::{Ordering, fence, total_order};

impl Ring<'_> {
    /// Empties the slot after its key was removed: no value stays, and no byte of an old one. A
    /// cell that a reader has pinned, or that a writer owns, is emptied when it is released.
    ///
    /// The caller has the directory's lock and has changed the slot's generation. Returns the length of
    /// the newest value; 0 if there was none.
    pub(crate) fn clear(self) -> usize {
        let head = &self.slot().header.head;
        let mut seen = self.head();
        let len = loop {
            self.help_commit(seen);
            // The version moves on although nothing was published. So the compare-and-swap of a
            // writer of the old key fails, even if it has read "no value".
            let empty = Head::empty((seen.version() + 1).min(MAX_VERSION));
            // The cell is not overwritten as long as `head` names it.
            let len = seen.cell().and_then(|index| self.cell(index).ok()).map_or(0, cell::len);
            // SeqCst: pairs with the acquire of `head` in `advance`: a writer that sees it sees the
            // generation changed. And with `Event::listen` of processes that wait for the key.
            match head.compare_exchange(seen.bits(), empty.bits(), Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => break len,
                Err(now) => seen = Head::from_bits(now),
            }
        };
        reached(Step::HeadEmptied);
        self.forget_deliveries();
        self.reap_before_emptying();
        for (index, _) in self.cells() {
            self.discard(index, Keep::After(MAX_VERSION), self.context.scrub());
        }
        len
    }

    /// Raises the version of a slot that has no key to at least this one. Returns the version that
    /// it has now.
    pub(crate) fn skip_to(self, version: u64) -> u64 {
        let head = &self.slot().header.head;
        let mut seen = self.head();
        loop {
            let next = Head::empty(seen.version().max(version).min(MAX_VERSION));
            if seen == next {
                return next.version();
            }
            // AcqRel: pairs with `Ring::head`, and with other changes of `head`.
            match head.compare_exchange(seen.bits(), next.bits(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return next.version(),
                Err(now) => seen = Head::from_bits(now),
            }
        }
    }

    /// Retires all values but the newest (all, if the slot has no key), and zeroes their bytes,
    /// whether auto-vacuum is on or not. A value that is retained stays, and all newer ones.
    /// Returns the number of older cells that still hold bytes: they are pinned, owned by a writer,
    /// or retained.
    ///
    /// Several processes may do so at once. The slot may lose its key meanwhile, or get another
    /// one, whose versions are larger than all that are purged here.
    pub(crate) fn purge(self) -> u32 {
        let head = self.head();
        self.help_commit(head);
        let intended = if head.cell().is_some() { head.version().saturating_sub(1) } else { head.version() };
        // SeqCst, and a fence: pairs with `register` and `declare_queue`. They write a cursor or a
        // queue, then read the intent; we write the intent, then read cursors and queue. One of the
        // two sees the other. So nobody begins with a version that is retired here.
        self.slot().header.purge_intent.fetch_max(intended, Ordering::SeqCst);
        reached(Step::PurgeAnnounced);
        fence(Ordering::SeqCst);
        self.purge_up_to(intended)
    }

    /// The version up to which purges have gone, or are about to go.
    pub(crate) fn purge_intent(self) -> u64 {
        // SeqCst: pairs with `purge`. It is clamped to `head` in case the word is damaged.
        self.slot().header.purge_intent.load(Ordering::SeqCst).min(self.head().version())
    }

    /// Finishes a purge that retained a value for a process that begins above it, or that crashed.
    #[cold]
    pub(crate) fn finish_purge(self) {
        let intended = self.purge_intent();
        // SeqCst: pairs as in `purge`.
        fence(Ordering::SeqCst);
        self.purge_up_to(intended);
    }

    fn purge_up_to(self, intended: u64) -> u32 {
        let mut undelivered = self.first_undelivered();
        if undelivered.is_some_and(|undelivered| undelivered <= intended) {
            // It may be retained for crashed participants.
            self.reap_holders();
            undelivered = self.first_undelivered();
        }
        let last = undelivered.map_or(intended, |undelivered| intended.min(undelivered.saturating_sub(1)));
        let last = self.purgeable_up_to(last);
        // SeqCst: pairs with `unpin`; see `discard_if_retired`.
        self.slot().header.base_version.fetch_max(last, Ordering::SeqCst);
        reached(Step::BaseVersionRaised);
        self.reap_before_emptying();
        let mut busy = 0;
        for (index, cell) in self.cells() {
            // Published after `head` was read.
            let is_newer = || cell::readable(cell).is_some_and(|version| version > intended);
            if !self.discard(index, Keep::After(last), Scrub::Always) && !is_newer() {
                busy += 1;
            }
        }
        busy
    }

    /// Called when values were retired, before their cells are emptied.
    fn reap_before_emptying(self) {
        // SeqCst: pairs with `discard_if_retired`. Generation or `base_version` were changed before
        // the holds are read.
        fence(Ordering::SeqCst);
        self.reap_holders();
    }

    /// The version up to which all values are retired.
    fn retired_up_to(self) -> u64 {
        let header = self.slot().header;
        // SeqCst: pairs with `clear` and `purge`; see `discard_if_retired`. `head` is read first:
        // if the generation that is read after it is even, no value up to that `head` belongs to a
        // key.
        let last = Head::from_bits(header.head.load(Ordering::SeqCst)).version();
        let has_key = header.generation.load(Ordering::SeqCst) % 2 == 1;
        let base_version = header.base_version.load(Ordering::SeqCst);
        if has_key { base_version } else { base_version.max(last) }
    }

    /// Empties the cell if its value is retired. Called by a participant after it has released a
    /// pin or a claim, which may have kept the process that retired the value from emptying the
    /// cell.
    ///
    /// That process (`clear`, `purge`) changes generation or `base_version`, then reads `seq` and
    /// the pins. The caller changes `seq` or the pins, then reads generation and `base_version`.
    /// All of these are SeqCst, so one of the two sees the other.
    #[cold]
    pub(crate) fn discard_if_retired(self, index: u32) {
        total_order();
        let seq = &self.slot().cells.get(index).header.seq;
        if let Seq::Committed { version } = Seq::from_bits(seq.load(Ordering::SeqCst))
            && version > 0
        {
            let last = self.retired_up_to();
            if version <= last {
                self.discard(index, Keep::After(last), self.context.scrub());
            }
        }
    }

    /// Whether nobody has any of the cells, and none holds a value. Then the slot may get another
    /// shape.
    ///
    /// The caller has the directory's lock, and the slot has no key. A late writer of an earlier key
    /// may claim a cell afterwards. It finds the generation changed before it touches anything that
    /// depends on the shape.
    pub(crate) fn is_free(self) -> bool {
        let free = Seq::Committed { version: 0 }.bits();
        // SeqCst: pairs with the claim of a cell, and with `abandon`.
        self.cells().all(|(_, cell)| cell.header.seq.load(Ordering::SeqCst) == free)
    }

    /// Empties a cell unless `keep` spares its value; `false` if it does, or the cell is pinned or
    /// owned by a writer.
    pub(crate) fn discard(self, index: u32, keep: Keep, scrub: Scrub) -> bool {
        loop {
            match self.claim_cell(index, keep, None) {
                Ok(claim) => {
                    self.abandon_scrubbed(claim, scrub);
                    return true;
                }
                Err(Refused::BeforeClaim) => return false,
                // It was pinned. If it still is, the reader that unpins it sees our claim
                // withdrawn, and empties it; else we do.
                Err(Refused::AfterClaim) => total_order(),
                Err(Refused::OfAnotherKey) => {
                    self.discard_if_retired(index);
                    return false;
                }
            }
        }
    }
}
