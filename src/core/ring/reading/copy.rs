//! The validated read of this crate: copy by relaxed atomic words, acquire fence, check `seq` again.
//!
//! It is a seqlock's read side (Lamport 1977, "Concurrent reading and writing"; Boehm 2012, "Can
//! seqlocks get along with programming language memory models?"), with one difference: writers do not
//! increment a counter, but `seq` names the version, which a cell never holds again.

use crate::core::memory::cell_view::CellView;
use crate::core::memory::words;
use crate::core::ring::cell::{len, set_len};
use crate::core::ring::ring::Ring;
use crate::core::word::Seq;
use crate::sync::{Ordering, fence};

/// The outcome of copying a value out of its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copied {
    Whole,
    /// The cell does not hold the version any more.
    Overwritten,
    /// The value must be read under a pin. Nothing was copied.
    Long,
}

impl<'a> Ring<'a> {
    /// Copies the value of a cell that held `version` when the caller checked.
    #[inline(always)]
    pub(crate) fn copy(self, index: u32, cell: CellView<'a>, version: u64, out: &mut Vec<u8>) -> Copied {
        let len = len(cell);
        let Some(words) = self.short_words(index, cell, len) else { return Copied::Long };
        set_len(out, len);
        words::load(words, out);
        // Acquire: pairs with the release fence of the claim; if any word that was copied was a later
        // writer's, the load of `seq` below sees that writer's mark.
        fence(Ordering::Acquire);
        let holds = Seq::bits_hold(cell.header.seq.load(Ordering::Relaxed), version);
        if holds { Copied::Whole } else { Copied::Overwritten }
    }
}
