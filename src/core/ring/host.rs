//! What the protocol needs of its surroundings. The store implements it; so do the scenarios under
//! loom.

use crate::sync::AtomicU32;

/// The surroundings of a participant: the operating system, the other participants, and the header
/// of the store.
pub(crate) trait Host: Send + Sync {
    /// Whether auto-vacuum is on: then bytes of older values must not stay in cells.
    fn auto_vacuum(&self) -> bool;

    /// The version to publish after `before`. In a file, this may block until the disk knows its
    /// epoch.
    fn next_version(&self, before: u64) -> u64;

    /// The first version that may be published after the last recovery; 0 if there was none.
    fn first_version(&self) -> u64;

    /// Runs `clean` if `participant` has crashed, and prevents meanwhile that its index is assigned
    /// to another process. Several processes may do so at once.
    fn if_crashed(&self, participant: u32, clean: &mut dyn FnMut());

    /// Wakes all processes that sleep on the word.
    fn wake_all(&self, word: &AtomicU32);
}
