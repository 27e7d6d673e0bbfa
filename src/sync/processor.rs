//! The processor's atomics.

use std::time::Duration;

pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Nothing: accesses that are `SeqCst` have one total order. Under loom, a fence; see there.
#[inline(always)]
pub(crate) fn total_order() {}

/// The half of a fence that is done often; the other half is `os::fence::heavy`.
///
/// Who stores, does this, then loads, and who stores, does the heavy half, then loads: one of the two sees the other's store. Here nothing but the
/// compiler is kept from changing the order; the heavy half has every processor do the rest.
#[inline(always)]
pub(crate) fn light_fence() {
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
}

/// Stores, with release, into a word that others may change by compare-and-swap meanwhile.
#[inline(always)]
pub(crate) fn store_last(word: &AtomicU64, value: u64) {
    word.store(value, Ordering::Release);
}

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
