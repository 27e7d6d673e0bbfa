//! Which slot has which key.
//!
//! Looking up takes no lock: an open-addressed index of (hash tag : 32 | slot + 1 : 32) leads to slots whose keys are then
//! compared. A hit and a miss both look at a few entries, whatever the size of the store.
//!
//! Creating and removing keys is done under a lock that the kernel drops when its holder dies. The books say which slot is
//! being changed; who finds such a mark under the lock knows that its writer died, and rebuilds everything from the slots,
//! which alone are the truth. A rebuild fills the other of two tables and then switches, so that those who look up at that
//! moment never see it half done.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::key::Key;
use super::mapped::{LockByte, Mapped};
use super::ring::{Ring, Terms};
use crate::os::lock;
use crate::region::records::SlotHeader;
use crate::sync::{AtomicU64, Ordering, fence};

/// An entry that was never used: the end of every search.
const EMPTY: u64 = 0;
/// An entry whose key was removed: searches go on past it.
const TOMBSTONE: u64 = u64::MAX;
/// Searches start over when the index is rebuilt under them. A rebuild follows on many removals; as often as this in one
/// search, it is no rebuild but damage.
const ATTEMPTS: usize = 1000;

/// Where a key lives, and the generation of the slot while it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) slot: u32,
    pub(crate) generation: u64,
}

/// Every slot has a key.
#[derive(Debug)]
pub(crate) struct Full;

/// Looks a key up. Takes no lock and never waits.
pub(crate) fn find(mapped: &Mapped, key: &Key) -> Option<Place> {
    let hash = key.hash();
    for _ in 0..ATTEMPTS {
        // Acquire: pairs with the release in `rebuild`; the table we are sent to is filled.
        let active = mapped.books().active.load(Ordering::Acquire);
        let table = mapped.index(active);
        let entries = probe(table, hash).map(|position| table[position].load(Ordering::Acquire));
        let found = entries
            .take_while(|&entry| entry != EMPTY)
            .filter(|&entry| entry >> 32 == hash >> 32 && entry != TOMBSTONE)
            .find_map(|entry| place_of(mapped, slot_of(entry)?, key));
        if found.is_some() {
            return found;
        }
        // Acquire: pairs with the release fence in `rebuild`; had we read entries of a table that was being filled anew,
        // `active` is no longer what it was.
        fence(Ordering::Acquire);
        if mapped.books().active.load(Ordering::Relaxed) == active {
            return None;
        }
    }
    None
}

/// All keys, in no order.
pub(crate) fn keys(mapped: &Mapped) -> Vec<String> {
    let keys = (0..mapped.used_slots()).filter_map(|slot| {
        let header = mapped.slot(slot).header;
        let generation = header.generation.load(Ordering::Acquire);
        let key = Key::load(&header.key);
        // Acquire: the generation is read again after the key.
        fence(Ordering::Acquire);
        let still = header.generation.load(Ordering::Relaxed) == generation;
        (still && has_key(generation)).then(|| key.text()).flatten()
    });
    keys.collect()
}

/// The directory, locked against every other process and thread that would change it.
pub(crate) struct Locked<'a> {
    mapped: &'a Mapped,
    terms: &'a Terms,
    _thread: MutexGuard<'a, ()>,
}

/// Locks the directory, waiting for whoever changes it, and puts right what a dead holder left half done.
///
/// The kernel's lock belongs to the open file, which threads share; `mutex` keeps them apart. `terms` are those of the participant
/// on whose behalf cells are claimed.
pub(crate) fn lock<'a>(mapped: &'a Mapped, terms: &'a Terms, mutex: &'a Mutex<()>) -> io::Result<Locked<'a>> {
    let thread = mutex.lock().unwrap_or_else(PoisonError::into_inner);
    lock::lock(mapped.fd(), LockByte::Directory.offset())?;
    let locked = Locked { mapped, terms, _thread: thread };
    locked.finish_what_a_dead_holder_began();
    Ok(locked)
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // If this fails, closing the file does it.
        let _ = lock::unlock(self.mapped.fd(), LockByte::Directory.offset());
    }
}

impl Locked<'_> {
    /// Gives the key a slot, unless it has one.
    pub(crate) fn insert(&self, key: &Key) -> Result<Place, Full> {
        if let Some(place) = find(self.mapped, key) {
            return Ok(place);
        }
        let slot = self.take_free_slot()?;
        let header = self.header(slot);
        // Release: the generation that made this slot nobody's is seen by whoever reads a word of the new key.
        fence(Ordering::Release);
        key.store(&header.key);
        header.born.store(self.on_ring(slot, |ring| ring.head().version()), Ordering::Relaxed);
        let generation = header.generation.load(Ordering::Relaxed).wrapping_add(1);
        // Release: pairs with the acquire in `Ring::generation` and `place_of`; key and `born` are in place.
        header.generation.store(generation, Ordering::Release);
        self.add_to_index(key.hash(), slot);
        let books = self.mapped.books();
        books.live.store(books.live.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        self.close_journal();
        Ok(Place { slot, generation })
    }

    /// Takes the key's slot away and empties it; the slot that it was, if there was one. Waiters are not woken yet.
    pub(crate) fn remove(&self, key: &Key) -> Option<u32> {
        let Place { slot, generation } = find(self.mapped, key)?;
        self.open_journal(slot);
        let header = self.header(slot);
        // Release: pairs with the acquire in `Ring::generation`. Must come before the move of `head` in `clear`.
        header.generation.store(generation.wrapping_add(1), Ordering::Release);
        self.on_ring(slot, |ring| ring.clear());
        self.drop_from_index(key.hash(), slot);
        let books = self.mapped.books();
        books.live.store(books.live.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Relaxed);
        header.next_free.store(books.free.load(Ordering::Relaxed), Ordering::Relaxed);
        books.free.store(slot + 1, Ordering::Relaxed);
        if books.tombstones.load(Ordering::Relaxed) as usize > self.active_table().len() / 4 {
            self.rebuild();
        }
        self.close_journal();
        Some(slot)
    }

    /// Takes a slot off the list of given-back ones, or a fresh one, and opens the journal for it.
    fn take_free_slot(&self) -> Result<u32, Full> {
        let books = self.mapped.books();
        let fresh = books.fresh.load(Ordering::Relaxed);
        let candidate = books.free.load(Ordering::Relaxed).checked_sub(1).unwrap_or(fresh);
        if candidate >= self.mapped.geometry.slots {
            return Err(Full);
        }
        self.open_journal(candidate);
        if candidate == fresh {
            books.fresh.store(fresh + 1, Ordering::Relaxed);
        } else {
            books.free.store(self.header(candidate).next_free.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        if !has_key(self.header(candidate).generation.load(Ordering::Relaxed)) {
            return Ok(candidate);
        }
        // The list leads to a slot in use: the books are damaged. The slots are not.
        self.rebuild();
        let free = books.free.load(Ordering::Relaxed).checked_sub(1).ok_or(Full)?;
        books.free.store(self.header(free).next_free.load(Ordering::Relaxed), Ordering::Relaxed);
        self.open_journal(free);
        Ok(free)
    }

    fn finish_what_a_dead_holder_began(&self) {
        let Some(slot) = self.mapped.books().journal.load(Ordering::Acquire).checked_sub(1) else {
            return;
        };
        if slot < self.mapped.geometry.slots && !has_key(self.header(slot).generation.load(Ordering::Acquire)) {
            self.on_ring(slot, |ring| ring.clear());
        }
        self.rebuild();
        self.close_journal();
    }

    /// Makes index, list of free slots and counts anew from the slots.
    fn rebuild(&self) {
        let books = self.mapped.books();
        let next = books.active.load(Ordering::Relaxed).wrapping_add(1);
        // Release: pairs with the acquire fence in `find`; who reads an entry written below sees that the table it
        // belongs to has not been in use for a while.
        fence(Ordering::Release);
        let table = self.mapped.index(next);
        for entry in table {
            entry.store(EMPTY, Ordering::Relaxed);
        }
        let used = self.mapped.used_slots();
        let (mut live, mut free) = (0, 0);
        for slot in (0..used).rev() {
            let header = self.header(slot);
            if has_key(header.generation.load(Ordering::Relaxed)) {
                live += 1;
                put(table, Key::load(&header.key).hash(), slot);
            } else {
                header.next_free.store(free, Ordering::Relaxed);
                free = slot + 1;
            }
        }
        books.free.store(free, Ordering::Relaxed);
        books.fresh.store(used, Ordering::Relaxed);
        books.live.store(live, Ordering::Relaxed);
        books.tombstones.store(0, Ordering::Relaxed);
        // Release: pairs with the acquire in `find`.
        books.active.store(next, Ordering::Release);
    }

    fn add_to_index(&self, hash: u64, slot: u32) {
        if put(self.active_table(), hash, slot) == TOMBSTONE {
            let tombstones = &self.mapped.books().tombstones;
            tombstones.store(tombstones.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        }
    }

    /// Buries the slot's entry. Tombstones right before a free entry end no search that it would not end: they go too.
    fn drop_from_index(&self, hash: u64, slot: u32) {
        let table = self.active_table();
        let entry = |position: usize| table[position].load(Ordering::Relaxed);
        let Some(position) = probe(table, hash)
            .take_while(|&position| entry(position) != EMPTY)
            .find(|&position| entry(position) != TOMBSTONE && slot_of(entry(position)) == Some(slot))
        else {
            return;
        };
        table[position].store(TOMBSTONE, Ordering::Release);
        let before = |position: usize| (position + table.len() - 1) % table.len();
        let mut tombstones = self.mapped.books().tombstones.load(Ordering::Relaxed).saturating_add(1);
        if entry((position + 1) % table.len()) == EMPTY {
            let mut last = position;
            while entry(last) == TOMBSTONE {
                table[last].store(EMPTY, Ordering::Release);
                tombstones = tombstones.saturating_sub(1);
                last = before(last);
            }
        }
        self.mapped.books().tombstones.store(tombstones, Ordering::Relaxed);
    }

    fn open_journal(&self, slot: u32) {
        self.mapped.books().journal.store(slot + 1, Ordering::Relaxed);
        // Release: nothing of the change is written before its mark, so that a kill in the middle is always seen.
        fence(Ordering::Release);
    }

    fn close_journal(&self) {
        // Release: not before all of the change is written.
        self.mapped.books().journal.store(0, Ordering::Release);
    }

    fn active_table(&self) -> &[AtomicU64] {
        self.mapped.index(self.mapped.books().active.load(Ordering::Relaxed))
    }

    fn header(&self, slot: u32) -> &SlotHeader {
        self.mapped.slot(slot).header
    }

    fn on_ring<R>(&self, slot: u32, act: impl FnOnce(Ring<'_>) -> R) -> R {
        act(Ring::new(&self.mapped.slot(slot), self.terms))
    }
}

fn has_key(generation: u64) -> bool {
    generation % 2 == 1
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

/// Puts an entry into the first place that is free, and gives what was there before. The table has twice as many places
/// as there are slots, so there is one.
fn put(table: &[AtomicU64], hash: u64, slot: u32) -> u64 {
    for position in probe(table, hash) {
        let before = table[position].load(Ordering::Relaxed);
        if before == EMPTY || before == TOMBSTONE {
            // Release: pairs with the acquire in `find`; the slot it leads to has its key.
            table[position].store(hash >> 32 << 32 | u64::from(slot + 1), Ordering::Release);
            return before;
        }
    }
    EMPTY
}

/// The slot, if it has this key and kept it while we compared.
fn place_of(mapped: &Mapped, slot: u32, key: &Key) -> Option<Place> {
    if slot >= mapped.geometry.slots {
        return None;
    }
    let header = mapped.slot(slot).header;
    // Acquire: pairs with the release in `insert`.
    let generation = header.generation.load(Ordering::Acquire);
    let same = has_key(generation) && Key::load(&header.key) == *key;
    // Acquire: pairs with the release fence in `insert`; a word of another key comes with another generation.
    fence(Ordering::Acquire);
    (same && header.generation.load(Ordering::Relaxed) == generation).then_some(Place { slot, generation })
}
