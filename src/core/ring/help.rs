//! Finishing the commit of another writer.

use super::error::ReadError;
use super::ring::Ring;
use crate::core::memory::cell_view::CellView;
use crate::core::word::{Head, Seq};
use crate::kill_points::{Step, reached};
use crate::sync::Ordering;

impl<'a> Ring<'a> {
    /// Does for the writer of `head` what it has not done yet, or never will: says of its cell which version it holds.
    ///
    /// Must happen before `head` moves on, so that every published cell says so, or was overwritten.
    #[inline]
    pub(crate) fn help_commit(self, head: Head) {
        let Some(index) = head.cell().filter(|&index| index < self.slot().cells.count()) else {
            return;
        };
        let seq = &self.slot().cells.get(index).header.seq;
        // Acquire: the look at `head` must come after it.
        let seen = seq.load(Ordering::Acquire);
        if let Seq::Writing { participant, .. } = Seq::from_bits(seen)
            && self.head() == head
        {
            // Not whole: it is the writer's to let go of, which it does without looking.
            let held = Seq::Published { version: head.version(), participant };
            // The word is unique by its ticket: if it is still there, it is the one under which `head`'s cell was filled.
            // Release: pairs with the acquire of `seq` in the readers. The writer's bytes came to us with `head`.
            let _ = seq.compare_exchange(seen, held.bits(), Ordering::Release, Ordering::Relaxed);
            reached(Step::OthersCellHelped);
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
