//! Where the words of a store lie in its file, computed from its header: for tests that write them
//! directly, as another program might.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// The table of participants, after the header.
pub const PARTICIPANTS: u64 = 512;
/// The first of the two tables of the index.
pub const INDEXES: u64 = PARTICIPANTS + 256 * 64;

/// Offsets in the header.
pub const SPAN: u64 = 24;
pub const EXTENTS: u64 = 32;
pub const DIRECTORY: u64 = 192;
pub const USED_SLOTS: u64 = DIRECTORY + 16;
pub const CLEAN_EPOCH: u64 = DIRECTORY + 40;
pub const EPOCH: u64 = DIRECTORY + 48;
pub const FIRST_VERSION: u64 = DIRECTORY + 56;

/// Offsets in a slot.
pub const KEY: u64 = 64;
pub const GENERATION: u64 = 192;
pub const SHAPE: u64 = GENERATION + 32;
pub const CELLS_RESERVED: u64 = GENERATION + 40;
pub const FLUSHED: u64 = GENERATION + 48;
pub const UNPROVEN_JOBS: u64 = 128 + 48;

/// Offsets in a cell.
pub const PINS: u64 = 8;
pub const DELIVERY: u64 = 40;
pub const LEN: u64 = 48;
pub const RESIDUE: u64 = 60;
pub const VALUE: u64 = 64;

/// Offsets in a side record: reserved and written bytes of the medium and the large place.
pub const CHAIN: u64 = 0;
pub const RESERVED: u64 = 16;
pub const WRITTEN: u64 = 24;

const WINDOW: u64 = 64 << 10;
/// The page of a cell.
const PAGE: u64 = 4096;
/// A medium place, and the distance between two.
const MEDIUM: u64 = 64 << 10;
const MEDIUM_STRIDE: u64 = MEDIUM + 4096;

/// The offsets in one store.
#[derive(Debug, Clone, Copy)]
pub struct Offsets {
    /// How many slots there are, with those of the system.
    pub slots: u64,
    pub span: u64,
    /// Where the extents of the first slot begin.
    pub extents: u64,
    /// How many cells of each slot lie beside those of other slots, and have a page.
    pub dense: u64,
    headers: u64,
    first_pages: u64,
    first_cells: u64,
    first_cells_stride: u64,
    rings: u64,
    ring_stride: u64,
    cells: u64,
    cell_stride: u64,
}

impl Offsets {
    /// Reads the header of the store's file.
    pub fn of(file: &File) -> Self {
        let mut header = [0; 64];
        file.read_exact_at(&mut header, 0).expect("a header");
        let half = |at: usize| u64::from(u32::from_ne_bytes(header[at..at + 4].try_into().expect("4 bytes")));
        let word = |at: usize| u64::from_ne_bytes(header[at..at + 8].try_into().expect("8 bytes"));
        let (slots, inline_size) = (half(8) + half(12), half(20));
        let index_len = (2 * slots).next_power_of_two();
        let headers = (INDEXES + 2 * index_len * 8).next_multiple_of(512);
        let dense = half(56);
        let first_cells = (headers + slots * 512).next_multiple_of(WINDOW);
        let ring_stride = (16 << 20).min((64 << 30) / slots / WINDOW * WINDOW);
        let cell_stride = (((64 + inline_size) / 64) | 1) * 64;
        let first_cells_stride = ((dense * cell_stride / 64) | 1) * 64;
        let first_pages = (first_cells + slots * first_cells_stride).next_multiple_of(WINDOW);
        let rings = (first_pages + slots * (dense | 1) * PAGE).next_multiple_of(WINDOW);
        let sides = 28 << 10;
        let max_cells = ((ring_stride - sides - 4096) / (64 + cell_stride)).min(8192);
        let offsets = Self {
            slots,
            span: word(24),
            extents: word(32),
            dense,
            headers,
            first_pages,
            first_cells,
            first_cells_stride,
            rings,
            ring_stride,
            cells: (sides + max_cells * 64).next_multiple_of(4096),
            cell_stride,
        };
        assert_eq!((rings + slots * ring_stride).next_multiple_of(WINDOW), offsets.extents, "the layout has changed");
        offsets
    }

    /// Where the first cells of all slots begin: the length of a new store.
    pub fn fixed_len(&self) -> u64 {
        self.first_cells
    }

    pub fn slot(&self, slot: u64) -> u64 {
        self.headers + slot * 512
    }

    pub fn ring(&self, slot: u64) -> u64 {
        self.rings + slot * self.ring_stride
    }

    pub fn side(&self, slot: u64, cell: u64) -> u64 {
        self.ring(slot) + (28 << 10) + cell * 64
    }

    pub fn cell(&self, slot: u64, cell: u64) -> u64 {
        let start = if cell < self.dense {
            self.first_cells + slot * self.first_cells_stride
        } else {
            self.ring(slot) + self.cells
        };
        start + cell * self.cell_stride
    }

    /// Where the page of a cell is, which is one of the first cells.
    pub fn page(&self, slot: u64, cell: u64) -> u64 {
        self.first_pages + slot * (self.dense | 1) * PAGE + cell * PAGE
    }

    /// Where the medium place of a cell begins.
    pub fn medium(&self, slot: u64, cell: u64) -> u64 {
        self.extents + slot * self.span + cell * MEDIUM_STRIDE
    }

    /// Where the large place of a cell begins, for a key with this many cells.
    pub fn large(&self, slot: u64, cell: u64, cells: u64) -> u64 {
        let pages = (self.span - cells * MEDIUM_STRIDE) / cells / 4096;
        self.medium(slot, cells) + cell * (pages - (1 - pages % 2)) * 4096
    }

    /// The slot that has the key.
    pub fn slot_of(&self, file: &File, key: &str) -> u64 {
        let text = [&[key.len() as u8], key.as_bytes()].concat();
        let mut found = vec![0; text.len()];
        let has_key = |&slot: &u64| file.read_exact_at(&mut found, self.slot(slot) + KEY).is_ok() && found == text;
        (0..self.slots).find(has_key).expect("a slot with the key")
    }
}

/// Reads one word of the file.
pub fn word(file: &File, at: u64) -> u64 {
    let mut word = [0; 8];
    file.read_exact_at(&mut word, at).expect("a word");
    u64::from_ne_bytes(word)
}

/// Writes one word of the file.
pub fn set_word(file: &File, at: u64, word: u64) {
    file.write_all_at(&word.to_ne_bytes(), at).expect("a word that is written");
}
