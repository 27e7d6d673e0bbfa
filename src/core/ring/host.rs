//! What the protocol needs of its surroundings.

use crate::sync::AtomicU32;

/// The surroundings of a participant: the operating system, the other participants, and the header of the store.
pub(crate) trait Host: Send + Sync {
    /// Whether auto-vacuum is on: bytes of older values must not stay in cells.
    fn auto_vacuum(&self) -> bool;

    /// The version that is published after `before`. In a file, it may first be made known on the disk.
    fn next_version(&self, before: u64) -> u64;

    /// The first version that may be published since the last recovery; 0 if there was none.
    fn first_version(&self) -> u64;

    /// Runs `clean` if `participant` has crashed, and keeps its index from being given away meanwhile. Others may do the
    /// same at the same time.
    fn if_crashed(&self, participant: u32, clean: &mut dyn FnMut());

    /// Wakes all that sleep on the word.
    fn wake_all(&self, word: &AtomicU32);
}
