//! loom's atomics and fences, with the same interface as `processor`.

pub(crate) use loom::sync::atomic::{Ordering, fence};
pub(crate) use loom::thread::yield_now;

pub(crate) use watched::{AtomicU32, AtomicU64};

#[path = "watched.rs"]
pub(crate) mod watched;

/// A fence that gives loom the total order that `SeqCst` accesses have in the language.
///
/// loom treats a `SeqCst` access as `AcqRel`, but it does model `SeqCst` fences. Where the protocol
/// relies on the total order ("I wrote, then read; you wrote, then read; one of us saw the other"),
/// this call stands between the write and the read. On the processor it does nothing: the accesses
/// themselves are `SeqCst`. Both must be. If one of them is weaker, this fence would hide a bug
/// from loom, and a real fence belongs there.
pub(crate) fn total_order() {
    fence(Ordering::SeqCst);
}

/// Lets other threads run.
pub(crate) fn pause() {
    yield_now();
}

/// The second bound, which keeps loom's scenarios small.
pub(crate) const fn real_or_model(_real: usize, model: usize) -> usize {
    model
}
