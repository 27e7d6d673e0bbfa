//! Taking a dead participant's marks off the cells of a slot.

use super::{Ring, Seq};
use crate::region::records::PARTICIPANTS;
use crate::region::view::CellView;
use crate::sync::Ordering;

/// Knows who is dead.
pub(crate) trait Reaper {
    /// Runs `clean` if `participant` is dead, keeping anyone from taking its place meanwhile.
    fn if_dead(&self, participant: u32, clean: &mut dyn FnMut());
}

impl Ring<'_> {
    /// Frees the cell from a participant that is dead; leaves alone what the living hold.
    pub(super) fn reap_whoever_holds(self, cell: CellView<'_>, reaper: &impl Reaper) {
        let owner = Seq::from_bits(cell.header.seq.load(Ordering::Acquire)).owner();
        for participant in owner.into_iter().chain(pinners(cell)).filter(|&other| other != self.terms.me) {
            // All of its marks in this slot, while we have the proof in hand.
            reaper.if_dead(participant, &mut || self.reap(participant));
        }
    }

    /// Takes all marks of a participant that is dead, and stays so during the call, off this slot.
    pub(crate) fn reap(self, dead: u32) {
        for (index, cell) in self.cells() {
            self.reap_mark(index, cell, dead);
            if let Some(pins) = cell.header.pins.get(dead as usize / 64) {
                let bit = 1 << (dead % 64);
                if pins.load(Ordering::Relaxed) & bit != 0 {
                    // Release: as in `unpin`.
                    pins.fetch_and(!bit, Ordering::Release);
                }
            }
        }
    }

    fn reap_mark(self, index: u32, cell: CellView<'_>, dead: u32) {
        let seq = &cell.header.seq;
        // Acquire: `head` is read after it.
        let seen = seq.load(Ordering::Acquire);
        let free = match Seq::from_bits(seen) {
            // Not a byte of it was touched.
            Seq::Claiming { version, participant } if participant == dead => Seq::Whole { version },
            Seq::Private { participant, .. } if participant == dead => {
                let head = self.head();
                if head.cell() == Some(index) {
                    self.stamp(head);
                    return;
                }
                if seq.load(Ordering::Acquire) != seen {
                    // It had been published, and somebody has marked it whole.
                    return;
                }
                // Never published, and now it never will be: only the dead one could have done that.
                self.empty(cell);
                Seq::Whole { version: 0 }
            }
            _ => return,
        };
        // Release: whoever claims the cell finds it as we left it.
        let _ = seq.compare_exchange(seen, free.bits(), Ordering::Release, Ordering::Relaxed);
    }
}

fn pinners(cell: CellView<'_>) -> impl Iterator<Item = u32> {
    let pins = [0, 1].map(|word: usize| cell.header.pins[word].load(Ordering::Relaxed));
    (0..PARTICIPANTS as u32).filter(move |id| pins[*id as usize / 64] >> (id % 64) & 1 == 1)
}
