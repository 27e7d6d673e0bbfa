//! Publishing: filling a claimed cell and making it the newest value, by one compare-and-swap of
//! `head`.
//!
//! The steps: claim a cell (`claim.rs`), fill it (`fill.rs`), move `head` to it, commit it. A publish is
//! lock-free: a compare-and-swap of `head` fails only if another publish succeeded.
//!
//! - **Fast path.** The handle published last (`cached_head.rs`): it claims the cell after its last
//!   one and moves `head` without having read it. Two atomic instructions wait for another core:
//!   the claim and the move of `head`.
//! - **Slow path.** Another publisher was first: read `head`, commit its cell if necessary
//!   (`help.rs`), and try again with the same filled cell.
//!
//! **Crash** after each step:
//!
//! | step | leaves |
//! | --- | --- |
//! | `CellSealed` | a cell that is not readable: the participant that reaps it empties it |
//! | `HeadMoved` | a published value whose cell is not committed: other participants commit it; sleepers check again after a tenth of a second |
//! | `CellCommitted` | the sleepers alone |

use super::claim::Claim;
use crate::core::checksum;
use crate::core::epoch;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::records::CellHeader;
use crate::core::place::Tier;
use crate::core::ring::error::CommitError;
use crate::core::ring::ring::Ring;
use crate::core::word::{Head, MAX_VERSION, Seq};
use crate::kill_points::{Step, reached};
use crate::sync::Ordering;

/// The outcome of one attempt to move `head`.
pub(crate) enum Advance {
    /// `head` names our cell, as this version.
    Done(u64),
    /// Another participant moved `head`, to this.
    Overtaken(Head),
    Failed(CommitError),
}

impl<'a> Ring<'a> {
    /// Publishes `bytes`, which are at most as long as the key's longest value, and returns their
    /// version. Waiters are not notified yet.
    #[inline]
    pub(crate) fn publish(self, bytes: &[u8]) -> Result<u64, CommitError> {
        if bytes.len() > self.slot().cells.inline_len() {
            return self.publish_beyond(bytes);
        }
        let Some(expected) = self.handle.cached_head.expected() else {
            return self.publish_slow(bytes);
        };
        let Some((mut claim, cell)) = self.claim_after(expected) else {
            return self.publish_slow(bytes);
        };
        self.fill_inline(&mut claim, cell, bytes);
        match self.commit_expected(&claim, cell, expected, bytes.len()) {
            Some(version) => Ok(version),
            None => self.commit_slow(claim),
        }
    }

    /// Makes a filled cell the newest value, if `head` is the expected one; `None` otherwise. The value after
    /// it may have `len` bytes inline.
    ///
    /// The slot had the key when the cell was claimed. If the key was removed since, `head` has moved, or this
    /// value is retired with the others.
    ///
    /// The claim stays with the caller: to move it in here took a fifth of a small publish.
    #[inline(always)]
    fn commit_expected(self, claim: &Claim, cell: CellView<'a>, expected: Head, len: usize) -> Option<u64> {
        let version = self.move_head(claim, expected).ok()?;
        self.commit_cell_of(claim, cell.header, version);
        self.handle.cached_head.remember(expected, Head::of(claim.cell, version));
        self.prefetch_next_cell(claim.cell, len);
        Some(version)
    }

    #[inline(never)]
    fn publish_slow(self, bytes: &[u8]) -> Result<u64, CommitError> {
        let claim = self.claim_and_fill(bytes)?;
        let cell = claim.cell;
        let version = self.commit_slow(claim)?;
        self.prefetch_next_cell(cell, bytes.len());
        Ok(version)
    }

    #[inline(never)]
    fn publish_beyond(self, bytes: &[u8]) -> Result<u64, CommitError> {
        let next = || Some(self.handle.cached_head.expected()?).filter(|_| Tier::of(bytes.len()) == Tier::Medium);
        let claimed = next().and_then(|expected| Some((expected, self.claim_after(expected)?)));
        let Some((expected, (mut claim, cell))) = claimed else {
            return self.commit_slow(self.claim_and_fill(bytes)?);
        };
        if !self.fill_page_again(&mut claim, cell, bytes)
            && !self.fill_medium_again(&mut claim, cell, bytes)
            && let Err(error) = self.reserve_and_fill(&mut claim, bytes)
        {
            self.abandon(claim);
            return match error {
                // Another cell may have space.
                CommitError::NoSpace(_) => self.commit_slow(self.claim_and_fill(bytes)?),
                error => Err(error),
            };
        }
        match self.commit_expected(&claim, cell, expected, 0) {
            Some(version) => Ok(version),
            None => self.commit_slow(claim),
        }
    }

    #[inline(never)]
    fn reserve_and_fill(self, claim: &mut Claim, bytes: &[u8]) -> Result<(), CommitError> {
        self.reserve_storage(claim, bytes.len())?;
        self.fill(claim, bytes)
    }

    #[inline(never)]
    fn commit_slow(self, claim: Claim) -> Result<u64, CommitError> {
        let cell = claim.cell;
        let (before, version) = self.commit_after(self.head(), claim)?;
        self.handle.cached_head.remember(before, Head::of(cell, version));
        Ok(version)
    }

    /// Claims a cell of the handle's key.
    #[inline]
    pub(crate) fn claim_for_key(self) -> Result<Claim, CommitError> {
        // What stands in the way may be in the way of another key.
        self.claim().map_err(|error| if self.is_current() { error.into() } else { CommitError::Removed })
    }

    /// Prefetches the cell that is next in turn, while nobody waits for it. Readers still have its
    /// lines from the last round; taking them back is most of the cost of a publish between cores.
    #[inline]
    fn prefetch_next_cell(self, last: u32, len: usize) {
        self.slot().cells.get(self.after(last)).prefetch_to_write(len);
    }

    /// Makes a filled cell the newest value. Returns the `head` before it, and its version.
    #[inline]
    pub(crate) fn commit_after(self, seen: Head, claim: Claim) -> Result<(Head, u64), CommitError> {
        self.try_commit_after(seen, claim).map_err(|(error, claim)| {
            self.abandon(claim);
            error
        })
    }

    /// Makes a filled cell the newest value and returns its version, or gives the claim back with
    /// the error.
    #[inline]
    pub(crate) fn try_commit(self, claim: Claim) -> Result<u64, (CommitError, Claim)> {
        self.try_commit_after(self.head(), claim).map(|(_, version)| version)
    }

    #[inline]
    fn try_commit_after(self, mut seen: Head, claim: Claim) -> Result<(Head, u64), (CommitError, Claim)> {
        loop {
            match self.advance(&claim, seen) {
                Advance::Done(version) => {
                    self.commit_cell(claim, version);
                    return Ok((seen, version));
                }
                Advance::Overtaken(now) => seen = now,
                Advance::Failed(error) => return Err((error, claim)),
            }
        }
    }

    /// Moves `head` from `seen` to the claimed cell, if the slot still has the key.
    #[inline]
    pub(crate) fn advance(self, claim: &Claim, seen: Head) -> Advance {
        // The generation is read after `head`. If the key was removed before we read `head`, we see
        // that here. If it is removed later, that moves `head`, and our compare-and-swap fails.
        if !self.is_current() {
            return Advance::Failed(CommitError::Removed);
        }
        if seen.version() >= MAX_VERSION {
            return Advance::Failed(CommitError::Exhausted);
        }
        self.help_commit(seen);
        match self.move_head(claim, seen) {
            Ok(version) => Advance::Done(version),
            Err(now) => Advance::Overtaken(now),
        }
    }

    /// Moves `head` from `before`, whose cell is committed, to the claimed cell, and returns the
    /// version. The present `head`, if it is not `before`.
    #[inline]
    fn move_head(self, claim: &Claim, before: Head) -> Result<u64, Head> {
        let version = if self.context.checksums { self.seal(claim, before) } else { before.version() + 1 };
        let next = Head::of(claim.cell, version);
        // SeqCst: pairs with `Event::listen`: we move `head`, then read the flag; the waiter sets
        // the flag, then reads `head`. As a release, it pairs with `Ring::head`: a thread that sees
        // `head` sees the value's bytes.
        let moved =
            self.slot().header.head.compare_exchange(before.bits(), next.bits(), Ordering::SeqCst, Ordering::Acquire);
        moved.map_err(Head::from_bits)?;
        reached(Step::HeadMoved);
        Ok(next.version())
    }

    /// Commits our published cell, unless another participant has done so. Then the cell is not
    /// ours any more.
    ///
    /// `head` does not move on before its cell is committed (`help_commit`). So a process that
    /// removes a key or purges finds no published cell that its writer owns, except that of `head`.
    /// And a writer need not check afterwards whether its value was retired.
    #[inline]
    pub(crate) fn commit_cell(self, claim: Claim, version: u64) {
        self.commit_cell_of(&claim, self.slot().cells.get(claim.cell).header, version);
    }

    /// As [`commit_cell`](Self::commit_cell), for a caller that has the claimed cell.
    #[inline(always)]
    fn commit_cell_of(self, claim: &Claim, cell: &CellHeader, version: u64) {
        // A compare-and-swap, not a store or a swap: another writer may have claimed the cell
        // since. Our word is unique by its ticket.
        // Release: pairs with the acquire of `seq` in the readers; a thread that reads the version
        // from `seq` sees its bytes.
        let committed = Seq::Committed { version }.bits();
        let _ = cell.seq.compare_exchange(claim.mark, committed, Ordering::Release, Ordering::Relaxed);
        reached(Step::CellCommitted);
    }

    /// Extends a filled cell's checksum over the version that it is about to become, and returns
    /// that version.
    #[cold]
    fn seal(self, claim: &Claim, before: Head) -> u64 {
        let version = self.context.host.next_version(before.version());
        self.seal_as(claim, version, epoch::gap(before.version(), version));
        version
    }

    /// Extends a filled cell's checksum over this version and its gap.
    pub(crate) fn seal_as(self, claim: &Claim, version: u64, gap: u32) {
        let cell = self.slot().cells.get(claim.cell).header;
        cell.gap.store(gap, Ordering::Relaxed);
        let len = cell.len.load(Ordering::Relaxed);
        let key_hash = self.slot().header.key_hash.load(Ordering::Relaxed);
        cell.crc.store(checksum::seal(claim.sum, key_hash, version, gap, len), Ordering::Relaxed);
        reached(Step::CellSealed);
    }
}
