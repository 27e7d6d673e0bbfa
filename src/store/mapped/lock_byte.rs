//! The bytes of a store's file whose locks mean something.

/// The first byte of the locks, beyond the data of any store.
const LOCKS: u64 = 1 << 62;

/// A byte of the file whose lock has a meaning. The order of the locks is in
/// [`directory`](crate::store::directory).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockByte {
    /// Held by the owner of this participant entry as long as it lives.
    Participant(u32),
    /// Held while a key is created or removed.
    Directory,
    /// Held by the creator of a store that has no name yet.
    Draft,
    /// Held by a process that opens a store in a file, until it is a participant.
    Opening,
    /// Held while the store is flushed to the disk.
    Flush,
    /// Held while space is reserved by writing, where the file system knows no other way.
    Space,
}

impl LockByte {
    pub(crate) fn offset(self) -> u64 {
        match self {
            Self::Participant(id) => LOCKS + u64::from(id),
            Self::Directory => LOCKS + 1024,
            Self::Draft => LOCKS + 1025,
            Self::Opening => LOCKS + 1026,
            Self::Flush => LOCKS + 1027,
            Self::Space => LOCKS + 1028,
        }
    }
}
