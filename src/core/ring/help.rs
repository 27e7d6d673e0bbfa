//! Finishing the commit of another writer.

use super::error::ReadError;
use super::ring::Ring;
use crate::core::memory::cell_view::CellView;
use crate::core::word::{Head, Seq};
use crate::kill_points::{Step, reached};
use crate::sync::Ordering;

impl<'a> Ring<'a> {
    /// Commits the cell that `head` names, if its writer has not done so yet, or never will.
    ///
    /// Must happen before `head` moves on, so that every published cell is committed, or was overwritten. From then on it is not its writer's
    /// any more.
    ///
    /// A cell that `head` names and that is being written is always the one of the publish that moved `head` there: nobody else
    /// makes that cell private, neither to write nor to empty it (`must_stay`, `reap_mark`).
    #[inline]
    pub(crate) fn help_commit(self, head: Head) {
        let Some(index) = head.cell().filter(|&index| index < self.slot().cells.count()) else {
            return;
        };
        let seq = &self.slot().cells.get(index).header.seq;
        // Acquire: `head` must be read after it.
        let seen = seq.load(Ordering::Acquire);
        if let Seq::Writing { .. } = Seq::from_bits(seen)
            && self.head() == head
        {
            let committed = Seq::Committed { version: head.version() };
            // The word is unique by its ticket: if it is still there, it is the one under which `head`'s cell was filled.
            // Release: pairs with the acquire of `seq` in the readers, and in `take`, which must not find an older `head` than this one. The
            // writer's bytes came to us with `head`.
            let _ = seq.compare_exchange(seen, committed.bits(), Ordering::Release, Ordering::Relaxed);
            reached(Step::OthersCellCommitted);
        }
    }

    /// Called when `head` names a cell that did not hold its version: says so for its writer if only that is missing. Whether it is worth
    /// another look at the same `head`; else that has moved on.
    ///
    /// A contradiction is only what no writer leaves, however slow the reader: `head` is the same before and after, so it was all the time,
    /// and meanwhile its cell was private, or held its version.
    #[cold]
    pub(crate) fn help_or_check(self, head: Head, cell: CellView<'a>) -> Result<bool, ReadError> {
        // Acquire: `head` is read after it.
        let seq = Seq::from_bits(cell.header.seq.load(Ordering::Acquire));
        if self.head() != head {
            return Ok(false);
        }
        match seq {
            Seq::Writing { .. } => {
                self.help_commit(head);
                Ok(true)
            }
            seq if seq.readable() == Some(head.version()) => Ok(true),
            _ => Err(ReadError::Corrupt),
        }
    }
}
