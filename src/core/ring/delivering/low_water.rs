//! Computing the low-water mark of a slot's cursors: no version from it on is overwritten.
//!
//! Reading all cursors at each publish would bring each subscriber's line to the writer. So the
//! slot keeps the smallest cursor in one word. Cursors move on without changing that word; it may
//! be too small, and is never too large.
//!
//! - **Fast path.** The mark does not guard the version that a writer wants to overwrite: one load.
//! - **Slow path.** It does. The writer computes it again: it writes its own thread into the upper
//!   bits of the word, reads all cursors, and replaces the word by the smallest cursor, by
//!   compare-and-swap. A registration clears the upper bits. So a result that may lack a cursor is
//!   never written, whatever happens in between and however long it takes.
//! - **Crash** after `LowWaterMarked`: the word names a thread that does not exist any more. The
//!   next thread that computes the mark replaces it. So a stopped or crashed process blocks nobody.

use std::cell::Cell;

use crate::core::ring::ring::Ring;
use crate::core::ring::tags::Tag;
use crate::core::word::{Cursor, LowWaterMark};
use crate::kill_points::{Step, reached};
use crate::sync::Ordering;

/// How often the mark is computed while others change it, before the old one is used.
const ATTEMPTS: u32 = 64;

/// The mark that one scan of the cells has computed, so that it reads the cursors once and not for
/// each cell.
#[derive(Debug, Default)]
pub(crate) struct ComputedLowWater(Cell<Option<u64>>);

impl<'a> Ring<'a> {
    /// Whether a cursor may still be at or below this version. `seen` is the mark as the caller has
    /// just read it.
    pub(crate) fn is_unread(self, seen: LowWaterMark, version: u64, computed: Option<&ComputedLowWater>) -> bool {
        if !seen.guards(version) {
            return false;
        }
        // The answer `true` is always safe. The rest decides how often the mark is computed.
        if computed.is_some_and(|ComputedLowWater(at)| at.get() == seen.version()) {
            return true;
        }
        let low_water = self.compute_low_water();
        if let Some(ComputedLowWater(at)) = computed {
            at.set(low_water.version());
        }
        low_water.guards(version)
    }

    /// Computes the mark from the cursors, and writes it into the slot.
    pub(crate) fn compute_low_water(self) -> LowWaterMark {
        let word = &self.slot().header.low_water;
        // SeqCst: pairs with `register`; the cursors of all subscribers that lowered the mark are
        // visible.
        let mut seen = LowWaterMark::from_bits(word.load(Ordering::SeqCst));
        if seen.version().is_none() || self.smallest_cursor() == seen.version() {
            return seen;
        }
        let Some(tag) = self.context.tags.acquire() else {
            return seen;
        };
        for _ in 0..ATTEMPTS {
            let marked = match self.mark_low_water(seen, &tag) {
                Ok(marked) => marked,
                Err(now) => {
                    seen = now;
                    continue;
                }
            };
            reached(Step::LowWaterMarked);
            let computed = LowWaterMark::of(self.smallest_cursor());
            // SeqCst: pairs with `register`. If this succeeds, no cursor was registered since our
            // thread was written: a registration would have cleared it.
            match word.compare_exchange(marked.bits(), computed.bits(), Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => {
                    reached(Step::LowWaterMoved);
                    return computed;
                }
                Err(now) => seen = LowWaterMark::from_bits(now),
            }
        }
        seen
    }

    /// Writes one of our threads into the mark; the present mark, if it is not `seen` any more.
    pub(crate) fn mark_low_water(self, seen: LowWaterMark, tag: &Tag<'_>) -> Result<LowWaterMark, LowWaterMark> {
        let marked = seen.marked_by(self.context.me, tag.number);
        // A thread that had our index and tag before has crashed, or did not write its result. Its
        // bits serve as ours.
        if seen == marked {
            return Ok(marked);
        }
        let word = &self.slot().header.low_water;
        // SeqCst: pairs with `register`.
        let outcome = word.compare_exchange(seen.bits(), marked.bits(), Ordering::SeqCst, Ordering::SeqCst);
        outcome.map(|_| marked).map_err(LowWaterMark::from_bits)
    }

    /// The smallest cursor of the present key.
    pub(crate) fn smallest_cursor(self) -> Option<u64> {
        #[cfg(test)]
        scans::note();
        let first = self.base_version() + 1;
        self.cursors().map(|cursor| cursor.version.max(first)).min()
    }

    /// The cursors of the present key that were not evicted, in no order.
    pub(crate) fn cursors(self) -> impl Iterator<Item = Cursor> + use<'a> {
        let generation = self.generation();
        // Acquire: pairs with the release of the cursor in `move_cursor`; a writer that sees that a
        // value was received comes after it was read.
        let words = self.cursor_words().map(|word| word.load(Ordering::Acquire));
        words.filter_map(Cursor::from_bits).filter(move |cursor| cursor.is_of(generation) && !cursor.is_evicted())
    }
}

/// Counts how often a thread has read all cursors of a slot, for tests of what a publish costs.
#[cfg(test)]
pub(crate) mod scans {
    use std::cell::Cell;

    thread_local! {
        static SCANS: Cell<u32> = const { Cell::new(0) };
    }

    pub(crate) fn note() {
        SCANS.set(SCANS.get() + 1);
    }

    /// The number of scans on this thread since the last call.
    pub(crate) fn take() -> u32 {
        SCANS.replace(0)
    }
}
