//! The two words on which the protocol of a slot turns: a slot's `head` and a cell's `seq`.

use std::fmt;

/// Versions have 48 bits: at ten million publishes a second, 325 days for one key.
pub(crate) const NUMBER_BITS: u32 = 48;
/// The largest version.
pub(crate) const MAX_VERSION: u64 = (1 << NUMBER_BITS) - 1;

/// No slot gets beyond this version in less than five months of nothing but publishing. A larger one, found where it might be damage,
/// is taken for that: believed, it would use up the versions of all keys to come.
pub(crate) const LARGEST_PLAUSIBLE: u64 = MAX_VERSION / 2;

/// Stands for the cell in the `head` of a key whose value was lost. No ring has as many cells.
pub(crate) const LOST: u32 = 0xfffe;

/// Told from versions by this bit, so that a ticket for a free cell is none for one that held a value.
pub(crate) const FRESH: u64 = 1 << NUMBER_BITS;

const PARTICIPANT_BITS: u32 = 8;
const TAG_SHIFT: u32 = NUMBER_BITS + PARTICIPANT_BITS;

/// What `head` says: (cell + 1 : 16 | version : 48). No cell means no value; a zeroed word is version 0 of nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head(u64);

impl Head {
    #[inline]
    pub(crate) fn of(cell: u32, version: u64) -> Self {
        Self((u64::from(cell) + 1) << NUMBER_BITS | version)
    }

    /// No value: the state before the first publish, and after the key was removed.
    pub(crate) fn empty(version: u64) -> Self {
        Self(version)
    }

    /// A value that was published and is gone, and no older one is left: what is found so after the machine stopped.
    pub(crate) fn lost(version: u64) -> Self {
        Self::of(LOST, version)
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

    /// The cell of the newest value. Read from shared memory, so it may be any number.
    #[inline]
    pub(crate) fn cell(self) -> Option<u32> {
        ((self.0 >> NUMBER_BITS) as u32).checked_sub(1)
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({:?}, version {})", self.cell(), self.version())
    }
}

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
    fn zeroed_words_are_an_empty_slot_and_a_free_cell() {
        assert_eq!(Head::from_bits(0), Head::empty(0));
        assert_eq!(Head::from_bits(0).cell(), None);
        assert_eq!(Seq::from_bits(0), Seq::Committed { version: 0 });
        assert_eq!(Seq::from_bits(0).readable(), None);
    }

    #[test]
    fn words_come_back_as_they_went_in() {
        let head = Head::of(65_533, MAX_VERSION);
        assert_eq!((head.cell(), head.version()), (Some(65_533), MAX_VERSION));
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
