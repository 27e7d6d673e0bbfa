//! The index of keys: look-ups without a lock, beside one process that changes it.
//!
//! It is a hash table with open addressing, linear probing and tombstones. An entry is (hash tag :
//! 32 | slot + 1 : 32) and leads to a slot, whose key is then compared. There are two tables, of
//! which one is in use (double buffering): to clear tombstones, or after an owner of the
//! directory's lock crashed, the other one is filled and then switched to.
//!
//! - **Fast path** of a look-up, hit or miss: a few entries, whatever the size of the store. The
//!   generation of the slot is read before and after its key, as in a seqlock, so that a key is
//!   never mixed of two.
//! - **Slow path.** A miss while the index was rebuilt: look up again in the other table.
//! - Changes are made under the directory's lock.
//!
//! | entry from | to | by whom |
//! | --- | --- | --- |
//! | empty, or tombstone | (tag, slot) | `insert`, when a key is created |
//! | (tag, slot) | tombstone | `delete`, when a key is removed |
//! | tombstone | empty | `delete`, directly before an empty entry |
//! | any, in the table that is not in use | empty, then (tag, slot) | `rebuild` |
//!
//! **Crash** of the process that changes it:
//!
//! | step | leaves |
//! | --- | --- |
//! | `KeyWritten` | a slot without a key, whose words nobody reads |
//! | `KeyAssigned` | a key that no entry leads to: the next owner of the lock finds the journal open and rebuilds the index |
//! | `KeyUnassigned` | an entry that leads to a slot without this key: look-ups go on past it |
//! | `TableFilled` | a table that is not in use: it is filled again |
//! | `TableSwitched` | nothing |

use super::key::{Key, StoredKey};
use crate::core::memory::records::{DirectoryHeader, SlotHeader};
use crate::kill_points::{Step, reached};
use crate::sync::{AtomicU64, Ordering, fence, real_or_model};

/// An entry that was never used: the end of every search.
const EMPTY: u64 = 0;
/// The entry of a removed key: searches go on past it.
const TOMBSTONE: u64 = u64::MAX;
/// A search starts over when the index is rebuilt meanwhile, which takes many removals. If that
/// happens this many times in one search, the index is damaged.
const ATTEMPTS: usize = real_or_model(1000, 4);

/// The slot of a key, and the generation of the slot while it has the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotRef {
    pub(crate) slot: u32,
    pub(crate) generation: u64,
}

/// The parts of a store that the index needs.
pub(crate) trait Indexed {
    fn directory_header(&self) -> &DirectoryHeader;

    /// One of the two tables, by the lowest bit of `which`. Both have the same length, a power of
    /// two.
    fn table(&self, which: u64) -> &[AtomicU64];

    /// How many slots there are, for keys of users and of the system.
    fn slots(&self) -> u32;

    /// The header of a slot, whose index is below [`slots`](Self::slots).
    fn slot_header(&self, slot: u32) -> &SlotHeader;
}

/// Looks up a key. Takes no lock and never waits.
pub(crate) fn find(store: &impl Indexed, key: &Key<'_>) -> Option<SlotRef> {
    let hash = key.hash();
    for _ in 0..ATTEMPTS {
        // Acquire: pairs with the release in `rebuild`; the table in use is filled.
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
        // Acquire: pairs with the release fence in `rebuild`; if we read entries of a table that
        // was being filled again, `active` has changed.
        fence(Ordering::Acquire);
        if store.directory_header().active.load(Ordering::Relaxed) == active {
            return None;
        }
    }
    None
}

/// The location of the key, if the slot has this key, and had it while it was compared.
pub(crate) fn slot_ref_of(store: &impl Indexed, slot: u32, key: &Key<'_>) -> Option<SlotRef> {
    if slot >= store.slots() {
        return None;
    }
    let header = store.slot_header(slot);
    // Acquire: pairs with the release in `assign`; the key of this generation is complete.
    let generation = header.generation.load(Ordering::Acquire);
    let same = has_key(generation) && key.is_in(&header.key);
    // Acquire: pairs with the release fence in `assign`; if any word was another key's, the
    // generation has changed.
    fence(Ordering::Acquire);
    (same && header.generation.load(Ordering::Relaxed) == generation).then_some(SlotRef { slot, generation })
}

/// The text of the key that a slot has now.
pub(crate) fn key_of(store: &impl Indexed, slot: u32) -> Option<String> {
    stored_key_of(store, slot)?.text()
}

/// The key that a slot has now.
pub(crate) fn stored_key_of(store: &impl Indexed, slot: u32) -> Option<StoredKey> {
    let header = store.slot_header(slot);
    // Acquire, here and below: pairs as in `slot_ref_of`.
    let generation = header.generation.load(Ordering::Acquire);
    let key = StoredKey::load(&header.key);
    fence(Ordering::Acquire);
    let is_current = header.generation.load(Ordering::Relaxed) == generation;
    (is_current && has_key(generation)).then_some(key)
}

/// Whether a slot of this generation has a key.
pub(crate) fn has_key(generation: u64) -> bool {
    generation % 2 == 1
}

/// Assigns the key to a slot that has none. Its versions begin after `base_version`. Returns its
/// generation from now on.
pub(crate) fn assign(header: &SlotHeader, key: &Key<'_>, base_version: u64) -> u64 {
    // Release: pairs with the acquire fence in `slot_ref_of`; a thread that reads a word of the new
    // key sees that the last key's generation has ended.
    fence(Ordering::Release);
    key.store(&header.key);
    header.key_hash.store(key.hash(), Ordering::Relaxed);
    header.base_version.store(base_version, Ordering::Relaxed);
    reached(Step::KeyWritten);
    let generation = header.generation.load(Ordering::Relaxed).wrapping_add(1);
    // Release: pairs with the acquire in `Ring::generation` and `slot_ref_of`; key and
    // `base_version` are complete.
    header.generation.store(generation, Ordering::Release);
    reached(Step::KeyAssigned);
    generation
}

/// Removes the key from a slot that has one. The words of the key stay, and have no meaning.
pub(crate) fn unassign(header: &SlotHeader) {
    let generation = header.generation.load(Ordering::Relaxed);
    // SeqCst: pairs with the acquire in `Ring::generation`, and with `Ring::retired_up_to`. It
    // comes before the change of `head` in `clear`.
    header.generation.store(generation.wrapping_add(generation % 2), Ordering::SeqCst);
    reached(Step::KeyUnassigned);
}

/// Inserts an entry that leads look-ups of this hash to the slot. Returns whether it replaced a
/// tombstone.
pub(crate) fn insert(table: &[AtomicU64], hash: u64, slot: u32) -> bool {
    // The table has at least twice as many entries as there are slots, so one is free.
    for position in probe(table, hash) {
        let before = table[position].load(Ordering::Relaxed);
        if before == EMPTY || before == TOMBSTONE {
            // Relaxed: a look-up checks the generation of the slot that the entry leads to.
            table[position].store(hash >> 32 << 32 | u64::from(slot + 1), Ordering::Relaxed);
            return before == TOMBSTONE;
        }
    }
    false
}

/// Whether a search of this hash ends: whether there is an entry that was never used.
pub(crate) fn has_an_end(table: &[AtomicU64], hash: u64) -> bool {
    probe(table, hash).any(|position| table[position].load(Ordering::Relaxed) == EMPTY)
}

/// Replaces the slot's entry by a tombstone. Tombstones directly before an empty entry are not
/// needed, and are emptied, too. Returns the new number of tombstones.
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
        // At most one round, also if the memory is hostile.
        while cleared < table.len() as u32 && entry(last) == TOMBSTONE {
            table[last].store(EMPTY, Ordering::Relaxed);
            cleared += 1;
            last = before(last);
        }
    }
    tombstones.saturating_add(1).saturating_sub(cleared)
}

/// Fills the other table with the keys of the first `used` slots, and switches look-ups to it. The
/// caller has the directory's lock.
pub(crate) fn rebuild(store: &impl Indexed, used: u32) {
    let active = &store.directory_header().active;
    let next = active.load(Ordering::Relaxed).wrapping_add(1);
    // Release: pairs with the acquire fence in `find`; a thread that reads an entry written below
    // sees that its table is no longer in use.
    fence(Ordering::Release);
    let table = store.table(next);
    for entry in table {
        entry.store(EMPTY, Ordering::Relaxed);
    }
    for slot in (0..used).rev() {
        let header = store.slot_header(slot);
        // A text that is not a key is damage. Nobody will look it up.
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

/// The positions of the table in the order in which a search of this hash goes through them.
fn probe(table: &[AtomicU64], hash: u64) -> impl Iterator<Item = usize> + use<> {
    // The length is a power of two.
    let mask = table.len() - 1;
    (0..=mask).map(move |step| (hash as usize).wrapping_add(step) & mask)
}

fn slot_of(entry: u64) -> Option<u32> {
    (entry as u32).checked_sub(1)
}
