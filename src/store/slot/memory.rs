//! The memory that one key takes.

use crate::core::memory::cells::PAGE_LEN;
use crate::core::place::Tier;
use crate::core::ring::Ring;
use crate::store::mapped::Mapped;

/// The memory that one key takes, in bytes that are reserved for it in the store's file.
///
/// Space of long values is given back when it is not needed any more, and by
/// [`Store::trim`](crate::store::Store::trim). Space of rings stays reserved: when the key is removed,
/// the next key that gets its slot uses it.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-key-memory-{}", std::process::id());
/// let store = Store::create(&name)?;
/// store.set("k", &[7; 1_000_000])?;
/// let memory = store.slot_snapshot("k")?.unwrap().memory;
/// assert!((1_000_000..1_004_096).contains(&memory.value));
/// assert_eq!(memory.history, 0);
/// assert_eq!(memory.max_len, store.slot("k")?.max_len());
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct KeyMemory {
    /// Its ring: cells, with values of up to 4 KiB, and what belongs to them. The first cells share pages
    /// of memory with those of other keys, and count by their own bytes.
    pub ring: u64,
    /// The place of the newest value; 0 if that is in the ring, or there is none.
    pub value: u64,
    /// The places of older values, and those that are free for the next ones.
    pub history: u64,
    /// The longest value of the key. That takes no memory.
    pub max_len: usize,
}

impl KeyMemory {
    /// Everything that is reserved for the key.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.ring + self.value + self.history
    }

    /// The memory of the slot's key, or that of a slot without one. Reads words, and for side records
    /// the file: no value is touched, and nothing that is not reserved.
    pub(crate) fn of(mapped: &Mapped, ring: Ring<'_>) -> Self {
        let (slot, cells) = (ring.slot().index, ring.reserved_cells());
        let newest = ring.newest_place();
        let places = ring.places();
        let sides = mapped.sides(slot, cells);
        let [mut value, mut history] = [0; 2];
        for (cell, tiers) in (0..).zip(&sides.reserved) {
            for (tier, &bytes) in Tier::ALL.into_iter().zip(tiers) {
                // The words may be damaged.
                let bytes = u64::from(bytes).min(places.get(tier, cell).capacity);
                if newest == Some((cell, tier)) { value += bytes } else { history += bytes }
            }
        }
        let of_cells = mapped.cells_len(slot, cells, ring.handle.shape());
        let pages = ring.cells_with_pages().count() * PAGE_LEN;
        Self { ring: of_cells + sides.len + pages as u64, value, history, max_len: ring.max_len() }
    }
}
