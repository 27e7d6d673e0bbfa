//! Gaps between the versions of a slot in a file.
//!
//! After a recovery, the next publish skips all versions that anybody can have seen
//! (`core::epoch`). Values from before a gap keep their versions: they are history, and lossless
//! subscribers and work queues may begin with them. So code that counts versions, or asks whether
//! one follows another, must leave out the versions that were never published.
//!
//! - A cell says which version was published before its own (`gap` in its header, covered by the
//!   checksum).
//! - The slot says where the newest gap begins (`before_recovery`). It ends at the first version of
//!   the store's epoch (`DirectoryHeader::first_version`). No other gap appears while a store is
//!   open. Older gaps are known only while the first value after them is still in a cell.
//!
//! All of it is written while nobody else has the store open, or with a cell's value. A crash
//! leaves nothing in between.

use crate::core::epoch;
use crate::core::ring::cell::version_before;
use crate::core::ring::ring::Ring;
use crate::core::word::{Head, MAX_VERSION};
use crate::sync::Ordering;

impl Ring<'_> {
    /// The newest gap: the last version before it, and the first one after it, which may not have
    /// been published yet. `None` if there is none.
    fn newest_gap(self) -> Option<(u64, u64)> {
        let first = self.context.host.first_version().min(MAX_VERSION);
        let last = self.slot().header.before_recovery.load(Ordering::Relaxed).min(MAX_VERSION);
        (self.context.checksums && first > 0 && last < first).then_some((last, first))
    }

    /// Whether a version from before the newest gap is among the newest `history`.
    #[cold]
    #[inline(never)]
    pub(crate) fn is_history_before_a_gap(self, version: u64, head: Head, history: u32) -> bool {
        self.newest_gap().is_some_and(|(last, first)| {
            let newer = (head.version() + 1).saturating_sub(first) + last.saturating_sub(version);
            version <= last && head.version() >= first && newer < u64::from(history)
        })
    }

    /// How many versions in `from..to` were published.
    ///
    /// Before an older gap that no cell names any more, versions are not counted. The result is not
    /// 0 if there were any.
    pub(crate) fn published_between(self, from: u64, to: u64) -> u64 {
        let head = self.head();
        let stored = if to <= head.version() { self.find_index(head, to) } else { None };
        let before = stored.and_then(|index| version_before(self.slot().cells.get(index), to));
        let to = before.map_or(to, |before| before + 1);
        let Some((last, first)) = self.newest_gap().filter(|&(_, first)| from < first) else {
            return to.saturating_sub(from);
        };
        let end = to.min(last + 1);
        let below = if from < end { end - from.max(epoch::first_of(end - 1)) } else { 0 };
        below + to.saturating_sub(first)
    }

    /// Records where the gap begins that ends at `first`. Nobody else has the store open.
    pub(crate) fn record_gap(self, first: u64) {
        let head = self.head();
        if head.version() < first {
            self.slot().header.before_recovery.store(head.version(), Ordering::Relaxed);
        }
    }
}
