//! Reading: copying the newest value, or one version, out of its cell.
//!
//! It is a validated optimistic read, as in a seqlock: read `head`, check `seq`, copy, check `seq`
//! again (`Ring::copy`), check the generation. Readers store nothing into the slot, so any number
//! of them scale with the cores. The one exception is a published cell that its writer has not
//! committed yet: a reader commits it (`help.rs`).
//!
//! - **Fast path** of `copy_newest`: one load of `head`, two of `seq`, one of the generation. Of
//!   `copy_version`: the cell after the last one that this handle read (`read_hint.rs`), without a
//!   load of `head`.
//! - **Slow path.** The cell is not committed: help, and try again. The copy was overwritten: try
//!   again, a few times; then the caller pins the value and copies it.
//! - **Crash** of a reader: leaves nothing.

use crate::core::lookup::Lookup;
use crate::core::memory::cell_view::CellView;
use crate::core::ring::cell::{self, holds, readable};
use crate::core::ring::error::ReadError;
use crate::core::ring::reading::copy::Copied;
use crate::core::ring::ring::Ring;
use crate::core::word::Head;
use crate::sync::{Ordering, fence, real_or_model};

/// How often a read is overtaken before it fails. Then the caller reads with a pin.
const OVERTAKEN_LIMIT: usize = real_or_model(8, 3);

/// How often `head` is read in all. A value that is published and not committed needs two attempts.
const HEAD_READS: usize = 64;

impl<'a> Ring<'a> {
    /// Copies the newest value into `out`, replacing its content, and returns its version; `None`
    /// when there is no value.
    #[cfg(loom)]
    pub(crate) fn copy_newest(self, out: &mut Vec<u8>) -> Result<Option<u64>, ReadError> {
        match self.copy_newest_now(out) {
            Some(version) => Ok(Some(version)),
            None => self.copy_newest_again(out),
        }
    }

    /// The fast path of a read of the newest value. `None`: [read again](Self::copy_newest_again).
    #[inline(always)]
    pub(crate) fn copy_newest_now(self, out: &mut Vec<u8>) -> Option<u64> {
        let head = self.head();
        if let Some(index) = head.cell()
            && self.handle.knows_cell(index)
        {
            let cell = self.slot().cells.get(index);
            cell.prefetch_second_line();
            // Acquire: pairs as in `cell::readable`.
            let is_committed = cell.header.seq.load(Ordering::Acquire) == head.version();
            if is_committed && self.copy(index, cell, head.version(), out) == Copied::Whole && self.is_current() {
                return Some(head.version());
            }
        }
        None
    }

    #[cold]
    pub(crate) fn copy_newest_again(self, out: &mut Vec<u8>) -> Result<Option<u64>, ReadError> {
        self.copy_newest_within(OVERTAKEN_LIMIT, out)
    }

    /// As [`copy_newest`](Self::copy_newest), but the read may be overtaken this often.
    pub(crate) fn copy_newest_within(self, limit: usize, out: &mut Vec<u8>) -> Result<Option<u64>, ReadError> {
        let (version, copied) =
            self.read_newest(limit, |index, cell, version| match self.copy(index, cell, version, out) {
                Copied::Overwritten => None,
                copied => Some(copied),
            })?;
        match copied {
            Some(Copied::Long) => Err(ReadError::Long),
            copied => Ok(copied.map(|_| version)),
        }
    }

    /// The newest version, and the result of `read` for its cell; `None` instead of a result when
    /// there is no value. `read` returns `None` when the value was overwritten meanwhile. If that
    /// happens `limit` times, the read was overtaken.
    pub(super) fn read_newest<T>(
        self,
        limit: usize,
        mut read: impl FnMut(u32, CellView<'a>, u64) -> Option<T>,
    ) -> Result<(u64, Option<T>), ReadError> {
        let mut overtaken = 0;
        for _ in 0..HEAD_READS {
            let head = self.head();
            let Some(index) = head.cell() else {
                self.check_readable()?;
                return Ok((head.version(), None));
            };
            let cell = self.cell(index)?;
            cell.prefetch_second_line();
            if !holds(cell, head.version()) {
                overtaken += usize::from(!self.help_or_check(head, cell)?);
            } else if let Some(value) = read(index, cell, head.version()) {
                self.check_readable()?;
                return Ok((head.version(), Some(value)));
            } else {
                overtaken += 1;
            }
            if overtaken == limit {
                break;
            }
        }
        self.check_readable()?;
        Err(ReadError::Overtaken)
    }

    /// Copies this one version into `out`, replacing its content. Versions up to `base_version` are
    /// gone: they belong to other keys, or were purged.
    #[inline]
    pub(crate) fn copy_version(self, version: u64, out: &mut Vec<u8>) -> Result<Lookup<()>, ReadError> {
        if let Some(index) = self.handle.read_hint.cell_of(version, self.handle.permutation())
            && self.handle.knows_cell(index)
            && self.copy_from(index, version, out)
        {
            self.handle.read_hint.note_read(index, version);
            if let Some(next) = self.handle.read_hint.cell_of(version + 1, self.handle.permutation())
                && self.handle.knows_cell(next)
            {
                // Values of one key tend to have one length. The next one is loaded while the
                // caller uses this one.
                self.slot().cells.get(next).prefetch_to_read(out.len());
            }
            return Ok(Lookup::Found(()));
        }
        self.find_and_copy(version, out)
    }

    /// Copies this version out of the cell that most likely holds it; `false` if it does not, or the
    /// value is long.
    #[inline]
    fn copy_from(self, index: u32, version: u64, out: &mut Vec<u8>) -> bool {
        let cell = self.slot().cells.get(index);
        cell.prefetch_second_line();
        // Acquire: pairs as in `cell::readable`. A committed version was published.
        cell.header.seq.load(Ordering::Acquire) == version
            && version > self.base_version()
            && self.copy(index, cell, version, out) == Copied::Whole
            && self.is_current()
    }

    #[inline]
    fn find_and_copy(self, version: u64, out: &mut Vec<u8>) -> Result<Lookup<()>, ReadError> {
        for _ in 0..HEAD_READS {
            let head = self.head();
            let outcome = if head.version() < version {
                Lookup::NotYet
            } else if version <= self.base_version() {
                Lookup::Gone
            } else if head.version() > version {
                self.handle.read_hint.note_published(head);
                match self.find_index(head, version) {
                    None => Lookup::Gone,
                    Some(index) => match self.copy(index, self.slot().cells.get(index), version, out) {
                        Copied::Whole => {
                            self.handle.read_hint.note_read(index, version);
                            Lookup::Found(())
                        }
                        Copied::Long => return Err(ReadError::Long),
                        Copied::Overwritten => Lookup::Gone,
                    },
                }
            } else {
                match head.cell() {
                    None => Lookup::Gone,
                    Some(index) => match self.copy_head(head, index, out)? {
                        Copied::Whole => {
                            self.handle.read_hint.note_read(index, version);
                            Lookup::Found(())
                        }
                        Copied::Long => return Err(ReadError::Long),
                        Copied::Overwritten => continue,
                    },
                }
            };
            self.check_readable()?;
            return Ok(outcome);
        }
        // It was the newest version each time, and its cell never held it. A reader that is
        // overtaken finds a newer version.
        Err(ReadError::Corrupt)
    }

    /// The oldest version from `from` on that a cell still holds; `None` when there is none.
    pub(crate) fn oldest_from(self, from: u64) -> Option<u64> {
        let from = from.max(self.base_version() + 1);
        self.help_commit(self.head());
        let stored = self.cells().filter_map(|(_, cell)| readable(cell)).filter(|&version| version >= from);
        stored.min()
    }

    /// The newest version and the length of its value in bytes; no length when there is no value.
    pub(crate) fn newest_len(self) -> Result<(u64, Option<usize>), ReadError> {
        self.read_newest(OVERTAKEN_LIMIT, |_, cell, version| {
            let len = cell::len(cell);
            // Acquire: pairs with the release fence of the claim, as in `Ring::copy`; `seq` is read
            // after the length.
            fence(Ordering::Acquire);
            holds(cell, version).then_some(len)
        })
    }

    /// Copies the value that `head` names.
    #[inline]
    fn copy_head(self, head: Head, index: u32, out: &mut Vec<u8>) -> Result<Copied, ReadError> {
        let cell = self.cell(index)?;
        cell.prefetch_second_line();
        if holds(cell, head.version()) {
            return Ok(self.copy(index, cell, head.version(), out));
        }
        self.help_or_check(head, cell)?;
        Ok(Copied::Overwritten)
    }

    /// The last step of a read: the copy belongs to the handle's key only if the slot still has
    /// that key.
    #[inline]
    fn check_readable(self) -> Result<(), ReadError> {
        if self.is_current() { Ok(()) } else { Err(ReadError::Removed) }
    }
}
