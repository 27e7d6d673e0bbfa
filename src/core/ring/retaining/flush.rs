//! What a flush promises: the value that was the newest when it ran is found again, whatever is
//! published afterwards.
//!
//! The pages of a file reach the disk at any time and in any order. So after the machine stops, the
//! newest value may be there in part only. A cell that is overwritten after a flush may hold
//! neither the old value nor the new one. Therefore a flush first writes into each slot which
//! version it is about to write to the disk (`flushing`). When all of it is on the disk, it moves
//! that to `flushed`. Writers of a store in a file overwrite no cell that holds one of the two. It
//! is shadow paging, as in databases that write copies of pages and keep the last durable one.
//!
//! - **Fast path** of a writer: two loads of a line that hardly ever changes, after the checks that
//!   all stores need.
//! - **Slow path** of a flush: a writer is about to overwrite the newest value, because a newer one
//!   was published: try again with that one. The flush writes `flushing`, then reads `seq`; the
//!   writer changes `seq`, then reads `flushing`. In their one total order, one of the two sees the
//!   other.
//!
//! **Crash** after each step:
//!
//! | step | leaves |
//! | --- | --- |
//! | `FlushBegun` | two versions that are retained: the one that was promised before, and the one that would have been; the next flush replaces the second |
//! | `FlushWritten` | the same; the disk has more than was promised |
//! | `FlushEnded` | some slots promise the new version, others still the one before |
//!
//! Removing a key removes its values, flushed or not. A purge flushes first, so that it needs
//! nothing older.

use crate::core::ring::ring::Ring;
use crate::core::word::Seq;
use crate::kill_points::{Step, reached};
use crate::sync::{Ordering, real_or_model, total_order, yield_now};

/// How often a flush tries to mark a newest value that no writer is about to overwrite. An attempt
/// fails only if a whole history was published meanwhile.
const ATTEMPTS: usize = real_or_model(1 << 16, 4);

/// The fewest cells that a slot in a file can do with, if readers pin none: one for the newest
/// value, one for the last value that was flushed, one for the value that a flush is writing to the
/// disk, and one that is being filled.
pub(crate) const MIN_FILE_CELLS: u32 = 4;

/// The values of the key were overwritten faster than a flush could mark one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlushOvertaken;

impl Ring<'_> {
    /// Whether the cell of this version must not be overwritten because of a flush.
    pub(crate) fn is_flushed(self, version: u64) -> bool {
        self.context.checksums && version > 0 && self.flushed_versions().contains(&version)
    }

    /// The versions whose cells must not be overwritten because of a flush; 0 for none.
    pub(crate) fn flushed_versions(self) -> [u64; 2] {
        let header = self.slot().header;
        // SeqCst: pairs with `begin_flush`. We change `seq`, then read these; the flush writes
        // `flushing`, then reads `seq`.
        [&header.flushing, &header.flushed].map(|word| word.load(Ordering::SeqCst))
    }

    /// The largest version, at most `last`, such that a purge may retire it and all older ones.
    pub(crate) fn purgeable_up_to(self, last: u64) -> u64 {
        let base_version = self.base_version();
        let flushed =
            self.flushed_versions().into_iter().filter(|&version| self.context.checksums && version > base_version);
        flushed.fold(last, |last, version| last.min(version - 1))
    }

    /// Marks the newest value as the one that a flush writes to the disk. From now on its cell is
    /// not overwritten.
    ///
    /// The caller holds the lock of flushes.
    pub(crate) fn begin_flush(self) -> Result<(), FlushOvertaken> {
        let flushing = &self.slot().header.flushing;
        for _ in 0..ATTEMPTS {
            let head = self.head();
            let Some(index) = head.cell().filter(|&index| self.is_reserved(index)) else {
                flushing.store(0, Ordering::SeqCst);
                return Ok(());
            };
            // The cell on the disk must say which version it holds. Otherwise it could be read only
            // with a `head` from the same moment.
            self.help_commit(head);
            // SeqCst: pairs with `flushed_versions`, as does the load of `seq` below.
            flushing.store(head.version(), Ordering::SeqCst);
            reached(Step::FlushBegun);
            total_order();
            let seq = self.slot().cells.get(index).header.seq.load(Ordering::SeqCst);
            if Seq::from_bits(seq).steady() == Some(head.version()) {
                return Ok(());
            }
            yield_now();
        }
        Err(FlushOvertaken)
    }

    /// Promises the value that `begin_flush` marked. It is on the disk by now.
    pub(crate) fn end_flush(self) {
        let header = self.slot().header;
        // SeqCst: pairs with `flushed_versions`. Both words name the version for a moment, so it is
        // retained all the time.
        header.flushed.store(header.flushing.load(Ordering::SeqCst), Ordering::SeqCst);
        reached(Step::FlushEnded);
        // The value that was flushed before may be overwritten now.
        self.notify(self.not_full());
    }
}
