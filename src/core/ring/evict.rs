//! Taking cursors away from a participant that lives: it is stopped, or receives nothing.
//!
//! An evicted cursor keeps its place, with version 0, until its owner frees it, or has died and is reaped. So nobody else takes the place while the
//! owner believes that its own cursor is there. Were the place free at once, another subscriber of the same participant could write the very word
//! there that the owner knows (participant, generation and version can all be equal), and the owner's next compare-and-swap would move, or end, a
//! cursor that is not its own.
//!
//! A crash between the two steps (evict, notify) leaves publishers asleep that could go on; they look again by themselves after a tenth of a second.

use super::cursor::Registered;
use super::ring::Ring;
use crate::core::delivery::Cursor;
use crate::kill_points::{Step, reached};
use crate::sync::Ordering;

/// The cursors that were taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EvictedCursors {
    pub(crate) count: u32,
    /// The smallest of their versions.
    pub(crate) oldest: u64,
}

impl Ring<'_> {
    /// Takes all cursors of a participant on the present key away, and wakes publishers that wait for free space; `None` if it has none.
    ///
    /// `is_there` says whether the participant's index still belongs to the one that is meant. It is asked after the cursor was read and before it
    /// is changed. If the index changes hands in between, and the new owner writes the same word to the same place, its cursor is evicted:
    /// its subscriber reports it like any other.
    pub(crate) fn evict(self, participant: u32, is_there: impl Fn() -> bool) -> Option<EvictedCursors> {
        let mut evicted: Option<EvictedCursors> = None;
        for place in self.slot().cursors {
            let mut seen = place.load(Ordering::Acquire);
            // A compare-and-swap that fails was overtaken by the owner, which moves its cursor or ends it.
            while let Some(cursor) = Cursor::from_bits(seen)
                && cursor.participant == participant
                && cursor.is_of(self.handle.generation())
                && !cursor.is_evicted()
                && is_there()
            {
                // SeqCst: publishers that wait are notified below; see `room` in `Event::listen`.
                match place.compare_exchange(seen, cursor.evicted().bits(), Ordering::SeqCst, Ordering::Acquire) {
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

    /// Whether the cursor was evicted. Its owner learns of it here, after a compare-and-swap of the cursor has failed, or a version was gone
    /// that the cursor should have kept.
    pub(crate) fn is_evicted(self, registered: &Registered) -> bool {
        // Acquire: the version was gone because its writer had seen the eviction, and we have seen the writer's mark.
        self.slot().cursors[registered.place].load(Ordering::Acquire) == registered.evicted()
    }
}
