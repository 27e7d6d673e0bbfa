//! `head`: the word of a slot that names the newest value.
//!
//! ```text
//! 63              48 47                                             0
//! +-----------------+-----------------------------------------------+
//! |    cell + 1     |                    version                    |
//! +-----------------+-----------------------------------------------+
//! ```
//!
//! Cell + 1 = 0: there is no value. Cell [`LOST_CELL`]: the value was lost when the machine
//! stopped. Moving `head` *is* publishing: one compare-and-swap makes a filled cell the newest
//! value.
//!
//! | from | to | by whom | where |
//! | --- | --- | --- | --- |
//! | any (v) | cell, v + 1 (in a file, possibly a later version) | a publisher that owns the cell | `Ring::move_head` (`ring/publishing/publish.rs`) |
//! | any (v) | no cell, v + 1 | the process that removes the key, under the directory's lock | `Ring::clear` (`ring/removing/retire.rs`) |
//! | no cell (v) | no cell, a later version | the process that assigns the slot, under the directory's lock | `Ring::skip_to` (`ring/removing/retire.rs`) |
//! | any | the newest value that a checksum proves, or lost | the process that recovers the store; no other has it open | `Ring::recover` (`ring/recovering/recover.rs`) |
//!
//! The version never decreases, not even when the slot gets another key. So a compare-and-swap that
//! expects an old `head` fails: there is no ABA.
//!
//! **Crash.** After the change of `head` the value is published. Its cell may still be marked as
//! being written: other participants commit it (`ring/publishing/help.rs`). Nobody may have been
//! woken: sleepers check again after a tenth of a second.

use std::fmt;

use super::version::{MAX_VERSION, VERSION_BITS};

/// The cell in the `head` of a key whose value was lost. No ring has so many cells.
pub(crate) const LOST_CELL: u32 = 0xfffe;

/// The value of the word `head`. A zeroed word is version 0 without a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head(u64);

impl Head {
    /// This version, in this cell.
    #[inline]
    pub(crate) fn of(cell: u32, version: u64) -> Self {
        Self((u64::from(cell) + 1) << VERSION_BITS | version)
    }

    /// No value: before the first publish, and after the key was removed.
    pub(crate) fn empty(version: u64) -> Self {
        Self(version)
    }

    /// A value that was published and lost, and no older one is left. Only a recovery leaves this.
    pub(crate) fn lost(version: u64) -> Self {
        Self::of(LOST_CELL, version)
    }

    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn version(self) -> u64 {
        self.0 & MAX_VERSION
    }

    /// The index of the newest value's cell. It is read from shared memory, so it may be any
    /// number.
    #[inline]
    pub(crate) fn cell(self) -> Option<u32> {
        ((self.0 >> VERSION_BITS) as u32).checked_sub(1)
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({:?}, version {})", self.cell(), self.version())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zeroed_word_has_no_value() {
        assert_eq!(Head::from_bits(0), Head::empty(0));
        assert_eq!(Head::from_bits(0).cell(), None);
    }

    #[test]
    fn a_word_holds_the_largest_cell_and_version() {
        let head = Head::of(65_533, MAX_VERSION);
        assert_eq!((head.cell(), head.version()), (Some(65_533), MAX_VERSION));
        assert_eq!(Head::lost(7).cell(), Some(LOST_CELL));
    }
}
