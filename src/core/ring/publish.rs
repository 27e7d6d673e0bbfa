//! Filling a claimed cell and making it the newest: one compare-and-swap.

use super::claim::Claim;
use super::error::{Backpressure, CommitError};
use super::ring::Ring;
use crate::core::checksum;
use crate::core::epoch;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::words::{self, WORD};
use crate::core::word::{Head, MAX_VERSION, Seq};
use crate::kill_points::{Step, reached};
use crate::sync::{Ordering, fence};

/// How much of the next value is expected to be about as long as the last: more than this is streamed anyway.
pub(crate) const EXPECTED: usize = 512;

/// What is in a cell that is lent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lending {
    Zeroed,
    /// Whatever was there.
    AsItIs,
}

/// What became of one attempt to move `head`.
pub(crate) enum Advance {
    /// It names our cell, as this version.
    Done(u64),
    /// Somebody else moved it, to this.
    Overtaken(Head),
    Failed(CommitError),
}

impl Ring<'_> {
    /// Publishes `bytes`, which fit into a cell, and gives their version. Waiters are not woken yet.
    #[inline]
    pub(crate) fn publish(self, bytes: &[u8]) -> Result<u64, CommitError> {
        let Some(expected) = self.handle.cached_head.expected() else {
            return self.publish_among_others(bytes);
        };
        let Some(mut claim) = self.claim_after(expected) else {
            return self.publish_among_others(bytes);
        };
        self.fill(&mut claim, bytes);
        let cell = claim.cell;
        // The key may be on its way out, and `head` not have moved yet.
        if !self.is_current() {
            return self.commit_among_others(claim);
        }
        let Ok(version) = self.move_head(&claim, expected) else {
            return self.commit_among_others(claim);
        };
        self.release_committed(claim, version);
        self.handle.cached_head.remember(expected, Head::of(cell, version));
        self.expect_to_publish(cell, bytes.len());
        Ok(version)
    }

    #[inline(never)]
    fn publish_among_others(self, bytes: &[u8]) -> Result<u64, CommitError> {
        let mut claim = self.claim_for_key()?;
        self.fill(&mut claim, bytes);
        let cell = claim.cell;
        let version = self.commit_among_others(claim)?;
        self.expect_to_publish(cell, bytes.len());
        Ok(version)
    }

    #[inline(never)]
    fn commit_among_others(self, claim: Claim) -> Result<u64, CommitError> {
        let cell = claim.cell;
        let (before, version) = self.commit_after(self.head(), claim)?;
        self.handle.cached_head.remember(before, Head::of(cell, version));
        Ok(version)
    }

    /// Takes a cell on behalf of a key, as long as the slot has it: nothing of another key's is touched.
    #[inline]
    pub(crate) fn claim_for_key(self) -> Result<Claim, CommitError> {
        let is_still_there = || if self.is_current() { Ok(()) } else { Err(CommitError::Removed) };
        is_still_there()?;
        self.claim().map_err(|Backpressure(cells)| match is_still_there() {
            Ok(()) => CommitError::Backpressure(cells),
            Err(removed) => removed,
        })
    }

    /// Writes the value into a claimed cell. With auto-vacuum, nothing of what was in the cell before is left behind it.
    #[inline]
    pub(crate) fn fill(self, claim: &mut Claim, bytes: &[u8]) {
        let cell = self.slot().cells.get(claim.cell);
        let len = bytes.len() as u32;
        let dirty = cell.header.written_len.load(Ordering::Relaxed);
        if dirty < len {
            // Before the bytes, so that whoever takes the cell over from a killed writer knows how far it may have come.
            cell.header.written_len.store(len, Ordering::Relaxed);
            fence(Ordering::Release);
            reached(Step::WrittenLenRaised);
        }
        if self.context.checksums {
            claim.sum = checksum::of(bytes);
        }
        words::store(cell.words, bytes);
        reached(Step::BytesWritten);
        self.complete(cell, len, dirty);
    }

    /// Makes a claimed cell ready for `len` bytes that are written by others' means: from now on it counts as written that far.
    pub(crate) fn lend(self, claim: &Claim, len: usize, bytes: Lending) {
        let cell = self.slot().cells.get(claim.cell);
        if (cell.header.written_len.load(Ordering::Relaxed) as usize) < len {
            // As in `fill`.
            cell.header.written_len.store(len as u32, Ordering::Relaxed);
            fence(Ordering::Release);
        }
        // The last word is zeroed in any case: behind the value it is not written by whoever borrows.
        let from = if bytes == Lending::Zeroed { 0 } else { len / WORD * WORD };
        words::zero(cell.words, from, len);
        reached(Step::CellLent);
    }

    /// Completes a claimed cell whose `bytes` were written by others' means.
    pub(crate) fn fill_lent(self, claim: &mut Claim, bytes: &[u8]) {
        let cell = self.slot().cells.get(claim.cell);
        if self.context.checksums {
            claim.sum = checksum::of(bytes);
        }
        self.complete(cell, bytes.len() as u32, cell.header.written_len.load(Ordering::Relaxed));
    }

    #[inline]
    fn complete(self, cell: CellView<'_>, len: u32, dirty: u32) {
        cell.header.len.store(len, Ordering::Relaxed);
        reached(Step::LengthWritten);
        if dirty > len && self.context.host.auto_vacuum() {
            words::zero(cell.words, len as usize, dirty as usize);
            reached(Step::TailZeroed);
            // Release: not before the bytes are zeroed, or a kill in between would leave some that nobody knows of.
            cell.header.written_len.store(len, Ordering::Release);
        }
    }

    /// Has the cell that is next in turn brought here, while nobody waits for it: readers still have its lines from the
    /// last time around, and taking them back is most of what a publish costs between cores.
    #[inline]
    fn expect_to_publish(self, last: u32, len: usize) {
        self.slot().cells.get(self.after(last)).expect_to_write(len.min(EXPECTED));
    }

    /// Makes a filled cell the newest value, and gives what `head` was before, and the version.
    #[inline]
    pub(crate) fn commit_after(self, seen: Head, claim: Claim) -> Result<(Head, u64), CommitError> {
        self.try_commit_after(seen, claim).map_err(|(error, claim)| {
            self.abandon(claim);
            error
        })
    }

    /// Makes a filled cell the newest value and gives its version, or the claim back if that cannot be done.
    #[inline]
    pub(crate) fn try_commit(self, claim: Claim) -> Result<u64, (CommitError, Claim)> {
        self.try_commit_after(self.head(), claim).map(|(_, version)| version)
    }

    #[inline]
    fn try_commit_after(self, mut seen: Head, claim: Claim) -> Result<(Head, u64), (CommitError, Claim)> {
        loop {
            match self.advance(&claim, seen) {
                Advance::Done(version) => {
                    self.release_committed(claim, version);
                    return Ok((seen, version));
                }
                Advance::Overtaken(now) => seen = now,
                Advance::Failed(error) => return Err((error, claim)),
            }
        }
    }

    /// Moves `head` from what it was to the claimed cell, if the slot still has the key.
    #[inline]
    pub(crate) fn advance(self, claim: &Claim, seen: Head) -> Advance {
        // Read after `head`: if the key was removed before we read `head`, we see that here; if it is removed later,
        // that moves `head` and fails our compare-and-swap.
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

    /// Moves `head` from what it was, whose cell says by now which version it holds, and gives the next one; what `head` is, if that is
    /// something else.
    #[inline]
    fn move_head(self, claim: &Claim, before: Head) -> Result<u64, Head> {
        let version = if self.context.checksums { self.seal(claim, before) } else { before.version() + 1 };
        let next = Head::of(claim.cell, version);
        // SeqCst: pairs with `Event::listen` (we move `head`, then read the flag; the waiter sets the flag, then reads
        // `head`). As a release it carries the value's bytes to whoever acquires `head`.
        let moved =
            self.slot().header.head.compare_exchange(before.bits(), next.bits(), Ordering::SeqCst, Ordering::Acquire);
        moved.map_err(Head::from_bits)?;
        reached(Step::HeadMoved);
        Ok(next.version())
    }

    /// Commits a cell that was published, unless another participant has done so: then it is not ours any more.
    ///
    /// `head` does not move on before its cell is committed (`help_commit`). So a process that removes or purges finds no published cell in the
    /// hands of its writer, except the one of `head`; and a writer need not check afterwards whether its value was retired.
    #[inline]
    pub(crate) fn release_committed(self, claim: Claim, version: u64) {
        let seq = &self.slot().cells.get(claim.cell).header.seq;
        // Neither a store nor a swap: another writer may have claimed the cell since. Our word is unique by its ticket.
        // Release: pairs with the acquire of `seq` in the readers; whoever reads the version from `seq` sees all of its bytes.
        let committed = Seq::Committed { version }.bits();
        let _ = seq.compare_exchange(claim.mark, committed, Ordering::Release, Ordering::Relaxed);
        reached(Step::CellCommitted);
    }

    /// Binds a filled cell's checksum to the version that it is about to become, and gives that version.
    #[cold]
    fn seal(self, claim: &Claim, before: Head) -> u64 {
        let version = self.context.host.next_version(before.version());
        let gap = epoch::gap(before.version(), version);
        let cell = self.slot().cells.get(claim.cell).header;
        cell.gap.store(gap, Ordering::Relaxed);
        let len = cell.len.load(Ordering::Relaxed);
        let key_hash = self.slot().header.key_hash.load(Ordering::Relaxed);
        cell.crc.store(checksum::seal(claim.sum, key_hash, version, gap, len), Ordering::Relaxed);
        reached(Step::CellSealed);
        version
    }
}
