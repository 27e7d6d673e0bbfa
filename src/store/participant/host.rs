//! The operating system and the store, as the protocol sees them: its [`Host`].

use std::ops::Range;
use std::sync::Arc;

use super::crashed_locks::CrashedLocks;
use crate::core::epoch;
use crate::core::index::Indexed;
use crate::core::memory::extents::Extents;
use crate::core::memory::records::PARTICIPANTS;
use crate::core::memory::slot_view::SlotView;
use crate::core::ring::{Context, Host, NoSpace, Tags, Unmapped};
use crate::core::word::MAX_VERSION;
use crate::os::futex;
use crate::os::space::Punched;
use crate::store::flags::Flags;
use crate::store::mapped::Mapped;
use crate::sync::{AtomicU32, Ordering};

/// The operating system and the store, for one participant.
struct StoreHost {
    mapped: Arc<Mapped>,
    me: u32,
    crashed: CrashedLocks,
}

/// The context of the participant `me` in all slots of the store.
pub(crate) fn context(mapped: &Arc<Mapped>, me: u32) -> Context {
    Context {
        me,
        checksums: mapped.checksums,
        span: mapped.layout.span,
        tags: Tags::default(),
        host: Arc::new(StoreHost { mapped: Arc::clone(mapped), me, crashed: CrashedLocks::new() }),
    }
}

impl Host for StoreHost {
    fn auto_vacuum(&self) -> bool {
        // Relaxed: a switch, which publishes nothing else.
        self.mapped.header().switches.flags.load(Ordering::Relaxed) & Flags::AUTO_VACUUM.bits() != 0
    }

    fn next_version(&self, before: u64) -> u64 {
        epoch::next_version(self.mapped.directory_header(), before, &|| self.mapped.flush_header().is_ok())
    }

    fn first_version(&self) -> u64 {
        self.mapped.directory_header().first_version.load(Ordering::Relaxed).min(MAX_VERSION)
    }

    fn if_crashed(&self, participant: u32, clean: &mut dyn FnMut()) {
        if participant == self.me {
            return;
        }
        if participant >= PARTICIPANTS as u32 {
            // No participant has this index: the mark is damage.
            clean();
        } else {
            // A participant whose lock cannot be examined is left alone.
            let _ = self.crashed.if_crashed(&self.mapped, participant, clean);
        }
    }

    fn wake_all(&self, word: &AtomicU32) {
        futex::wake_all(word);
    }

    fn cells_reserved(&self, slot: &SlotView<'_>) -> u32 {
        self.mapped.cells_reserved(slot.index)
    }

    fn reserve_cells(&self, slot: u32, cells: Range<u32>) -> Result<(), NoSpace> {
        self.mapped.reserve_cells(slot, cells)
    }

    fn reserve_side(&self, slot: u32, cell: u32) -> Result<(), NoSpace> {
        self.mapped.reserve_side(slot, cell)
    }

    fn reserve(&self, slot: u32, bytes: Range<u64>) -> Result<(), NoSpace> {
        self.mapped.reserve_extents(slot, bytes)
    }

    fn reserve_again(&self, slot: u32, bytes: Range<u64>) -> Result<(), NoSpace> {
        self.mapped.reserve_extents_again(slot, bytes)
    }

    fn punch(&self, slot: u32, bytes: Range<u64>, written: u64) -> bool {
        // If data of the file can be neither removed nor overwritten, no reader sees it either: a value
        // ends before it.
        matches!(self.mapped.punch_extents(slot, bytes, written), Ok(Punched::All))
    }

    fn reserve_page(&self, slot: u32, cell: u32) -> Result<(), NoSpace> {
        self.mapped.reserve_page(slot, cell)
    }

    fn look_at_file(&self) {
        self.mapped.len_now();
    }

    fn punch_pages(&self, slot: u32, cells: Range<u32>) {
        // As for `punch`.
        let _ = self.mapped.punch_pages(slot, cells);
    }

    fn read_page(&self, slot: u32, cell: u32, out: &mut [u8]) -> bool {
        self.mapped.read_page(slot, cell, out)
    }

    fn extents(&self, slot: u32, end: u64) -> Result<Extents<'_>, Unmapped> {
        self.mapped.extents(slot, end)
    }

    fn read(&self, slot: u32, start: u64, out: &mut [u8]) -> bool {
        self.mapped.read_extents(slot, start, out)
    }
}
