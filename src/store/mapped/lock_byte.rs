//! The bytes of a store's file whose locks mean something.

/// Where locks begin: beyond any store's data.
const LOCKS: u64 = 1 << 62;

/// The bytes of the file whose locks mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockByte {
    /// Held by the owner of this participant entry for as long as it lives.
    Participant(u32),
    /// Held while the directory is changed.
    Directory,
    /// Held by the creator of a store that has no name yet.
    Draft,
    /// Held by whoever is opening a store in a file, until it is a participant.
    Opening,
    /// Held while the store is flushed to the disk.
    Flush,
}

impl LockByte {
    pub(crate) fn offset(self) -> u64 {
        match self {
            Self::Participant(id) => LOCKS + u64::from(id),
            Self::Directory => LOCKS + 1024,
            Self::Draft => LOCKS + 1025,
            Self::Opening => LOCKS + 1026,
            Self::Flush => LOCKS + 1027,
        }
    }
}
