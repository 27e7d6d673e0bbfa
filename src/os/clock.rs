//! Wall-clock time, as messages and stores carry it.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since the Unix epoch; 0 for a clock that stands before it.
#[inline]
pub(crate) fn unix_nanos() -> u64 {
    // Straight from the vDSO: std's clock checks and splits what is multiplied together here again.
    let now = clock_gettime(ClockId::Realtime);
    u64::try_from(now.tv_sec).unwrap_or(0).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}
