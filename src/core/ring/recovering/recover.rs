//! Recovery of a slot in a file after the machine stopped: any page of the file may be older than
//! any other.
//!
//! Nobody else has the store open meanwhile. A cell holds a version if its checksum proves that
//! (`proof.rs`), whatever `head` and `seq` say. The newest proven value becomes the slot's value.
//! If it is older than `head`, it is published again as a version of its own, so that a reader that
//! has seen the lost version sees a newer one.
//!
//! **Crash.** A recovery that starts again after a crash finds the same. The slot's word
//! `recovered_version` says that the newest value was put there by a recovery that did not report
//! it. A value is copied into a cell that is not needed before `head` names it.

use std::ops::Range;

use super::proof::Pages;
use super::unproven::UnprovenCount;
use crate::core::checksum;
use crate::core::epoch;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::cells::PAGE_LEN;
use crate::core::memory::records::CellHeader;
use crate::core::memory::words;
use crate::core::ring::cell;
use crate::core::ring::host::NoSpace;
use crate::core::ring::publishing::storage::{GRANULE, Storage};
use crate::core::ring::ring::Ring;
use crate::core::word::{Cursor, Delivery, Head, MAX_PLAUSIBLE_VERSION, QueueWord, Residue, Seq};
use crate::sync::Ordering;

/// The value that a recovery found in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recovered {
    /// The newest value, or none was ever there.
    Sound,
    /// The newest value was damaged. An older one is the newest now, as a version of its own.
    Older,
    /// The newest value was damaged, and no older one is whole.
    Lost,
}

/// The source of the versions that a recovery publishes.
pub(crate) trait VersionSource {
    /// A version that is larger than this one and that nobody can have seen. After the first call,
    /// no key of the store goes on with a version that somebody may have seen.
    fn version_after(&self, version: u64) -> u64;
}

impl<'a> Ring<'a> {
    /// Makes the newest proven value the slot's value, and frees every cell that proves none. For a
    /// work queue, also counts the jobs that could not be proven.
    ///
    /// # Errors
    ///
    /// There is no space for the values, for example in a copy of the file without its holes filled.
    pub(crate) fn recover(
        self,
        pages: Pages,
        versions: &impl VersionSource,
    ) -> Result<(Recovered, UnprovenCount), NoSpace> {
        let head = self.head();
        let base_version = self.base_version();
        let mut proven: Vec<_> = self
            .cells()
            .filter_map(|(index, cell)| Some((self.proven_version(index, cell, head)?, index)))
            .filter(|&(version, index)| version > base_version && index < self.handle.shape().cells())
            .collect();
        let first_job = QueueWord::from_bits(self.slot().header.queue.load(Ordering::Relaxed)).first(self.generation());
        let jobs =
            first_job.map_or_else(UnprovenCount::default, |first| self.count_unproven_jobs(first, &proven, pages));
        // Before anything is reserved: the disk may be full.
        self.give_back_unproven(&proven);
        let newest = proven.iter().copied().max();
        let recovered_version = &self.slot().header.recovered_version;
        let (recovered, head) = match newest {
            Some((version, index)) if version >= head.version() => {
                // A recovery that crashed may have put it there. Then we report it.
                let recovered = if version == recovered_version.load(Ordering::Relaxed) {
                    Recovered::Older
                } else {
                    Recovered::Sound
                };
                (recovered, Head::of(index, version))
            }
            // In a queue, a new version would be one more job, although the old one may be done.
            Some((version, index)) if head.cell().is_some() && first_job.is_some() => {
                versions.version_after(self.highest_version());
                (Recovered::Sound, Head::of(index, version))
            }
            // A version of its own distinguishes it from the lost one: a reader that has seen that one sees
            // a newer one.
            Some((_, index)) if head.cell().is_some() => {
                let highest = self.highest_version();
                let next = versions.version_after(highest);
                self.slot().header.before_recovery.store(highest, Ordering::Relaxed);
                recovered_version.store(next, Ordering::Relaxed);
                let copy = self.copy_as(next, index, &proven)?;
                proven.retain(|&(_, at)| at != copy);
                proven.push((next, copy));
                (Recovered::Older, Head::of(copy, next))
            }
            None if head.cell().is_some() => {
                (Recovered::Lost, Head::lost(versions.version_after(self.highest_version())))
            }
            _ => (Recovered::Sound, Head::empty(self.highest_version())),
        };
        self.give_back_unproven(&proven);
        for (index, cell) in self.cells() {
            let version = proven.iter().find(|&&(_, at)| at == index).map_or(0, |&(version, _)| version);
            self.reset(index, cell, version)?;
        }
        let before_newest = head.version() - u64::from(head.cell().is_some());
        self.slot().header.base_version.store(base_version.min(before_newest), Ordering::Relaxed);
        let intent = &self.slot().header.purge_intent;
        intent.store(intent.load(Ordering::Relaxed).min(before_newest), Ordering::Relaxed);
        // Release: pairs with `Ring::head`. `head` names the value after its cell is complete.
        self.slot().header.head.store(head.bits(), Ordering::Release);
        self.reset_waiters();
        Ok((recovered, jobs))
    }

    /// Empties a slot that has no key, so that a later key finds nothing in it.
    ///
    /// # Errors
    ///
    /// As [`recover`](Self::recover).
    pub(crate) fn wipe(self) -> Result<(), NoSpace> {
        let next = self.highest_version();
        self.context.host.punch(self.slot().index, 0..self.context.span, u64::MAX);
        self.context.host.punch_pages(self.slot().index, 0..self.slot().cells.pages());
        for (index, cell) in self.cells() {
            let CellHeader { seq, pins, delivery, len, residue, crc, .. } = cell.header;
            let untouched = pins.iter().chain([seq, delivery]).all(|word| word.load(Ordering::Relaxed) == 0)
                && [len, residue, crc].iter().all(|word| word.load(Ordering::Relaxed) == 0);
            if !untouched {
                self.reset(index, cell, 0)?;
            }
        }
        // Release: pairs with `Ring::head`.
        self.slot().header.head.store(Head::empty(next).bits(), Ordering::Release);
        self.slot().header.queue.store(0, Ordering::Relaxed);
        self.reset_waiters();
        Ok(())
    }

    /// The largest version of which there is any trace in the slot.
    pub(crate) fn highest_version(self) -> u64 {
        let versions = self.cells().filter_map(|(_, cell)| cell::readable(cell));
        let versions = versions.chain([self.head().version(), self.base_version()]);
        versions.filter(|&version| version <= MAX_PLAUSIBLE_VERSION).max().unwrap_or(0)
    }

    /// Copies a proven value, as another version, into a cell that is not needed, or into that of
    /// the oldest value. Returns the cell's index. A crash in the middle loses nothing else.
    fn copy_as(self, version: u64, from: u32, proven: &[(u64, u32)]) -> Result<u32, NoSpace> {
        let holds = |index: u32| proven.iter().find(|&&(_, at)| at == index).map_or(0, |&(version, _)| version);
        // The value that was flushed stays in its cell until the next flush: the machine may stop
        // again.
        let flushed = self.flushed_versions();
        let cells = self.reserved_cells().min(self.handle.shape().cells());
        let others = (0..cells).filter(|&index| index != from);
        // There are at least `MIN_FILE_CELLS` cells.
        let to = others.min_by_key(|&index| (holds(index) > 0 && flushed.contains(&holds(index)), holds(index)));
        let to = to.unwrap_or(from);
        let (source, target) = (self.slot().cells.get(from), self.slot().cells.get(to));
        let bytes = self.recovered_bytes(from, source, cell::len(source)).unwrap_or_default();
        self.reset(to, target, 0)?;
        let len = bytes.len() as u32;
        target.header.len.store(len, Ordering::Relaxed);
        self.reserve_recovered(to, target)?;
        if let Some(words) = self.value_words(to, target, bytes.len()) {
            words::store(words, &bytes);
        }
        let gap = epoch::gap(self.highest_version(), version);
        target.header.gap.store(gap, Ordering::Relaxed);
        let crc = checksum::seal(checksum::of(&bytes), self.key_hash(), version, gap, len);
        target.header.crc.store(crc, Ordering::Relaxed);
        // Release: pairs with the acquire of `seq` in the readers. The cell is committed after it
        // is complete.
        target.header.seq.store(Seq::Committed { version }.bits(), Ordering::Release);
        Ok(to)
    }

    /// Gives back the space of all pages and places but those of proven values. A crash may have left
    /// some of which no page on the disk says so.
    fn give_back_unproven(self, proven: &[(u64, u32)]) {
        let (host, slot) = (&self.context.host, self.slot().index);
        let (mut pages, mut places) = (Vec::new(), Vec::new());
        for &(_, index) in proven {
            let len = cell::len(self.slot().cells.get(index));
            match self.storage(index, len) {
                Storage::Inline => {}
                Storage::Page => pages.push(index..index + 1),
                Storage::Place(tier) => {
                    let start = self.places().get(tier, index).start;
                    places.push(start..start + (len as u64).next_multiple_of(GRANULE));
                }
            }
        }
        gaps(pages, self.slot().cells.pages(), |gap| host.punch_pages(slot, gap));
        gaps(places, self.context.span, |gap| _ = host.punch(slot, gap, u64::MAX));
    }

    /// Removes all marks and pins from a cell. It holds this version; if that is 0, it is emptied.
    fn reset(self, index: u32, cell: CellView<'_>, version: u64) -> Result<(), NoSpace> {
        if version == 0 {
            words::zero(cell.words, 0, size_of_val(cell.words));
            cell.header.len.store(0, Ordering::Relaxed);
        }
        self.reserve_recovered(index, cell)?;
        let delivery = Delivery::from_bits(cell.header.delivery.load(Ordering::Relaxed));
        cell.header.delivery.store(delivery.requeued().bits(), Ordering::Relaxed);
        for pins in &cell.header.pins {
            pins.store(0, Ordering::Relaxed);
        }
        // Release: pairs with the acquire of `seq` in the readers.
        cell.header.seq.store(Seq::Committed { version }.bits(), Ordering::Release);
        Ok(())
    }

    /// Reserves the page or place of the cell's value again. A copy of the file has holes where there
    /// were zeros. The slot's side records are zero, and its other pages and places have no space.
    fn reserve_recovered(self, index: u32, cell: CellView<'_>) -> Result<(), NoSpace> {
        let len = cell::len(cell);
        // It is not known how far bytes were written. So the next writer zeroes all that it does not
        // need.
        let mut residue = Residue::from_bits(0).with_inline_len(size_of_val(cell.words));
        let (host, slot) = (&self.context.host, self.slot().index);
        match self.storage(index, len) {
            Storage::Inline => {}
            Storage::Page => {
                host.reserve_page(slot, index)?;
                residue = residue.with_page().with_page_len(PAGE_LEN);
            }
            Storage::Place(tier) => {
                let start = self.places().get(tier, index).start;
                let reserved = (len as u64).next_multiple_of(GRANULE);
                host.reserve_side(slot, index)?;
                host.reserve_again(slot, start..start + reserved)?;
                if let Some(side) = self.side(index) {
                    side.reserved[tier.index()].store(reserved as u32, Ordering::Relaxed);
                    side.written[tier.index()].store(reserved as u32, Ordering::Relaxed);
                }
                residue = residue.with(tier);
            }
        }
        cell.header.residue.store(residue.bits(), Ordering::Relaxed);
        Ok(())
    }

    /// Removes waiters and cursors: no process has the store open. The messages of a work queue
    /// stay.
    fn reset_waiters(self) {
        self.new_version().flag.store(0, Ordering::Relaxed);
        self.not_full().flag.store(0, Ordering::Relaxed);
        self.slot().header.low_water.store(0, Ordering::Relaxed);
        self.finalise_recovered_queue();
        for cursor in self.cursor_words() {
            cursor.store(Cursor::FREE, Ordering::Relaxed);
        }
    }
}

/// Calls `act` with what is between these ranges, up to `end`.
fn gaps<T: Ord + Copy + Default>(mut held: Vec<Range<T>>, end: T, mut act: impl FnMut(Range<T>)) {
    held.sort_unstable_by_key(|range| range.start);
    let mut from = T::default();
    for range in held.into_iter().chain([end..end]) {
        if from < range.start {
            act(from..range.start);
        }
        from = range.end;
    }
}
