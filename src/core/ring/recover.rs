//! Making a slot sound again after the machine stopped: what was written to the disk, and what not, is anybody's guess.
//!
//! Nobody else has the store open meanwhile. Checksums decide: a cell is a version if its checksum says so, whatever `head` and
//! `seq` say.

use std::cmp::Reverse;

use super::cell;
use super::ring::Ring;
use crate::core::checksum;
use crate::core::delivery::{Cursor, Delivery, Progress, Queue};
use crate::core::epoch;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::records::{CellHeader, SlotHeader};
use crate::core::memory::words::{self, WORD};
use crate::core::word::{FRESH, Head, LARGEST_PLAUSIBLE, Seq};
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

/// Whether all that is found in a store is from one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moments {
    /// It is: its last users were killed. Unless checksums say something else.
    One,
    /// It may not be: the machine stopped, or it is a copy.
    Many,
}

/// How many jobs of a work queue may have been lost: the two numbers count different jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Unproven {
    pub(crate) damaged: u32,
    pub(crate) missing: u32,
}

impl Unproven {
    /// What is kept in the slot while the recovery is in progress: (1 : 1 | damaged : 31 | missing : 32).
    fn bits(self) -> u64 {
        1 << 63 | u64::from(self.damaged) << 32 | u64::from(self.missing)
    }

    fn from_bits(bits: u64) -> Option<Self> {
        (bits >> 63 == 1).then_some(Self { damaged: (bits >> 32) as u32 & !(1 << 31), missing: bits as u32 })
    }
}

/// Gives the versions that are published because of a loss.
pub(crate) trait Successor {
    /// A version that nobody can have seen, and is larger than this one. After it was asked once, no key of the store goes on with a version
    /// that somebody may have seen.
    fn version_after(&self, version: u64) -> u64;
}

impl<'a> Ring<'a> {
    /// Finds the newest value that is whole, makes it the one that the slot has, and frees every cell that holds none. Of a work queue, reports how
    /// many jobs could not be proven.
    ///
    /// A recovery that starts again after it was killed finds the same.
    pub(crate) fn recover(self, moments: Moments, successor: &impl Successor) -> (Found, Unproven) {
        let head = self.head();
        let base_version = self.base_version();
        let mut whole: Vec<_> = self
            .cells()
            .filter_map(|(index, cell)| Some((self.proven_version(index, cell, head)?, index)))
            .filter(|&(version, _)| version > base_version)
            .collect();
        let first_job = Queue::from_bits(self.slot().header.queue.load(Ordering::Relaxed)).first(self.generation());
        let jobs = first_job.map_or_else(Unproven::default, |first| self.unproven_jobs(first, &whole, moments));
        let newest = whole.iter().copied().max();
        let recovered_version = &self.slot().header.recovered_version;
        let (found, head) = match newest {
            Some((version, index)) if version >= head.version() => {
                // Of one that somebody put there who did not live to tell of it, we do.
                let found =
                    if version == recovered_version.load(Ordering::Relaxed) { Found::Older } else { Found::Sound };
                (found, Head::of(index, version))
            }
            // As a version of its own it would be a job once more, done or not.
            Some((version, index)) if head.cell().is_some() && first_job.is_some() => {
                successor.version_after(self.highest_version());
                (Found::Sound, Head::of(index, version))
            }
            // It is told from what was lost by a version of its own: whoever has seen that one sees a newer one.
            Some((_, index)) if head.cell().is_some() => {
                let highest = self.highest_version();
                let next = successor.version_after(highest);
                self.slot().header.before_recovery.store(highest, Ordering::Relaxed);
                recovered_version.store(next, Ordering::Relaxed);
                let copy = self.copy_as(next, index, &whole);
                whole.retain(|&(_, at)| at != copy);
                whole.push((next, copy));
                (Found::Older, Head::of(copy, next))
            }
            None if head.cell().is_some() => {
                (Found::Nothing, Head::lost(successor.version_after(self.highest_version())))
            }
            _ => (Found::Sound, Head::empty(self.highest_version())),
        };
        for (index, cell) in self.cells() {
            let version = whole.iter().find(|&&(_, at)| at == index).map_or(0, |&(version, _)| version);
            reset(cell, version);
        }
        let before_newest = head.version() - u64::from(head.cell().is_some());
        self.slot().header.base_version.store(base_version.min(before_newest), Ordering::Relaxed);
        let intent = &self.slot().header.purge_intent;
        intent.store(intent.load(Ordering::Relaxed).min(before_newest), Ordering::Relaxed);
        self.slot().header.head.store(head.bits(), Ordering::Release);
        self.reset_waiters();
        (found, jobs)
    }

    /// How many jobs of the queue, which begins at `first`, are in no cell that proves it, and may have been there and not done.
    ///
    /// *Damaged* ones have left a cell that says it holds them, fails its checksum, and does not say that they are done. *Missing* ones have
    /// left no cell at all: their versions are below the largest one of which there is a trace, and above the last flush, since
    /// what was flushed and is not there any more was done. Of those, each may have been in a cell whose page on the disk is from before, that is, in
    /// one that holds an older version. So at most as many are missing as can be given such a cell each.
    fn unproven_jobs(self, first: u64, whole: &[(u64, u32)], moments: Moments) -> Unproven {
        let noted = &self.slot().header.unproven_jobs;
        // What a recovery that was killed has counted. Of an older one, whose end did not reach the disk, too: so it hides nothing.
        let before = Unproven::from_bits(noted.load(Ordering::Relaxed)).unwrap_or_default();
        let (head, base_version) = (self.head(), self.base_version());
        let mut damaged = 0;
        // Of each cell, a version that it had at least.
        let mut had: Vec<u64> = Vec::new();
        for (index, cell) in self.cells() {
            let (held, version) = match Seq::from_bits(cell.header.seq.load(Ordering::Relaxed)) {
                Seq::Writing { .. } if head.cell() == Some(index) => (true, head.version()),
                // It held this one, which was done, and is being overwritten.
                Seq::Writing { ticket, .. } if ticket < FRESH => (false, ticket),
                seq => seq.readable().map_or((false, 0), |version| (true, version)),
            };
            let version = if version <= LARGEST_PLAUSIBLE { version } else { 0 };
            let is_proven = whole.iter().any(|&(_, at)| at == index);
            let delivery = Delivery::from_bits(cell.header.delivery.load(Ordering::Relaxed));
            let is_job = version >= first && version > base_version && delivery.progress_of(version) != Progress::Done;
            damaged += u32::from(held && is_job && !is_proven);
            had.push(version);
        }
        let jobs = if damaged == 0 && moments == Moments::One {
            Unproven::default()
        } else {
            let flushed = self.slot().header.flushed.load(Ordering::Relaxed);
            let known = base_version.max(first.saturating_sub(1)).max(flushed.min(LARGEST_PLAUSIBLE));
            let highest = self.highest_version();
            had.sort_unstable_by_key(|&version| Reverse(version));
            let missing = had.iter().enumerate().fold(0, |missing, (newer, &version)| {
                // Versions that are later than this cell's, and in no cell.
                let later = highest.saturating_sub(version.max(known));
                let in_cells = had[..newer].iter().filter(|&&held| held > version.max(known)).count() as u64;
                missing + u32::from(later.saturating_sub(in_cells) > u64::from(missing))
            });
            Unproven { damaged, missing }
        };
        // A cell has left one job at most.
        let most = |noted: u32, counted: u32| noted.max(counted).min(self.slot().cells.count());
        let jobs =
            Unproven { damaged: most(before.damaged, jobs.damaged), missing: most(before.missing, jobs.missing) };
        // Before anything is changed.
        noted.store(jobs.bits(), Ordering::Release);
        jobs
    }

    /// Whether nothing was ever done to the slot.
    pub(crate) fn is_untouched(self) -> bool {
        let SlotHeader { head, generation, base_version, key_hash, tickets, .. } = self.slot().header;
        [head, generation, base_version, key_hash, tickets].iter().all(|field| field.load(Ordering::Relaxed) == 0)
    }

    /// Empties a slot that has no key, so that nothing is left in it that a later key could meet.
    pub(crate) fn wipe(self) {
        let next = self.highest_version();
        for (_, cell) in self.cells() {
            let CellHeader { seq, len, written_len, crc, .. } = cell.header;
            let untouched = seq.load(Ordering::Relaxed) == 0
                && [len, written_len, crc].iter().all(|field| field.load(Ordering::Relaxed) == 0);
            if !untouched {
                reset(cell, 0);
            }
        }
        self.slot().header.head.store(Head::empty(next).bits(), Ordering::Release);
        self.slot().header.queue.store(0, Ordering::Relaxed);
        self.reset_waiters();
    }

    /// The largest version of which there is any trace in the slot.
    pub(crate) fn highest_version(self) -> u64 {
        let versions = self.cells().filter_map(|(_, cell)| cell::readable(cell));
        let versions = versions.chain([self.head().version(), self.base_version()]);
        versions.filter(|&version| version <= LARGEST_PLAUSIBLE).max().unwrap_or(0)
    }

    /// The version that the cell holds, all of it, if its checksum bears out that it does.
    fn proven_version(self, index: u32, cell: CellView<'a>, head: Head) -> Option<u64> {
        let version = match Seq::from_bits(cell.header.seq.load(Ordering::Acquire)) {
            // Published, and not marked whole yet.
            Seq::Writing { .. } if head.cell() == Some(index) => head.version(),
            seq => seq.readable()?,
        };
        let len = cell.header.len.load(Ordering::Relaxed);
        if len as usize > cell.words.len() * WORD {
            return None;
        }
        let mut bytes = vec![0; len as usize];
        words::load(cell.words, &mut bytes);
        let gap = cell.header.gap.load(Ordering::Relaxed);
        let crc = checksum::seal(checksum::of(&bytes), self.key_hash(), version, gap, len);
        (crc == cell.header.crc.load(Ordering::Relaxed)).then_some(version)
    }

    /// Copies a whole value as another version into a cell that is not needed, or into that of the oldest one. Whoever is killed
    /// in the middle of it has lost nothing.
    fn copy_as(self, version: u64, from: u32, whole: &[(u64, u32)]) -> u32 {
        let holds = |index: u32| whole.iter().find(|&&(_, at)| at == index).map_or(0, |&(version, _)| version);
        // What was flushed stays where it is until the next flush: the machine may stop again.
        let flushed = self.flushed_versions();
        let others = (0..self.slot().cells.count()).filter(|&index| index != from);
        // There are four cells at least.
        let to = others.min_by_key(|&index| (holds(index) > 0 && flushed.contains(&holds(index)), holds(index)));
        let to = to.unwrap_or(from);
        let (source, target) = (self.slot().cells.get(from), self.slot().cells.get(to));
        let mut bytes = vec![0; cell::len(source)];
        words::load(source.words, &mut bytes);
        reset(target, 0);
        words::store(target.words, &bytes);
        let len = bytes.len() as u32;
        target.header.len.store(len, Ordering::Relaxed);
        let gap = epoch::gap(self.highest_version(), version);
        target.header.gap.store(gap, Ordering::Relaxed);
        let crc = checksum::seal(checksum::of(&bytes), self.key_hash(), version, gap, len);
        target.header.crc.store(crc, Ordering::Relaxed);
        // Release: not before all of it is there.
        target.header.seq.store(Seq::Committed { version }.bits(), Ordering::Release);
        to
    }

    fn key_hash(self) -> u64 {
        self.slot().header.key_hash.load(Ordering::Relaxed)
    }

    /// Forgets who waited, and who was to receive what: there is nobody. What is left to do in a work queue stays.
    fn reset_waiters(self) {
        self.new_version().flag.store(0, Ordering::Relaxed);
        self.not_full().flag.store(0, Ordering::Relaxed);
        self.slot().header.low_water.store(0, Ordering::Relaxed);
        self.finalise_recovered_queue();
        for cursor in self.slot().cursors {
            cursor.store(Cursor::FREE, Ordering::Relaxed);
        }
    }
}

/// Takes all marks off a cell: it holds this version, or nothing if that is 0.
fn reset(cell: CellView<'_>, version: u64) {
    if version == 0 {
        words::zero(cell.words, 0, cell.header.written_len.load(Ordering::Relaxed) as usize);
        cell.header.len.store(0, Ordering::Relaxed);
    }
    // Nobody knows any more how far bytes were written: the next writer zeroes all that it does not need.
    cell.header.written_len.store((cell.words.len() * WORD) as u32, Ordering::Relaxed);
    let delivery = Delivery::from_bits(cell.header.delivery.load(Ordering::Relaxed));
    cell.header.delivery.store(delivery.requeued().bits(), Ordering::Relaxed);
    for pins in &cell.header.pins {
        pins.store(0, Ordering::Relaxed);
    }
    cell.header.seq.store(Seq::Committed { version }.bits(), Ordering::Release);
}
