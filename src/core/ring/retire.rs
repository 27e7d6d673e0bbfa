//! Emptying the cells of values that nobody may read any more: their key was removed, or they were purged.

use super::cell;
use super::claim::Refused;
use super::context::Scrub;
use super::retention::Keep;
use super::ring::Ring;
use crate::core::word::{Head, MAX_VERSION, Seq};
use crate::kill_points::{Step, reached};
use crate::sync::{Ordering, fence, total_order};

impl Ring<'_> {
    /// Empties the slot after its key was removed: no value, and no byte of an old one. Where a reader has a value pinned
    /// or a writer stands still with a cell in hand, that is left to them: they do it when they let go.
    ///
    /// The caller has the directory's lock and has changed the slot's generation.
    pub(crate) fn clear(self) {
        let head = &self.slot().header.head;
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
        self.reap_before_emptying();
        for (index, _) in self.cells() {
            self.discard(index, Keep::After(MAX_VERSION), self.context.scrub());
        }
    }

    /// Has the versions of a slot that has no key go on after this one, at least; what the last one is now.
    pub(crate) fn skip_to(self, version: u64) -> u64 {
        let head = &self.slot().header.head;
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
    pub(crate) fn purge(self) -> u32 {
        let head = self.head();
        self.help_commit(head);
        let wanted = if head.cell().is_some() { head.version().saturating_sub(1) } else { head.version() };
        // SeqCst, and a fence: pairs with `register` and `declare_queue`. They write what they want, then read this; we write this, then
        // read what they want. One of the two sees the other: what is taken here, nobody begins with.
        self.slot().header.purge_intent.fetch_max(wanted, Ordering::SeqCst);
        reached(Step::PurgeAnnounced);
        fence(Ordering::SeqCst);
        self.purge_up_to(wanted)
    }

    /// Up to which version purges have gone, or are about to go.
    pub(crate) fn purge_intent(self) -> u64 {
        // SeqCst: see `purge`. It never is larger than `head`, unless something else has written there.
        self.slot().header.purge_intent.load(Ordering::SeqCst).min(self.head().version())
    }

    /// Takes what a purge has left for somebody who does not want it after all, or did not come to because it was ended.
    #[cold]
    pub(crate) fn finish_purge(self) {
        let wanted = self.purge_intent();
        // SeqCst: as in `purge`.
        fence(Ordering::SeqCst);
        self.purge_up_to(wanted);
    }

    fn purge_up_to(self, wanted: u64) -> u32 {
        let mut owed = self.first_undelivered();
        if owed.is_some_and(|owed| owed <= wanted) {
            // It may be retained for crashed participants.
            self.reap_holders();
            owed = self.first_undelivered();
        }
        let last = owed.map_or(wanted, |owed| wanted.min(owed.saturating_sub(1)));
        let last = self.purgeable_up_to(last);
        // SeqCst: pairs with `unpin`; see `discard_if_retired`.
        self.slot().header.base_version.fetch_max(last, Ordering::SeqCst);
        reached(Step::BaseVersionRaised);
        self.reap_before_emptying();
        let mut busy = 0;
        for (index, cell) in self.cells() {
            // Published since we looked.
            let is_newer = || cell::readable(cell).is_some_and(|version| version > wanted);
            if !self.discard(index, Keep::After(last), Scrub::Always) && !is_newer() {
                busy += 1;
            }
        }
        busy
    }

    /// Called when values were retired, before their cells are emptied.
    fn reap_before_emptying(self) {
        // SeqCst: generation or `base_version` were changed before we read the marks; see `discard_if_retired`.
        fence(Ordering::SeqCst);
        self.reap_holders();
    }

    /// Up to which version values belong to nobody: their key was removed, or they were purged.
    fn retired_up_to(self) -> u64 {
        let header = self.slot().header;
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
