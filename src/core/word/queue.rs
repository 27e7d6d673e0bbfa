//! `queue`: the word of a slot that declares its key a work queue.
//!
//! ```text
//! 63  62                  48 47                                     0
//! +--+----------------------+---------------------------------------+
//! |T |      generation      |        first version that is a message |
//! +--+----------------------+---------------------------------------+
//! ```
//!
//! If the generation is not that of the slot's key, or the word is 0, the key is not a work queue.
//! T: the declaration is *tentative*. A queue is declared in two steps, because a purge may run at
//! the same time. While the word is tentative, writers and purges keep its messages, and no worker
//! takes one. The first version may still increase, above what a purge takes that did not see the
//! declaration in time.
//!
//! | from | to | by whom | where |
//! | --- | --- | --- | --- |
//! | 0, or another generation | tentative, first version | a worker that declares the queue | `Ring::declare_queue` (`ring/delivering/queue.rs`) |
//! | tentative | final; the first version is above the purge intent | any worker | `Ring::declare_queue` (`ring/delivering/queue.rs`) |
//! | tentative | final | the process that recovers the store | `Ring::finalise_recovered_queue` (`ring/delivering/queue.rs`) |
//! | what this worker wrote | 0 | the same worker, if its key was removed meanwhile | `Ring::declare_queue` (`ring/delivering/queue.rs`) |
//! | any | 0 | the process that removes the key, and again the one that assigns the slot | `Ring::forget_queue` (`ring/delivering/cursor.rs`) |
//!
//! **Crash.** A worker that crashes after the first step leaves a tentative word. The next worker
//! makes it final.

use super::version::{MAX_VERSION, VERSION_BITS};

/// The value of the word `queue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueWord(u64);

impl QueueWord {
    const TENTATIVE: u64 = 1 << 63;
    const GENERATION: u64 = 0x7fff;

    /// The first step of a declaration.
    pub(crate) fn tentative(generation: u64, first: u64) -> Self {
        Self(Self::TENTATIVE | (generation & Self::GENERATION) << VERSION_BITS | first.min(MAX_VERSION))
    }

    /// The second step: the declaration made final. Its messages begin above `purged`.
    pub(crate) fn finalised(self, purged: u64) -> Self {
        let first = (self.0 & MAX_VERSION).max((purged + 1).min(MAX_VERSION));
        Self(self.0 & !(Self::TENTATIVE | MAX_VERSION) | first)
    }

    pub(crate) fn is_tentative(self) -> bool {
        self.0 & Self::TENTATIVE != 0
    }

    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// The first version that is a message, if the key of this generation is a queue, tentative or
    /// final.
    #[inline]
    pub(crate) fn first(self, generation: u64) -> Option<u64> {
        let same = self.0 >> VERSION_BITS & Self::GENERATION == generation & Self::GENERATION;
        (self.0 != 0 && same).then_some(self.0 & MAX_VERSION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zeroed_word_declares_no_queue() {
        assert_eq!(QueueWord::from_bits(0).first(1), None);
    }

    #[test]
    fn the_word_is_laid_out_as_in_layout_4() {
        assert_eq!(QueueWord::tentative(0x1_0005, 9).bits(), 0x8005_0000_0000_0009);
        assert_eq!(QueueWord::tentative(0x1_0005, 9).finalised(0).bits(), 0x0005_0000_0000_0009);
    }

    #[test]
    fn a_word_declares_a_queue_of_its_own_generation_only() {
        let tentative = QueueWord::tentative(0x1_0003, 7);
        let queue = tentative.finalised(0);
        assert!(tentative.is_tentative() && !queue.is_tentative());
        for queue in [queue, tentative] {
            assert_eq!((queue.first(0x1_0003), queue.first(0x1_0005)), (Some(7), None));
        }
    }

    #[test]
    fn a_queue_that_is_made_final_begins_above_what_was_purged() {
        let tentative = QueueWord::tentative(5, 7);
        for (purged, first) in [(0, 7), (6, 7), (7, 8), (20, 21), (MAX_VERSION, MAX_VERSION)] {
            assert_eq!(tentative.finalised(purged).first(5), Some(first));
        }
    }
}
