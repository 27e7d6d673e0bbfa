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
/// between the write and the look. On the processor it is nothing: the accesses themselves are `SeqCst`.
#[inline(always)]
pub(crate) fn total_order() {
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}

/// Lets others run between two looks at something that they must change first.
pub(crate) fn yield_now() {
    #[cfg(not(loom))]
    std::thread::yield_now();
    #[cfg(loom)]
    loom::thread::yield_now();
}
