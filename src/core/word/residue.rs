//! `residue`: the word of a cell that says what its values may have left behind.
//!
//! ```text
//! 31       26 25     24 23                                          0
//! +----------+---------+--------------------------------------------+
//! |   idle   | beyond  |           written inline length            |
//! +----------+---------+--------------------------------------------+
//! ```
//!
//! *Written inline length*: how many bytes behind the cell's header may be other than zero. *Beyond*:
//! one bit each for the cell's medium and large place. The bit is set before anything of the place
//! is reserved, and cleared after all of it was given back. *Idle*: how many values in a row the cell
//! has held inline while a bit is set. A cell that holds small values gives its places back.
//!
//! | change | by whom | when |
//! | --- | --- | --- |
//! | inline length raised | the owner of the cell | before the bytes are written |
//! | inline length lowered | the owner; a participant that has pinned the cell | after the bytes are zeroed |
//! | a bit set | the owner | before it reserves |
//! | bits and idle cleared | the owner | after it has given the places back |
//! | idle + 1 | the owner | with each inline value |
//!
//! A cell without places has a word that is its inline length. So one comparison tells a writer of a
//! small value that there is nothing else to do.

use super::super::place::Tier;

/// The largest inline length.
pub(crate) const MAX_INLINE: u32 = (1 << BEYOND_SHIFT) - 1;
/// How many inline values in a row a cell holds before it gives its places back.
pub(crate) const IDLE_LIMIT: u32 = (1 << (u32::BITS - IDLE_SHIFT)) - 1;

const BEYOND_SHIFT: u32 = 24;
const IDLE_SHIFT: u32 = 26;
const BEYOND: u32 = 3 << BEYOND_SHIFT;

/// The value of the word `residue`. A zeroed word is a cell that was never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Residue(u32);

impl Residue {
    #[inline(always)]
    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    #[inline(always)]
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// Only an inline length: the cell has no place in the extents.
    #[inline(always)]
    pub(crate) fn is_inline(self) -> bool {
        self.0 <= MAX_INLINE
    }

    #[inline(always)]
    pub(crate) fn inline_len(self) -> u32 {
        self.0 & MAX_INLINE
    }

    /// The same places, and this inline length.
    #[inline(always)]
    pub(crate) fn with_inline_len(self, len: u32) -> Self {
        Self(self.0 & !MAX_INLINE | len.min(MAX_INLINE))
    }

    /// Whether something of this place may be reserved.
    #[inline(always)]
    pub(crate) fn has(self, tier: Tier) -> bool {
        self.0 >> BEYOND_SHIFT >> tier.index() & 1 == 1
    }

    /// With this place, which is in use now.
    #[inline(always)]
    pub(crate) fn with(self, tier: Tier) -> Self {
        Self(self.0 & (BEYOND | MAX_INLINE) | 1 << (BEYOND_SHIFT + tier.index() as u32))
    }

    /// Nothing left but in this place.
    #[inline(always)]
    pub(crate) fn only(tier: Tier) -> Self {
        Self(0).with(tier)
    }

    /// Without places.
    pub(crate) fn without_places(self) -> Self {
        Self(self.inline_len())
    }

    /// After one more inline value; `None` if there were too many.
    pub(crate) fn idle_once_more(self) -> Option<Self> {
        (self.0 >> IDLE_SHIFT < IDLE_LIMIT).then(|| Self(self.0 + (1 << IDLE_SHIFT)))
    }

    /// As if the places had just been used.
    #[inline(always)]
    pub(crate) fn in_use(self) -> Self {
        Self(self.0 & (BEYOND | MAX_INLINE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_an_inline_length_until_a_place_is_used() {
        let mut residue = Residue::from_bits(100);
        assert!(residue.is_inline());
        residue = residue.with(Tier::Large);
        assert!(!residue.is_inline() && residue.has(Tier::Large) && !residue.has(Tier::Medium));
        assert_eq!((residue.inline_len(), residue.with_inline_len(7).inline_len()), (100, 7));
        assert_eq!(residue.without_places(), Residue::from_bits(100));
    }

    #[test]
    fn places_are_given_back_after_so_many_inline_values() {
        let mut residue = Residue::from_bits(0).with(Tier::Medium);
        let mut count = 0;
        while let Some(next) = residue.idle_once_more() {
            residue = next;
            count += 1;
        }
        assert_eq!(count, IDLE_LIMIT);
        assert!(residue.has(Tier::Medium) && residue.in_use().idle_once_more().is_some());
    }
}
