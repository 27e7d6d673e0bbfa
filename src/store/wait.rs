//! Waiting for a newer version: a short spin, then sleep.

use std::time::{Duration, Instant};

use crate::core::ring::Ring;
use crate::os::futex;

/// The longest sleep without another look. Whoever publishes wakes those who sleep, unless it dies or is stopped in the
/// instant between the two; then this is the delay.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// Until when to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deadline {
    /// Not to wait at all.
    Now,
    At(Instant),
    Never,
}

impl Deadline {
    /// A timeout too long for the clock is none.
    pub(crate) fn after(timeout: Option<Duration>) -> Self {
        match timeout {
            Some(Duration::ZERO) => Self::Now,
            timeout => timeout.and_then(|timeout| Instant::now().checked_add(timeout)).map_or(Self::Never, Self::At),
        }
    }

    /// This one, or the other if that is earlier.
    pub(crate) fn or_earlier(self, other: Option<Instant>) -> Self {
        match (self, other) {
            (Self::At(instant), Some(other)) => Self::At(instant.min(other)),
            (Self::Never, Some(other)) => Self::At(other),
            (deadline, _) => deadline,
        }
    }

    /// The time left; `None` when it has run out.
    pub(crate) fn left(self) -> Option<Duration> {
        match self {
            Self::Now => None,
            Self::At(instant) => Some(instant.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero()),
            Self::Never => Some(Duration::MAX),
        }
    }
}

/// How long to spin before sleeping: as long as it may be when waits are short, less and less when they are not.
#[derive(Debug, Clone)]
pub(crate) struct Spin {
    rounds: u32,
}

impl Spin {
    const MIN: u32 = 32;
    /// A round is one look and one pause of the processor, 10 to 50 ns: this many are a few tens of microseconds, about
    /// what sleeping and being woken costs.
    const MAX: u32 = 1024;
    /// Whoever slept no longer than this, most of it on being woken, had better have spun.
    const SHORT: Duration = Duration::from_micros(60);

    /// Spins until `happened` says so; `false` when it did not for long enough.
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

/// Waits until the newest version of the slot is larger than `seen`. `None`: not in time, or the key was removed.
pub(crate) fn for_newer(ring: Ring<'_>, seen: u64, deadline: Deadline, spin: &mut Spin) -> Option<u64> {
    // Versions up to this one are no values of the key.
    let seen = seen.max(ring.base_version());
    let newer = || Some(ring.head().version()).filter(|&version| version > seen);
    if matches!(deadline, Deadline::Now) {
        return newer();
    }
    if spin.until(|| newer().is_some())
        && let Some(version) = newer()
    {
        return Some(version);
    }
    let start = Instant::now();
    let outcome = sleep_until_newer(ring, seen, deadline);
    if outcome.is_some() {
        spin.slept(start.elapsed());
    }
    outcome
}

#[cold]
fn sleep_until_newer(ring: Ring<'_>, seen: u64, deadline: Deadline) -> Option<u64> {
    loop {
        let word = ring.prepare_to_sleep(seen);
        let version = ring.head().version();
        if version > seen {
            return Some(version);
        }
        if !ring.is_current() {
            return None;
        }
        let left = deadline.left()?;
        if let Some(word) = word {
            futex::wait(&ring.new_version().word, word, left.min(LONGEST_SLEEP));
        }
    }
}
