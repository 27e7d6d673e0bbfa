//! How much of a store's file is reserved, and for what.

use std::io;
use std::mem::offset_of;

use crate::core::memory::records::{HEADER_CURSORS, SideRecord};
use crate::core::shape::Shape;
use crate::os::space;
use crate::store::mapped::Mapped;

/// Where a side record says how much is reserved.
const RESERVED: usize = offset_of!(SideRecord, reserved);

/// The side records of a slot.
pub(crate) struct Sides {
    /// How many bytes they take themselves.
    pub(crate) len: u64,
    /// How many bytes of the medium and the large place of each cell are reserved.
    pub(crate) reserved: Vec<[u32; 2]>,
}

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
        // The first cells share their pages with those of other slots.
        let [first, further] = self.layout.cells(slot, 0..cells);
        (first.end - first.start) + pages(further.start, further.end) + cursors
    }

    /// How many bytes of pages the first cells of these slots take beyond what [`cells_len`] counts: it
    /// counts cells, and slots share pages.
    ///
    /// [`cells_len`]: Self::cells_len
    pub(crate) fn shared_pages_len(&self, slots: u32) -> u64 {
        let (mut pages, mut cells, mut counted_to) = (0, 0, 0);
        for slot in 0..slots {
            let [first, _] = self.layout.cells(slot, 0..self.cells_reserved(slot));
            if !first.is_empty() {
                let (from, to) = ((first.start / page() * page()).max(counted_to), first.end.next_multiple_of(page()));
                pages += to - from;
                cells += first.end - first.start;
                counted_to = to;
            }
        }
        pages - cells
    }

    /// What the side records of the slot's first `cells` cells say.
    ///
    /// They are read by system calls, because side records that were never used are holes: reading one
    /// through the mapping would take memory, or end the process if there is none.
    pub(crate) fn sides(&self, slot: u32, cells: u32) -> Sides {
        let (from, to) = (self.layout.side(slot, 0), self.layout.side(slot, cells));
        // What cannot be read counts as not reserved.
        let data = space::data_ranges(&self.file, from / page() * page(), to.next_multiple_of(page()));
        let len = data.unwrap_or_default().iter().map(|range| range.end - range.start).sum();
        if len == 0 {
            return Sides { len, reserved: Vec::new() };
        }
        let mut records = vec![0; (to - from) as usize];
        let read = space::read_at(&self.file, &mut records, from).unwrap_or(0);
        let (records, _) = records[..read].as_chunks::<{ size_of::<SideRecord>() }>();
        let word = |record: &[u8], at: usize| u32::from_ne_bytes(std::array::from_fn(|byte| record[at + byte]));
        Sides {
            len,
            reserved: records.iter().map(|record| [word(record, RESERVED), word(record, RESERVED + 4)]).collect(),
        }
    }

    /// How many bytes of addresses this process has mapped of the store, apart from the mapping for
    /// loans.
    pub(crate) fn mapped_len(&self) -> u64 {
        self.memory.region.len() as u64 + self.memory.mapped_extents() * self.layout.span
    }
}

fn page() -> u64 {
    rustix::param::page_size() as u64
}
