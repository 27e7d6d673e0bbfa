//! Spinning before sleeping.

use std::time::Duration;

/// How long to spin before sleeping: long while waits are short, less and less while they are not.
#[derive(Debug, Clone)]
pub(crate) struct Spin {
    rounds: u32,
}

impl Spin {
    const MIN: u32 = 32;
    /// A round is one look and one pause of the processor, 10 to 50 ns. This many rounds take a few
    /// tens of microseconds, about as long as sleeping and being woken.
    const MAX: u32 = 1024;
    /// A sleep that was no longer than this would better have been a spin: most of it was the
    /// wake-up.
    const SHORT: Duration = Duration::from_micros(60);

    /// Spins for this many rounds, for a single wait.
    pub(crate) fn rounds(rounds: u32) -> Self {
        Self { rounds }
    }

    /// Spins until `happened` returns true; `false` if it did not for long enough.
    #[inline]
    pub(crate) fn until(&mut self, mut happened: impl FnMut() -> bool) -> bool {
        for _ in 0..self.rounds {
            if happened() {
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }

    /// Learns from a wait for which spinning was not long enough.
    pub(crate) fn slept(&mut self, time: Duration) {
        self.rounds = if time < Self::SHORT { Self::MAX } else { (self.rounds / 2).max(Self::MIN) };
    }
}

impl Default for Spin {
    fn default() -> Self {
        Self { rounds: Self::MAX }
    }
}
