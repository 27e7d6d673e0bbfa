//! Eviction: ending the cursors of a participant that has not crashed, but is stopped or receives
//! nothing.
//!
//! One compare-and-swap sets the cursor's version to 0. The word stays taken until its owner frees
//! it, or has crashed and is reaped. If the word were free at once, another subscriber of the same
//! participant could write the same bits there (participant, generation and version may all be
//! equal). Then the owner's next compare-and-swap would move or end a cursor that is not its own.
//!
//! - **Fast path.** None: eviction is rare. The owner pays nothing; it learns of the eviction when
//!   its own compare-and-swap fails.
//! - **Slow path.** The owner moved the cursor in between: try again with the new word.
//! - **Crash** after `CursorEvicted`: publishers stay asleep that could go on. They check again
//!   after a tenth of a second.

use crate::core::ring::ring::Ring;
use crate::core::word::Cursor;
use crate::kill_points::{Step, reached};
use crate::sync::Ordering;

/// The cursors that were evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EvictedCursors {
    pub(crate) count: u32,
    /// The smallest of their versions.
    pub(crate) oldest: u64,
}

impl Ring<'_> {
    /// Evicts all cursors of a participant on the present key, and wakes publishers that wait for
    /// free space; `None` if it has none.
    ///
    /// `is_same_owner` says whether the participant's index still belongs to the participant that
    /// is meant. It is called after the cursor was read and before it is changed. If the index
    /// changes hands in between, and the new owner writes the same bits to the same word, its
    /// cursor is evicted. Its subscriber reports that like any other eviction.
    pub(crate) fn evict(self, participant: u32, is_same_owner: impl Fn() -> bool) -> Option<EvictedCursors> {
        let mut evicted: Option<EvictedCursors> = None;
        for word in self.cursor_words() {
            // Acquire: pairs with the owner's compare-and-swap.
            let mut seen = word.load(Ordering::Acquire);
            // A compare-and-swap that fails was overtaken by the owner, which moves its cursor or
            // removes it.
            while let Some(cursor) = Cursor::from_bits(seen)
                && cursor.participant == participant
                && cursor.is_of(self.handle.generation())
                && !cursor.is_evicted()
                && is_same_owner()
            {
                // SeqCst: pairs with `Event::listen` of publishers that wait, which are notified
                // below.
                match word.compare_exchange(seen, cursor.evicted().bits(), Ordering::SeqCst, Ordering::Acquire) {
                    Ok(_) => {
                        reached(Step::CursorEvicted);
                        let (count, oldest) = evicted.map_or((0, u64::MAX), |evicted| (evicted.count, evicted.oldest));
                        evicted = Some(EvictedCursors { count: count + 1, oldest: oldest.min(cursor.version) });
                        break;
                    }
                    Err(now) => seen = now,
                }
            }
        }
        if evicted.is_some() {
            self.notify(self.not_full());
        }
        evicted
    }
}
