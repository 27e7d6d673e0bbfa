//! loom's atomics and fences, with the same interface as `processor`.

#![allow(unsafe_code)]

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

/// Whether the kernel has space for a cell. It is visible to those who see it announced by another
/// word, so it is an atomic: a thread that is not told may see what was before.
#[derive(Default)]
pub(crate) struct Presence(loom::sync::atomic::AtomicBool);

impl Presence {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether the kernel has space for a page of the extents, or for a side record. What the kernel does
/// is visible to all at once, so the answer is not one of loom's atomics. But loom reports a page that
/// is given back while another thread may still be touching it.
#[derive(Default)]
pub(crate) struct Space {
    is_there: std::sync::atomic::AtomicBool,
    touched: loom::cell::UnsafeCell<()>,
}

// SAFETY: loom checks the accesses.
unsafe impl Sync for Space {}

impl Space {
    pub(crate) fn reserve(&self) {
        self.is_there.store(true, Ordering::Relaxed);
    }

    pub(crate) fn give_back(&self) {
        self.touched.with_mut(|_| self.is_there.store(false, Ordering::Relaxed));
    }

    /// Touches the page, if there is space.
    pub(crate) fn touch(&self) -> bool {
        self.touched.with(|_| self.is_there())
    }

    pub(crate) fn is_there(&self) -> bool {
        self.is_there.load(Ordering::Relaxed)
    }
}
