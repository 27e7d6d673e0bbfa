//! Notifying publishers of free space, in batches.
//!
//! If a publisher were woken for each cell, it would fill that one and sleep again, and both sides
//! would do little else. So a subscriber notifies once in a quarter of history, and when it has
//! received all there is.
//!
//! - **Fast path.** No publisher waits: one load of the event's flag.
//! - **Slow path.** A publisher waits: notify, if the batch is complete.
//! - **Crash** of a subscriber in the middle of a batch: the publisher checks again after a tenth
//!   of a second.

use crate::core::ring::retaining::retention::Keep;
use crate::core::ring::ring::Ring;
use crate::core::word::Seq;
use crate::sync::Ordering;

impl Ring<'_> {
    /// Wakes publishers that wait for free space, after a cursor moved to this version, if that
    /// completes a batch or there is nothing more to receive.
    #[inline]
    pub(crate) fn notify_not_full(self, cursor: u64) {
        if self.not_full().has_listeners()
            && (cursor.is_multiple_of(self.notify_batch()) || self.head().version() < cursor)
        {
            self.notify(self.not_full());
        }
    }

    /// The number of free cells that a publisher waits for: a quarter of history.
    pub(crate) fn notify_batch(self) -> u64 {
        u64::from(self.handle.shape().history / 4).max(1)
    }

    /// Whether the cell that completes a batch is free for a writer that is alone.
    pub(crate) fn has_free_cells_ahead(self) -> bool {
        let ahead = (1..self.notify_batch()).fold(self.next_in_turn(), |cell, _| self.after(cell));
        if !self.is_reserved(ahead) {
            return true;
        }
        let cell = self.slot().cells.get(ahead).header;
        // Acquire: pairs as in `cell::readable`.
        match Seq::from_bits(cell.seq.load(Ordering::Acquire)) {
            Seq::Committed { version } => !self.is_protected(cell, version, Keep::Undelivered, None),
            _ => false,
        }
    }
}
