//! The processor's atomics and fences.

use std::time::Duration;

pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Does nothing: `SeqCst` accesses have one total order. Under loom it is a fence; see `model::total_order`.
#[inline(always)]
pub(crate) fn total_order() {}

/// The cheap half of an asymmetric fence. The other half is `os::fence::heavy`.
///
/// One thread stores, calls this, then loads. Another one stores, calls the heavy half, then loads. One of the
/// two sees the other's store. This half only keeps the compiler from reordering; the heavy half makes every
/// processor execute a fence.
#[inline(always)]
pub(crate) fn light_fence() {
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
}

/// Stores with release into a word that other threads may change by compare-and-swap at the same time.
#[inline(always)]
pub(crate) fn store_last(word: &AtomicU64, value: u64) {
    word.store(value, Ordering::Release);
}

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
