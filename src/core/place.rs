//! The places of values in the extents of a slot.
//!
//! A value that is in neither its cell nor the cell's page (`ring::publishing::storage`) is in one of two
//! places of its cell, by its length alone. There is no allocator, so nothing can leak, and a recovery has
//! nothing to rebuild.
//!
//! ```text
//! the extents of one slot: `span` bytes of addresses
//! +----------------+-----+----------------+--------------------+-----+--------------------+
//! | medium, cell 0 | ... | medium, last   | large, cell 0      | ... | large, last        |
//! +----------------+-----+----------------+--------------------+-----+--------------------+
//!  64 KiB each, one page apart             the rest of the span, in equal parts
//! ```
//!
//! Addresses are plentiful; space is taken when a place is used. The medium places stand close
//! together because each process pays for the page tables of what it touches. Places begin at odd
//! multiples of a page from each other: places at large powers of two would share few sets of the
//! cache.

use crate::sync::real_or_model;

/// Places begin at multiples of this.
const PAGE: u64 = real_or_model(4096, 8) as u64;
/// The longest value in a medium place, in bytes.
pub(crate) const MEDIUM_SIZE: u64 = real_or_model(64 << 10, 16) as u64;
const MEDIUM_STRIDE: u64 = MEDIUM_SIZE + PAGE;

/// Which of a cell's places a value is in that is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    Medium,
    Large,
}

impl Tier {
    pub(crate) const ALL: [Self; 2] = [Self::Medium, Self::Large];

    /// The tier's index in records that have a field for each.
    #[inline]
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// The tier of a long value of this length.
    #[inline]
    pub(crate) fn of(len: usize) -> Self {
        if len as u64 <= MEDIUM_SIZE { Self::Medium } else { Self::Large }
    }
}

/// A range of bytes in the extents of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) tier: Tier,
    /// Where it begins, in bytes from the start of the slot's extents.
    pub(crate) start: u64,
    /// How many bytes a value in it may have.
    pub(crate) capacity: u64,
}

/// The places of a slot whose key has this many cells, in extents of `span` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places {
    cells: u64,
    span: u64,
}

impl Places {
    pub(crate) fn new(cells: u32, span: u64) -> Self {
        Self { cells: u64::from(cells.max(1)), span }
    }

    /// The most cells for whose longer values a span of this many bytes has room.
    pub(crate) fn max_cells(span: u64) -> u32 {
        u32::try_from(span / MEDIUM_STRIDE).unwrap_or(u32::MAX)
    }

    /// The smallest span that has room for the longer values of so many cells, in bytes.
    pub(crate) fn min_span(cells: u32) -> u64 {
        u64::from(cells) * MEDIUM_STRIDE
    }

    /// The cell's place in this tier.
    pub(crate) fn get(self, tier: Tier, cell: u32) -> Place {
        match tier {
            Tier::Medium => Place { tier, start: u64::from(cell) * MEDIUM_STRIDE, capacity: self.medium_size() },
            Tier::Large => {
                let cell = u64::from(cell);
                let stride = self.large_stride();
                Place { tier, start: self.cells * MEDIUM_STRIDE + cell * stride, capacity: stride.min(MAX_LEN) }
            }
        }
    }

    /// The largest value of the key in bytes, if it is not inline; 0 if the extents have no room.
    pub(crate) fn max_len(self) -> u64 {
        let large = self.large_stride().min(MAX_LEN);
        if large > MEDIUM_SIZE { large } else { self.medium_size() }
    }

    fn medium_size(self) -> u64 {
        if self.cells * MEDIUM_STRIDE <= self.span { MEDIUM_SIZE } else { 0 }
    }

    /// The distance between large places; 0 if there is no room for any.
    fn large_stride(self) -> u64 {
        let pages = self.span.saturating_sub(self.cells * MEDIUM_STRIDE) / self.cells / PAGE;
        // An odd number of pages.
        pages.saturating_sub(1 - pages % 2) * PAGE
    }
}

/// The longest value of any key: lengths have 32 bits, and some room for arithmetic.
pub(crate) const MAX_LEN: u64 = 1 << 31;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn the_longest_value_follows_from_the_number_of_cells() {
        let mib = |cells| Places::new(cells, GIB).max_len() as f64 / f64::from(1 << 20);
        assert!((42.0..43.0).contains(&mib(24)), "{}", mib(24));
        assert!((3.9..4.0).contains(&mib(256)), "{}", mib(256));
        assert_eq!(Places::new(8192, GIB).max_len(), MEDIUM_SIZE);
        assert_eq!(Places::new(24, GIB / 1024).max_len(), 0);
        assert_eq!(Places::new(1, 64 * GIB).max_len(), MAX_LEN);
    }

    #[test]
    fn places_do_not_overlap_and_stay_in_the_span() {
        for cells in [1, 2, 24, 256, 4096] {
            let places = Places::new(cells, GIB);
            let mut all: Vec<_> = (0..cells).flat_map(|cell| Tier::ALL.map(|tier| places.get(tier, cell))).collect();
            all.sort_unstable_by_key(|place| place.start);
            for pair in all.windows(2) {
                assert!(pair[0].start + pair[0].capacity <= pair[1].start, "{pair:?}");
                assert!(pair[0].start.is_multiple_of(4096));
            }
            let last = all.last().unwrap();
            assert!(last.start + last.capacity <= GIB);
        }
    }
}
