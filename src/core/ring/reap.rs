//! Taking a dead participant's marks off the cells of a slot.

use super::cell::delivery;
use super::claim::Claim;
use super::ring::Ring;
use crate::core::delivery::{Cursor, Progress};
use crate::core::memory::cell_view::CellView;
use crate::core::memory::records::PARTICIPANTS;
use crate::core::participant_set::ParticipantSet;
use crate::core::word::Seq;
use crate::kill_points::{Step, reached};
use crate::sync::{Ordering, fence};

impl Ring<'_> {
    /// Frees the slot from all participants that are dead; leaves alone what the living hold.
    pub(crate) fn reap_holders(self) {
        // Every participant once, however many cells it holds: asking is a system call.
        let mut holders = ParticipantSet::default();
        let mut note = |id: u32| holders.insert(id);
        for (_, cell) in self.cells() {
            Seq::from_bits(cell.header.seq.load(Ordering::Acquire)).owner().map(&mut note);
            pinners(cell).for_each(&mut note);
            if let Progress::Leased { participant, .. } = delivery(cell.header).progress() {
                note(participant);
            }
        }
        self.slot().cursors.iter().filter_map(|word| Cursor::from_bits(word.load(Ordering::Acquire))).for_each(
            |cursor| {
                note(cursor.participant);
            },
        );
        for participant in (0..256).filter(|&id| holders.contains(id)) {
            if participant != self.context.me {
                self.context.host.if_crashed(participant, &mut || self.reap(participant));
            }
        }
    }

    /// Takes all marks of a participant that is dead, and stays so during the call, off this slot, and empties what cells are left that hold
    /// values of a removed key, or purged ones: the process that took the last mark off one of them may have died before emptying it.
    pub(crate) fn reap(self, dead: u32) {
        self.reap_all(&ParticipantSet::of(dead));
    }

    /// Takes all marks of participants that are dead, and stay so during the call, off this slot, in one pass.
    pub(crate) fn reap_all(self, dead: &ParticipantSet) {
        if self.reap_cursors(dead) {
            reached(Step::CursorReaped);
            self.notify(self.not_full());
        }
        for (index, cell) in self.cells() {
            if self.reap_taken(cell, dead) {
                reached(Step::MessageReaped);
                // There is something to do for whoever is left.
                self.notify(self.new_version());
            }
            let mut freed = self.reap_mark(index, cell, dead);
            for (pins, bits) in cell.header.pins.iter().zip(dead.words()) {
                if pins.load(Ordering::Relaxed) & bits != 0 {
                    // SeqCst: as in `unpin`.
                    pins.fetch_and(!bits, Ordering::SeqCst);
                    reached(Step::PinReaped);
                    freed = true;
                }
            }
            if freed {
                self.notify(self.not_full());
            }
            self.discard_if_retired(index);
        }
    }

    /// Whether a mark was taken off a value.
    fn reap_mark(self, index: u32, cell: CellView<'_>, dead: &ParticipantSet) -> bool {
        // It publishes nothing any more: if it ever did so with this cell, either `head` is here, or whoever moved it on has stamped the cell.
        let head = self.head();
        if head.cell() == Some(index) {
            self.help_commit(head);
        }
        let seq = &cell.header.seq;
        let seen = seq.load(Ordering::Acquire);
        let free = match Seq::from_bits(seen) {
            // Not a byte of it was touched.
            Seq::Claimed { version, participant } if dead.contains(participant) => Seq::Committed { version },
            Seq::Writing { participant, .. } if dead.contains(participant) => {
                // Never published, and now it never will be. Others may be reaping it, too: the one that puts its own mark there
                // empties the cell.
                let mark = Seq::Writing { ticket: self.fresh_ticket(), participant: self.context.me }.bits();
                if seq.compare_exchange(seen, mark, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    reached(Step::CellInherited);
                    // Release: as after a claim; nobody takes what is zeroed for a value.
                    fence(Ordering::Release);
                    self.abandon(Claim::inherited(index, mark));
                }
                return false;
            }
            _ => return false,
        };
        // SeqCst: whoever claims the cell finds it as we left it, and see `discard_if_retired`.
        let freed = seq.compare_exchange(seen, free.bits(), Ordering::SeqCst, Ordering::Relaxed).is_ok();
        reached(Step::ClaimReaped);
        freed
    }
}

fn pinners(cell: CellView<'_>) -> impl Iterator<Item = u32> {
    let pins = [0, 1].map(|word: usize| cell.header.pins[word].load(Ordering::Relaxed));
    (0..PARTICIPANTS as u32).filter(move |id| pins[*id as usize / 64] >> (id % 64) & 1 == 1)
}
