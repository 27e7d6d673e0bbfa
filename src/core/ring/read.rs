//! Copying a value out: the newest, or one of the versions that are kept.
//!
//! Readers store nothing into the slot, so any number of them scale with the cores. (The one exception: who meets a
//! published cell that its writer has not let go of yet says for it which version it holds.)

use super::publish::EXPECTED;
use super::{Head, Ring, Seq, ReadHint};
use crate::core::memory::view::CellView;
use crate::core::memory::words::{self, WORD};
use crate::core::word::LOST;
use crate::sync::{Ordering, fence};

/// Why nothing could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// The key was removed from the slot.
    Removed,
    /// The value was lost when the machine stopped.
    Lost,
    /// Others changed what was to be read, or took it, each time. Nothing is wrong with the slot.
    Overtaken,
    /// The slot's words contradict each other: something other than this protocol wrote there.
    Corrupt,
}

/// How often a reader is overtaken before it says so, rather than copy in vain: then it is better off with a pin.
const OVERTAKEN: usize = if cfg!(loom) { 3 } else { 8 };
/// No more bytes than these are copied in vain, unless it is twice.
const IN_VAIN: usize = 8 << 20;

/// How often the newest value is looked at in all: one that is published and not marked yet is looked at twice.
const CHECKS: usize = 64;

/// What became of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exact {
    /// It is in the caller's buffer.
    Copied,
    /// It was not published yet.
    NotYet,
    /// It was overwritten.
    Gone,
}

impl<'a> Ring<'a> {
    /// Copies the newest value into `out`, replacing what it held, and gives the version; `None` when there is none.
    #[inline]
    pub(crate) fn copy_newest(self, generation: u64, out: &mut Vec<u8>) -> Result<Option<u64>, ReadError> {
        // All that a read is when nothing special happens.
        let head = self.head();
        if let Some(index) = head.cell()
            && index < self.slot.cells.count()
        {
            let cell = self.slot.cells.get(index);
            cell.expect_to_read();
            // Acquire: see `readable`.
            let whole = cell.header.seq.load(Ordering::Acquire) == head.version();
            if whole && copy(cell, head.version(), out) && self.generation() == generation {
                return Ok(Some(head.version()));
            }
        }
        self.copy_newest_again(generation, (IN_VAIN / self.max_len().max(1)).clamp(2, OVERTAKEN), out)
    }

    #[cold]
    pub(super) fn copy_newest_again(
        self,
        generation: u64,
        most: usize,
        out: &mut Vec<u8>,
    ) -> Result<Option<u64>, ReadError> {
        let (version, copied) =
            self.read_newest(generation, most, |cell, version| copy(cell, version, out).then_some(()))?;
        Ok(copied.map(|()| version))
    }

    /// The newest version, and what `read` makes of its cell, which gives nothing when the value was overwritten meanwhile; nothing when there
    /// is no value. Overtaken: that has happened `most` times.
    fn read_newest<T>(
        self,
        generation: u64,
        most: usize,
        mut read: impl FnMut(CellView<'a>, u64) -> Option<T>,
    ) -> Result<(u64, Option<T>), ReadError> {
        let mut overtaken = 0;
        for _ in 0..CHECKS {
            let head = self.head();
            let Some(index) = head.cell() else {
                self.check_generation(generation)?;
                return Ok((head.version(), None));
            };
            let cell = self.cell(index)?;
            cell.expect_to_read();
            if !holds(cell, head.version()) {
                overtaken += usize::from(!self.help_or_check(head, cell)?);
            } else if let Some(value) = read(cell, head.version()) {
                self.check_generation(generation)?;
                return Ok((head.version(), Some(value)));
            } else {
                overtaken += 1;
            }
            if overtaken == most {
                break;
            }
        }
        self.check_generation(generation)?;
        Err(ReadError::Overtaken)
    }

    /// Copies this one version into `out`, replacing what it held. Versions up to `base_version` belong to other keys: gone.
    #[inline]
    pub(crate) fn copy_version(
        self,
        version: u64,
        generation: u64,
        trail: &ReadHint,
        out: &mut Vec<u8>,
    ) -> Result<Exact, ReadError> {
        if let Some(index) = trail.place_of(version, &self.terms.order)
            && self.copy_from(index, version, generation, out)
        {
            trail.read(index, version);
            if let Some(next) = trail.place_of(version + 1, &self.terms.order) {
                // Values of one key tend to have one length. While this one is looked at, the next comes here.
                self.slot.cells.get(next).expect_to_read_next(out.len().min(EXPECTED));
            }
            return Ok(Exact::Copied);
        }
        self.find_and_copy(version, generation, trail, out)
    }

    /// Copies this version out of the cell in which it most likely is; `false` if it is not there.
    #[inline]
    fn copy_from(self, index: u32, version: u64, generation: u64, out: &mut Vec<u8>) -> bool {
        let cell = self.slot.cells.get(index);
        cell.expect_to_read();
        // Acquire: see `readable`. What is whole was published.
        cell.header.seq.load(Ordering::Acquire) == version
            && version > self.base_version()
            && copy(cell, version, out)
            && self.generation() == generation
    }

    #[inline]
    fn find_and_copy(
        self,
        version: u64,
        generation: u64,
        trail: &ReadHint,
        out: &mut Vec<u8>,
    ) -> Result<Exact, ReadError> {
        for _ in 0..CHECKS {
            let head = self.head();
            let outcome = if head.version() < version {
                Exact::NotYet
            } else if version <= self.base_version() {
                Exact::Gone
            } else if head.version() > version {
                trail.seen(head);
                match self.find_index(head, version) {
                    Some(index) if copy(self.slot.cells.get(index), version, out) => {
                        trail.read(index, version);
                        Exact::Copied
                    }
                    _ => Exact::Gone,
                }
            } else {
                match head.cell() {
                    None => Exact::Gone,
                    Some(index) if self.copy_head(head, index, out)? => {
                        trail.read(index, version);
                        Exact::Copied
                    }
                    Some(_) => continue,
                }
            };
            self.check_generation(generation)?;
            return Ok(outcome);
        }
        // It stayed the newest all the time, or `head` went back to it, and its cell was never found to hold it: a reader that is overtaken
        // finds a newer one.
        Err(ReadError::Corrupt)
    }

    /// The oldest version from `from` on that is still whole; `None` when there is none.
    pub(crate) fn oldest_from(self, from: u64) -> Option<u64> {
        let from = from.max(self.base_version() + 1);
        self.help_commit(self.head());
        let kept = self.cells().filter_map(|(_, cell)| readable(cell)).filter(|&version| version >= from);
        kept.min()
    }

    /// The newest version and the length of its value in bytes; no length when there is no value.
    pub(crate) fn newest_len(self, generation: u64) -> Result<(u64, Option<usize>), ReadError> {
        self.read_newest(generation, OVERTAKEN, |cell, version| {
            let len = len(cell);
            // Acquire: `seq` is read again after the length.
            fence(Ordering::Acquire);
            holds(cell, version).then_some(len)
        })
    }

    /// The largest value in bytes.
    fn max_len(self) -> usize {
        self.slot.cells.get(0).words.len() * WORD
    }

    /// Copies the value that `head` names; `false` when it was overwritten meanwhile.
    #[inline]
    fn copy_head(self, head: Head, index: u32, out: &mut Vec<u8>) -> Result<bool, ReadError> {
        let cell = self.cell(index)?;
        cell.expect_to_read();
        if holds(cell, head.version()) {
            return Ok(copy(cell, head.version(), out));
        }
        self.help_or_check(head, cell)?;
        Ok(false)
    }

    /// Called when `head` names a cell that did not hold its version: says so for its writer if only that is missing. Whether it is worth
    /// another look at the same `head`; else that has moved on.
    ///
    /// A contradiction is only what no writer leaves, however slow the reader: `head` is the same before and after, so it was all the time,
    /// and meanwhile its cell was private, or held its version.
    #[cold]
    pub(super) fn help_or_check(self, head: Head, cell: CellView<'a>) -> Result<bool, ReadError> {
        // Acquire: `head` is read after it.
        let seq = Seq::from_bits(cell.header.seq.load(Ordering::Acquire));
        if self.head() != head {
            return Ok(false);
        }
        match seq {
            Seq::Writing { .. } => {
                self.help_commit(head);
                Ok(true)
            }
            seq if seq.readable() == Some(head.version()) => Ok(true),
            _ => Err(ReadError::Corrupt),
        }
    }

    /// The cell that `head` names; of those beyond the ring, one is ours.
    #[inline]
    pub(super) fn cell(self, index: u32) -> Result<CellView<'a>, ReadError> {
        let cells = &self.slot.cells;
        if index < cells.count() {
            Ok(cells.get(index))
        } else {
            Err(if index == LOST { ReadError::Lost } else { ReadError::Corrupt })
        }
    }

    /// The index of the cell in which an older version is. One writer alone fills the ring in order, which makes the first guess right;
    /// several mix up the order of neighbours, so the search goes outwards from there.
    #[inline]
    pub(super) fn find_index(self, head: Head, version: u64) -> Option<u32> {
        let cells = &self.slot.cells;
        let count = cells.count();
        let newest = head.cell().filter(|&index| index < count).unwrap_or(0);
        let back = u32::try_from(head.version() - version).ok().filter(|&back| back < count).unwrap_or(0);
        let guess = self.terms.order.before(newest, back);
        if holds(cells.get(guess), version) { Some(guess) } else { self.find_near(guess, version) }
    }

    #[cold]
    fn find_near(self, guess: u32, version: u64) -> Option<u32> {
        let cells = &self.slot.cells;
        let count = cells.count();
        let at = |index: u32| Some(index).filter(|&index| holds(cells.get(index), version));
        let order = &self.terms.order;
        (1..=count / 2).find_map(|away| at(order.before(guess, count - away)).or_else(|| at(order.before(guess, away))))
    }

    /// The last thing a reader with a cached slot does: what it copied belongs to its key only if the slot still does.
    #[inline]
    fn check_generation(self, generation: u64) -> Result<(), ReadError> {
        if self.generation() == generation { Ok(()) } else { Err(ReadError::Removed) }
    }
}

/// The version that can be read from the cell now.
#[inline]
pub(super) fn readable(cell: CellView<'_>) -> Option<u64> {
    #[cfg(all(test, not(loom)))]
    super::looks::note();
    // Acquire: pairs with the release of `seq` in `release_committed` and `stamp`; whoever sees the version sees its bytes.
    Seq::from_bits(cell.header.seq.load(Ordering::Acquire)).readable()
}

/// Whether this version can be read from the cell now.
#[inline]
fn holds(cell: CellView<'_>, version: u64) -> bool {
    #[cfg(all(test, not(loom)))]
    super::looks::note();
    // Acquire: see `readable`.
    Seq::bits_hold(cell.header.seq.load(Ordering::Acquire), version)
}

/// The length of what the cell holds, never more than it has room for.
#[inline]
pub(super) fn len(cell: CellView<'_>) -> usize {
    (cell.header.len.load(Ordering::Relaxed) as usize).min(cell.words.len() * WORD)
}

/// Copies a cell that held `version` when the caller looked; `false` when it no longer did afterwards.
#[inline(always)]
pub(super) fn copy(cell: CellView<'_>, version: u64, out: &mut Vec<u8>) -> bool {
    set_len(out, len(cell));
    words::load(cell.words, out);
    // Acquire: pairs with the release fence in `take`; if any word above was a later writer's, `seq` below is too.
    fence(Ordering::Acquire);
    Seq::bits_hold(cell.header.seq.load(Ordering::Relaxed), version)
}

/// Makes room for exactly `len` bytes, which the caller overwrites.
#[inline]
pub(super) fn set_len(out: &mut Vec<u8>, len: usize) {
    // Values of one key tend to have one length.
    if out.len() != len {
        resize(out, len);
    }
}

#[cold]
fn resize(out: &mut Vec<u8>, len: usize) {
    out.resize(len, 0);
}
