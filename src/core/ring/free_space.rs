//! Telling publishers of free space.

use super::retention::Keep;
use super::ring::Ring;
use crate::core::word::Seq;
use crate::sync::Ordering;

impl Ring<'_> {
    /// Wakes publishers that wait for room: not for each value, as long as there are more to receive at once.
    ///
    /// Woken for each, a publisher would fill the one cell and sleep again, and both would do little else than that. One who stops in the
    /// middle makes them wait until they look by themselves.
    #[inline]
    pub(crate) fn notify_not_full(self, cursor: u64) {
        if self.not_full().has_listeners()
            && (cursor.is_multiple_of(self.notify_batch()) || self.head().version() < cursor)
        {
            self.notify(self.not_full());
        }
    }

    /// How much room is worth waking for, and waiting for a little longer: a quarter of history, in values.
    pub(crate) fn notify_batch(self) -> u64 {
        u64::from(self.context.history / 4).max(1)
    }

    /// Whether a writer that is alone could go on for a while.
    pub(crate) fn has_free_cells_ahead(self) -> bool {
        let ahead = (1..self.notify_batch()).fold(self.next_in_turn(), |cell, _| self.after(cell));
        let cell = self.slot().cells.get(ahead).header;
        match Seq::from_bits(cell.seq.load(Ordering::Acquire)) {
            Seq::Committed { version } => !self.is_protected(cell, version, Keep::Undelivered, None),
            _ => false,
        }
    }
}
