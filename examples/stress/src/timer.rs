//! When to kill and when to stop the next worker.

use std::time::{Duration, Instant};

/// A timer for events at a fixed interval.
pub(crate) struct Timer {
    /// Zero if it is never due.
    every: Duration,
    next: Instant,
}

impl Timer {
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, next: Instant::now() + every }
    }

    /// Returns whether the event is due. If so, schedules the next one.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let due = !self.every.is_zero() && self.next <= now;
        if due {
            // Missed events are skipped.
            self.next = now + self.every;
        }
        due
    }

    pub(crate) fn time_left(&self) -> Duration {
        if self.every.is_zero() { Duration::MAX } else { self.next.saturating_duration_since(Instant::now()) }
    }
}
