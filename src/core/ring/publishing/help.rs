//! Helping: finishing the commit of another writer.
//!
//! A publish is two changes: `head` moves to the cell, then the cell is committed. A writer may be
//! stopped or crash in between. Any participant that meets such a cell commits it, as in other
//! lock-free algorithms with helping (Barnes 1993, "A method for implementing lock-free shared data
//! structures"). So nobody waits for that writer.
//!
//! - **Fast path.** The cell is committed: one load of `seq`.
//! - **Slow path.** It is not: read `head` again, then one compare-and-swap from the writer's word.
//!   The word is unique by its ticket, so the compare-and-swap fails if the cell has changed in any
//!   way.
//! - **Crash** after `OthersCellCommitted`: nothing is left; the cell is committed.

use crate::core::memory::cell_view::CellView;
use crate::core::ring::error::ReadError;
use crate::core::ring::ring::Ring;
use crate::core::word::{Head, Seq};
use crate::kill_points::{Step, reached};
use crate::sync::Ordering;

impl<'a> Ring<'a> {
    /// Commits the cell that `head` names, if its writer has not done so.
    ///
    /// This must happen before `head` moves on, so that every published cell is committed, or was
    /// overwritten. From then on, the writer does not own the cell any more.
    ///
    /// If `head` names a cell in the state "writing", its writer is the one that moved `head`
    /// there. No other participant brings that cell into this state, neither to write nor to empty
    /// it (`must_stay`, `reap_claim`).
    #[inline]
    pub(crate) fn help_commit(self, head: Head) {
        let Some(index) = head.cell().filter(|&index| self.is_reserved(index)) else {
            return;
        };
        let seq = &self.slot().cells.get(index).header.seq;
        // Acquire: pairs with the release of the writing word in the claim; `head` is read after
        // it.
        let seen = seq.load(Ordering::Acquire);
        if let Seq::Writing { .. } = Seq::from_bits(seen)
            && self.head() == head
        {
            let committed = Seq::Committed { version: head.version() };
            // The word is unique by its ticket. If it is still there, `head`'s cell was filled
            // under it.
            // Release: pairs with the acquire of `seq` in the readers, and in the claim, which must
            // not read an older `head` than this one. The writer's bytes came to us with `head`.
            let _ = seq.compare_exchange(seen, committed.bits(), Ordering::Release, Ordering::Relaxed);
            reached(Step::OthersCellCommitted);
        }
    }

    /// Called when `head` named a cell that did not hold its version. Commits the cell if only that
    /// is missing, and returns `true`: try again with the same `head`. `false`: `head` has moved
    /// on.
    ///
    /// A contradiction is a state that no writer leaves, however slow the reader is. `head` is the
    /// same before and after, so it was the same in between. Meanwhile its cell must be in the
    /// state "writing", or hold its version.
    #[cold]
    pub(crate) fn help_or_check(self, head: Head, cell: CellView<'a>) -> Result<bool, ReadError> {
        // Acquire: pairs as in `help_commit`; `head` is read after it.
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
