//! Making a slot sound again after the machine stopped: what was written to the disk, and what not, is anybody's guess.
//!
//! Nobody else has the store open meanwhile. Checksums decide: a cell is a version if its checksum says so, whatever `head` and
//! `seq` say.

use super::{Ring, Seq, read};
use crate::region::records::{CellHeader, SlotHeader};
use crate::region::view::CellView;
use crate::region::words::{self, WORD};
use crate::store::checksum;
use crate::store::delivery::{Cursor, Taker};
use crate::store::word::{Head, LARGEST_PLAUSIBLE};
use crate::sync::Ordering;

/// What was found in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// All as it should be.
    Sound,
    /// The newest value was not whole; an older one took its place, as a version of its own.
    Older,
    /// The newest value was not whole, and no other was.
    Nothing,
}

impl<'a> Ring<'a> {
    /// Finds the newest value that is whole, makes it the one that the slot has, and frees every cell that holds none.
    pub(crate) fn recover(self) -> Found {
        let head = self.head();
        let born = self.born();
        let mut whole: Vec<_> = self
            .cells()
            .filter_map(|(index, cell)| Some((self.proven_version(index, cell, head)?, index)))
            .filter(|&(version, _)| version > born)
            .collect();
        let newest = whole.iter().copied().max();
        let next = self.highest_version() + 1;
        let stand_in = &self.slot.header.stand_in;
        let (found, head) = match newest {
            Some((version, index)) if version >= head.version() => {
                // Of one that somebody put there who did not live to tell of it, we do.
                let found = if version == stand_in.load(Ordering::Relaxed) { Found::Older } else { Found::Sound };
                (found, Head::of(index, version))
            }
            // It is told from what was lost by a version of its own: whoever has seen that one sees a newer one.
            Some((_, index)) if head.cell().is_some() => {
                stand_in.store(next, Ordering::Relaxed);
                let copy = self.copy_as(next, index, &whole);
                whole.retain(|&(_, at)| at != copy);
                whole.push((next, copy));
                (Found::Older, Head::of(copy, next))
            }
            None if head.cell().is_some() => (Found::Nothing, Head::lost(next)),
            _ => (Found::Sound, Head::empty(next - 1)),
        };
        for (index, cell) in self.cells() {
            let version = whole.iter().find(|&&(_, at)| at == index).map_or(0, |&(version, _)| version);
            reset(cell, version);
        }
        let before_newest = head.version() - u64::from(head.cell().is_some());
        self.slot.header.born.store(born.min(before_newest), Ordering::Relaxed);
        self.slot.header.head.store(head.bits(), Ordering::Release);
        self.reset_waiters();
        found
    }

    /// Whether nothing was ever done to the slot.
    pub(crate) fn is_untouched(self) -> bool {
        let SlotHeader { head, generation, born, key_hash, tickets, .. } = self.slot.header;
        [head, generation, born, key_hash, tickets].iter().all(|field| field.load(Ordering::Relaxed) == 0)
    }

    /// Empties a slot that has no key, so that nothing is left in it that a later key could meet.
    pub(crate) fn wipe(self) {
        let next = self.highest_version();
        for (_, cell) in self.cells() {
            let CellHeader { seq, len, dirty, crc, .. } = cell.header;
            let untouched = seq.load(Ordering::Relaxed) == 0
                && [len, dirty, crc].iter().all(|field| field.load(Ordering::Relaxed) == 0);
            if !untouched {
                reset(cell, 0);
            }
        }
        self.slot.header.head.store(Head::empty(next).bits(), Ordering::Release);
        self.slot.header.queue.store(0, Ordering::Relaxed);
        self.reset_waiters();
    }

    /// The largest version of which there is any trace in the slot.
    pub(crate) fn highest_version(self) -> u64 {
        let versions = self.cells().filter_map(|(_, cell)| read::readable(cell));
        let versions = versions.chain([self.head().version(), self.born()]);
        versions.filter(|&version| version <= LARGEST_PLAUSIBLE).max().unwrap_or(0)
    }

    /// The version that the cell holds, all of it, if its checksum bears out that it does.
    fn proven_version(self, index: u32, cell: CellView<'a>, head: Head) -> Option<u64> {
        let version = match Seq::from_bits(cell.header.seq.load(Ordering::Acquire)) {
            // Published, and not marked whole yet.
            Seq::Private { .. } if head.cell() == Some(index) => head.version(),
            seq => seq.readable()?,
        };
        let len = cell.header.len.load(Ordering::Relaxed);
        if len as usize > cell.words.len() * WORD {
            return None;
        }
        let mut bytes = vec![0; len as usize];
        words::load(cell.words, &mut bytes);
        let crc = checksum::seal(checksum::of(&bytes), self.key_hash(), version, len);
        (crc == cell.header.crc.load(Ordering::Relaxed)).then_some(version)
    }

    /// Copies a whole value as another version into a cell that is not needed, or into that of the oldest one. Whoever is killed
    /// in the middle of it has lost nothing.
    fn copy_as(self, version: u64, from: u32, whole: &[(u64, u32)]) -> u32 {
        let holds = |index: u32| whole.iter().find(|&&(_, at)| at == index).map_or(0, |&(version, _)| version);
        let others = (0..self.slot.cells.count()).filter(|&index| index != from);
        // There are two cells at least.
        let to = others.min_by_key(|&index| holds(index)).unwrap_or(from);
        let (source, target) = (self.slot.cells.get(from), self.slot.cells.get(to));
        let mut bytes = vec![0; read::len(source)];
        words::load(source.words, &mut bytes);
        reset(target, 0);
        words::store(target.words, &bytes);
        let len = bytes.len() as u32;
        target.header.len.store(len, Ordering::Relaxed);
        let crc = checksum::seal(checksum::of(&bytes), self.key_hash(), version, len);
        target.header.crc.store(crc, Ordering::Relaxed);
        // Release: not before all of it is there.
        target.header.seq.store(Seq::Whole { version }.bits(), Ordering::Release);
        to
    }

    fn key_hash(self) -> u64 {
        self.slot.header.key_hash.load(Ordering::Relaxed)
    }

    /// Forgets who waited, and who was to receive what: there is nobody. What is left to do in a work queue stays.
    fn reset_waiters(self) {
        self.bell().flag.store(0, Ordering::Relaxed);
        self.room().flag.store(0, Ordering::Relaxed);
        self.slot.header.floor.store(0, Ordering::Relaxed);
        self.finalise_recovered_queue();
        for cursor in self.slot.cursors {
            cursor.store(Cursor::FREE, Ordering::Relaxed);
        }
    }
}

/// Takes all marks off a cell: it holds this version, or nothing if that is 0.
fn reset(cell: CellView<'_>, version: u64) {
    if version == 0 {
        words::zero(cell.words, 0, cell.header.dirty.load(Ordering::Relaxed) as usize);
        cell.header.len.store(0, Ordering::Relaxed);
    }
    // Nobody knows any more how far bytes were written: the next writer zeroes all that it does not need.
    cell.header.dirty.store((cell.words.len() * WORD) as u32, Ordering::Relaxed);
    let taker = Taker::from_bits(cell.header.taker.load(Ordering::Relaxed));
    cell.header.taker.store(taker.given_back().bits(), Ordering::Relaxed);
    for pins in &cell.header.pins {
        pins.store(0, Ordering::Relaxed);
    }
    cell.header.seq.store(Seq::Whole { version }.bits(), Ordering::Release);
}
