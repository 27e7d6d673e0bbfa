//! Wall-clock time, as it stands in messages and stores.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since the Unix epoch; 0 if the clock is set to an earlier time.
#[inline]
pub(crate) fn unix_nanos() -> u64 {
    // Directly from the vDSO: std's clock splits the time into parts that would be multiplied again
    // here.
    let now = clock_gettime(ClockId::Realtime);
    u64::try_from(now.tv_sec).unwrap_or(0).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}
