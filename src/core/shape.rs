//! The shape of a key: how many cells and cursors it has.
//!
//! It is chosen when the key is created, and stands in one word of its slot:
//!
//! ```text
//! 63              48 47        33   32  31             16 15              0
//! +-----------------+------------+------+----------------+----------------+
//! |        -        |  cursors   | all  |     spare      |    history     |
//! +-----------------+------------+------+----------------+----------------+
//! ```
//!
//! *All*: history was asked for. Otherwise long values may be overwritten earlier, because they take
//! more space (`ring::publishing::claim_for`).
//!
//! The word changes only under the directory's lock, while the slot has no key and all of its cells
//! are free. A handle reads it once, between two equal generations. So a handle on a key that was
//! removed may have another shape than the slot: it finds the generation changed before it touches
//! anything that depends on the shape.

use super::memory::records::HEADER_CURSORS;

/// The longest history, and the largest spare, of a key.
pub(crate) const MAX_HISTORY: u32 = 4096;
/// The most cursors of a key.
pub(crate) const MAX_CURSORS: u32 = 1024;

/// How many cells and cursors a key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    /// How many of the newest values writers spare while there is any other cell.
    pub(crate) history: u32,
    /// Cells beyond those, for writers at work.
    pub(crate) spare: u32,
    /// How many lossless subscribers the key has room for.
    pub(crate) cursors: u32,
    /// Whether history is kept of long values, too.
    pub(crate) keeps_long_values: bool,
}

impl Shape {
    /// The word of a slot.
    pub(crate) fn bits(self) -> u64 {
        u64::from(self.history & 0xffff)
            | u64::from(self.spare & 0xffff) << 16
            | u64::from(self.keeps_long_values) << 32
            | u64::from(self.cursors & 0x7fff) << 33
    }

    /// The shape that a word says. It is read from shared memory, so it may be any number; the result
    /// has at least one cell and at most `max_cells`.
    #[inline]
    pub(crate) fn from_bits(bits: u64, max_cells: u32) -> Self {
        let history = (bits as u32 & 0xffff).clamp(1, MAX_HISTORY).min(max_cells);
        Self {
            history,
            spare: (bits as u32 >> 16).min(max_cells - history),
            cursors: ((bits >> 33) as u32 & 0x7fff).clamp(HEADER_CURSORS as u32, MAX_CURSORS),
            keeps_long_values: bits >> 32 & 1 == 1,
        }
    }

    /// How many cells the key has.
    #[inline]
    pub(crate) fn cells(self) -> u32 {
        self.history + self.spare
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_decodes_to_the_shape_that_it_encodes() {
        for keeps_long_values in [false, true] {
            let shape = Shape { history: 4096, spare: 4096, cursors: 1024, keeps_long_values };
            assert_eq!(Shape::from_bits(shape.bits(), 8192), shape);
        }
    }

    #[test]
    fn any_word_is_a_shape_that_fits() {
        for bits in [0, u64::MAX, 0xffff, 0xffff_0000, 1 << 16] {
            for max_cells in [1, 2, 24, 8192] {
                let shape = Shape::from_bits(bits, max_cells);
                assert!((1..=max_cells).contains(&shape.cells()) && shape.history > 0, "{bits:x} {shape:?}");
                assert!((8..=1024).contains(&shape.cursors));
            }
        }
    }
}
