//! What a flush promises: the value that was the newest when it ran is found again, whatever is published afterwards.
//!
//! The pages of a file reach the disk at any time and in any order. So after the machine stops, the newest value may be there in
//! part only, and a cell that is overwritten after a flush may hold neither the old value nor the new one. A flush therefore
//! writes down, in each slot, which version it is about to write to the disk (`flushing`), and when all of it is there moves that to
//! `flushed`. Writers of a store in a file overwrite no cell that holds one of the two. It is what databases do that write copies of pages
//! and keep the last durable one ("shadow paging").
//!
//! - **Fast path** of a writer: two loads of a line that hardly ever changes, after the checks that all stores need.
//! - **Race** between a flush that marks a version and a writer that claims its cell: the flush writes `flushing`, then looks at `seq`; the
//!   writer changes `seq`, then looks at `flushing`. In the one total order, one of the two sees the other.
//! - **Crash** after `flushing` was written: the version is kept until the next flush, which promises another one. `flushed` is still
//!   the last that was promised, and kept, too.
//!
//! Removing a key removes its values, flushed or not. A purge flushes first, so that it needs nothing older.

use super::ring::Ring;
use crate::core::word::Seq;
use crate::kill_points::{Step, reached};
use crate::sync::{Ordering, real_or_model, total_order, yield_now};

/// How often a flush looks for a newest value that nobody is about to overwrite. A look fails only if a whole history was published during it.
const ATTEMPTS: usize = real_or_model(1 << 16, 4);

/// How many cells of a slot in a file are in use at most, beside those that readers hold: the newest value, the last one that was flushed, the one that
/// a flush is writing to the disk, and one that is being filled.
pub(crate) const CELLS_OF_A_FILE: u32 = 4;

/// A key whose values were overwritten faster than a flush could mark one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overtaken;

impl Ring<'_> {
    /// Whether the cell that holds this version is not to be overwritten, because of a flush.
    pub(crate) fn is_flushed(self, version: u64) -> bool {
        self.context.checksums && version > 0 && self.flushed_versions().contains(&version)
    }

    /// The versions whose cells are not to be overwritten; 0 for none.
    pub(crate) fn flushed_versions(self) -> [u64; 2] {
        let header = self.slot().header;
        // SeqCst: pairs with `begin_flush`. We change `seq`, then look here; the flush writes here, then looks at `seq`.
        [&header.flushing, &header.flushed].map(|word| word.load(Ordering::SeqCst))
    }

    /// The largest version of which a purge may take all that are older, going by what was flushed.
    pub(crate) fn purgeable_up_to(self, last: u64) -> u64 {
        let base_version = self.base_version();
        let flushed =
            self.flushed_versions().into_iter().filter(|&version| self.context.checksums && version > base_version);
        flushed.fold(last, |last, version| last.min(version - 1))
    }

    /// Marks the newest value as the one that a flush writes to the disk: its cell is not overwritten from now on.
    ///
    /// The caller holds the lock of flushes.
    pub(crate) fn begin_flush(self) -> Result<(), Overtaken> {
        let flushing = &self.slot().header.flushing;
        for _ in 0..ATTEMPTS {
            let head = self.head();
            let Some(index) = head.cell().filter(|&index| index < self.slot().cells.count()) else {
                flushing.store(0, Ordering::SeqCst);
                return Ok(());
            };
            // On the disk, too, the cell says which version it holds: without that, `head` would have to be from the same moment.
            self.help_commit(head);
            // SeqCst: pairs with `flushed_versions`.
            flushing.store(head.version(), Ordering::SeqCst);
            reached(Step::FlushBegun);
            total_order();
            let seq = self.slot().cells.get(index).header.seq.load(Ordering::SeqCst);
            if Seq::from_bits(seq).steady() == Some(head.version()) {
                return Ok(());
            }
            yield_now();
        }
        Err(Overtaken)
    }

    /// Promises what `begin_flush` marked, which is on the disk by now.
    pub(crate) fn end_flush(self) {
        let header = self.slot().header;
        // SeqCst: as in `begin_flush`. Both words name the version for a moment, so it is kept all the time.
        header.flushed.store(header.flushing.load(Ordering::SeqCst), Ordering::SeqCst);
        reached(Step::FlushEnded);
        // What was flushed before may be overwritten.
        self.notify(self.not_full());
    }
}
