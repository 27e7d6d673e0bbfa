//! Filling a claimed cell and making it the newest: one compare-and-swap.

use super::claim::{Backpressure, Claim};
use super::reap::Reaper;
use super::{Head, Ring, Seq};
use crate::region::words;
use crate::store::word::MAX_VERSION;
use crate::sync::{Ordering, fence};

/// How much of the next value is expected to be about as long as the last: more than this is streamed anyway.
const EXPECTED: usize = 512;

/// Why a filled cell could not become the newest. The claim was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitError {
    /// No cell could be claimed.
    Backpressure,
    /// The key was removed from the slot.
    Removed,
    /// The slot has used up its versions.
    Exhausted,
}

impl From<Backpressure> for CommitError {
    fn from(Backpressure: Backpressure) -> Self {
        Self::Backpressure
    }
}

impl Ring<'_> {
    /// Publishes `bytes`, which fit into a cell, and gives their version. Waiters are not woken yet.
    #[inline]
    pub(crate) fn publish(self, bytes: &[u8], generation: u64, reaper: &impl Reaper) -> Result<u64, CommitError> {
        let claim = self.claim(reaper)?;
        self.fill(&claim, bytes);
        self.commit(claim, generation)
    }

    /// Writes the value into a claimed cell. With auto-vacuum, nothing of what was in the cell before is left behind it.
    #[inline]
    pub(crate) fn fill(self, claim: &Claim, bytes: &[u8]) {
        let cell = self.slot.cells.get(claim.cell);
        let len = bytes.len() as u32;
        let dirty = cell.header.dirty.load(Ordering::Relaxed);
        if dirty < len {
            // Before the bytes, so that whoever takes the cell over from a killed writer knows how far it may have come.
            cell.header.dirty.store(len, Ordering::Relaxed);
            fence(Ordering::Release);
        }
        words::store(cell.words, bytes);
        cell.header.len.store(len, Ordering::Relaxed);
        if dirty > len && self.terms.vacuum() {
            words::zero(cell.words, len as usize, dirty as usize);
            // Release: not before the bytes are zeroed, or a kill in between would leave some that nobody knows of.
            cell.header.dirty.store(len, Ordering::Release);
        }
    }

    /// Has the cell that is next in turn brought here, while nobody waits for it: readers still have its lines from the
    /// last time around, and taking them back is most of what a publish costs between cores.
    #[inline]
    pub(crate) fn expect_to_publish(self, len: usize) {
        let next = self.slot.header.tickets.load(Ordering::Relaxed) as u32 % self.slot.cells.count();
        self.slot.cells.get(next).expect_to_write(len.min(EXPECTED));
    }

    /// Makes a filled cell the newest value and gives its version.
    #[inline]
    pub(crate) fn commit(self, claim: Claim, generation: u64) -> Result<u64, CommitError> {
        let version = match self.advance(&claim, generation) {
            Ok(version) => version,
            Err(error) => {
                self.release(claim);
                return Err(error);
            }
        };
        // Somebody may have stamped the cell for us, and it may even have been claimed again: then the mark is gone.
        // Release: pairs with the acquire of `seq` in the readers; a version read from `seq` is all there.
        let whole = Seq::Whole { version };
        let seq = &self.slot.cells.get(claim.cell).header.seq;
        let _ = seq.compare_exchange(claim.mark, whole.bits(), Ordering::Release, Ordering::Relaxed);
        Ok(version)
    }

    /// Moves `head` to the claimed cell.
    #[inline]
    pub(super) fn advance(self, claim: &Claim, generation: u64) -> Result<u64, CommitError> {
        let head = &self.slot.header.head;
        let mut seen = self.head();
        loop {
            // Read after `head`: if the key was removed before we read `head`, we see that here; if it is removed later,
            // that moves `head` and fails our compare-and-swap.
            if self.generation() != generation {
                return Err(CommitError::Removed);
            }
            if seen.version() >= MAX_VERSION {
                return Err(CommitError::Exhausted);
            }
            self.stamp(seen);
            let next = Head::of(claim.cell, seen.version() + 1);
            // SeqCst: pairs with `wake_flag` in `prepare_to_sleep` (we move `head`, then read the flag; the waiter sets
            // the flag, then reads `head`). As a release it carries the value's bytes to whoever acquires `head`.
            match head.compare_exchange(seen.bits(), next.bits(), Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => return Ok(next.version()),
                Err(now) => seen = Head::from_bits(now),
            }
        }
    }
}
