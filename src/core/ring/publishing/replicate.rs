//! Copying the values of a key into another store, under their versions.
//!
//! The copy has no name yet, so the caller is its only participant: there is no other writer, and no
//! reader. A crash leaves a copy without a name.
//!
//! Values keep their versions, so there can be gaps between them where the source holds nothing any
//! more. In a file, a cell names the version that was published before its own. That is taken over,
//! because it is a fact about the versions, not about what is still there.

use crate::core::ring::cell;
use crate::core::ring::error::CommitError;
use crate::core::ring::reading::history::StoredVersion;
use crate::core::ring::ring::Ring;
use crate::core::word::{Delivery, Head, Progress, QueueWord};
use crate::sync::Ordering;

/// What belongs to a version beside its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    gap: u32,
    progress: Progress,
}

impl Ring<'_> {
    /// What belongs to a stored version. It has a meaning only if the cell still holds the version
    /// afterwards.
    pub(crate) fn circumstances(self, stored: StoredVersion) -> Circumstances {
        let cell = self.slot().cells.get(stored.cell()).header;
        Circumstances {
            gap: cell.gap.load(Ordering::Relaxed),
            progress: cell::delivery(cell).progress_of(stored.version),
        }
    }

    /// Whether a worker has done this message. It has a meaning only if the cell still holds the version
    /// afterwards.
    pub(crate) fn is_done(self, stored: StoredVersion) -> bool {
        self.circumstances(stored).progress == Progress::Done
    }

    /// The first version that is a message of the key's work queue, if it is one.
    pub(crate) fn first_message(self) -> Option<u64> {
        // SeqCst: pairs with the compare-and-swap in `declare_queue`.
        QueueWord::from_bits(self.slot().header.queue.load(Ordering::SeqCst)).first(self.handle.generation())
    }

    /// Makes the key of a copy a work queue whose messages begin with this version.
    pub(crate) fn replicate_queue(self, first: u64) {
        let queue = QueueWord::tentative(self.handle.generation(), first).finalised(0);
        self.slot().header.queue.store(queue.bits(), Ordering::Relaxed);
    }

    /// Publishes a version of the source in the copy. It is newer than all that the copy has.
    ///
    /// A message that a worker has there waits here, as if that worker had crashed.
    pub(crate) fn replicate(self, bytes: &[u8], version: u64, of: Circumstances) -> Result<(), CommitError> {
        let claim = self.claim_and_fill(bytes)?;
        let cell = self.slot().cells.get(claim.cell).header;
        cell.delivery.store(Delivery::new(version, of.progress).requeued().bits(), Ordering::Relaxed);
        if self.context.checksums {
            // The disk knows the epoch of a version before it has the version.
            self.context.host.next_version(version - 1);
            self.seal_as(&claim, version, of.gap);
        }
        // Release: pairs with `Ring::head`.
        self.slot().header.head.store(Head::of(claim.cell, version).bits(), Ordering::Release);
        self.commit_cell(claim, version);
        Ok(())
    }

    /// Takes over where the newest gap of the source begins.
    pub(crate) fn replicate_gap(self, source: Ring<'_>) {
        let before = source.slot().header.before_recovery.load(Ordering::Relaxed);
        self.slot().header.before_recovery.store(before, Ordering::Relaxed);
    }
}
