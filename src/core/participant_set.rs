//! Sets of participants.

/// A set of participants by their numbers. Marks are read from shared memory, so a number may be any that fits into one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ParticipantSet([u64; 4]);

impl ParticipantSet {
    pub(crate) fn of(participant: u32) -> Self {
        let mut set = Self::default();
        set.insert(participant);
        set
    }

    pub(crate) fn insert(&mut self, participant: u32) {
        if let Some(word) = self.0.get_mut(participant as usize / 64) {
            *word |= 1 << (participant % 64);
        }
    }

    /// The set as words of bits.
    pub(crate) fn words(&self) -> [u64; 4] {
        self.0
    }

    pub(crate) fn contains(&self, participant: u32) -> bool {
        self.0.get(participant as usize / 64).is_some_and(|word| word >> (participant % 64) & 1 == 1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
