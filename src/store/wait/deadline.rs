//! Until when to wait.

use std::time::{Duration, Instant};

/// Until when to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deadline {
    /// Does not wait.
    Now,
    At(Instant),
    Never,
}

impl Deadline {
    /// The end of this timeout. One that is too long for the clock never ends.
    pub(crate) fn after(timeout: Option<Duration>) -> Self {
        match timeout {
            Some(Duration::ZERO) => Self::Now,
            timeout => timeout.and_then(|timeout| Instant::now().checked_add(timeout)).map_or(Self::Never, Self::At),
        }
    }

    /// The earlier one of this deadline and an instant.
    pub(crate) fn at_latest(self, instant: Instant) -> Self {
        match self {
            Self::Now => Self::Now,
            Self::At(own) => Self::At(own.min(instant)),
            Self::Never => Self::At(instant),
        }
    }

    /// The time left; `None` if there is none.
    pub(crate) fn left(self) -> Option<Duration> {
        match self {
            Self::Now => None,
            Self::At(instant) => Some(instant.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero()),
            Self::Never => Some(Duration::MAX),
        }
    }
}
