//! loom's atomics.

pub(crate) use loom::sync::atomic::{Ordering, fence};
pub(crate) use loom::thread::yield_now;

pub(crate) use super::watched::{AtomicU32, AtomicU64};

/// Gives loom, as a fence, the order that `SeqCst` accesses have in the language.
///
/// loom treats a `SeqCst` access as `AcqRel`; it does model `SeqCst` fences. Where the protocol relies on the single total
/// order of `SeqCst` accesses ("I wrote, then read; you wrote, then read; one of us saw the other"), this stands between the
/// write and the read. On the processor it is nothing: the accesses themselves are `SeqCst`. Both must be: if either is
/// weaker, loom sees an order that no processor has to keep, and a real fence belongs there.
pub(crate) fn total_order() {
    fence(Ordering::SeqCst);
}

/// Lets other threads run.
pub(crate) fn pause() {
    yield_now();
}

/// Chooses between a real bound and one that keeps loom's scenarios small.
pub(crate) const fn real_or_model(_real: usize, model: usize) -> usize {
    model
}
