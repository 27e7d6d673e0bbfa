//! How large a store is, and where each thing lies in it.

use super::error::GeometryError;
use crate::core::memory::records::{
    CACHE_LINE, CellHeader, PARTICIPANTS, ParticipantEntry, SCHEMAS, SchemaEntry, SlotHeader, StoreHeader,
};
use crate::core::memory::region::Region;
use crate::core::memory::table::{IndexTable, SlotLayout, SlotTable, Table};
use crate::core::memory::words::WORD;
use crate::core::ring::MIN_FILE_CELLS;

/// Every part of a store begins at a multiple of this.
const ALIGNMENT: usize = align_of::<SlotHeader>();

/// The largest number of slots.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{MAX_SLOTS, StoreOptions};
///
/// assert!(StoreOptions::new().slots(MAX_SLOTS + 1).create("too large").is_err());
/// ```
pub const MAX_SLOTS: u32 = 1 << 24;
/// The largest value in bytes: 1 GiB.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{MAX_VALUE_SIZE, StoreOptions};
///
/// assert!(StoreOptions::new().max_value_size(MAX_VALUE_SIZE + 1).create("too large").is_err());
/// ```
pub const MAX_VALUE_SIZE: u64 = 1 << 30;
/// The longest history, and the largest spare.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{MAX_HISTORY, StoreOptions};
///
/// assert!(StoreOptions::new().history(MAX_HISTORY + 1).create("too large").is_err());
/// ```
pub const MAX_HISTORY: u32 = 4096;

/// The largest number of lossless subscribers of one key.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{MAX_LOSSLESS, StoreOptions};
///
/// assert!(StoreOptions::new().lossless(MAX_LOSSLESS + 1).create("too large").is_err());
/// ```
pub const MAX_LOSSLESS: u32 = 1024;

/// The shape of a store, fixed when it is created.
///
/// Each of the `slots` has `history + spare` cells of `max_value_size` bytes, all reserved at creation.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-geometry-type-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let geometry = store.geometry();
/// assert_eq!((geometry.slots, geometry.max_value_size, geometry.history, geometry.spare), (128, 4096, 16, 8));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Geometry {
    /// How many keys the store has room for: 1 to 2^24.
    pub slots: u32,
    /// The largest value in bytes: 1 to 2^30.
    pub max_value_size: u64,
    /// How many of a key's newest values are kept: 1 to 4,096.
    pub history: u32,
    /// Cells beyond those, for writers at work: 1 to 4,096.
    pub spare: u32,
    /// How many lossless subscribers a key can have: 1 to 1,024.
    pub lossless: u32,
}

impl Geometry {
    /// 128 slots of 4,096 bytes, the newest 16 values kept, 8 spare cells, 8 lossless subscribers: 13 MB.
    pub(crate) const DEFAULT: Self = Self { slots: 128, max_value_size: 4096, history: 16, spare: 8, lossless: 8 };

    /// How many cells a slot has.
    pub(crate) fn cells(&self) -> u32 {
        self.history + self.spare
    }

    /// As asked for a store in a file, in which a key has a few cells at least: `spare` makes up for what is missing.
    pub(crate) fn in_a_file(self) -> Self {
        Self { spare: self.spare.max(MIN_FILE_CELLS.saturating_sub(self.history)), ..self }
    }

    pub(crate) fn layout(&self) -> Result<Layout, GeometryError> {
        let Self { slots, max_value_size, history, spare, lossless } = *self;
        for (what, value, max) in [
            ("slots", slots.into(), MAX_SLOTS.into()),
            ("max_value_size", max_value_size, MAX_VALUE_SIZE),
            ("history", history.into(), MAX_HISTORY.into()),
            ("spare", spare.into(), MAX_HISTORY.into()),
            ("lossless", lossless.into(), MAX_LOSSLESS.into()),
        ] {
            if !(1..=max).contains(&value) {
                return Err(GeometryError::OutOfRange { what, value, max });
            }
        }
        let too_large = GeometryError::TooLarge { slots, cells: self.cells(), max_value_size };
        Layout::of(*self).ok_or(too_large)
    }
}

/// Byte offsets of everything in a store: header, participants, schemas, two index tables, slots, cursors, cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    participants: usize,
    schemas: usize,
    indexes: [usize; 2],
    index_len: usize,
    slots: usize,
    cursors: usize,
    cursor_stride: usize,
    cells: usize,
    cell_stride: usize,
    pub(crate) total_len: usize,
}

impl Layout {
    fn of(geometry: Geometry) -> Option<Self> {
        let slots = geometry.slots as usize;
        let index_len = (2 * slots).next_power_of_two();
        let mut end = size_of::<StoreHeader>().next_multiple_of(ALIGNMENT);
        let mut place = |len: usize| {
            let start = end;
            end = end.checked_add(len)?.checked_next_multiple_of(ALIGNMENT)?;
            Some(start)
        };
        let participants = place(PARTICIPANTS * size_of::<ParticipantEntry>())?;
        let schemas = place(SCHEMAS * size_of::<SchemaEntry>())?;
        let indexes = [place(index_len * 8)?, place(index_len * 8)?];
        let headers = place(slots.checked_mul(size_of::<SlotHeader>())?)?;
        // Each slot's on lines of their own: those who receive write there.
        let cursor_stride = (geometry.lossless as usize * WORD).next_multiple_of(CACHE_LINE);
        let cursors = place(cursor_stride.checked_mul(slots)?)?;
        let value_len = usize::try_from(geometry.max_value_size).ok()?.checked_next_multiple_of(WORD)?;
        let cell_stride = (size_of::<CellHeader>() + value_len).checked_next_multiple_of(CACHE_LINE)?;
        let cells = place(cell_stride.checked_mul(geometry.cells() as usize)?.checked_mul(slots)?)?;
        let total_len = isize::try_from(end).ok()? as usize;
        let cursor_stride = cursor_stride / WORD;
        Some(Self {
            participants,
            schemas,
            indexes,
            index_len,
            slots: headers,
            cursors,
            cursor_stride,
            cells,
            cell_stride,
            total_len,
        })
    }

    /// Finds everything in a mapping; `None` when it is too short.
    pub(crate) fn tables(&self, geometry: Geometry, region: &Region) -> Option<Tables> {
        Some(Tables {
            participants: region.check(self.participants, PARTICIPANTS)?,
            schemas: region.check(self.schemas, SCHEMAS)?,
            indexes: [region.check(self.indexes[0], self.index_len)?, region.check(self.indexes[1], self.index_len)?],
            slots: region.check_slots(SlotLayout {
                headers: self.slots,
                slots: geometry.slots as usize,
                cursors: self.cursors,
                cursor_stride: self.cursor_stride,
                lossless: geometry.lossless as usize,
                first_cell: self.cells,
                cells: geometry.cells(),
                cell_stride: self.cell_stride,
                cell_words: geometry.max_value_size.div_ceil(8) as usize,
            })?,
        })
    }
}

/// Where everything was found to lie in a mapping.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) participants: Table<ParticipantEntry>,
    pub(crate) schemas: Table<SchemaEntry>,
    pub(crate) indexes: [IndexTable; 2],
    pub(crate) slots: SlotTable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused_with_the_number() {
        let good = Geometry::DEFAULT;
        for (geometry, what) in [
            (Geometry { slots: 0, ..good }, "slots of 0"),
            (Geometry { slots: MAX_SLOTS + 1, ..good }, "slots of 16777217"),
            (Geometry { max_value_size: 0, ..good }, "max_value_size of 0"),
            (Geometry { max_value_size: u64::MAX, ..good }, "max_value_size of 18446744073709551615"),
            (Geometry { history: 0, ..good }, "history of 0"),
            (Geometry { history: u32::MAX, ..good }, "history of 4294967295"),
            (Geometry { spare: 0, ..good }, "spare of 0"),
            (Geometry { lossless: 0, ..good }, "lossless of 0"),
        ] {
            let error = geometry.layout().unwrap_err().to_string();
            assert!(error.starts_with(what), "{error}");
        }
    }

    #[test]
    fn the_largest_geometry_overflows_and_says_so() {
        let largest = Geometry {
            slots: MAX_SLOTS,
            max_value_size: MAX_VALUE_SIZE,
            history: MAX_HISTORY,
            spare: MAX_HISTORY,
            lossless: MAX_LOSSLESS,
        };
        assert!(matches!(largest.layout(), Err(GeometryError::TooLarge { .. })));
    }

    #[test]
    fn nothing_overlaps_and_everything_is_aligned() {
        for (slots, max_value_size, history) in [(1, 1, 1), (3, 100, 7), (128, 4096, 16), (65_536, 64, 1)] {
            let layout = Geometry { slots, max_value_size, history, spare: 2, lossless: 9 }.layout().unwrap();
            let mut starts = vec![0, layout.participants, layout.schemas];
            starts.extend(layout.indexes);
            starts.extend([layout.slots, layout.cursors, layout.cells, layout.total_len]);
            assert!(starts.is_sorted_by(|a, b| a < b), "{starts:?}");
            assert!(starts.iter().all(|start| start.is_multiple_of(ALIGNMENT)));
            assert!(layout.cell_stride >= 64 + max_value_size as usize);
        }
    }
}
