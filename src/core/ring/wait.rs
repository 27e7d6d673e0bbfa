//! Sleeping until a newer version is there, without missing it.

use super::ring::Ring;
use crate::core::word::Head;
use crate::sync::Ordering;

impl Ring<'_> {
    /// Announces a sleeper, then looks once more whether there is anything newer than `seen`.
    ///
    /// `Some(word)` is what the bell's word held: sleep on it with that value. `None`: do not sleep, something happened.
    pub(crate) fn prepare_to_sleep(self, seen: u64) -> Option<u32> {
        let word = self.new_version().listen();
        // SeqCst: pairs with `advance`, see `Event::listen`.
        let head = Head::from_bits(self.slot().header.head.load(Ordering::SeqCst));
        let quiet = head.version() <= seen && self.is_current();
        quiet.then_some(word)
    }
}
