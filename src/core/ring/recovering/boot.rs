//! Which versions of a slot are from another run of the machine.
//!
//! Times of CLOCK_BOOTTIME compare only within one run of the machine. The first recovery in a run
//! notes the version of each slot's head (`version_at_boot`), before anything is published. A copy
//! of a file is recovered in the same way, because it may come from another machine.
//!
//! Versions of a key grow, also when it is created again, and a key begins above all versions that
//! any removed key had. So the note need not be erased when the slot gets another key: it is smaller
//! than all of that key's versions.

use crate::core::ring::ring::Ring;
use crate::sync::Ordering;

impl Ring<'_> {
    /// Notes that all present versions are from an earlier run of the machine. Nobody else has the
    /// store open.
    pub(crate) fn note_boot(self) {
        self.slot().header.version_at_boot.store(self.head().version(), Ordering::Relaxed);
    }

    /// Whether the version is from an earlier run of the machine.
    pub(crate) fn is_before_boot(self, version: u64) -> bool {
        // Relaxed: written before this process opened the store.
        version <= self.slot().header.version_at_boot.load(Ordering::Relaxed)
    }

    /// Takes over the note of the source, whose versions this copy gets.
    pub(crate) fn replicate_boot(self, source: Ring<'_>) {
        let version = source.slot().header.version_at_boot.load(Ordering::Relaxed);
        self.slot().header.version_at_boot.store(version, Ordering::Relaxed);
    }
}
