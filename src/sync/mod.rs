//! The one place that names atomics: the processor's, or loom's under `cfg(loom)`.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{Ordering, fence};
#[cfg(loom)]
pub(crate) use watched::{AtomicU32, AtomicU64};

#[cfg(loom)]
pub(crate) mod watched;

/// Gives loom, as a fence, the order that `SeqCst` accesses already have in the language.
///
/// loom treats a `SeqCst` access as `AcqRel`; it does model `SeqCst` fences. Where the protocol rests on the single total
/// order of `SeqCst` accesses ("I wrote, then looked; you wrote, then looked; one of us saw the other"), this stands
/// between the write and the look. On the processor it is nothing: the accesses themselves are `SeqCst`. So both must be: where either
/// is weaker, loom would see an order that no processor has to keep, and a real fence belongs there.
#[inline(always)]
pub(crate) fn total_order() {
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}

/// The half of a fence that is done often; the other half is `os::fence::heavy`.
///
/// Who stores, does this, then loads, and who stores, does the heavy half, then loads: one of the two sees the other's store. Here nothing but the
/// compiler is kept from changing the order; the heavy half has every processor do the rest.
#[inline(always)]
pub(crate) fn light_fence() {
    #[cfg(not(loom))]
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}

/// Stores, with release, into a word that others may change by compare-and-swap meanwhile.
///
/// loom has no order for such a store and a change that was carried out before it, and may forget the store; so there it is a swap.
#[inline(always)]
pub(crate) fn store_last(word: &AtomicU64, value: u64) {
    #[cfg(not(loom))]
    word.store(value, Ordering::Release);
    #[cfg(loom)]
    word.swap(value, Ordering::Release);
}

/// Lets others run between two looks at something that they must change first.
pub(crate) fn yield_now() {
    #[cfg(not(loom))]
    std::thread::yield_now();
    #[cfg(loom)]
    loom::thread::yield_now();
}
