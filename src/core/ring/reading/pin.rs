//! Pins: reading a value in place, while no writer overwrites it.
//!
//! The scheme is that of hazard pointers (Michael 2004, "Hazard pointers: safe memory reclamation
//! for lock-free objects"): announce what you read, then check that it is still valid; a writer
//! claims, then checks the announcements. A pin is one bit per participant in the cell itself, so
//! that a writer reads the pins of one cell only.
//!
//! - **Fast path.** Set our bit by `fetch_or`, read `seq`: it still holds the version. In the one
//!   total order of SeqCst accesses, either we see the writer's claim, or the writer sees our bit
//!   and withdraws.
//! - **Slow path.** The cell was claimed meanwhile: clear the bit, and try again. A version that is
//!   not the newest may be claimed by a writer that does not go on: after a few attempts the caller
//!   gets a copy instead, which a claimed cell allows.
//!
//! **Crash** after each step:
//!
//! | step | leaves |
//! | --- | --- |
//! | `PinSet` | a bit of a crashed participant; the next writer that needs the cell reaps it |
//! | `PinTakenOff` | possibly a retired value that nobody discarded, and publishers asleep: the next reap discards it, and sleepers check again after a tenth of a second |

use crate::core::lookup::Lookup;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::words;
use crate::core::place::MEDIUM_SIZE;
use crate::core::ring::cell;
use crate::core::ring::error::ReadError;
use crate::core::ring::publishing::storage::Storage;
use crate::core::ring::retry_limit::retry_limit;
use crate::core::ring::ring::Ring;
use crate::core::word::Seq;
use crate::kill_points::{Step, reached};
use crate::sync::{AtomicU64, Ordering, fence, real_or_model, total_order, yield_now};

/// A cell that no writer overwrites while the participant's bit is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) cell: u32,
    pub(crate) version: u64,
}

/// Why a version was not pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PinError {
    /// The key was removed from the slot.
    Removed,
    /// A writer has claimed the cell, and does not go on. The version can be copied.
    Claimed,
}

/// A writer checks the pins right after its claim, and then withdraws or goes on. If a reader finds
/// the claim this many times in a row, the writer does not run.
const CLAIMED_LIMIT: usize = real_or_model(16, 2);

/// The cost of one attempt, in bytes that could be touched instead: clearing a pin may have to wake
/// a process.
const ATTEMPT_BYTES: usize = 16 << 10;

impl<'a> Ring<'a> {
    /// Pins the newest value; `None` when there is none.
    ///
    /// `is_pinned` says on which cells the participant's bit is set already. Pinning such a cell
    /// once more changes nothing.
    pub(crate) fn pin_newest(self, is_pinned: impl Fn(u32) -> bool) -> Result<Option<Pin>, ReadError> {
        for _ in 0..retry_limit(ATTEMPT_BYTES) {
            let head = self.head();
            let Some(index) = head.cell() else {
                return if self.is_current() { Ok(None) } else { Err(ReadError::Removed) };
            };
            let cell = self.cell(index)?;
            let was_pinned = is_pinned(index);
            if !was_pinned {
                // SeqCst, then a SeqCst read of `seq`: pairs with the claim of a cell.
                self.pins(cell).fetch_or(self.pin_bit(), Ordering::SeqCst);
                reached(Step::PinSet);
                total_order();
            }
            let seq = Seq::from_bits(cell.header.seq.load(Ordering::SeqCst));
            if seq.steady() == Some(head.version()) {
                if self.is_current() {
                    return Ok(Some(Pin { cell: index, version: head.version() }));
                }
                if !was_pinned {
                    self.unpin(index);
                }
                return Err(ReadError::Removed);
            }
            if !was_pinned {
                self.unpin(index);
            }
            if seq.readable() != Some(head.version()) {
                self.help_or_check(head, cell)?;
            }
        }
        if self.is_current() { Err(ReadError::Overtaken) } else { Err(ReadError::Removed) }
    }

    /// Pins this one version. `is_pinned` is that of [`pin_newest`](Self::pin_newest).
    pub(crate) fn pin_version(self, version: u64, is_pinned: impl Fn(u32) -> bool) -> Result<Lookup<Pin>, PinError> {
        for _ in 0..CLAIMED_LIMIT {
            let head = self.head();
            let outcome = if head.version() < version {
                Lookup::NotYet
            } else if version <= self.base_version() {
                Lookup::Gone
            } else {
                self.help_commit(head);
                match self.find_index(head, version) {
                    None => Lookup::Gone,
                    Some(index) => {
                        let cell = self.slot().cells.get(index);
                        let was_pinned = is_pinned(index);
                        if !was_pinned {
                            // SeqCst: pairs with the claim of a cell, as in `pin_newest`.
                            self.pins(cell).fetch_or(self.pin_bit(), Ordering::SeqCst);
                            reached(Step::PinSet);
                            total_order();
                        }
                        let seq = Seq::from_bits(cell.header.seq.load(Ordering::SeqCst));
                        if seq.steady() == Some(version) && self.is_current() {
                            return Ok(Lookup::Found(Pin { cell: index, version }));
                        }
                        if !was_pinned {
                            self.unpin(index);
                        }
                        if self.is_current() && seq.readable() == Some(version) {
                            // The writer that claimed it may have checked the pins before we set
                            // our bit.
                            yield_now();
                            continue;
                        }
                        Lookup::Gone
                    }
                }
            };
            return if self.is_current() { Ok(outcome) } else { Err(PinError::Removed) };
        }
        Err(PinError::Claimed)
    }

    /// Clears the participant's bit, and discards the value if it was retired meanwhile.
    pub(crate) fn unpin(self, index: u32) {
        let cell = self.slot().cells.get(index);
        // SeqCst: pairs with the check of the pins in the claim of a cell, so that the next writer
        // comes after our last read; and with the processes that retire values, see
        // `discard_if_retired`.
        self.pins(cell).fetch_and(!self.pin_bit(), Ordering::SeqCst);
        reached(Step::PinTakenOff);
        self.notify(self.not_full());
        self.discard_if_retired(index);
    }

    /// Zeroes what older values have left in the cell of a value that this participant has pinned.
    /// It was left there while auto-vacuum was off.
    ///
    /// The pin keeps writers out. Several participants may do the same: all write zeros, and the
    /// same lengths.
    pub(crate) fn scrub_behind(self, pin: Pin) {
        self.scrub_rest(pin.cell, cell::len(self.slot().cells.get(pin.cell)));
    }

    /// The bytes of a pinned value, as words, and their number; `None` if the cell contradicts
    /// itself, or the extents of the slot cannot be mapped.
    #[inline]
    pub(crate) fn pinned_words(self, pin: Pin) -> Option<(&'a [AtomicU64], usize)> {
        let cell = self.slot().cells.get(pin.cell);
        let len = cell::len(cell);
        Some((self.value_words(pin.cell, cell, len)?, len))
    }

    /// Whether copying the pinned value takes so long that others should not wait for it.
    pub(crate) fn is_large(self, pin: Pin) -> bool {
        cell::len(self.slot().cells.get(pin.cell)) as u64 > MEDIUM_SIZE
    }

    /// The length of a pinned value in bytes; `None` if the cell contradicts itself.
    pub(crate) fn pinned_len(self, pin: Pin) -> Option<usize> {
        Some(cell::len(self.slot().cells.get(pin.cell))).filter(|&len| len <= self.max_len())
    }

    /// Copies a pinned value into `out`, replacing its content; `false` if the cell contradicts itself.
    /// If the extents of the slot cannot be mapped, the value is read by a system call.
    pub(crate) fn copy_pinned(self, pin: Pin, out: &mut Vec<u8>) -> bool {
        let Some(len) = self.pinned_len(pin) else { return false };
        cell::set_len(out, len);
        match self.value_words(pin.cell, self.slot().cells.get(pin.cell), len) {
            Some(words) => words::load(words, out),
            None => return self.read_unmapped(pin.cell, out),
        }
        true
    }

    /// Copies a version out of a cell that a writer has claimed and does not overwrite, so that it
    /// cannot be pinned. A long value is read by a system call, because the writer may go on and
    /// give its space back.
    #[cold]
    pub(crate) fn copy_unpinned(self, version: u64, out: &mut Vec<u8>) -> Result<Lookup<()>, ReadError> {
        let head = self.head();
        let found = if version <= self.base_version() { None } else { self.find_index(head, version) };
        let mut outcome = Lookup::Gone;
        if let Some(index) = found {
            let cell = self.slot().cells.get(index);
            let len = cell::len(cell);
            let storage = self.storage(index, len);
            if storage == Storage::Page {
                // The file may have grown.
                self.page(index);
            }
            if !matches!(storage, Storage::Place(_)) {
                return match self.copy_version(version, out) {
                    // It was another value's length.
                    Err(ReadError::Long) => Ok(Lookup::Gone),
                    outcome => outcome,
                };
            }
            if len <= self.max_len() {
                cell::set_len(out, len);
                let is_read = self.read_unmapped(index, out);
                // Acquire: pairs with the release fence of the claim, as in `Ring::copy`.
                fence(Ordering::Acquire);
                if is_read && Seq::bits_hold(cell.header.seq.load(Ordering::Relaxed), version) {
                    outcome = Lookup::Found(());
                }
            }
        }
        if self.is_current() { Ok(outcome) } else { Err(ReadError::Removed) }
    }

    /// The word of the cell's pins that has this participant's bit.
    fn pins(self, cell: CellView<'a>) -> &'a AtomicU64 {
        &cell.header.pins[self.context.me as usize / 64]
    }

    fn pin_bit(self) -> u64 {
        1 << (self.context.me % 64)
    }
}
