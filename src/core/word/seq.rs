//! `seq`: the word that says who may touch a cell.

use super::version::{MAX_VERSION, NUMBER_BITS};

/// Told from versions by this bit, so that a ticket for a free cell is none for one that held a value.
pub(crate) const FRESH: u64 = 1 << NUMBER_BITS;

const PARTICIPANT_BITS: u32 = 8;
const TAG_SHIFT: u32 = NUMBER_BITS + PARTICIPANT_BITS;

/// What `seq` says of a cell. A zeroed word is a whole cell of version 0: free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seq {
    /// Holds this version, all of it. Version 0 is no value: the cell is free.
    Committed { version: u64 },
    /// Chosen by this participant to be overwritten, not yet touched: still readable as this version.
    Claimed { version: u64, participant: u32 },
    /// Being written by this participant. The ticket makes every such word unique in its cell: it is the version that the cell held, which it
    /// never holds again, or, if that was none, [`FRESH`] and a number that the slot gives out once.
    Writing { ticket: u64, participant: u32 },
}

impl Seq {
    #[inline(always)]
    pub(crate) fn bits(self) -> u64 {
        let marked = |tag: u64, participant: u32, number: u64| {
            tag << TAG_SHIFT | u64::from(participant) << NUMBER_BITS | number & MAX_VERSION
        };
        match self {
            Self::Committed { version } => version,
            Self::Claimed { version, participant } => marked(1, participant, version),
            Self::Writing { ticket, participant } => marked(2 + (ticket >> NUMBER_BITS & 1), participant, ticket),
        }
    }

    /// A word that no participant writes is taken for a free cell, so that a damaged store heals as it is used.
    #[inline(always)]
    pub(crate) fn from_bits(bits: u64) -> Self {
        let number = bits & MAX_VERSION;
        let participant = (bits >> NUMBER_BITS) as u32 & ((1 << PARTICIPANT_BITS) - 1);
        match bits >> TAG_SHIFT {
            0 if participant == 0 => Self::Committed { version: number },
            1 => Self::Claimed { version: number, participant },
            tag @ (2 | 3) => Self::Writing { ticket: (tag - 2) << NUMBER_BITS | number, participant },
            _ => Self::Committed { version: 0 },
        }
    }

    /// Whether a cell with this word can be read as `version`.
    #[inline]
    pub(crate) fn bits_hold(bits: u64, version: u64) -> bool {
        // Nearly always it is whole, and then it is the version.
        bits == version || Self::from_bits(bits).readable() == Some(version)
    }

    /// The version that can be read from the cell, if any.
    #[inline]
    pub(crate) fn readable(self) -> Option<u64> {
        match self {
            Self::Committed { version } | Self::Claimed { version, .. } if version > 0 => Some(version),
            _ => None,
        }
    }

    /// The version that the cell holds, if any, and that nobody is about to overwrite.
    #[inline]
    pub(crate) fn steady(self) -> Option<u64> {
        if let Self::Claimed { .. } = self { None } else { self.readable() }
    }

    /// Whose mark keeps others from claiming the cell, if anybody's.
    #[inline]
    pub(crate) fn owner(self) -> Option<u32> {
        match self {
            Self::Committed { .. } => None,
            Self::Claimed { participant, .. } | Self::Writing { participant, .. } => Some(participant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zeroed_word_is_a_free_cell() {
        assert_eq!(Seq::from_bits(0), Seq::Committed { version: 0 });
        assert_eq!(Seq::from_bits(0).readable(), None);
    }

    #[test]
    fn words_come_back_as_they_went_in() {
        for seq in [
            Seq::Committed { version: MAX_VERSION },
            Seq::Claimed { version: 7, participant: 127 },
            Seq::Writing { ticket: MAX_VERSION, participant: 0 },
            Seq::Writing { ticket: FRESH | 7, participant: 127 },
        ] {
            assert_eq!(Seq::from_bits(seq.bits()), seq);
        }
    }

    #[test]
    fn a_word_that_nobody_writes_is_a_free_cell() {
        assert_eq!(Seq::from_bits(u64::MAX), Seq::Committed { version: 0 });
        assert_eq!(Seq::from_bits(1 << NUMBER_BITS | 5), Seq::Committed { version: 0 });
    }
}
