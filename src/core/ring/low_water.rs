//! The low-water mark of a slot, its `floor`: no version from it on is overwritten.
//!
//! It may be too small, since cursors move on without touching it, and is never too large. A writer recomputes it when it is in the way: it
//! puts its mark into the word, reads all cursors, and writes the smallest one over its mark. A registration clears the mark, so a result
//! that may lack a cursor is never written down, whatever happens in between and however long it takes.
//!
//! A mark that somebody else has put there is replaced. So neither a stopped nor a dead process is in the way.

use std::cell::Cell;

use super::ring::Ring;
use super::tags::Tag;
use crate::core::delivery::{Cursor, LowWaterMark};
use crate::kill_points::{Step, reached};
use crate::sync::Ordering;

/// How often it is recomputed when others change it meanwhile, before the careful answer is given.
const ATTEMPTS: u32 = 64;

/// What one call that looks at many cells has computed, so that it reads the cursors once and not for each cell.
#[derive(Debug, Default)]
pub(crate) struct ComputedLowWater(Cell<Option<u64>>);

impl<'a> Ring<'a> {
    /// Whether a cursor may still be at or below this version. `seen` is the floor as the caller has just read it.
    pub(crate) fn is_unread(self, seen: LowWaterMark, version: u64, computed: Option<&ComputedLowWater>) -> bool {
        if !seen.guards(version) {
            return false;
        }
        // What `seen` guards is guarded in any case. The rest is only about how often it is recomputed.
        if computed.is_some_and(|ComputedLowWater(at)| at.get() == seen.version()) {
            return true;
        }
        let fresh = self.fresh_low_water();
        if let Some(ComputedLowWater(at)) = computed {
            at.set(fresh.version());
        }
        fresh.guards(version)
    }

    /// The floor as it is now, computed from the cursors and written down.
    pub(crate) fn fresh_low_water(self) -> LowWaterMark {
        let floor = &self.slot().header.low_water;
        // SeqCst: the cursor of whoever registered before is there, see `register`.
        let mut seen = LowWaterMark::from_bits(floor.load(Ordering::SeqCst));
        if seen.version().is_none() || self.smallest_cursor() == seen.version() {
            return seen;
        }
        let Some(tag) = self.context.tags.take() else {
            return seen;
        };
        for _ in 0..ATTEMPTS {
            let mark = match self.mark_low_water(seen, &tag) {
                Ok(mark) => mark,
                Err(now) => {
                    seen = now;
                    continue;
                }
            };
            reached(Step::LowWaterMarked);
            let fresh = LowWaterMark::of(self.smallest_cursor());
            // Nobody has registered since our mark is there, or it would not be.
            match floor.compare_exchange(mark.bits(), fresh.bits(), Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => {
                    reached(Step::LowWaterMoved);
                    return fresh;
                }
                Err(now) => seen = LowWaterMark::from_bits(now),
            }
        }
        seen
    }

    /// Puts the mark of one of our threads into the floor; what that is, if it is not `seen` any more.
    pub(crate) fn mark_low_water(self, seen: LowWaterMark, tag: &Tag<'_>) -> Result<LowWaterMark, LowWaterMark> {
        let mark = seen.marked_by(self.context.me, tag.number);
        // The mark of one who had our place and tag before, and is dead, or has written down nothing, is as good as ours.
        if seen == mark {
            return Ok(mark);
        }
        let marked =
            self.slot().header.low_water.compare_exchange(seen.bits(), mark.bits(), Ordering::SeqCst, Ordering::SeqCst);
        marked.map(|_| mark).map_err(LowWaterMark::from_bits)
    }

    pub(crate) fn smallest_cursor(self) -> Option<u64> {
        #[cfg(test)]
        scans::note();
        let first = self.base_version() + 1;
        self.cursors().map(|cursor| cursor.version.max(first)).min()
    }

    /// Where the lossless subscribers of the present key are, in no order.
    pub(crate) fn cursors(self) -> impl Iterator<Item = Cursor> + use<'a> {
        let generation = self.generation();
        // Acquire: pairs with the release of the cursor in `move_cursor`: who sees that a value was received comes after it was.
        let words = self.slot().cursors.iter().map(|word| word.load(Ordering::Acquire));
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

    /// How often since the last call.
    pub(crate) fn take() -> u32 {
        SCANS.replace(0)
    }
}
