//! Reaping: releasing what a crashed participant holds in a slot: claims, cells that it was
//! writing, pins, cursors and leases.
//!
//! That a participant has crashed is known by its lock on a byte of the file, which the kernel
//! releases (`Host::if_crashed`). Several participants may reap the same one at once: each change
//! is a compare-and-swap from the word of the crashed participant, or clears its bits.
//!
//! - **Fast path.** None: a participant reaps only when something is missing, or when it removes or
//!   purges.
//! - **Slow path.** One scan of cells and cursors finds the participants that hold something; each
//!   is asked for once, because that is a system call.
//!
//! **Crash** of the participant that reaps:
//!
//! | step | leaves |
//! | --- | --- |
//! | `CursorReaped`, `MessageReaped` | sleepers that were not notified; they check again after a tenth of a second |
//! | `CellInherited` | a cell in the state "writing", of the second crashed participant: it is reaped in turn |
//! | `ClaimReaped`, `PinReaped` | possibly a retired value that nobody discarded: so each reap discards every retired value that it meets |

use crate::core::memory::cell_view::CellView;
use crate::core::participant_set::ParticipantSet;
use crate::core::ring::cell::delivery;
use crate::core::ring::publishing::claim::Claim;
use crate::core::ring::ring::Ring;
use crate::core::word::Seq;
use crate::core::word::{Cursor, Progress};
use crate::kill_points::{Step, reached};
use crate::sync::{Ordering, fence};

impl Ring<'_> {
    /// Reaps all crashed participants that hold something in the slot.
    pub(crate) fn reap_holders(self) {
        // Each participant once, however many cells it holds: asking for it is a system call.
        let mut holders = ParticipantSet::default();
        let mut note = |id: u32| holders.insert(id);
        for (_, cell) in self.cells() {
            Seq::from_bits(cell.header.seq.load(Ordering::Acquire)).owner().map(&mut note);
            pinners(cell).for_each(&mut note);
            if let Progress::Leased { participant, .. } = delivery(cell.header).progress() {
                note(participant);
            }
        }
        self.cursor_words().filter_map(|word| Cursor::from_bits(word.load(Ordering::Acquire))).for_each(|cursor| {
            note(cursor.participant);
        });
        for participant in (0..256).filter(|&id| holders.contains(id)) {
            if participant != self.context.me {
                self.context.host.if_crashed(participant, &mut || self.reap(participant));
            }
        }
    }

    /// Reaps one participant, which has crashed; its index is not assigned again during the call.
    ///
    /// It also discards every retired value: a process that released the last hold on one may have
    /// crashed before it could discard it.
    pub(crate) fn reap(self, crashed: u32) {
        self.reap_all(&ParticipantSet::of(crashed));
    }

    /// As [`reap`](Self::reap), for several participants, in one pass.
    pub(crate) fn reap_all(self, crashed: &ParticipantSet) {
        if self.reap_cursors(crashed) {
            reached(Step::CursorReaped);
            self.notify(self.not_full());
        }
        for (index, cell) in self.cells() {
            if self.reap_lease(cell, crashed) {
                reached(Step::MessageReaped);
                // Another worker can lease it.
                self.notify(self.new_version());
            }
            let mut freed = self.reap_claim(index, cell, crashed);
            for (pins, bits) in cell.header.pins.iter().zip(crashed.words()) {
                if pins.load(Ordering::Relaxed) & bits != 0 {
                    // SeqCst: pairs as in `unpin`.
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

    /// Releases the cell if a crashed participant has claimed it or was writing it. Returns whether
    /// a claim was withdrawn.
    fn reap_claim(self, index: u32, cell: CellView<'_>, crashed: &ParticipantSet) -> bool {
        // A crashed writer publishes nothing any more. If it has published this cell, `head` is
        // still here, or the process that moved `head` on has committed the cell.
        let head = self.head();
        if head.cell() == Some(index) {
            self.help_commit(head);
        }
        let seq = &cell.header.seq;
        let seen = seq.load(Ordering::Acquire);
        let free = match Seq::from_bits(seen) {
            // No byte of it was touched.
            Seq::Claimed { version, participant } if crashed.contains(participant) => Seq::Committed { version },
            Seq::Writing { participant, .. } if crashed.contains(participant) => {
                // It was not published, and never will be. Several participants may reap it: the
                // one that writes its own word empties the cell.
                // AcqRel: pairs with the same compare-and-swap of the others, and with the claim.
                let mark = Seq::Writing { ticket: self.fresh_ticket(), participant: self.context.me }.bits();
                if seq.compare_exchange(seen, mark, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    reached(Step::CellInherited);
                    // Release: pairs with the acquire fence in `Ring::copy`, as after a claim; no
                    // reader takes the zeroed bytes for a value.
                    fence(Ordering::Release);
                    self.abandon(Claim::inherited(index, mark));
                }
                return false;
            }
            _ => return false,
        };
        // SeqCst: pairs with the claim of the next writer, and with `retired_up_to`; see
        // `discard_if_retired`.
        let freed = seq.compare_exchange(seen, free.bits(), Ordering::SeqCst, Ordering::Relaxed).is_ok();
        reached(Step::ClaimReaped);
        freed
    }
}

/// The participants that have pinned the cell.
fn pinners(cell: CellView<'_>) -> impl Iterator<Item = u32> + '_ {
    cell.header.pins.iter().enumerate().flat_map(|(word, pins)| {
        let pins = pins.load(Ordering::Relaxed);
        (0..64).filter(move |bit| pins >> bit & 1 == 1).map(move |bit| word as u32 * 64 + bit)
    })
}
