//! What the measurements share: timing in batches, clock, core, and order of keys.

use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};

use crate::figure::histogram;

/// Operations between two readings of the clock. Reading it may take as long as one operation.
pub(crate) const BATCH: usize = 64;

/// Repeats an operation for `duration`, and times it in batches.
///
/// A warm-up of a tenth of `duration` comes first. Its latencies are not recorded.
pub(crate) fn time_in_batches(duration: Duration, mut operation: impl FnMut() -> Result<()>) -> Result<Histogram<u64>> {
    let mut latencies = histogram();
    let start = Instant::now();
    while start.elapsed() < duration + duration / 10 {
        let before = Instant::now();
        for _ in 0..BATCH {
            operation()?;
        }
        let elapsed = before.elapsed();
        if start.elapsed() > duration / 10 {
            latencies.saturating_record((elapsed.as_nanos() as u64 * 1000 / BATCH as u64).max(1));
        }
    }
    Ok(latencies)
}

/// Returns the nanoseconds of a clock that all processes share.
pub(crate) fn monotonic_nanos() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Visits all of `count` indices in an order that defeats the hardware prefetcher.
///
/// The stride is coprime with each `count` in use: 1, 512, 1,000, 1,024, 20,000 and 100,000.
pub(crate) fn scattered(count: usize) -> impl FnMut() -> usize {
    let mut index = 0;
    move || {
        index = (index + 387) % count;
        index
    }
}

/// Pins this thread to a core, modulo the number of cores.
pub(crate) fn pin_to_core(core: usize) -> Result<()> {
    let cores = std::thread::available_parallelism()?.get();
    let mut set = rustix::thread::CpuSet::new();
    set.set(core % cores);
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}
