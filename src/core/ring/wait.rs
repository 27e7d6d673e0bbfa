//! Sleeping until a newer version is there, without missing one.

use super::{Head, Ring};
use crate::core::memory::records::Event;
use crate::sync::Ordering;

impl<'a> Ring<'a> {
    /// What those sleep on who wait for this slot.
    #[inline]
    pub(crate) fn new_version(self) -> &'a Event {
        &self.slot.header.new_version
    }

    /// What publishers sleep on who wait for a cell.
    #[inline]
    pub(crate) fn not_full(self) -> &'a Event {
        &self.slot.header.not_full
    }

    /// Announces a sleeper, then looks once more whether there is anything newer than `seen`.
    ///
    /// `Some(word)` is what the bell's word held: sleep on it with that value. `None`: do not sleep, something happened.
    pub(crate) fn prepare_to_sleep(self, seen: u64, generation: u64) -> Option<u32> {
        let word = self.new_version().listen();
        // SeqCst: pairs with `advance`, see `Event::listen`.
        let head = Head::from_bits(self.slot.header.head.load(Ordering::SeqCst));
        let quiet = head.version() <= seen && self.generation() == generation;
        quiet.then_some(word)
    }
}
