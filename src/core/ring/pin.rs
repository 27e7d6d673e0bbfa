//! Keeping a value from being overwritten for as long as somebody reads it.

use super::attempts::attempts;
use super::cell;
use super::error::ReadError;
use super::ring::Ring;
use crate::core::lookup::Lookup;
use crate::core::memory::cell_view::CellView;
use crate::core::memory::words;
use crate::core::word::Seq;
use crate::kill_points::{Step, reached};
use crate::sync::{AtomicU64, Ordering, real_or_model, total_order, yield_now};

/// A cell that nobody overwrites while the participant's bit is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) cell: u32,
    pub(crate) version: u64,
}

/// Why a version could not be pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PinError {
    /// The key was removed from the slot.
    Removed,
    /// A stopped writer has claimed the cell in order to overwrite it. The version can be copied.
    Claimed,
}

/// A writer that has chosen a cell looks at its pins at once, and lets go of it. As often as this in a row, it stands still.
const CLAIM: usize = real_or_model(16, 2);

/// What an attempt may take, in bytes that could be touched instead: taking a pin off may have to wake somebody.
const ATTEMPT: usize = 16 << 10;

impl<'a> Ring<'a> {
    /// Pins the newest value; `None` when there is none.
    ///
    /// The participant's bit must not be set on the cell that is pinned: `held` says on which cells it is, and one of
    /// those is pinned once more by doing nothing.
    pub(crate) fn pin_newest(self, held: impl Fn(u32) -> bool) -> Result<Option<Pin>, ReadError> {
        for _ in 0..attempts(ATTEMPT) {
            let head = self.head();
            let Some(index) = head.cell() else {
                return if self.is_current() { Ok(None) } else { Err(ReadError::Removed) };
            };
            let cell = self.cell(index)?;
            let held = held(index);
            if !held {
                // SeqCst, then a SeqCst read of `seq`: pairs with `take`.
                self.bits(cell).fetch_or(self.bit(), Ordering::SeqCst);
                reached(Step::PinSet);
                total_order();
            }
            let seq = Seq::from_bits(cell.header.seq.load(Ordering::SeqCst));
            if seq.steady() == Some(head.version()) {
                if self.is_current() {
                    return Ok(Some(Pin { cell: index, version: head.version() }));
                }
                if !held {
                    self.unpin(index);
                }
                return Err(ReadError::Removed);
            }
            if !held {
                self.unpin(index);
            }
            if seq.readable() != Some(head.version()) {
                self.help_or_check(head, cell)?;
            }
        }
        if self.is_current() { Err(ReadError::Overtaken) } else { Err(ReadError::Removed) }
    }

    /// Pins this one version, on the same terms as [`pin_newest`](Self::pin_newest).
    pub(crate) fn pin_version(self, version: u64, held: impl Fn(u32) -> bool) -> Result<Lookup<Pin>, PinError> {
        for _ in 0..CLAIM {
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
                        let held = held(index);
                        if !held {
                            // As in `pin_newest`.
                            self.bits(cell).fetch_or(self.bit(), Ordering::SeqCst);
                            reached(Step::PinSet);
                            total_order();
                        }
                        let seq = Seq::from_bits(cell.header.seq.load(Ordering::SeqCst));
                        if seq.steady() == Some(version) && self.is_current() {
                            return Ok(Lookup::Found(Pin { cell: index, version }));
                        }
                        if !held {
                            self.unpin(index);
                        }
                        if self.is_current() && seq.readable() == Some(version) {
                            // Somebody is about to take it, and will see our bit or not.
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

    /// Clears the participant's bit, and empties the cell if its value became nobody's meanwhile.
    pub(crate) fn unpin(self, index: u32) {
        let cell = self.slot().cells.get(index);
        // SeqCst: pairs with the look at the pins in `take`, the next writer comes after our last read; and with those
        // who make values obsolete, see `discard_if_retired`.
        self.bits(cell).fetch_and(!self.bit(), Ordering::SeqCst);
        reached(Step::PinTakenOff);
        self.notify(self.not_full());
        self.discard_if_retired(index);
    }

    /// Zeroes what lies behind a value that this participant has pinned, left there while auto-vacuum was off.
    ///
    /// The pin keeps writers out. Others may do the same: all of them write zeros, and the same `dirty`.
    pub(crate) fn scrub_behind(self, pin: Pin) {
        let cell = self.slot().cells.get(pin.cell);
        let (len, dirty) = (cell::len(cell), cell.header.written_len.load(Ordering::Relaxed) as usize);
        if dirty > len {
            words::zero(cell.words, len, dirty);
            // Release: not before the bytes are zeroed.
            cell.header.written_len.store(len as u32, Ordering::Release);
        }
    }

    /// The length of a pinned value in bytes.
    pub(crate) fn pinned_len(self, pin: Pin) -> usize {
        cell::len(self.slot().cells.get(pin.cell))
    }

    /// Copies a pinned value into `out`, replacing what it held.
    pub(crate) fn copy_pinned(self, pin: Pin, out: &mut Vec<u8>) {
        let cell = self.slot().cells.get(pin.cell);
        cell::set_len(out, cell::len(cell));
        words::load(cell.words, out);
    }

    /// Fills `start` from the beginning of a pinned value; what lies beyond it is no part of the value.
    #[inline]
    pub(crate) fn copy_pinned_start(self, pin: Pin, start: &mut [u8]) {
        words::load(self.slot().cells.get(pin.cell).words, start);
    }

    fn bits(self, cell: CellView<'a>) -> &'a AtomicU64 {
        &cell.header.pins[self.context.me as usize / 64]
    }

    fn bit(self) -> u64 {
        1 << (self.context.me % 64)
    }
}
