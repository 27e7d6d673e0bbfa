//! The cursor of a lossless subscriber: no version from it on is overwritten.
//!
//! ```text
//! 63               56 55           48 47                            0
//! +------------------+---------------+------------------------------+
//! | participant + 1  |  generation   |           version            |
//! +------------------+---------------+------------------------------+
//! ```
//!
//! A slot has a fixed number of these words. One word holds the owner and the version, so that both
//! change, and end, in one step. The eight bits of the generation distinguish the cursor of a removed key
//! from those of the present key. Version 0: the cursor was evicted. It retains nothing, and its
//! word stays taken until its owner has noticed.
//!
//! | from | to | by whom | where |
//! | --- | --- | --- | --- |
//! | free, or of another generation | (me, generation, version) | a subscriber that registers | `Ring::register` (`ring/delivering/cursor.rs`) |
//! | (me, generation, v) | (me, generation, a later version) | its owner | `Ring::move_cursor` (`ring/delivering/cursor.rs`) |
//! | (p, generation, v) | (p, generation, 0) | any participant that evicts p | `Ring::evict` (`ring/delivering/evict.rs`) |
//! | (me, generation, v or 0) | free | its owner | `Ring::unregister` (`ring/delivering/cursor.rs`) |
//! | (p, any, any) | free | a participant that reaps p, which has crashed | `Ring::reap_cursors` (`ring/delivering/cursor.rs`) |
//! | any | free | the process that removes the key | `Ring::forget_deliveries` (`ring/delivering/cursor.rs`) |
//! | any | free | the process that recovers the store | `Ring::recover` (`ring/recovering/recover.rs`) |
//!
//! Each change is a compare-and-swap from the word as it was read, or as its owner wrote it.
//!
//! **Crash.** The cursor of a crashed participant stays, and retains values, until another
//! participant reaps it: a publisher does so before it reports backpressure.

use super::version::{MAX_VERSION, VERSION_BITS};

/// A cursor that is not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) participant: u32,
    generation: u8,
    pub(crate) version: u64,
}

impl Cursor {
    /// The word of no cursor.
    pub(crate) const FREE: u64 = 0;

    pub(crate) fn new(participant: u32, generation: u64, version: u64) -> Self {
        Self { participant, generation: Self::generation_bits(generation), version: version.min(MAX_VERSION) }
    }

    /// `None` for a free word. It is read from shared memory, so the participant may be any of 255.
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        let participant = ((bits >> (VERSION_BITS + 8)) as u32).checked_sub(1)?;
        Some(Self { participant, generation: (bits >> VERSION_BITS) as u8, version: bits & MAX_VERSION })
    }

    pub(crate) fn bits(self) -> u64 {
        u64::from(self.participant + 1) << (VERSION_BITS + 8)
            | u64::from(self.generation) << VERSION_BITS
            | self.version
    }

    /// The same participant's cursor, evicted.
    pub(crate) fn evicted(self) -> Self {
        Self { version: 0, ..self }
    }

    pub(crate) fn is_evicted(self) -> bool {
        self.version == 0
    }

    /// Whether it belongs to the key of this generation.
    pub(crate) fn is_of(self, generation: u64) -> bool {
        self.generation == Self::generation_bits(generation)
    }

    /// The low bits of a generation. The lowest one is left out: it is always set while the slot
    /// has a key.
    fn generation_bits(generation: u64) -> u8 {
        (generation >> 1) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zeroed_word_is_free() {
        assert_eq!(Cursor::from_bits(Cursor::FREE), None);
    }

    #[test]
    fn the_word_is_laid_out_as_in_layout_4() {
        assert_eq!(Cursor::new(127, 5, 9).bits(), 0x8002_0000_0000_0009);
    }

    #[test]
    fn a_word_decodes_to_the_cursor_that_it_encodes() {
        let cursor = Cursor::new(127, 5, MAX_VERSION);
        assert_eq!(Cursor::from_bits(cursor.bits()), Some(cursor));
        assert!(cursor.is_of(5) && !cursor.is_of(7));
    }
}
