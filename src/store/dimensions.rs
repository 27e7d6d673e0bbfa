//! How large a store is, and where each thing lies in it.

use std::ops::Range;

use super::error::DimensionsError;
use crate::core::memory::cells::PAGE_LEN;
use crate::core::memory::records::{
    CACHE_LINE, CellHeader, FURTHER_CURSORS, PARTICIPANTS, ParticipantEntry, SideRecord, SlotHeader, StoreHeader,
};
use crate::core::memory::region::Region;
use crate::core::memory::table::{IndexTable, SlotLayout, SlotTable, Table};
use crate::core::memory::words::WORD;
use crate::core::ring::MAX_CELLS;

/// The largest number of slots.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{MAX_SLOTS, StoreOptions};
///
/// assert!(StoreOptions::new().slots(MAX_SLOTS + 1).create("too large").is_err());
/// ```
pub const MAX_SLOTS: u32 = 1 << 19;
/// The largest inline size in bytes.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{MAX_INLINE_SIZE, StoreOptions};
///
/// assert!(StoreOptions::new().inline_size(MAX_INLINE_SIZE + 64).create("too large").is_err());
/// ```
pub const MAX_INLINE_SIZE: u32 = 64 << 10;
/// The smallest span of a key in bytes.
pub(crate) const MIN_SPAN: u64 = 2 << 20;
/// The largest span of a key in bytes.
pub(crate) const MAX_SPAN: u64 = 64 << 30;

/// Slots for keys of the system, after those of users.
pub(crate) const SYSTEM_SLOTS: u32 = 256;
/// The most bytes of addresses that the extents of all keys take.
const MAX_EXTENTS: u64 = 8 << 40;
/// The most bytes of addresses that all rings take.
const MAX_RINGS: u64 = 64 << 30;
/// The most bytes of addresses that the first cells of all slots and their pages take.
const MAX_FIRST: u64 = 64 << 30;
/// The most first cells of a slot.
const MAX_DENSE_CELLS: u32 = 64;
/// The most bytes of addresses that one ring takes.
const MAX_RING: u64 = 16 << 20;
/// Rings and extents begin at multiples of this: of any page that a kernel has.
const WINDOW: u64 = 64 << 10;
/// What is before the further cursors in a ring: endpoints and lane records.
const BEFORE_CURSORS: usize = 20 << 10;
/// What is before the side records in a ring.
const BEFORE_SIDES: usize = BEFORE_CURSORS + (8 << 10);

const _: () = assert!(FURTHER_CURSORS * WORD <= BEFORE_SIDES - BEFORE_CURSORS);

/// How large a store is: fixed when it is created.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-dimensions-type-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let dimensions = store.dimensions();
/// assert_eq!((dimensions.slots, dimensions.inline_size, dimensions.span), (1024, 1024, 1 << 30));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Dimensions {
    /// How many keys the store has room for.
    pub slots: u32,
    /// How many bytes of a value are in its cell. Longer values are in pages or places of their own.
    pub inline_size: u32,
    /// How many bytes of addresses each key has for its longer values.
    pub span: u64,
    /// How many cells of each key lie beside those of other keys, and have a page for values of up to
    /// 4 KiB: those of a key with the creator's [`KeyOptions`](super::KeyOptions), at most 64.
    pub dense_cells: u32,
}

impl Dimensions {
    /// 1,024 keys, values of up to 1,024 bytes inline, and 1 GiB of addresses for each key.
    pub(crate) const DEFAULT: Self =
        Self { slots: 1024, inline_size: 1024, span: 1 << 30, dense_cells: DEFAULT_CELLS as u32 };

    /// How many slots there are in all.
    pub(crate) fn all_slots(&self) -> u32 {
        self.slots + SYSTEM_SLOTS
    }

    /// As many dense cells as were asked for, or else as many as there are addresses for.
    pub(crate) fn dense_cells_that_fit(&self) -> u32 {
        let of_one = u64::from(self.inline_size) + (2 * CACHE_LINE + PAGE_LEN) as u64;
        let most = MAX_FIRST / u64::from(self.slots.saturating_add(SYSTEM_SLOTS)) / of_one.max(1);
        self.dense_cells.min(MAX_DENSE_CELLS).min(u32::try_from(most).unwrap_or(u32::MAX)).max(1)
    }

    pub(crate) fn layout(&self) -> Result<Layout, DimensionsError> {
        let Self { slots, inline_size, span, dense_cells } = *self;
        for (what, value, min, max) in [
            ("slots", slots.into(), 1, MAX_SLOTS.into()),
            ("inline_size", inline_size.into(), 64, MAX_INLINE_SIZE.into()),
            ("span", span, MIN_SPAN, MAX_SPAN),
            ("dense_cells", dense_cells.into(), 1, MAX_DENSE_CELLS.into()),
        ] {
            if !(min..=max).contains(&value) {
                return Err(DimensionsError::OutOfRange { what, value, min, max });
            }
        }
        for (what, value, unit) in [("inline_size", inline_size.into(), CACHE_LINE as u64), ("span", span, WINDOW)] {
            if !value.is_multiple_of(unit) {
                return Err(DimensionsError::NotAMultiple { what, value, unit });
            }
        }
        let extents = u64::from(slots + SYSTEM_SLOTS) * span;
        if extents > MAX_EXTENTS {
            let max_slots = (MAX_EXTENTS / span).saturating_sub(SYSTEM_SLOTS.into());
            return Err(DimensionsError::TooManyAddresses { slots, span, max_slots });
        }
        Layout::of(*self).ok_or(DimensionsError::NoRoomForRings { slots, inline_size })
    }
}

/// Byte offsets of everything in a store: header, participants, two index tables, slots,
/// first cells, their pages, rings, extents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    participants: usize,
    indexes: [usize; 2],
    index_len: usize,
    slots: SlotLayout,
    /// Where the extents of slot 0 begin: the end of all that is mapped when a store is opened.
    pub(crate) extents: u64,
    /// How many bytes of addresses the extents of one slot have.
    pub(crate) span: u64,
}

impl Layout {
    fn of(dimensions: Dimensions) -> Option<Self> {
        let slots = (dimensions.slots + SYSTEM_SLOTS) as usize;
        let index_len = (2 * slots).next_power_of_two();
        let participants = size_of::<StoreHeader>().next_multiple_of(align_of::<SlotHeader>());
        let first_index = participants + 256 * size_of::<ParticipantEntry>();
        let second_index = first_index + index_len * WORD;
        let headers = (second_index + index_len * WORD).next_multiple_of(align_of::<SlotHeader>());
        let first_cells = (headers + slots * size_of::<SlotHeader>()).next_multiple_of(WINDOW as usize);
        // A stride of an odd number of lines: cells at the same place of neighbouring pages would
        // share few sets of the cache.
        let lines = (size_of::<CellHeader>() + dimensions.inline_size as usize) / CACHE_LINE;
        let cell_stride = (lines | 1) * CACHE_LINE;
        let dense_cells = dimensions.dense_cells as usize;
        if ((cell_stride + PAGE_LEN) * dense_cells * slots) as u64 > MAX_FIRST {
            return None;
        }
        let first_cells_stride = ((dense_cells * cell_stride / CACHE_LINE) | 1) * CACHE_LINE;
        let first_pages = (first_cells + slots * first_cells_stride).next_multiple_of(WINDOW as usize);
        let first_pages_stride = (dense_cells | 1) * PAGE_LEN;
        let rings = (first_pages + slots * first_pages_stride).next_multiple_of(WINDOW as usize);
        let ring_stride = MAX_RING.min(MAX_RINGS / slots as u64 / WINDOW * WINDOW) as usize;
        let room = ring_stride.checked_sub(BEFORE_SIDES + PAGE)?;
        let max_cells = (room / (size_of::<SideRecord>() + cell_stride)).min(MAX_CELLS as usize);
        // A key of the default shape must fit.
        if max_cells < DEFAULT_CELLS.max(dense_cells) {
            return None;
        }
        let cells = (BEFORE_SIDES + max_cells * size_of::<SideRecord>()).next_multiple_of(PAGE);
        let slots = SlotLayout {
            headers,
            slots,
            dense_cells: dimensions.dense_cells,
            first_cells,
            first_cells_stride,
            first_pages,
            first_pages_stride,
            rings,
            ring_stride,
            further_cursors: BEFORE_CURSORS,
            sides: BEFORE_SIDES,
            cells,
            max_cells: max_cells as u32,
            cell_stride,
            cell_words: dimensions.inline_size as usize / WORD,
        };
        let extents = (rings + slots.slots * ring_stride) as u64;
        let (indexes, span) = ([first_index, second_index], dimensions.span);
        Some(Self { participants, indexes, index_len, slots, extents, span })
    }

    /// Finds everything in a mapping; `None` when it is too short.
    pub(crate) fn tables(&self, region: &Region) -> Option<Tables> {
        Some(Tables {
            participants: region.check(self.participants, PARTICIPANTS)?,
            indexes: [region.check(self.indexes[0], self.index_len)?, region.check(self.indexes[1], self.index_len)?],
            slots: region.check_slots(self.slots)?,
        })
    }

    /// The length of the file of a new store: all that is before the first cells.
    pub(crate) fn fixed_len(&self) -> u64 {
        self.slots.first_cells as u64
    }

    /// Where the headers of this many slots end.
    pub(crate) fn headers_end(&self, slots: u32) -> u64 {
        (self.slots.headers + (slots as usize).min(self.slots.slots) * size_of::<SlotHeader>()) as u64
    }

    /// Where the ring of this slot begins.
    pub(crate) fn ring(&self, slot: u32) -> u64 {
        self.slots.rings as u64 + u64::from(slot) * self.slots.ring_stride as u64
    }

    /// Where the first cells of this slot begin, which lie beside those of other slots.
    pub(crate) fn first_cells(&self, slot: u32) -> u64 {
        self.slots.first_cells as u64 + u64::from(slot) * self.slots.first_cells_stride as u64
    }

    /// Where the page of this cell of the slot is, which is one of the first cells.
    pub(crate) fn page(&self, slot: u32, cell: u32) -> u64 {
        let of_slot = self.slots.first_pages + slot as usize * self.slots.first_pages_stride;
        (of_slot + cell.min(self.slots.dense_cells) as usize * PAGE_LEN) as u64
    }

    /// Where the further cells of this slot begin.
    pub(crate) fn further_cells(&self, slot: u32) -> u64 {
        self.further_cell(slot, self.slots.dense_cells)
    }

    fn further_cell(&self, slot: u32, cell: u32) -> u64 {
        self.ring(slot) + self.slots.cells as u64 + u64::from(cell) * self.slots.cell_stride as u64
    }

    /// Where cells of the slot are: the first ones among them, and the further ones.
    pub(crate) fn cells(&self, slot: u32, cells: Range<u32>) -> [Range<u64>; 2] {
        let (dense, stride) = (self.slots.dense_cells, self.slots.cell_stride as u64);
        let first = |cell: u32| self.first_cells(slot) + u64::from(cell.min(dense)) * stride;
        let further = |cell: u32| self.further_cell(slot, cell.max(dense));
        [first(cells.start)..first(cells.end), further(cells.start)..further(cells.end)]
    }

    /// How many of the slot's first `cells` cells a file of this length has.
    pub(crate) fn cells_within(&self, slot: u32, cells: u32, len: u64) -> u32 {
        let whole = |range: &Range<u64>| {
            (range.end.min(len).saturating_sub(range.start) / self.slots.cell_stride as u64) as u32
        };
        let [first, further] = self.cells(slot, 0..cells);
        if first.end > len { whole(&first) } else { cells.min(self.slots.dense_cells) + whole(&further) }
    }

    /// Where the side record of this cell is.
    pub(crate) fn side(&self, slot: u32, cell: u32) -> u64 {
        self.ring(slot) + self.slots.sides as u64 + u64::from(cell) * size_of::<SideRecord>() as u64
    }

    /// Where the further cursors of the slot are.
    pub(crate) fn further_cursors(&self, slot: u32) -> u64 {
        self.ring(slot) + self.slots.further_cursors as u64
    }

    /// Where the extents of this slot begin.
    pub(crate) fn extents_of(&self, slot: u32) -> u64 {
        self.extents + u64::from(slot) * self.span
    }

    /// How many cells the ring of a key can have.
    pub(crate) fn max_cells(&self) -> u32 {
        self.slots.max_cells
    }
}

/// What kernels reserve at least.
const PAGE: usize = 4096;
/// The cells of a key of the default shape.
const DEFAULT_CELLS: usize = 24;

/// Where everything was found to lie in a mapping.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) participants: Table<ParticipantEntry>,
    pub(crate) indexes: [IndexTable; 2],
    pub(crate) slots: SlotTable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused_with_the_number() {
        let good = Dimensions::DEFAULT;
        for (dimensions, what) in [
            (Dimensions { slots: 0, ..good }, "slots of 0"),
            (Dimensions { slots: MAX_SLOTS + 1, ..good }, "slots of 524289"),
            (Dimensions { inline_size: 0, ..good }, "inline_size of 0"),
            (Dimensions { inline_size: 1 << 30, ..good }, "inline_size of 1073741824"),
            (Dimensions { inline_size: 100, ..good }, "inline_size of 100"),
            (Dimensions { span: 0, ..good }, "span of 0"),
            (Dimensions { span: u64::MAX, ..good }, "span of 18446744073709551615"),
            (Dimensions { span: (1 << 30) + 4096, ..good }, "span of 1073745920"),
            (Dimensions { slots: 100_000, ..good }, "100000 slots with a span of 1073741824 bytes"),
            (Dimensions { slots: MAX_SLOTS, span: MIN_SPAN, inline_size: 64 << 10, ..good }, "524288 slots"),
            (Dimensions { dense_cells: 0, ..good }, "dense_cells of 0"),
            (Dimensions { dense_cells: 65, ..good }, "dense_cells of 65"),
        ] {
            let error = dimensions.layout().unwrap_err().to_string();
            assert!(error.starts_with(what), "{error}");
        }
    }

    #[test]
    fn nothing_overlaps_and_everything_is_aligned() {
        for (slots, inline_size, span, dense_cells) in [
            (1, 64, MIN_SPAN, 1),
            (1024, 1024, 1 << 30, 24),
            (100_000, 1024, 64 << 20, 24),
            (4096, 65_536, 1 << 30, 64),
        ] {
            let dimensions = Dimensions { slots, inline_size, span, dense_cells };
            let dimensions = Dimensions { dense_cells: dimensions.dense_cells_that_fit(), ..dimensions };
            let layout = dimensions.layout().unwrap();
            let mut starts = vec![0, layout.participants];
            starts.extend(layout.indexes);
            starts.extend([
                layout.slots.headers,
                layout.slots.first_cells,
                layout.slots.first_pages,
                layout.slots.rings,
                layout.extents as usize,
            ]);
            assert!(starts.is_sorted_by(|a, b| a < b), "{starts:?}");
            assert!(starts.iter().all(|start| start.is_multiple_of(CACHE_LINE)));
            let last = slots + SYSTEM_SLOTS - 1;
            assert!(layout.headers_end(u32::MAX) <= layout.first_cells(0));
            assert!(layout.page(last, dense_cells) <= layout.ring(0));
            assert!(layout.page(last - 1, dense_cells) <= layout.page(last, 0));
            assert!(layout.page(last, 0).is_multiple_of(PAGE_LEN as u64));
            let [first, further] = layout.cells(last, 0..layout.max_cells());
            assert!(first.end <= layout.page(0, 0) && further.end <= layout.extents);
            assert!(layout.cells(last - 1, 0..layout.max_cells())[0].end <= first.start);
            assert!(layout.side(last, layout.max_cells()) <= further.start);
            assert_eq!(layout.slots.first_cells_stride / CACHE_LINE % 2, 1);
            for len in
                [first.start, first.start + 1, first.end - 1, first.end, further.start, further.end - 1, further.end]
            {
                let within = layout.cells_within(last, layout.max_cells(), len);
                let ends = layout.cells(last, 0..within).into_iter().filter(|range| !range.is_empty());
                assert!(ends.map(|range| range.end).max().is_none_or(|end| end <= len));
                assert_eq!(within == layout.max_cells(), len == further.end);
            }
            assert!(layout.extents.is_multiple_of(WINDOW) && layout.extents_of(last) + span <= 1 << 44);
            assert_eq!(layout.slots.cell_stride / CACHE_LINE % 2, 1);
        }
    }

    #[test]
    fn the_fixed_part_of_a_default_store_is_below_one_mebibyte() {
        let layout = Dimensions::DEFAULT.layout().unwrap();
        assert!(layout.fixed_len() < 1 << 20);
        assert_eq!(layout.max_cells(), 8192);
    }
}
