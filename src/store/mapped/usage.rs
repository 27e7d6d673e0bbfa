//! How much of a store's file is reserved, and for what.

use std::io;

use crate::core::memory::records::{HEADER_CURSORS, SideRecord};
use crate::core::shape::Shape;
use crate::os::space;
use crate::store::mapped::Mapped;

impl Mapped {
    /// How many bytes of space the file takes.
    pub(crate) fn reserved(&self) -> io::Result<u64> {
        space::reserved(&self.file)
    }

    /// How many bytes are reserved for what every store has: all up to the headers of slots that were
    /// used.
    pub(crate) fn fixed_len(&self) -> u64 {
        self.layout.headers_end(self.used_slots() + 1).next_multiple_of(page())
    }

    /// How many bytes are reserved for the first `cells` cells of a slot's ring, and for the cursors of
    /// a key of this shape.
    pub(crate) fn cells_len(&self, slot: u32, cells: u32, shape: Shape) -> u64 {
        let pages =
            |from: u64, to: u64| if from < to { to.next_multiple_of(page()) - from / page() * page() } else { 0 };
        let cursors = if shape.cursors as usize > HEADER_CURSORS {
            pages(self.layout.further_cursors(slot), self.layout.side(slot, 0))
        } else {
            0
        };
        pages(self.layout.cell(slot, 0), self.layout.cell(slot, cells)) + cursors
    }

    /// How many bytes of the medium and large places of the slot's first `cells` cells are reserved, as
    /// their side records say.
    ///
    /// They are read by a system call, because side records that were never used are holes: reading
    /// one through the mapping would take memory, or end the process if there is none.
    pub(crate) fn reserved_places(&self, slot: u32, cells: u32) -> Vec<[u32; 2]> {
        let mut records = vec![0; cells as usize * size_of::<SideRecord>()];
        // What cannot be read counts as not reserved.
        let read = space::read_at(&self.file, &mut records, self.layout.side(slot, 0)).unwrap_or(0);
        records[read..].fill(0);
        let word = |bytes: &[u8]| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let (records, _) = records.as_chunks::<{ size_of::<SideRecord>() }>();
        records.iter().map(|record| [word(record), word(&record[size_of::<u32>()..])]).collect()
    }

    /// How many bytes of addresses this process has mapped of the store, apart from the mapping for
    /// loans.
    pub(crate) fn mapped_len(&self) -> u64 {
        self.memory.region.len() as u64 + self.space.mapped_windows() * self.layout.span
    }
}

fn page() -> u64 {
    rustix::param::page_size() as u64
}
