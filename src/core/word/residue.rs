//! `residue`: the word of a cell that says what its values may have left behind.
//!
//! ```text
//! 31    27  26  25     24 23           14 13            0
//! +-------+----+---------+---------------+---------------+
//! | idle  |page| places  | words of page | inline words  |
//! +-------+----+---------+---------------+---------------+
//! ```
//!
//! *Inline words*: how many words of eight bytes behind the cell's header may be other than zero. *Words
//! of page*: the same of the cell's page. *Page*: the page is reserved. *Places*: one bit each for the
//! cell's medium and large place. The bit is set before anything of the place is reserved, and cleared
//! after all of it was given back. *Idle*: how many short values in a row the cell has held while such a
//! bit is set. A cell that holds short values gives its places back.
//!
//! | change | by whom | when |
//! | --- | --- | --- |
//! | words raised | the owner of the cell | before the bytes are written |
//! | words lowered | the owner; a participant that has pinned the cell | after the bytes are zeroed |
//! | page set | the owner | after it was reserved; it is not given back |
//! | a bit of places set | the owner | before it reserves |
//! | places and idle cleared | the owner | after it has given the places back |
//! | idle + 1 | the owner | with each short value |

use super::super::place::Tier;
use crate::core::memory::records::CellHeader;
use crate::core::memory::words::WORD;
use crate::sync::Ordering;

/// How many short values in a row a cell holds before it gives its places back.
pub(crate) const IDLE_LIMIT: u32 = (1 << (u32::BITS - IDLE_SHIFT)) - 1;

const PAGE_SHIFT: u32 = 14;
const PLACES_SHIFT: u32 = 24;
const IDLE_SHIFT: u32 = 27;
const INLINE: u32 = (1 << PAGE_SHIFT) - 1;
const IN_PAGE: u32 = (1 << PLACES_SHIFT) - 1 - INLINE;
const PLACES: u32 = 3 << PLACES_SHIFT;
const PAGE: u32 = 1 << 26;

/// The value of the word `residue`. A zeroed word is a cell that was never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Residue(u32);

impl Residue {
    #[inline(always)]
    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The word of a cell.
    #[inline(always)]
    pub(crate) fn of(cell: &CellHeader) -> Self {
        // Relaxed: a participant that depends on it owns the cell, or has pinned it.
        Self(cell.residue.load(Ordering::Relaxed))
    }

    #[inline(always)]
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// Whether nothing is left but inline.
    #[inline(always)]
    pub(crate) fn is_inline(self) -> bool {
        self.0 & (IN_PAGE | PLACES) == 0
    }

    /// Whether the cell has a page, and nothing is left but there.
    #[inline(always)]
    pub(crate) fn is_in_page(self) -> bool {
        self.0 & (INLINE | PLACES | PAGE) == PAGE
    }

    /// How many bytes behind the cell's header may be other than zero, in whole words.
    #[inline(always)]
    pub(crate) fn inline_len(self) -> usize {
        (self.0 & INLINE) as usize * WORD
    }

    /// How many bytes of the cell's page may be other than zero, in whole words.
    #[inline(always)]
    pub(crate) fn page_len(self) -> usize {
        ((self.0 & IN_PAGE) >> PAGE_SHIFT) as usize * WORD
    }

    /// The same, with this inline length.
    #[inline(always)]
    pub(crate) fn with_inline_len(self, len: usize) -> Self {
        Self(self.0 & !INLINE | len.div_ceil(WORD) as u32 & INLINE)
    }

    /// The same, with this length in the page.
    #[inline(always)]
    pub(crate) fn with_page_len(self, len: usize) -> Self {
        Self(self.0 & !IN_PAGE | (len.div_ceil(WORD) as u32) << PAGE_SHIFT & IN_PAGE)
    }

    /// Whether the cell's page is reserved.
    #[inline(always)]
    pub(crate) fn has_page(self) -> bool {
        self.0 & PAGE != 0
    }

    /// With a page.
    pub(crate) fn with_page(self) -> Self {
        Self(self.0 | PAGE)
    }

    /// Whether something may be reserved in places.
    #[inline(always)]
    pub(crate) fn has_places(self) -> bool {
        self.0 & PLACES != 0
    }

    /// Whether something of this place may be reserved.
    #[inline(always)]
    pub(crate) fn has(self, tier: Tier) -> bool {
        self.0 >> PLACES_SHIFT >> tier.index() & 1 == 1
    }

    /// With this place, which is in use now.
    #[inline(always)]
    pub(crate) fn with(self, tier: Tier) -> Self {
        Self(self.in_use().0 | 1 << (PLACES_SHIFT + tier.index() as u32))
    }

    /// Nothing left but in this place, whether there is a page or not.
    #[inline(always)]
    pub(crate) fn is_only(self, tier: Tier) -> bool {
        self.0 & !PAGE == 1 << (PLACES_SHIFT + tier.index() as u32)
    }

    /// Without places.
    pub(crate) fn without_places(self) -> Self {
        Self(self.0 & (INLINE | IN_PAGE | PAGE))
    }

    /// Nothing left. A page stays reserved.
    pub(crate) fn emptied(self) -> Self {
        Self(self.0 & PAGE)
    }

    /// After one more short value; `None` if there were too many.
    pub(crate) fn idle_once_more(self) -> Option<Self> {
        (self.0 >> IDLE_SHIFT < IDLE_LIMIT).then(|| Self(self.0 + (1 << IDLE_SHIFT)))
    }

    /// As if the places had just been used.
    #[inline(always)]
    pub(crate) fn in_use(self) -> Self {
        Self(self.0 & (INLINE | IN_PAGE | PLACES | PAGE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_what_is_left_in_each_part_of_a_cell() {
        let mut residue = Residue::from_bits(0).with_inline_len(100);
        assert!(residue.is_inline() && !residue.has_page() && residue.inline_len() == 104);
        residue = residue.with_page();
        assert!(residue.is_inline() && !residue.is_in_page());
        residue = residue.with_page_len(4096);
        assert_eq!((residue.inline_len(), residue.page_len()), (104, 4096));
        assert!(!residue.is_inline() && residue.with_inline_len(0).is_in_page());
        residue = residue.with(Tier::Large);
        assert!(residue.has_places() && residue.has(Tier::Large) && !residue.has(Tier::Medium));
        assert!(residue.with_inline_len(0).with_page_len(0).is_only(Tier::Large));
        assert_eq!(residue.with_inline_len(65_536).inline_len(), 65_536);
        assert_eq!(residue.without_places().page_len(), 4096);
        assert_eq!(residue.emptied(), Residue::from_bits(0).with_page());
    }

    #[test]
    fn places_are_given_back_after_so_many_short_values() {
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
