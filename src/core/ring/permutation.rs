//! The order in which a writer that is alone goes round the cells.

/// For a number of cells: the next after each, and which one is so many before another.
///
/// Neighbours in this order are far apart in memory, and by ever other distances. A reader that follows a writer around would
/// else have its processor fetch ahead what the writer is about to take: the cell would come back to it from another core, twice for each value.
///
/// It is a habit, and not a rule: other writers may come between, and readers look elsewhere if a version is not where this says.
#[derive(Debug)]
pub(crate) struct Permutation {
    /// The cells in order.
    cells: Box<[u32]>,
    /// Where each cell is in it.
    places: Box<[u32]>,
    /// The cell that comes after each.
    next: Box<[u32]>,
}

impl Permutation {
    pub(crate) fn of(count: u32) -> Self {
        let bits = count.next_power_of_two().trailing_zeros();
        let reversed = |place: u32| if bits == 0 { 0 } else { place.reverse_bits() >> (u32::BITS - bits) };
        let cells: Box<[u32]> = (0..1 << bits).map(reversed).filter(|&cell| cell < count).collect();
        let mut places = vec![0; cells.len()].into_boxed_slice();
        let mut next = places.clone();
        for (place, &cell) in cells.iter().enumerate() {
            places[cell as usize] = place as u32;
            next[cell as usize] = cells[(place + 1) % cells.len()];
        }
        Self { cells, places, next }
    }

    /// The cell after this one; of one that there is not, any.
    #[inline]
    pub(crate) fn after(&self, cell: u32) -> u32 {
        self.next.get(cell as usize).copied().unwrap_or(0)
    }

    /// The cell that is `back` places before this one, both below their number.
    #[inline]
    pub(crate) fn before(&self, cell: u32, back: u32) -> u32 {
        let (place, count) = (self.places[cell as usize], self.cells.len() as u32);
        self.cells[(if place >= back { place - back } else { place + count - back }) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_its_turn_and_the_way_back_is_the_way_there() {
        for count in (1..70).chain([4096, 8191, 8192]) {
            let order = Permutation::of(count);
            let mut cell = 0;
            for step in 1..=count {
                let next = order.after(cell);
                assert_eq!(order.before(next, 1), cell);
                assert_eq!(order.before(next, step % count), 0);
                cell = next;
                assert_eq!(cell == 0, step == count, "of {count} cells");
            }
        }
    }

    #[test]
    fn no_two_steps_in_a_row_are_equally_long() {
        let order = Permutation::of(24);
        let step = |cell: u32| order.after(cell) as i32 - cell as i32;
        assert!((0..24).all(|cell| step(cell) != step(order.after(cell))));
    }
}
