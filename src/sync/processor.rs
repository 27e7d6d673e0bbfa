//! The processor's atomics.

use std::time::Duration;

pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Nothing: accesses that are `SeqCst` have one total order. Under loom, a fence; see there.
#[inline(always)]
pub(crate) fn total_order() {}

/// Lets other threads run between two checks of something that they must change first.
pub(crate) fn yield_now() {
    std::thread::yield_now();
}

/// Sleeps for a moment, so that a thread on this core gets its turn.
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_micros(100));
}

/// Chooses between a real bound and one that keeps loom's scenarios small.
pub(crate) const fn real_or_model(real: usize, _model: usize) -> usize {
    real
}
