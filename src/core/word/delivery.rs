//! `delivery`: the word of a cell that says which worker has its message.
//!
//! ```text
//! 63               56 55           48 47                            0
//! +------------------+---------------+------------------------------+
//! |     progress     |    attempt    |           version            |
//! +------------------+---------------+------------------------------+
//! ```
//!
//! Progress is 0 (waiting), participant + 1 (leased) or 255 (done). The word is about one version.
//! About a later version it says that the message waits; about an earlier one, that it is done. So
//! a publisher that fills the cell again need not touch the word.
//!
//! | from | to | by whom | where |
//! | --- | --- | --- | --- |
//! | waiting (attempt n), or an earlier version | leased (me, attempt n) | a worker | `Ring::try_lease` (`ring/delivering/queue.rs`) |
//! | leased (me, n) | done | the same worker | `Ring::acknowledge` (`ring/delivering/queue.rs`) |
//! | leased (me, n) | waiting (n + 1) | the same worker | `Ring::requeue` (`ring/delivering/queue.rs`) |
//! | leased (p, n) | waiting (n + 1) | a participant that reaps p, which has crashed | `Ring::reap_lease` (`ring/delivering/queue.rs`) |
//! | leased (any, n) | waiting (n + 1) | the process that recovers the store | `Ring::recover` (`ring/recovering/recover.rs`) |
//!
//! Each change is a compare-and-swap, except for the last, where no other process has the store
//! open.
//!
//! **Crash.** A crashed worker leaves its message leased. A worker that finds no other message, or
//! a publisher that finds no cell, reaps it.

use std::cmp::Ordering;
use std::fmt;

use super::version::{MAX_VERSION, VERSION_BITS};

/// The state of one message of a work queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// No worker has it. The worker that leases it makes this attempt, counted from 1.
    Waiting {
        attempt: u8,
    },
    /// This participant has it.
    Leased {
        participant: u32,
        attempt: u8,
    },
    Done,
}

/// The value of the word `delivery`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivery(u64);

impl Delivery {
    const DONE: u8 = u8::MAX;

    pub(crate) fn new(version: u64, progress: Progress) -> Self {
        let (progress, attempt) = match progress {
            Progress::Waiting { attempt } => (0, attempt),
            Progress::Leased { participant, attempt } => (participant as u8 + 1, attempt),
            Progress::Done => (Self::DONE, 0),
        };
        Self(u64::from(progress) << (VERSION_BITS + 8) | u64::from(attempt) << VERSION_BITS | version & MAX_VERSION)
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// The version that the word is about.
    pub(crate) fn version(self) -> u64 {
        self.0 & MAX_VERSION
    }

    /// The progress of the version that the word is about.
    pub(crate) fn progress(self) -> Progress {
        let attempt = (self.0 >> VERSION_BITS) as u8;
        match (self.0 >> (VERSION_BITS + 8)) as u8 {
            0 => Progress::Waiting { attempt: attempt.max(1) },
            Self::DONE => Progress::Done,
            participant => Progress::Leased { participant: u32::from(participant) - 1, attempt },
        }
    }

    /// The progress of this version.
    ///
    /// The versions of a cell only grow. A word about a later version was written after this one
    /// was overwritten, so this one was done.
    pub(crate) fn progress_of(self, version: u64) -> Progress {
        match self.version().cmp(&version) {
            Ordering::Less => Progress::Waiting { attempt: 1 },
            Ordering::Equal => self.progress(),
            Ordering::Greater => Progress::Done,
        }
    }

    /// The word after the worker has given the message back, or has crashed.
    pub(crate) fn requeued(self) -> Self {
        match self.progress() {
            Progress::Leased { attempt, .. } => {
                Self::new(self.version(), Progress::Waiting { attempt: attempt.saturating_add(1) })
            }
            _ => self,
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Delivery({:?}, version {})", self.progress(), self.version())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zeroed_word_says_that_every_message_waits() {
        assert_eq!(Delivery::from_bits(0).progress_of(1), Progress::Waiting { attempt: 1 });
    }

    #[test]
    fn the_word_is_laid_out_as_in_layout_4() {
        assert_eq!(Delivery::new(9, Progress::Waiting { attempt: 2 }).bits(), 0x0002_0000_0000_0009);
        assert_eq!(Delivery::new(9, Progress::Leased { participant: 127, attempt: 3 }).bits(), 0x8003_0000_0000_0009);
        assert_eq!(Delivery::new(9, Progress::Done).bits(), 0xff00_0000_0000_0009);
    }

    #[test]
    fn a_word_is_about_one_version() {
        for progress in
            [Progress::Waiting { attempt: 255 }, Progress::Leased { participant: 127, attempt: 1 }, Progress::Done]
        {
            let delivery = Delivery::new(9, progress);
            assert_eq!(delivery.progress_of(9), progress);
            assert_eq!(delivery.progress_of(10), Progress::Waiting { attempt: 1 });
            assert_eq!(delivery.progress_of(8), Progress::Done);
        }
    }

    #[test]
    fn a_message_that_is_requeued_counts_the_attempt() {
        let leased = Delivery::new(9, Progress::Leased { participant: 3, attempt: 1 });
        assert_eq!(leased.requeued().progress_of(9), Progress::Waiting { attempt: 2 });
        assert_eq!(Delivery::new(9, Progress::Done).requeued().progress_of(9), Progress::Done);
    }
}
