//! The protocol of one slot: a ring of cells, any number of writers and readers, no locks.
//!
//! Any participant may be stopped or killed between any two instructions here, and every other one goes on. The functions
//! take views, never addresses, so that what loom checks (`loom.rs`) is what runs on shared memory.
//!
//! Who may touch a cell is said by its `seq` word ([`Seq`]); which cell holds the newest value is said by the slot's
//! `head` ([`Head`]). `docs/design.md` has the table of orderings that pair.

#[cfg(not(loom))]
use std::sync::Arc;

mod claim;
mod evict;
mod flush;
mod gap;
#[cfg(not(loom))]
mod history;
mod lossless;
mod low_water;
mod memo;
mod modify;
mod order;
mod pin;
mod publish;
mod queue;
mod read;
mod reap;
#[cfg(not(loom))]
mod recover;
mod trail;
mod wait;

#[cfg(all(loom, test))]
mod loom;

#[cfg(not(loom))]
pub(crate) use claim::Claim;
#[cfg(not(loom))]
pub(crate) use flush::{CELLS_OF_A_FILE, Overtaken};
#[cfg(not(loom))]
pub(crate) use history::KeptVersion;
#[cfg(all(test, not(loom)))]
pub(crate) use history::looks;
pub(crate) use lossless::{Begin, Registered, Unregistered};
pub(crate) use low_water::Tags;
pub(crate) use memo::CachedHead;
pub(crate) use modify::{ModifyError, Unfit};
pub(crate) use order::Permutation;
pub(crate) use pin::{Exactly, Pin};
pub(crate) use publish::CommitError;
#[cfg(not(loom))]
pub(crate) use publish::Lending;
pub(crate) use queue::{Position, Taken, Work};
pub(crate) use read::{Exact, ReadError};
#[cfg(not(loom))]
pub(crate) use reap::ParticipantSet;
pub(crate) use reap::Reaper;
#[cfg(not(loom))]
pub(crate) use recover::{Found, Moments, Successor, Unproven};
pub(crate) use trail::ReadHint;

use super::cells::CellCounts;
use super::word::{Head, MAX_VERSION, Seq};
use crate::kill_points::{Step, reached};
#[cfg(not(loom))]
use crate::core::memory::region::Region;
use crate::core::memory::view::{CellView, SlotView};
#[cfg(loom)]
use crate::sync::AtomicU32;
use crate::sync::Ordering;

/// The bit of the store's switches that keeps old bytes out of cells.
pub(crate) const AUTO_VACUUM: u32 = 1;

/// How often to try again what fails only by chance, if an attempt may touch so many bytes: until it is no chance any more, but somebody who
/// misleads us, and no longer than a second or so.
#[inline]
fn attempts(bytes: usize) -> u32 {
    ((1_usize << 30) / bytes.max(1)).clamp(64, 1 << 20) as u32
}

/// What a participant goes by in every slot of a store.
pub(crate) struct Terms {
    pub(crate) me: u32,
    /// How many of the newest values writers leave alone while there is any other cell.
    pub(crate) history: u32,
    /// Whether cells carry checksums.
    pub(crate) checksums: bool,
    /// Which cell is next in turn.
    pub(crate) order: Permutation,
    /// For those of its threads that recompute a low-water mark. A participant has one `Terms` with which it does that.
    pub(crate) tags: Tags,
    /// Has the store's switches.
    #[cfg(not(loom))]
    pub(crate) region: Arc<Region>,
    #[cfg(loom)]
    pub(crate) flags: AtomicU32,
    /// Of the one handle that the participant has.
    #[cfg(loom)]
    pub(crate) memo: CachedHead,
    #[cfg(loom)]
    pub(crate) trail: ReadHint,
}

impl Terms {
    /// What auto-vacuum, switched on or off, asks for.
    fn scrub(&self) -> Scrub {
        if self.vacuum() { Scrub::Always } else { Scrub::Never }
    }

    /// Whether bytes of older values must not be left in cells.
    pub(crate) fn vacuum(&self) -> bool {
        #[cfg(not(loom))]
        let flags = &self.region.header().switches.flags;
        #[cfg(loom)]
        let flags = &self.flags;
        // Relaxed: a switch, with nothing behind it.
        flags.load(Ordering::Relaxed) & AUTO_VACUUM != 0
    }
}

/// Whether what is no longer needed is zeroed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scrub {
    Always,
    Never,
}

/// One slot, as a participant sees it. Two references, so that passing it on costs nothing.
#[derive(Clone, Copy)]
pub(crate) struct Ring<'a> {
    slot: &'a SlotView<'a>,
    terms: &'a Terms,
}

impl<'a> Ring<'a> {
    #[inline]
    pub(crate) fn new(slot: &'a SlotView<'a>, terms: &'a Terms) -> Self {
        Self { slot, terms }
    }

    /// The newest version and where it is.
    #[inline]
    pub(crate) fn head(self) -> Head {
        // Acquire: pairs with the release of `head` in `advance`; whoever sees a version sees its cell's bytes.
        Head::from_bits(self.slot.header.head.load(Ordering::Acquire))
    }

    /// The slot's present generation; odd while it has a key.
    #[inline]
    pub(crate) fn generation(self) -> u64 {
        // Acquire: pairs with the release in `index::give`; whoever sees the generation sees the key and `base_version`.
        self.slot.header.generation.load(Ordering::Acquire)
    }

    /// The version after which the present key's values begin, or what is left of them after a purge.
    #[inline]
    pub(crate) fn base_version(self) -> u64 {
        // Whatever is read there is one, so that the next one can be computed.
        self.slot.header.base_version.load(Ordering::Relaxed).min(MAX_VERSION)
    }

    fn cells(self) -> impl Iterator<Item = (u32, CellView<'a>)> + use<'a> {
        let cells = &self.slot.cells;
        (0..cells.count()).map(move |index| (index, cells.get(index)))
    }

    /// How many versions from `from` on, and before `to`, are in cells.
    #[cfg(not(loom))]
    pub(crate) fn kept_between(self, from: u64, to: u64) -> u64 {
        let versions = self.cells().filter_map(|(_, cell)| read::readable(cell));
        versions.filter(|version| (from..to).contains(version)).count() as u64
    }

    /// How the cells are used now.
    pub(crate) fn count_cells(self) -> CellCounts {
        // Computed, and not written down: this is also called in the child of a fork, which changes nothing.
        let (mut counts, low_water) = (CellCounts::default(), self.smallest_cursor());
        for (_, cell) in self.cells() {
            match Seq::from_bits(cell.header.seq.load(Ordering::Relaxed)) {
                Seq::Committed { version: 0 } => counts.free += 1,
                Seq::Committed { version } | Seq::Published { version, .. } => {
                    counts.readable += 1;
                    counts.retained += u64::from(self.is_undelivered_now(cell.header, version, low_water));
                    counts.flushed += u64::from(self.is_flushed(version));
                }
                Seq::Claimed { .. } | Seq::Writing { .. } => counts.in_flight += 1,
            }
            counts.pinned += u64::from(cell.header.pins.iter().any(|pins| pins.load(Ordering::Relaxed) != 0));
        }
        counts
    }

    /// Does for the writer of `head` what it has not done yet, or never will: says of its cell which version it holds.
    ///
    /// Must happen before `head` moves on, so that every published cell says so, or was overwritten.
    #[inline]
    fn help_commit(self, head: Head) {
        let Some(index) = head.cell().filter(|&index| index < self.slot.cells.count()) else {
            return;
        };
        let seq = &self.slot.cells.get(index).header.seq;
        // Acquire: the look at `head` must come after it.
        let seen = seq.load(Ordering::Acquire);
        if let Seq::Writing { participant, .. } = Seq::from_bits(seen)
            && self.head() == head
        {
            // Not whole: it is the writer's to let go of, which it does without looking.
            let held = Seq::Published { version: head.version(), participant };
            // The word is unique by its ticket: if it is still there, it is the one under which `head`'s cell was filled.
            // Release: pairs with the acquire of `seq` in the readers. The writer's bytes came to us with `head`.
            let _ = seq.compare_exchange(seen, held.bits(), Ordering::Release, Ordering::Relaxed);
            reached(Step::OthersCellHelped);
        }
    }
}
