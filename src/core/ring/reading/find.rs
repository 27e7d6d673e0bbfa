//! Finding the cell of a version.
//!
//! - **Fast path.** A single writer fills the cells in the order of the permutation. So counting
//!   back from `head` gives the right cell.
//! - **Slow path.** Several writers mix up the order of neighbours: the search goes outwards from
//!   there.
//!
//! A cell itself says which version it holds, so a wrong guess costs time and nothing else.

use crate::core::memory::cell_view::CellView;
use crate::core::ring::cell::holds;
use crate::core::ring::error::ReadError;
use crate::core::ring::ring::Ring;
use crate::core::word::{Head, LOST_CELL};

impl<'a> Ring<'a> {
    /// The cell that `head` names.
    #[inline]
    pub(crate) fn cell(self, index: u32) -> Result<CellView<'a>, ReadError> {
        if self.is_reserved(index) {
            Ok(self.slot().cells.get(index))
        } else {
            Err(if index == LOST_CELL { ReadError::Lost } else { ReadError::Corrupt })
        }
    }

    /// The index of the cell that holds an older version, if any does.
    #[inline]
    pub(crate) fn find_index(self, head: Head, version: u64) -> Option<u32> {
        let count = self.handle.shape().cells();
        let newest = head.cell().filter(|&index| index < count).unwrap_or(0);
        let back = u32::try_from(head.version() - version).ok().filter(|&back| back < count).unwrap_or(0);
        let guess = self.handle.permutation().before(newest, back);
        let is_there = self.handle.knows_cell(guess) && holds(self.slot().cells.get(guess), version);
        if is_there { Some(guess) } else { self.find_near(guess, version) }
    }

    #[cold]
    fn find_near(self, guess: u32, version: u64) -> Option<u32> {
        let (count, reserved) = (self.handle.shape().cells(), self.reserved_cells());
        let cells = &self.slot().cells;
        let if_holds = |index: u32| Some(index).filter(|&index| index < reserved && holds(cells.get(index), version));
        if let found @ Some(_) = if_holds(guess) {
            return found;
        }
        let permutation = self.handle.permutation();
        (1..=count / 2).find_map(|distance| {
            let after = if_holds(permutation.before(guess, count - distance));
            after.or_else(|| if_holds(permutation.before(guess, distance)))
        })
    }
}
