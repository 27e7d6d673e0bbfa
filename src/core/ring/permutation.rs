//! The order in which a single writer goes round the cells: a bit-reversal permutation.
//!
//! Neighbours in this order are far apart in memory, at varying distances. In the order of
//! addresses, the processor of a reader that follows the writer would prefetch the cell that the
//! writer is about to claim. That cell would then be transferred between cores twice for each
//! value.
//!
//! Longer rings are visited in blocks of 32 cells. The order is a preference, not a rule: other writers may interleave, and a reader that does not
//! find a version in its place searches for it.

use std::sync::OnceLock;

/// How many cells a block has. Blocks are visited in order, so that a ring is reserved block by
/// block, as it is first used.
pub(crate) const BLOCK: u32 = 32;

/// The most cells of a ring.
pub(crate) const MAX_CELLS: u32 = 8192;

/// For a number of cells: the successor of each, and its predecessor by any number of steps.
#[derive(Debug)]
pub(crate) struct Permutation {
    /// The cells in order.
    cells: Box<[u32]>,
    /// The position of each cell in `cells`.
    positions: Box<[u32]>,
    /// The cell that comes after each.
    next: Box<[u32]>,
}

/// The permutations of this process, by the number of cells. They depend on nothing else.
static KNOWN: [OnceLock<Permutation>; MAX_CELLS as usize + 1] = [const { OnceLock::new() }; MAX_CELLS as usize + 1];

impl Permutation {
    /// The permutation of this many cells, 1 to [`MAX_CELLS`].
    #[inline]
    pub(crate) fn of(count: u32) -> &'static Self {
        KNOWN[count as usize].get_or_init(|| Self::new(count))
    }

    fn new(count: u32) -> Self {
        let mut cells = Vec::with_capacity(count as usize);
        for first in (0..count).step_by(BLOCK as usize) {
            let len = BLOCK.min(count - first);
            let bits = len.next_power_of_two().trailing_zeros();
            let reversed = |position: u32| if bits == 0 { 0 } else { position.reverse_bits() >> (u32::BITS - bits) };
            cells.extend((0..1 << bits).map(reversed).filter(|&cell| cell < len).map(|cell| first + cell));
        }
        let cells = cells.into_boxed_slice();
        let mut positions = vec![0; cells.len()].into_boxed_slice();
        let mut next = positions.clone();
        for (position, &cell) in cells.iter().enumerate() {
            positions[cell as usize] = position as u32;
            next[cell as usize] = cells[(position + 1) % cells.len()];
        }
        Self { cells, positions, next }
    }

    /// The cell after this one; any cell, if there is none of this index.
    #[inline]
    pub(crate) fn after(&self, cell: u32) -> u32 {
        self.next.get(cell as usize).copied().unwrap_or(0)
    }

    /// The cell that comes `back` steps before this one. Both are below the number of cells.
    #[inline]
    pub(crate) fn before(&self, cell: u32, back: u32) -> u32 {
        let (position, count) = (self.positions[cell as usize], self.cells.len() as u32);
        self.cells[(if position >= back { position - back } else { position + count - back }) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_comes_once_in_a_round_and_before_inverts_after() {
        for count in (1..70).chain([4096, 8191, 8192]) {
            let permutation = Permutation::of(count);
            let mut cell = 0;
            for step in 1..=count {
                let next = permutation.after(cell);
                assert_eq!(permutation.before(next, 1), cell);
                assert_eq!(permutation.before(next, step % count), 0);
                cell = next;
                assert_eq!(cell == 0, step == count, "of {count} cells");
            }
        }
    }

    #[test]
    fn no_two_consecutive_steps_have_the_same_length() {
        let permutation = Permutation::of(24);
        let step = |cell: u32| permutation.after(cell).cast_signed() - cell.cast_signed();
        assert!((0..24).all(|cell| step(cell) != step(permutation.after(cell))));
    }
}
