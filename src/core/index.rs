//! Where keys are looked up, without a lock.
//!
//! An open-addressed index of (hash tag : 32 | slot + 1 : 32) leads to slots whose keys are then compared. A hit and a miss both look at
//! a few entries, whatever the size of the store. There are two tables, of which one is in use: to clear tombstones, or after a holder of
//! the directory died, the other is filled and then switched to, so that those who look up at that moment never see it half done.

use super::key::{Key, StoredKey};
use crate::core::memory::records::{DirectoryHeader, SlotHeader};
use crate::kill_points::{Step, reached};
use crate::sync::{AtomicU64, Ordering, fence, real_or_model};

/// An entry that was never used: the end of every search.
const EMPTY: u64 = 0;
/// An entry whose key was removed: searches go on past it.
const TOMBSTONE: u64 = u64::MAX;
/// Searches start over when the index is rebuilt under them. A rebuild follows on many removals; as often as this in one
/// search, it is no rebuild but damage.
const ATTEMPTS: usize = real_or_model(1000, 4);

/// Where a key lives, and the generation of the slot while it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotRef {
    pub(crate) slot: u32,
    pub(crate) generation: u64,
}

/// A store, as those who look up keys see it.
pub(crate) trait Indexed {
    fn directory_header(&self) -> &DirectoryHeader;

    /// One of the two tables, of equal length, a power of two: the lowest bit of `which` says which.
    fn table(&self, which: u64) -> &[AtomicU64];

    fn slots(&self) -> u32;

    /// Of the slot, which is below [`slots`](Self::slots).
    fn slot_header(&self, slot: u32) -> &SlotHeader;
}

/// Looks a key up. Takes no lock and never waits.
pub(crate) fn find(store: &impl Indexed, key: &Key<'_>) -> Option<SlotRef> {
    let hash = key.hash();
    for _ in 0..ATTEMPTS {
        // Acquire: pairs with the release in `rebuild`; the table we are sent to is filled.
        let active = store.directory_header().active.load(Ordering::Acquire);
        let table = store.table(active);
        let entries = probe(table, hash).map(|position| table[position].load(Ordering::Relaxed));
        let found = entries
            .take_while(|&entry| entry != EMPTY)
            .filter(|&entry| entry >> 32 == hash >> 32 && entry != TOMBSTONE)
            .find_map(|entry| slot_ref_of(store, slot_of(entry)?, key));
        if found.is_some() {
            return found;
        }
        // Acquire: pairs with the release fence in `rebuild`; had we read entries of a table that was being filled anew,
        // `active` is no longer what it was.
        fence(Ordering::Acquire);
        if store.directory_header().active.load(Ordering::Relaxed) == active {
            return None;
        }
    }
    None
}

/// The slot, if it has this key and kept it while we compared.
pub(crate) fn slot_ref_of(store: &impl Indexed, slot: u32, key: &Key<'_>) -> Option<SlotRef> {
    if slot >= store.slots() {
        return None;
    }
    let header = store.slot_header(slot);
    // Acquire: pairs with the release in `assign`.
    let generation = header.generation.load(Ordering::Acquire);
    let same = has_key(generation) && key.is_in(&header.key);
    // Acquire: pairs with the release fence in `assign`; a word of another key comes with another generation.
    fence(Ordering::Acquire);
    (same && header.generation.load(Ordering::Relaxed) == generation).then_some(SlotRef { slot, generation })
}

/// The key that a slot has now.
pub(crate) fn key_of(store: &impl Indexed, slot: u32) -> Option<String> {
    let header = store.slot_header(slot);
    let generation = header.generation.load(Ordering::Acquire);
    let key = StoredKey::load(&header.key);
    // Acquire: the generation is read again after the key.
    fence(Ordering::Acquire);
    let still = header.generation.load(Ordering::Relaxed) == generation;
    (still && has_key(generation)).then(|| key.text()).flatten()
}

pub(crate) fn has_key(generation: u64) -> bool {
    generation % 2 == 1
}

/// Gives the key to a slot that has none, whose versions then begin after `base_version`; its generation from now on.
pub(crate) fn assign(header: &SlotHeader, key: &Key<'_>, base_version: u64) -> u64 {
    // Release: the generation that made this slot nobody's is seen by whoever reads a word of the new key.
    fence(Ordering::Release);
    key.store(&header.key);
    header.key_hash.store(key.hash(), Ordering::Relaxed);
    header.base_version.store(base_version, Ordering::Relaxed);
    reached(Step::KeyWritten);
    let generation = header.generation.load(Ordering::Relaxed).wrapping_add(1);
    // Release: pairs with the acquire in `Ring::generation` and `slot_ref_of`; key and `base_version` are in place.
    header.generation.store(generation, Ordering::Release);
    reached(Step::KeyAssigned);
    generation
}

/// Takes the key away from a slot that has one. Its words stay, and mean nothing.
pub(crate) fn unassign(header: &SlotHeader) {
    let generation = header.generation.load(Ordering::Relaxed);
    // SeqCst: pairs with the acquire in `Ring::generation`, and with `Ring::retired_up_to`. Before the move of `head` in `clear`.
    header.generation.store(generation.wrapping_add(generation % 2), Ordering::SeqCst);
    reached(Step::KeyUnassigned);
}

/// Has look-ups of this hash find the slot. The entry that gave way was a tombstone if this is true.
pub(crate) fn insert(table: &[AtomicU64], hash: u64, slot: u32) -> bool {
    // The table has twice as many places as there are slots, so one is free.
    for position in probe(table, hash) {
        let before = table[position].load(Ordering::Relaxed);
        if before == EMPTY || before == TOMBSTONE {
            // Relaxed: the generation of the slot that it leads to tells whether the key is there.
            table[position].store(hash >> 32 << 32 | u64::from(slot + 1), Ordering::Relaxed);
            return before == TOMBSTONE;
        }
    }
    false
}

/// Whether there is a place left in which no search of this hash goes on.
pub(crate) fn has_an_end(table: &[AtomicU64], hash: u64) -> bool {
    probe(table, hash).any(|position| table[position].load(Ordering::Relaxed) == EMPTY)
}

/// Buries the slot's entry. Tombstones right before a free entry end no search that it would not end: they go too. What becomes of the
/// number of tombstones.
pub(crate) fn delete(table: &[AtomicU64], hash: u64, slot: u32, tombstones: u32) -> u32 {
    let entry = |position: usize| table[position].load(Ordering::Relaxed);
    let Some(position) = probe(table, hash)
        .take_while(|&position| entry(position) != EMPTY)
        .find(|&position| entry(position) != TOMBSTONE && slot_of(entry(position)) == Some(slot))
    else {
        return tombstones;
    };
    table[position].store(TOMBSTONE, Ordering::Relaxed);
    let before = |position: usize| (position + table.len() - 1) % table.len();
    let mut cleared = 0;
    if entry((position + 1) % table.len()) == EMPTY {
        let mut last = position;
        // Once around, whatever others write.
        while cleared < table.len() as u32 && entry(last) == TOMBSTONE {
            table[last].store(EMPTY, Ordering::Relaxed);
            cleared += 1;
            last = before(last);
        }
    }
    tombstones.saturating_add(1).saturating_sub(cleared)
}

/// Fills the other table with the keys of the first `used` slots, and has look-ups go there. The caller has the directory's lock.
pub(crate) fn rebuild(store: &impl Indexed, used: u32) {
    let active = &store.directory_header().active;
    let next = active.load(Ordering::Relaxed).wrapping_add(1);
    // Release: pairs with the acquire fence in `find`; who reads an entry written below sees that the table it
    // belongs to has not been in use for a while.
    fence(Ordering::Release);
    let table = store.table(next);
    for entry in table {
        entry.store(EMPTY, Ordering::Relaxed);
    }
    for slot in (0..used).rev() {
        let header = store.slot_header(slot);
        // What is no key is damage: nobody will ask for it.
        if has_key(header.generation.load(Ordering::Relaxed))
            && let Some(hash) = StoredKey::load(&header.key).hash()
        {
            insert(table, hash, slot);
        }
    }
    reached(Step::TableFilled);
    // Release: pairs with the acquire in `find`.
    active.store(next, Ordering::Release);
    reached(Step::TableSwitched);
}

/// The positions at which an entry of this hash may be, in order: all of them, at most.
fn probe(table: &[AtomicU64], hash: u64) -> impl Iterator<Item = usize> + use<> {
    // The length is a power of two.
    let mask = table.len() - 1;
    (0..=mask).map(move |step| (hash as usize).wrapping_add(step) & mask)
}

fn slot_of(entry: u64) -> Option<u32> {
    (entry as u32).checked_sub(1)
}
