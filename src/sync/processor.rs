//! The processor's atomics and fences.

use std::time::Duration;

pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Does nothing: `SeqCst` accesses have one total order. Under loom it is a fence; see
/// `model::total_order`.
#[inline(always)]
pub(crate) fn total_order() {}

/// Lets other threads run, between two checks of a condition that they must change.
pub(crate) fn yield_now() {
    std::thread::yield_now();
}

/// Sleeps for a moment, so that another thread runs on this core.
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_micros(100));
}

/// The first bound. The second one keeps loom's scenarios small.
pub(crate) const fn real_or_model(real: usize, _model: usize) -> usize {
    real
}
