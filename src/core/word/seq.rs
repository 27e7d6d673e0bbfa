//! `seq`: the word of a cell that says who may touch it, and which version it holds.
//!
//! ```text
//! 63               56 55           48 47                            0
//! +------------------+---------------+------------------------------+
//! |      state       |  participant  |      version or ticket       |
//! +------------------+---------------+------------------------------+
//! ```
//!
//! State 0 is *committed* (no participant), 1 *claimed*, 2 and 3 *writing*: with the ticket of a
//! cell that held a version, or of a free one. A word that is none of these counts as a free cell.
//! So a damaged store is repaired by use.
//!
//! | from | to | by whom | where |
//! | --- | --- | --- | --- |
//! | committed (v) | claimed (v, me) | a writer, if nothing retains v; or a process that discards v | `Ring::claim_cell` (`ring/publishing/claim.rs`) |
//! | claimed (v, me) | committed (v) | the same, if v is pinned or retained after all | `Ring::claim_cell` |
//! | claimed (v, me) | writing (ticket, me) | the same | `Ring::claim_cell` |
//! | writing (ticket, me) | committed (new version) | the writer, after it has moved `head` to the cell | `Ring::commit_cell` (`ring/publishing/publish.rs`) |
//! | writing (ticket, p) | committed (version of `head`) | any participant, while `head` names the cell | `Ring::help_commit` (`ring/publishing/help.rs`) |
//! | writing (ticket, me) | committed (0): free | the writer that gives the cell back | `Ring::abandon` (`ring/publishing/claim.rs`) |
//! | claimed (v, p) | committed (v) | a participant that reaps p, which has crashed | `Ring::reap` (`ring/removing/reap.rs`) |
//! | writing (ticket, p) | writing (new ticket, me), then free | a participant that reaps p, unless `head` names the cell | `Ring::reap` (`ring/removing/reap.rs`) |
//! | any | committed (proven version, or 0) | the process that recovers the store | `Ring::recover` (`ring/recovering/recover.rs`) |
//!
//! All are compare-and-swaps, except where a participant changes a word that no other one may
//! change: its own claim, or its own writing word while `head` does not name the cell.
//!
//! **No ABA.** A version is in a cell once, and a ticket makes each writing word unique in its
//! cell. So a compare-and-swap by a process that was stopped for any time fails if the cell has
//! changed.
//!
//! **Crash.** Claimed: the value is whole, and readable. Writing: the cell is not readable until it
//! is committed, if `head` names it, or reaped.

use super::version::{MAX_VERSION, VERSION_BITS};

/// The bit of tickets for free cells, so that they differ from the tickets of cells that held a
/// version.
pub(crate) const FRESH_TICKET: u64 = 1 << VERSION_BITS;

const PARTICIPANT_BITS: u32 = 8;
const TAG_SHIFT: u32 = VERSION_BITS + PARTICIPANT_BITS;

/// The value of the word `seq`. A zeroed word is committed version 0: a free cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seq {
    /// The cell holds all of this version. Version 0: the cell is free.
    Committed { version: u64 },
    /// This participant is about to overwrite the cell. It is still readable as this version.
    Claimed { version: u64, participant: u32 },
    /// This participant owns the cell and writes it. The ticket makes the word unique in its cell.
    /// It is the version that the cell held, which it never holds again; or, for a free cell,
    /// [`FRESH_TICKET`] and a number that the slot assigns once.
    Writing { ticket: u64, participant: u32 },
}

impl Seq {
    #[inline(always)]
    pub(crate) fn bits(self) -> u64 {
        let marked = |tag: u64, participant: u32, number: u64| {
            tag << TAG_SHIFT | u64::from(participant) << VERSION_BITS | number & MAX_VERSION
        };
        match self {
            Self::Committed { version } => version,
            Self::Claimed { version, participant } => marked(1, participant, version),
            Self::Writing { ticket, participant } => marked(2 + (ticket >> VERSION_BITS & 1), participant, ticket),
        }
    }

    /// A word that no participant writes counts as a free cell, so that a damaged store is repaired
    /// by use.
    #[inline(always)]
    pub(crate) fn from_bits(bits: u64) -> Self {
        let number = bits & MAX_VERSION;
        let participant = (bits >> VERSION_BITS) as u32 & ((1 << PARTICIPANT_BITS) - 1);
        match bits >> TAG_SHIFT {
            0 if participant == 0 => Self::Committed { version: number },
            1 => Self::Claimed { version: number, participant },
            tag @ (2 | 3) => Self::Writing { ticket: (tag - 2) << VERSION_BITS | number, participant },
            _ => Self::Committed { version: 0 },
        }
    }

    /// Whether a cell with this word can be read as `version`.
    #[inline]
    pub(crate) fn bits_hold(bits: u64, version: u64) -> bool {
        // Nearly always the cell is committed, and then the word is the version.
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

    /// The version that the cell holds, if any, and that no writer has claimed.
    #[inline]
    pub(crate) fn steady(self) -> Option<u64> {
        if let Self::Claimed { .. } = self { None } else { self.readable() }
    }

    /// The participant that has claimed the cell or writes it.
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
    fn a_word_decodes_to_the_state_that_it_encodes() {
        for seq in [
            Seq::Committed { version: MAX_VERSION },
            Seq::Claimed { version: 7, participant: 127 },
            Seq::Writing { ticket: MAX_VERSION, participant: 0 },
            Seq::Writing { ticket: FRESH_TICKET | 7, participant: 127 },
        ] {
            assert_eq!(Seq::from_bits(seq.bits()), seq);
        }
    }

    #[test]
    fn a_word_that_no_participant_writes_is_a_free_cell() {
        assert_eq!(Seq::from_bits(u64::MAX), Seq::Committed { version: 0 });
        assert_eq!(Seq::from_bits(1 << VERSION_BITS | 5), Seq::Committed { version: 0 });
    }
}
