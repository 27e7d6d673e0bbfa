//! How far a store's file is known to reach.

use crate::sync::{AtomicU64, Ordering};

/// How long the file of a store is known to be, in bytes. It never becomes shorter, unless somebody
/// truncates it.
#[derive(Debug)]
pub(crate) struct Reach(AtomicU64);

impl Reach {
    /// Of a file of which nothing is known.
    pub(crate) fn unknown() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Whether the file is known to have this many bytes.
    #[inline]
    pub(crate) fn has(&self, len: usize) -> bool {
        len as u64 <= self.len()
    }

    #[inline]
    pub(crate) fn len(&self) -> u64 {
        // Relaxed: the number only grows, and guards no other data.
        self.0.load(Ordering::Relaxed)
    }

    /// Notes that the file has this many bytes at least.
    pub(crate) fn note(&self, len: u64) {
        // The largest one: another thread may have seen a later length.
        self.0.fetch_max(len, Ordering::Relaxed);
    }
}
