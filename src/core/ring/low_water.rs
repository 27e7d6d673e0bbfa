//! The low-water mark of a slot, its `floor`: no version from it on is overwritten.
//!
//! It may be too small, since cursors move on without touching it, and is never too large. A writer recomputes it when it is in the way: it
//! puts its mark into the word, reads all cursors, and writes the smallest one over its mark. A registration clears the mark, so a result
//! that may lack a cursor is never written down, whatever happens in between and however long it takes.
//!
//! A mark that somebody else has put there is replaced. So neither a stopped nor a dead process is in the way.

use std::cell::Cell;

use super::Ring;
use crate::kill_points::{Step, reached};
use crate::core::delivery::{Cursor, LowWaterMark};
use crate::sync::{AtomicU64, Ordering};

/// How often it is recomputed when others change it meanwhile, before the careful answer is given.
const ATTEMPTS: u32 = 64;

/// Gives each thread of a participant that recomputes a low-water mark a number that no other one has at the time.
///
/// Without it, one thread's mark could be taken for another's, and come back after a registration has cleared it.
#[derive(Debug, Default)]
pub(crate) struct Tags(AtomicU64);

/// A number that nobody else has until this is dropped.
pub(super) struct Tag<'a> {
    tags: &'a Tags,
    number: u8,
}

impl Tags {
    /// `None` if 64 threads have one.
    pub(super) fn take(&self) -> Option<Tag<'_>> {
        let mut taken = self.0.load(Ordering::Relaxed);
        loop {
            let number = taken.trailing_ones();
            let bit = 1u64.checked_shl(number)?;
            // Acquire: pairs with the release in `drop`; the last owner's marks come before ours.
            match self.0.compare_exchange(taken, taken | bit, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(Tag { tags: self, number: number as u8 }),
                Err(now) => taken = now,
            }
        }
    }
}

impl Drop for Tag<'_> {
    fn drop(&mut self) {
        self.tags.0.fetch_and(!(1 << self.number), Ordering::Release);
    }
}

/// What one call that looks at many cells has computed, so that it reads the cursors once and not for each cell.
#[derive(Debug, Default)]
pub(super) struct ComputedLowWater(Cell<Option<u64>>);

impl<'a> Ring<'a> {
    /// Whether a cursor may still be at or below this version. `seen` is the floor as the caller has just read it.
    pub(super) fn is_unread(self, seen: LowWaterMark, version: u64, computed: Option<&ComputedLowWater>) -> bool {
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
    pub(super) fn fresh_low_water(self) -> LowWaterMark {
        let floor = &self.slot.header.low_water;
        // SeqCst: the cursor of whoever registered before is there, see `register`.
        let mut seen = LowWaterMark::from_bits(floor.load(Ordering::SeqCst));
        if seen.version().is_none() || self.smallest_cursor() == seen.version() {
            return seen;
        }
        let Some(tag) = self.terms.tags.take() else {
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
    pub(super) fn mark_low_water(self, seen: LowWaterMark, tag: &Tag<'_>) -> Result<LowWaterMark, LowWaterMark> {
        let mark = seen.marked_by(self.terms.me, tag.number);
        // The mark of one who had our place and tag before, and is dead, or has written down nothing, is as good as ours.
        if seen == mark {
            return Ok(mark);
        }
        let marked =
            self.slot.header.low_water.compare_exchange(seen.bits(), mark.bits(), Ordering::SeqCst, Ordering::SeqCst);
        marked.map(|_| mark).map_err(LowWaterMark::from_bits)
    }

    pub(super) fn smallest_cursor(self) -> Option<u64> {
        #[cfg(all(test, not(loom)))]
        tests::SCANS.set(tests::SCANS.get() + 1);
        let first = self.base_version() + 1;
        self.cursors().map(|cursor| cursor.version.max(first)).min()
    }

    /// Where the lossless subscribers of the present key are, in no order.
    pub(crate) fn cursors(self) -> impl Iterator<Item = Cursor> + use<'a> {
        let generation = self.generation();
        // Acquire: pairs with the release of the cursor in `move_cursor`: who sees that a value was received comes after it was.
        let words = self.slot.cursors.iter().map(|word| word.load(Ordering::Acquire));
        words.filter_map(Cursor::from_bits).filter(move |cursor| cursor.is_of(generation) && !cursor.is_evicted())
    }
}

#[cfg(all(test, not(loom)))]
pub(super) mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::store::{SetError, StoreOptions};
    use crate::{Bus, SubscribeOptions};

    thread_local! {
        /// How often this thread has read all cursors of a slot.
        pub(super) static SCANS: Cell<u32> = const { Cell::new(0) };
    }

    #[test]
    fn a_refused_publish_reads_the_cursors_as_often_however_many_cells_there_are() {
        let scans = [(2, 2), (16, 8), (512, 512)].map(|(history, spare)| {
            let name = format!("splinter-unit-refused-{}-{history}", std::process::id());
            let options = StoreOptions::new().slots(1).max_value_size(128).history(history).spare(spare);
            let store = options.create(&name).unwrap();
            crate::Store::remove(&name).unwrap();
            let bus = Bus::<Vec<u8>>::on(store.clone());
            let _stalled = bus.subscribe_with("k", &SubscribeOptions::new().lossless()).unwrap();
            let slot = store.slot("k").unwrap();
            while slot.set(b"v").is_ok() {}
            SCANS.set(0);
            assert!(matches!(slot.set(b"v"), Err(SetError::Backpressure(_))));
            SCANS.get()
        });
        assert!(scans.iter().all(|&count| count == scans[0] && count <= 8), "{scans:?}");
    }

    #[test]
    fn no_two_threads_have_one_tag_and_the_65th_has_none() {
        let tags = Tags::default();
        let taken: Vec<_> = (0..64).map(|_| tags.take().unwrap()).collect();
        let mut numbers: Vec<_> = taken.iter().map(|tag| tag.number).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), 64);
        assert!(tags.take().is_none());
        drop(taken);
        assert_eq!(tags.take().unwrap().number, 0);
    }
}
