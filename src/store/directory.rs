//! Which slot has which key.
//!
//! Looking up takes no lock: an open-addressed index of (hash tag : 32 | slot + 1 : 32) leads to slots whose keys are then
//! compared. A hit and a miss both look at a few entries, whatever the size of the store.
//!
//! Creating and removing keys is done under a lock that the kernel drops when its holder dies. A holder that is stopped holds
//! up others who create or remove keys; they wait for it, but not for ever. The books say which slot is
//! being changed; who finds such a mark under the lock knows that its writer died, and rebuilds everything from the slots,
//! which alone are the truth. A rebuild fills the other of two tables and then switches, so that those who look up at that
//! moment never see it half done.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::DirectoryError;
use super::key::{Key, StoredKey};
use super::mapped::{LockByte, Mapped};
use super::ring::{Reaper, Ring, Terms};
use super::word::MAX_VERSION;
use crate::kill_points::{Step, reached};
use crate::os::lock;
use crate::region::records::{Books, SlotHeader};
use crate::sync::{AtomicU64, Ordering, fence};

/// An entry that was never used: the end of every search.
const EMPTY: u64 = 0;
/// An entry whose key was removed: searches go on past it.
const TOMBSTONE: u64 = u64::MAX;
/// Searches start over when the index is rebuilt under them. A rebuild follows on many removals; as often as this in one
/// search, it is no rebuild but damage.
const ATTEMPTS: usize = 1000;

/// How long whoever creates or removes a key waits for others who do. What they do takes microseconds.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(10);

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
pub(crate) fn find(mapped: &Mapped, key: &Key<'_>) -> Option<Place> {
    let hash = key.hash();
    for _ in 0..ATTEMPTS {
        // Acquire: pairs with the release in `make_anew`; the table we are sent to is filled.
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
        // Acquire: pairs with the release fence in `make_anew`; had we read entries of a table that was being filled anew,
        // `active` is no longer what it was.
        fence(Ordering::Acquire);
        if mapped.books().active.load(Ordering::Relaxed) == active {
            return None;
        }
    }
    None
}

/// All keys, in no order. One that is created anew in another slot meanwhile may be there twice.
pub(crate) fn keys(mapped: &Mapped) -> impl Iterator<Item = String> {
    (0..mapped.used_slots()).filter_map(|slot| key_of(mapped, slot))
}

/// The key that a slot has now.
pub(crate) fn key_of(mapped: &Mapped, slot: u32) -> Option<String> {
    let header = mapped.slot(slot).header;
    let generation = header.generation.load(Ordering::Acquire);
    let key = StoredKey::load(&header.key);
    // Acquire: the generation is read again after the key.
    fence(Ordering::Acquire);
    let still = header.generation.load(Ordering::Relaxed) == generation;
    (still && has_key(generation)).then(|| key.text()).flatten()
}

/// Who changes the directory, and where.
#[derive(Clone, Copy)]
pub(crate) struct Author<'a> {
    pub(crate) mapped: &'a Mapped,
    /// On whose behalf cells are claimed.
    pub(crate) terms: &'a Terms,
    pub(crate) reaper: &'a dyn Reaper,
}

/// The directory, locked against every other process and thread that would change it.
pub(crate) struct Locked<'a> {
    author: Author<'a>,
    _thread: MutexGuard<'a, ()>,
}

/// Locks the directory, waiting for whoever changes it, at most for `limit`, and puts right what a dead holder left half done.
///
/// The kernel's lock belongs to the open file, which threads share; `mutex` keeps them apart.
pub(crate) fn lock<'a>(
    author: Author<'a>,
    mutex: &'a Mutex<()>,
    limit: Duration,
) -> Result<Locked<'a>, DirectoryError> {
    let thread = mutex.lock().unwrap_or_else(PoisonError::into_inner);
    let mapped = author.mapped;
    if !lock::lock_within(mapped.fd(), LockByte::Directory.offset(), limit)? {
        return Err(DirectoryError::Busy { pid: mapped.books().holder.load(Ordering::Relaxed), waited: limit });
    }
    mapped.books().holder.store(std::process::id(), Ordering::Relaxed);
    reached(Step::DirectoryLocked);
    let locked = Locked { author, _thread: thread };
    locked.finish_what_a_dead_holder_began();
    Ok(locked)
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // If this fails, closing the file does it.
        let _ = lock::unlock(self.author.mapped.fd(), LockByte::Directory.offset());
    }
}

impl Locked<'_> {
    /// Gives the key a slot, unless it has one.
    pub(crate) fn insert(&self, key: &Key<'_>) -> Result<Place, Full> {
        if let Some(place) = find(self.author.mapped, key) {
            return Ok(place);
        }
        if !probe(self.active_table(), key.hash()).any(|position| self.entry(position) == EMPTY) {
            // There are always more places than slots, so something else has written into the index.
            self.rebuild();
            if let Some(place) = find(self.author.mapped, key) {
                return Ok(place);
            }
        }
        let slot = self.take_free_slot()?;
        let header = self.header(slot);
        // A version that a key ever had is not given to it again, whatever slots it has lived in.
        let born = self.on_ring(slot, |ring| ring.skip_to(self.books().highest.load(Ordering::Relaxed)));
        reached(Step::VersionsSkipped);
        // Release: the generation that made this slot nobody's is seen by whoever reads a word of the new key.
        fence(Ordering::Release);
        key.store(&header.key);
        header.key_hash.store(key.hash(), Ordering::Relaxed);
        header.born.store(born, Ordering::Relaxed);
        reached(Step::KeyWritten);
        let generation = header.generation.load(Ordering::Relaxed).wrapping_add(1);
        // Release: pairs with the acquire in `Ring::generation` and `place_of`; key and `born` are in place.
        header.generation.store(generation, Ordering::Release);
        reached(Step::KeyOwned);
        if put(self.active_table(), key.hash(), slot) == TOMBSTONE {
            self.count_tombstones(|tombstones| tombstones.saturating_sub(1));
        }
        reached(Step::IndexEntered);
        let books = self.books();
        books.live.store(books.live.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        self.close_journal();
        Ok(Place { slot, generation })
    }

    /// Takes the key's slot away and empties it; the slot that it was, if there was one. Waiters are not woken yet.
    pub(crate) fn remove(&self, key: &Key<'_>) -> Option<u32> {
        let Place { slot, .. } = find(self.author.mapped, key)?;
        self.open_journal(slot);
        self.empty(slot);
        self.drop_from_index(key.hash(), slot);
        reached(Step::IndexEntryBuried);
        let books = self.books();
        books.live.store(books.live.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Relaxed);
        self.header(slot).next_free.store(books.free.load(Ordering::Relaxed), Ordering::Relaxed);
        books.free.store(slot + 1, Ordering::Relaxed);
        reached(Step::SlotListed);
        if books.tombstones.load(Ordering::Relaxed) as usize > self.active_table().len() / 4 {
            self.rebuild();
        }
        self.close_journal();
        Some(slot)
    }

    /// All slots that were ever used.
    pub(crate) fn slots(&self) -> std::ops::Range<u32> {
        0..self.author.mapped.used_slots()
    }

    /// Takes key and values out of a slot.
    fn empty(&self, slot: u32) {
        let header = self.header(slot);
        disown(header);
        reached(Step::KeyDisowned);
        // Release: who reads a word of the key that is gone sees that the generation is another.
        fence(Ordering::Release);
        if self.author.terms.vacuum() {
            StoredKey::erase(&header.key);
        }
        reached(Step::KeyErased);
        let version = self.on_ring(slot, |ring| {
            ring.clear(self.author.reaper);
            ring.head().version()
        });
        let highest = &self.books().highest;
        highest.store(highest.load(Ordering::Relaxed).max(version).min(MAX_VERSION), Ordering::Relaxed);
        reached(Step::HighestRaised);
    }

    /// Takes a slot off the list of given-back ones, or a fresh one, and opens the journal for it.
    fn take_free_slot(&self) -> Result<u32, Full> {
        let (books, slots) = (self.books(), self.author.mapped.geometry.slots);
        if let Some(slot) = books.free.load(Ordering::Relaxed).checked_sub(1) {
            if slot >= slots || has_key(self.generation(slot)) {
                // The list leads astray: the books are damaged. The slots are not.
                self.rebuild();
                return self.take_listed_slot().or_else(|Full| self.take_fresh_slot());
            }
            return self.take_listed_slot();
        }
        self.take_fresh_slot()
    }

    fn take_listed_slot(&self) -> Result<u32, Full> {
        let books = self.books();
        let slot = books.free.load(Ordering::Relaxed).checked_sub(1).ok_or(Full)?;
        self.open_journal(slot);
        books.free.store(self.header(slot).next_free.load(Ordering::Relaxed), Ordering::Relaxed);
        reached(Step::SlotUnlisted);
        Ok(slot)
    }

    fn take_fresh_slot(&self) -> Result<u32, Full> {
        let books = self.books();
        let fresh = books.fresh.load(Ordering::Relaxed);
        if fresh >= self.author.mapped.geometry.slots {
            return Err(Full);
        }
        if has_key(self.generation(fresh)) {
            // As above.
            self.rebuild();
            return self.take_listed_slot();
        }
        self.open_journal(fresh);
        books.fresh.store(fresh + 1, Ordering::Relaxed);
        reached(Step::SlotUnlisted);
        if self.author.mapped.checksums {
            // Cells of a slot that nobody knows may be older than their headers, in a file whose machine stopped.
            self.on_ring(fresh, |ring| ring.wipe());
            reached(Step::SlotWiped);
        }
        Ok(fresh)
    }

    fn finish_what_a_dead_holder_began(&self) {
        let Some(slot) = self.books().journal.load(Ordering::Acquire).checked_sub(1) else {
            return;
        };
        if slot < self.author.mapped.geometry.slots && !has_key(self.generation(slot)) {
            self.empty(slot);
        }
        self.rebuild();
        self.close_journal();
    }

    fn rebuild(&self) {
        make_anew(self.author.mapped, self.author.mapped.used_slots());
    }

    /// Buries the slot's entry. Tombstones right before a free entry end no search that it would not end: they go too.
    fn drop_from_index(&self, hash: u64, slot: u32) {
        let table = self.active_table();
        let Some(position) = probe(table, hash)
            .take_while(|&position| self.entry(position) != EMPTY)
            .find(|&position| self.entry(position) != TOMBSTONE && slot_of(self.entry(position)) == Some(slot))
        else {
            return;
        };
        table[position].store(TOMBSTONE, Ordering::Release);
        let before = |position: usize| (position + table.len() - 1) % table.len();
        let mut cleared = 0;
        if self.entry((position + 1) % table.len()) == EMPTY {
            let mut last = position;
            while self.entry(last) == TOMBSTONE {
                table[last].store(EMPTY, Ordering::Release);
                cleared += 1;
                last = before(last);
            }
        }
        self.count_tombstones(|tombstones| tombstones.saturating_add(1).saturating_sub(cleared));
    }

    fn count_tombstones(&self, change: impl FnOnce(u32) -> u32) {
        let tombstones = &self.books().tombstones;
        tombstones.store(change(tombstones.load(Ordering::Relaxed)), Ordering::Relaxed);
    }

    fn open_journal(&self, slot: u32) {
        self.books().journal.store(slot + 1, Ordering::Relaxed);
        // Release: nothing of the change is written before its mark, so that a kill in the middle is always seen.
        fence(Ordering::Release);
        reached(Step::JournalOpened);
    }

    fn close_journal(&self) {
        // Release: not before all of the change is written.
        self.books().journal.store(0, Ordering::Release);
        reached(Step::JournalClosed);
    }

    fn active_table(&self) -> &[AtomicU64] {
        self.author.mapped.index(self.books().active.load(Ordering::Relaxed))
    }

    fn entry(&self, position: usize) -> u64 {
        self.active_table()[position].load(Ordering::Relaxed)
    }

    fn books(&self) -> &Books {
        self.author.mapped.books()
    }

    fn header(&self, slot: u32) -> &SlotHeader {
        self.author.mapped.slot(slot).header
    }

    fn generation(&self, slot: u32) -> u64 {
        self.header(slot).generation.load(Ordering::Acquire)
    }

    fn on_ring<R>(&self, slot: u32, act: impl FnOnce(Ring<'_>) -> R) -> R {
        act(Ring::new(&self.author.mapped.slot(slot), self.author.terms))
    }
}

/// Makes index, list of free slots and counts anew from the first `used` slots. The caller has the lock.
pub(super) fn make_anew(mapped: &Mapped, used: u32) {
    let books = mapped.books();
    let next = books.active.load(Ordering::Relaxed).wrapping_add(1);
    // Release: pairs with the acquire fence in `find`; who reads an entry written below sees that the table it
    // belongs to has not been in use for a while.
    fence(Ordering::Release);
    let table = mapped.index(next);
    for entry in table {
        entry.store(EMPTY, Ordering::Relaxed);
    }
    let (mut live, mut free) = (0, 0);
    for slot in (0..used).rev() {
        let header = mapped.slot(slot).header;
        if has_key(header.generation.load(Ordering::Relaxed)) {
            live += 1;
            // What is no key is damage: nobody will ask for it.
            put(table, StoredKey::load(&header.key).hash().unwrap_or_default(), slot);
        } else {
            header.next_free.store(free, Ordering::Relaxed);
            free = slot + 1;
        }
    }
    books.free.store(free, Ordering::Relaxed);
    books.fresh.store(used, Ordering::Relaxed);
    books.live.store(live, Ordering::Relaxed);
    books.tombstones.store(0, Ordering::Relaxed);
    reached(Step::TableFilled);
    // Release: pairs with the acquire in `find`.
    books.active.store(next, Ordering::Release);
    reached(Step::TableSwitched);
}

/// Takes the key away from a slot that has one. Its words stay, and mean nothing.
pub(super) fn disown(header: &SlotHeader) {
    let generation = header.generation.load(Ordering::Relaxed);
    // SeqCst: pairs with the acquire in `Ring::generation`, and with `Ring::is_obsolete`. Before the move of `head` in `clear`.
    header.generation.store(generation.wrapping_add(generation % 2), Ordering::SeqCst);
}

pub(super) fn has_key(generation: u64) -> bool {
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
fn place_of(mapped: &Mapped, slot: u32, key: &Key<'_>) -> Option<Place> {
    if slot >= mapped.geometry.slots {
        return None;
    }
    let header = mapped.slot(slot).header;
    // Acquire: pairs with the release in `insert`.
    let generation = header.generation.load(Ordering::Acquire);
    let same = has_key(generation) && key.is_in(&header.key);
    // Acquire: pairs with the release fence in `insert`; a word of another key comes with another generation.
    fence(Ordering::Acquire);
    (same && header.generation.load(Ordering::Relaxed) == generation).then_some(Place { slot, generation })
}
