//! Where a version is.

use super::cell::holds;
use super::error::ReadError;
use super::ring::Ring;
use crate::core::memory::cell_view::CellView;
use crate::core::word::{Head, LOST};

impl<'a> Ring<'a> {
    /// The cell that `head` names; of those beyond the ring, one is ours.
    #[inline]
    pub(crate) fn cell(self, index: u32) -> Result<CellView<'a>, ReadError> {
        let cells = &self.slot().cells;
        if index < cells.count() {
            Ok(cells.get(index))
        } else {
            Err(if index == LOST { ReadError::Lost } else { ReadError::Corrupt })
        }
    }

    /// The index of the cell in which an older version is. One writer alone fills the ring in order, which makes the first guess right;
    /// several mix up the order of neighbours, so the search goes outwards from there.
    #[inline]
    pub(crate) fn find_index(self, head: Head, version: u64) -> Option<u32> {
        let cells = &self.slot().cells;
        let count = cells.count();
        let newest = head.cell().filter(|&index| index < count).unwrap_or(0);
        let back = u32::try_from(head.version() - version).ok().filter(|&back| back < count).unwrap_or(0);
        let guess = self.context.permutation.before(newest, back);
        if holds(cells.get(guess), version) { Some(guess) } else { self.find_near(guess, version) }
    }

    #[cold]
    fn find_near(self, guess: u32, version: u64) -> Option<u32> {
        let cells = &self.slot().cells;
        let count = cells.count();
        let at = |index: u32| Some(index).filter(|&index| holds(cells.get(index), version));
        let order = &self.context.permutation;
        (1..=count / 2).find_map(|away| at(order.before(guess, count - away)).or_else(|| at(order.before(guess, away))))
    }
}
