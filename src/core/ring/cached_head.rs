//! The cached head: what a handle remembers of its last publish, so that it need not read `head`
//! before the next one.
//!
//! Readers poll `head`. To read it costs a publisher one transfer of its line from another core,
//! and to move it costs a second one. A publisher that is most likely the only one moves `head` by
//! compare-and-swap from the value that it left there itself.
//!
//! - **Fast path.** `expected` gives the remembered `head`. The publisher claims the cell after
//!   that one's, fills it, and moves `head` (`publish.rs`).
//! - **Slow path.** Another publisher has moved `head` meanwhile: the compare-and-swap fails and
//!   nothing has happened. `remember` then notes that the handle is not alone, and the next publish
//!   reads `head`.
//! - **Crash.** The cache is private memory of one process. A crash leaves nothing.

use crate::core::word::{Head, MAX_VERSION};
use crate::sync::{AtomicU64, Ordering};

/// The `head` that a handle's last publish wrote, and whether no one else published before it.
#[derive(Debug, Default)]
pub(crate) struct CachedHead(AtomicU64);

/// Set when the handle was alone. No ring has so many cells that `head` needs this bit.
const ALONE: u64 = 1 << 63;

impl CachedHead {
    /// The most likely value of `head`; `None` if there is no version after it, or the handle is
    /// not alone.
    ///
    /// While `head` has this value, its cell is committed, and the slot has not been assigned to
    /// another key, because removing a key moves `head`.
    #[inline]
    pub(crate) fn expected(&self) -> Option<Head> {
        // Acquire: pairs with the release in `remember`, if threads share the handle.
        let word = self.0.load(Ordering::Acquire);
        Some(Head::from_bits(word & !ALONE)).filter(|head| word & ALONE != 0 && head.version() < MAX_VERSION)
    }

    /// Records a publish that moved `head` from `before` to `now`, and whose cell is committed.
    #[inline]
    pub(crate) fn remember(&self, before: Head, now: Head) {
        // Relaxed: it is only compared.
        let alone = self.0.load(Ordering::Relaxed) & !ALONE == before.bits();
        // Release: pairs with the acquire in `expected`; a thread that expects this `head` finds
        // its cell committed.
        self.0.store(now.bits() | if alone { ALONE } else { 0 }, Ordering::Release);
    }
}
