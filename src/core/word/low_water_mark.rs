//! The low-water mark of a slot's cursors: no version from it on is overwritten.
//!
//! ```text
//! 63               56 55           48 47                            0
//! +------------------+---------------+------------------------------+
//! | participant + 1  |      tag      |           version            |
//! +------------------+---------------+------------------------------+
//! ```
//!
//! Version 0: there is no cursor. The mark is never larger than the smallest cursor. It may be
//! smaller, because a cursor moves on without changing it.
//!
//! The upper bits name the thread that is computing the mark: its participant, and a tag that no
//! other thread of that participant has at the time. Every registration clears them. A thread that
//! finds its own bits still there knows that no cursor was added since it wrote them. No other
//! thread writes those bits, so they cannot come back unnoticed (no ABA).
//!
//! | from | to | by whom | where |
//! | --- | --- | --- | --- |
//! | any | the smaller of both versions, no thread | a subscriber, after it wrote its cursor | `Ring::register` (`ring/delivering/cursor.rs`) |
//! | any | the same version, this thread | a thread that starts to compute the mark | `Ring::mark_low_water` (`ring/delivering/low_water.rs`) |
//! | any version, this thread | the smallest cursor, no thread | the thread that read all cursors | `Ring::compute_low_water` (`ring/delivering/low_water.rs`) |
//! | any | 0 | the process that recovers the store | `Ring::recover` (`ring/recovering/recover.rs`) |
//!
//! **Crash.** A thread that crashes while it computes leaves its bits. They have no effect on
//! writers, and the next thread that computes the mark replaces them.

use super::version::{MAX_VERSION, VERSION_BITS};

/// The value of the word `low_water`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LowWaterMark(u64);

impl LowWaterMark {
    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// The first version that is retained, if there is a cursor.
    #[inline]
    pub(crate) fn version(self) -> Option<u64> {
        Some(self.0 & MAX_VERSION).filter(|&version| version != 0)
    }

    /// Whether no value of this version may be overwritten.
    #[inline]
    pub(crate) fn guards(self, version: u64) -> bool {
        self.version().is_some_and(|low_water| version >= low_water)
    }

    /// The smallest cursor, and no thread.
    pub(crate) fn of(smallest: Option<u64>) -> Self {
        Self(smallest.unwrap_or(0).min(MAX_VERSION))
    }

    /// The same version, marked by the thread with this tag of this participant, which is about to
    /// compute it.
    pub(crate) fn marked_by(self, participant: u32, tag: u8) -> Self {
        let mark = u64::from((participant + 1) as u8) << 8 | u64::from(tag);
        Self(mark << VERSION_BITS | self.0 & MAX_VERSION)
    }

    /// The word after a registration at this version. It has no thread: a computation that began
    /// before fails.
    pub(crate) fn joined_by(self, version: u64) -> Self {
        let lowest = self.version().map_or(version, |low_water| low_water.min(version));
        Self::of(Some(lowest.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zeroed_word_retains_nothing() {
        assert_eq!(LowWaterMark::from_bits(0).version(), None);
        assert_eq!(LowWaterMark::of(None).version(), None);
    }

    #[test]
    fn the_word_is_laid_out_as_in_layout_4() {
        assert_eq!(LowWaterMark::of(Some(9)).bits(), 9);
        assert_eq!(LowWaterMark::of(Some(9)).marked_by(127, 5).bits(), 0x8005_0000_0000_0009);
    }

    #[test]
    fn it_is_the_smallest_cursor_and_every_registration_clears_the_thread() {
        let low_water = LowWaterMark::from_bits(0).joined_by(10);
        assert!(low_water.guards(10) && !low_water.guards(9));
        let lower = low_water.joined_by(4);
        assert_eq!(lower.version(), Some(4));
        // Also participants that only a damaged word names.
        for participant in [0, 127, 128, 254] {
            let marked = lower.marked_by(participant, 7);
            assert!(marked.guards(4) && !marked.guards(3));
            assert_ne!(marked, lower);
            assert_ne!(marked, lower.marked_by(participant, 8));
            assert_eq!((marked.joined_by(7), marked.joined_by(3)), (lower, LowWaterMark::of(Some(3))));
        }
    }
}
