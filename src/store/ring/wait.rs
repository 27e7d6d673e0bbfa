//! Sleeping until a newer version is there, without missing one.

use super::Ring;
use crate::sync::{Ordering, total_order};

impl<'a> Ring<'a> {
    /// Announces a sleeper, then looks once more whether there is anything newer than `seen`.
    ///
    /// `Some(word)` is what the wake word held: sleep on it with that value. `None`: do not sleep, something happened.
    pub(crate) fn prepare_to_sleep(self, seen: u64, generation: u64) -> Option<u32> {
        let header = self.slot.header;
        // SeqCst throughout: pairs with `advance` and `wake`. We read `wake`, set the flag, then read `head`; a publisher moves
        // `head`, reads the flag, clears it, bumps `wake`. Either we see its `head`, or it sees our flag and changes `wake`.
        let word = header.wake.load(Ordering::SeqCst);
        header.wake_flag.store(1, Ordering::SeqCst);
        total_order();
        let head = super::Head::from_bits(header.head.load(Ordering::SeqCst));
        let quiet = head.version() <= seen && self.generation() == generation;
        quiet.then_some(word)
    }

    /// Called after `head` moved: whether somebody may sleep, who must then be woken through the wake word.
    #[inline]
    pub(crate) fn must_wake(self) -> bool {
        let header = self.slot.header;
        total_order();
        // SeqCst: see `prepare_to_sleep`.
        if header.wake_flag.load(Ordering::SeqCst) == 0 {
            return false;
        }
        self.clear_flag();
        true
    }

    #[cold]
    fn clear_flag(self) {
        let header = self.slot.header;
        header.wake_flag.store(0, Ordering::SeqCst);
        header.wake.fetch_add(1, Ordering::SeqCst);
    }

    /// The word that sleepers sleep on.
    #[cfg(not(loom))]
    pub(crate) fn wake_word(self) -> &'a crate::sync::AtomicU32 {
        &self.slot.header.wake
    }
}
