//! Copying a value out: the newest, or one of the versions that are kept.
//!
//! Readers store nothing into the slot, so any number of them scale with the cores. (The one exception: who meets a
//! published cell that its writer has not marked whole yet does that for it.)

use super::cell::{self, copy, holds, readable};
use super::error::ReadError;
use super::publish::EXPECTED;
use super::ring::Ring;
use crate::core::lookup::Lookup;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::words::WORD;
use crate::core::word::Head;
use crate::sync::{Ordering, fence, real_or_model};

/// How often a reader is overtaken before it says so, rather than copy in vain: then it is better off with a pin.
const OVERTAKEN: usize = real_or_model(8, 3);
/// No more bytes than these are copied in vain, unless it is twice.
const IN_VAIN: usize = 8 << 20;

/// How often the newest value is looked at in all: one that is published and not marked yet is looked at twice.
const CHECKS: usize = 64;

impl<'a> Ring<'a> {
    /// Copies the newest value into `out`, replacing what it held, and gives the version; `None` when there is none.
    #[inline]
    pub(crate) fn copy_newest(self, out: &mut Vec<u8>) -> Result<Option<u64>, ReadError> {
        // All that a read is when nothing special happens.
        let head = self.head();
        if let Some(index) = head.cell()
            && index < self.slot().cells.count()
        {
            let cell = self.slot().cells.get(index);
            cell.expect_to_read();
            // Acquire: see `readable`.
            let whole = cell.header.seq.load(Ordering::Acquire) == head.version();
            if whole && copy(cell, head.version(), out) && self.is_current() {
                return Ok(Some(head.version()));
            }
        }
        self.copy_newest_again((IN_VAIN / self.max_len().max(1)).clamp(2, OVERTAKEN), out)
    }

    #[cold]
    pub(crate) fn copy_newest_again(self, most: usize, out: &mut Vec<u8>) -> Result<Option<u64>, ReadError> {
        let (version, copied) = self.read_newest(most, |cell, version| copy(cell, version, out).then_some(()))?;
        Ok(copied.map(|()| version))
    }

    /// The newest version, and what `read` makes of its cell, which gives nothing when the value was overwritten meanwhile; nothing when there
    /// is no value. Overtaken: that has happened `most` times.
    fn read_newest<T>(
        self,
        most: usize,
        mut read: impl FnMut(CellView<'a>, u64) -> Option<T>,
    ) -> Result<(u64, Option<T>), ReadError> {
        let mut overtaken = 0;
        for _ in 0..CHECKS {
            let head = self.head();
            let Some(index) = head.cell() else {
                self.check_current()?;
                return Ok((head.version(), None));
            };
            let cell = self.cell(index)?;
            cell.expect_to_read();
            if !holds(cell, head.version()) {
                overtaken += usize::from(!self.help_or_check(head, cell)?);
            } else if let Some(value) = read(cell, head.version()) {
                self.check_current()?;
                return Ok((head.version(), Some(value)));
            } else {
                overtaken += 1;
            }
            if overtaken == most {
                break;
            }
        }
        self.check_current()?;
        Err(ReadError::Overtaken)
    }

    /// Copies this one version into `out`, replacing what it held. Versions up to `base_version` belong to other keys: gone.
    #[inline]
    pub(crate) fn copy_version(self, version: u64, out: &mut Vec<u8>) -> Result<Lookup<()>, ReadError> {
        if let Some(index) = self.handle.read_hint.place_of(version, &self.context.permutation)
            && self.copy_from(index, version, out)
        {
            self.handle.read_hint.read(index, version);
            if let Some(next) = self.handle.read_hint.place_of(version + 1, &self.context.permutation) {
                // Values of one key tend to have one length. While this one is looked at, the next comes here.
                self.slot().cells.get(next).expect_to_read_next(out.len().min(EXPECTED));
            }
            return Ok(Lookup::Found(()));
        }
        self.find_and_copy(version, out)
    }

    /// Copies this version out of the cell in which it most likely is; `false` if it is not there.
    #[inline]
    fn copy_from(self, index: u32, version: u64, out: &mut Vec<u8>) -> bool {
        let cell = self.slot().cells.get(index);
        cell.expect_to_read();
        // Acquire: see `readable`. What is whole was published.
        cell.header.seq.load(Ordering::Acquire) == version
            && version > self.base_version()
            && copy(cell, version, out)
            && self.is_current()
    }

    #[inline]
    fn find_and_copy(self, version: u64, out: &mut Vec<u8>) -> Result<Lookup<()>, ReadError> {
        for _ in 0..CHECKS {
            let head = self.head();
            let outcome = if head.version() < version {
                Lookup::NotYet
            } else if version <= self.base_version() {
                Lookup::Gone
            } else if head.version() > version {
                self.handle.read_hint.seen(head);
                match self.find_index(head, version) {
                    Some(index) if copy(self.slot().cells.get(index), version, out) => {
                        self.handle.read_hint.read(index, version);
                        Lookup::Found(())
                    }
                    _ => Lookup::Gone,
                }
            } else {
                match head.cell() {
                    None => Lookup::Gone,
                    Some(index) if self.copy_head(head, index, out)? => {
                        self.handle.read_hint.read(index, version);
                        Lookup::Found(())
                    }
                    Some(_) => continue,
                }
            };
            self.check_current()?;
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
    pub(crate) fn newest_len(self) -> Result<(u64, Option<usize>), ReadError> {
        self.read_newest(OVERTAKEN, |cell, version| {
            let len = cell::len(cell);
            // Acquire: `seq` is read again after the length.
            fence(Ordering::Acquire);
            holds(cell, version).then_some(len)
        })
    }

    /// The largest value in bytes.
    fn max_len(self) -> usize {
        self.slot().cells.get(0).words.len() * WORD
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

    /// The last thing a reader with a cached slot does: what it copied belongs to its key only if the slot still does.
    #[inline]
    fn check_current(self) -> Result<(), ReadError> {
        if self.is_current() { Ok(()) } else { Err(ReadError::Removed) }
    }
}
