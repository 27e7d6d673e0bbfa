//! Waiting for a newer version without missing it: the check between `listen` and sleeping.
//!
//! The algorithm is that of `core::event`: listen, check, sleep. A crash after `listen` leaves a
//! flag that costs the next publisher one needless wake.

use crate::core::ring::ring::Ring;
use crate::core::word::Head;
use crate::sync::Ordering;

impl Ring<'_> {
    /// Announces a sleeper, then checks once more for a version newer than `seen`.
    ///
    /// `Some(word)`: sleep while the event's word has this value. `None`: do not sleep; there is a
    /// newer version, or the key was removed.
    pub(crate) fn prepare_to_sleep(self, seen: u64) -> Option<u32> {
        let word = self.new_version().listen();
        // SeqCst: pairs with the move of `head` in `advance`; see `Event::listen`.
        let head = Head::from_bits(self.slot().header.head.load(Ordering::SeqCst));
        let quiet = head.version() <= seen && self.is_current();
        quiet.then_some(word)
    }
}
