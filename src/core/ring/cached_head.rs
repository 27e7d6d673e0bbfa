//! What a handle remembers of its last publish, so that it need not look before the next.

use crate::core::word::{Head, MAX_VERSION};
use crate::sync::{AtomicU64, Ordering};

/// The `head` that a handle's last publish has made, and whether nobody else published before it.
///
/// Readers poll `head`: to look at it costs its line coming from another core, and to move it once more. A writer that is most likely alone
/// moves it without looking; if it is no longer what it was, nothing has happened.
#[derive(Debug, Default)]
pub(crate) struct CachedHead(AtomicU64);

/// No ring has so many cells that `head` needs this bit.
const ALONE: u64 = 1 << 63;

impl CachedHead {
    /// What `head` most likely is, if there is a version after it.
    ///
    /// While it is, the slot has not been given to another key, since removing one moves `head`; and its cell is whole.
    #[inline]
    pub(crate) fn expected(&self) -> Option<Head> {
        // Acquire: pairs with `remember`, if threads share the handle.
        let word = self.0.load(Ordering::Acquire);
        Some(Head::from_bits(word & !ALONE)).filter(|head| word & ALONE != 0 && head.version() < MAX_VERSION)
    }

    /// Notes a publish that has moved `head` from `before` to `now`, and whose cell is marked whole.
    #[inline]
    pub(crate) fn remember(&self, before: Head, now: Head) {
        // Relaxed: whatever it is, it is only compared.
        let alone = self.0.load(Ordering::Relaxed) & !ALONE == before.bits();
        // Release: whoever expects this finds the cell whole.
        self.0.store(now.bits() | if alone { ALONE } else { 0 }, Ordering::Release);
    }
}
