//! Which version a cell holds after a crash of the machine: its checksum decides.
//!
//! The checksum covers the value, its length, its version, the gap before it, and the hash of its
//! key (`core::checksum`). So it proves one version of one key, even if the pages of the file are
//! from different moments.

use crate::core::checksum;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::words;
use crate::core::ring::publishing::storage::Storage;
use crate::core::ring::ring::Ring;
use crate::core::word::{Head, Seq};
use crate::sync::Ordering;

/// Whether all pages of a file are from one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pages {
    /// They are: the last users of the store were killed. A checksum may still prove otherwise.
    OneMoment,
    /// They may not be: the machine stopped, or the file is a copy.
    MixedMoments,
}

impl<'a> Ring<'a> {
    /// The version that the cell holds whole, if its checksum proves that.
    pub(crate) fn proven_version(self, index: u32, cell: CellView<'a>, head: Head) -> Option<u64> {
        let version = match Seq::from_bits(cell.header.seq.load(Ordering::Acquire)) {
            // Published, and not committed.
            Seq::Writing { .. } if head.cell() == Some(index) => head.version(),
            seq => seq.readable()?,
        };
        let len = cell.header.len.load(Ordering::Relaxed);
        let bytes = self.recovered_bytes(index, cell, len as usize)?;
        let gap = cell.header.gap.load(Ordering::Relaxed);
        let crc = checksum::seal(checksum::of(&bytes), self.key_hash(), version, gap, len);
        (crc == cell.header.crc.load(Ordering::Relaxed)).then_some(version)
    }

    /// The bytes of a value of this length in the cell; `None` if there can be no such value. Space
    /// may be missing for one that is not inline, in a copy of the file. So it is read by a system call.
    pub(crate) fn recovered_bytes(self, index: u32, cell: CellView<'a>, len: usize) -> Option<Vec<u8>> {
        if len > self.max_len() {
            return None;
        }
        let mut bytes = vec![0; len];
        if self.storage(index, len) == Storage::Inline {
            words::load(cell.words, &mut bytes);
        } else if !self.read_unmapped(index, &mut bytes) {
            return None;
        }
        Some(bytes)
    }

    /// The hash of the slot's key, which checksums cover.
    pub(crate) fn key_hash(self) -> u64 {
        self.slot().header.key_hash.load(Ordering::Relaxed)
    }
}
