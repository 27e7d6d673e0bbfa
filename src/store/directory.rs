//! Which slot has which key, and how that changes.
//!
//! Looking up takes no lock: see [`index`]. Creating and removing keys is done under a lock that the kernel drops when its holder dies. A
//! holder that is stopped holds up others who create or remove keys; they wait for it, but not for ever. The books say which slot is
//! being changed; who finds such a mark under the lock knows that its writer died, and rebuilds everything from the slots,
//! which alone are the truth.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::error::DirectoryError;
use super::mapped::{LockByte, Mapped};
use super::wait::Deadline;
use crate::core::index::{self, Indexed, Place, find, has_key};
use crate::core::key::{Key, StoredKey};
use crate::core::memory::records::{DirectoryHeader, SlotHeader};
use crate::core::ring::{Context, Handle, Ring};
use crate::core::word::MAX_VERSION;
use crate::kill_points::{Step, reached};
use crate::os::lock;
use crate::sync::{AtomicU64, Ordering, fence};

/// How often a key may be removed under the hands of whoever wants to use it: more often is no chance.
pub(crate) const REMOVALS: usize = 1000;

/// How long whoever creates or removes a key waits for others who do. What they do takes microseconds.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// For how long one operation waits for the directory, however often it comes to that: for other processes and for threads of its own.
///
/// The clock starts with the first wait, so that looking up a key that is there does not read it.
#[derive(Debug)]
pub(crate) struct WaitLimit {
    limit: Duration,
    end: Option<Deadline>,
}

impl WaitLimit {
    /// Of an operation without a timeout of its own.
    pub(crate) fn longest() -> Self {
        Self::new(LONGEST_WAIT)
    }

    /// Of zero: does not wait.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, end: None }
    }

    /// Of an operation that waits until the deadline for whatever it needs, but never longer than [`LONGEST_WAIT`] for the directory.
    pub(crate) fn until(deadline: Deadline) -> Self {
        Self::new(deadline.left().unwrap_or_default().min(LONGEST_WAIT))
    }

    fn left(&mut self) -> Duration {
        let limit = self.limit;
        self.end.get_or_insert_with(|| Deadline::after(Some(limit))).left().unwrap_or_default()
    }
}

/// Every slot has a key.
#[derive(Debug)]
pub(crate) struct Full;

/// All keys, in no order. One that is created anew in another slot meanwhile may be there twice.
pub(crate) fn keys(mapped: &Mapped) -> impl Iterator<Item = String> {
    (0..mapped.used_slots()).filter_map(|slot| index::key_of(mapped, slot))
}

/// Who changes the directory, and where.
#[derive(Clone, Copy)]
pub(crate) struct Author<'a> {
    pub(crate) mapped: &'a Mapped,
    /// On whose behalf cells are claimed.
    pub(crate) context: &'a Context,
}

/// The directory, locked against every other process and thread that would change it.
pub(crate) struct Locked<'a> {
    author: Author<'a>,
    _thread: MutexGuard<'a, ()>,
}

/// Locks the directory, waiting for whoever changes it, at most for `limit`, and puts right what a dead holder left half done.
///
/// Threads of this process wait for each other by `mutex`, within the same limit.
///
/// Who does not wait does not put anything right either, which takes as long as there are slots: the directory counts as busy then.
pub(crate) fn lock<'a>(
    author: Author<'a>,
    mutex: &'a Mutex<()>,
    limit: &mut WaitLimit,
) -> Result<Locked<'a>, DirectoryError> {
    let mapped = author.mapped;
    let byte = LockByte::Directory.offset();
    let thread = lock::lock_among_threads(mapped.fd(), byte, mutex, limit.left()).map_err(DirectoryError::Lock)?;
    let busy =
        || DirectoryError::Busy { pid: mapped.directory_header().holder.load(Ordering::Relaxed), waited: limit.limit };
    let locked = Locked { author, _thread: thread.ok_or_else(busy)? };
    if limit.limit.is_zero() && locked.a_holder_died() {
        return Err(busy());
    }
    mapped.directory_header().holder.store(std::process::id(), Ordering::Relaxed);
    reached(Step::DirectoryLocked);
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
        if !index::has_an_end(self.active_table(), key.hash()) {
            // There are always more places than slots, so something else has written into the index.
            self.rebuild_all();
            if let Some(place) = find(self.author.mapped, key) {
                return Ok(place);
            }
        }
        let slot = self.take_free_slot()?;
        let header = self.header(slot);
        // A version that a key ever had is not given to it again, whatever slots it has lived in.
        let base_version = self.on_ring(slot, |ring| {
            ring.forget_queue();
            ring.skip_to(self.directory_header().highest.load(Ordering::Relaxed))
        });
        reached(Step::VersionsSkipped);
        let generation = index::assign(header, key, base_version);
        if index::insert(self.active_table(), key.hash(), slot) {
            let tombstones = &self.directory_header().tombstones;
            tombstones.store(tombstones.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        }
        reached(Step::IndexInserted);
        let books = self.directory_header();
        books.live.store(books.live.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        self.close_journal();
        Ok(Place { slot, generation })
    }

    /// Takes the key's slot away and empties it; the slot that it was, if there was one. Waiters are not woken yet.
    pub(crate) fn remove(&self, key: &Key<'_>) -> Option<u32> {
        let Place { slot, .. } = find(self.author.mapped, key)?;
        self.open_journal(slot);
        self.empty(slot);
        let books = self.directory_header();
        let tombstones = books.tombstones.load(Ordering::Relaxed);
        books.tombstones.store(index::delete(self.active_table(), key.hash(), slot, tombstones), Ordering::Relaxed);
        reached(Step::IndexEntryDeleted);
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

    /// Takes key and values out of a slot.
    fn empty(&self, slot: u32) {
        let header = self.header(slot);
        index::unassign(header);
        // Release: not before the generation, or a kill in between would leave a slot that has a key, and one that is none.
        fence(Ordering::Release);
        if self.author.context.host.auto_vacuum() {
            StoredKey::erase(&header.key);
        }
        reached(Step::KeyErased);
        let version = self.on_ring(slot, |ring| {
            ring.clear();
            ring.head().version()
        });
        let highest = &self.directory_header().highest;
        highest.store(highest.load(Ordering::Relaxed).max(version).min(MAX_VERSION), Ordering::Relaxed);
        reached(Step::HighestRaised);
    }

    /// Takes a slot off the list of given-back ones, or a fresh one, and opens the journal for it.
    fn take_free_slot(&self) -> Result<u32, Full> {
        let (books, slots) = (self.directory_header(), self.author.mapped.geometry.slots);
        for _ in 0..2 {
            // Once each: what is checked is what is used, whoever writes here.
            let listed = books.free.load(Ordering::Relaxed).checked_sub(1);
            let fresh = books.fresh.load(Ordering::Relaxed);
            if listed.is_none() && fresh >= slots {
                return Err(Full);
            }
            let slot = listed.unwrap_or(fresh);
            if slot < slots && !has_key(self.generation(slot)) {
                self.open_journal(slot);
                if listed.is_some() {
                    books.free.store(self.header(slot).next_free.load(Ordering::Relaxed), Ordering::Relaxed);
                    reached(Step::SlotUnlisted);
                } else {
                    books.fresh.store(fresh + 1, Ordering::Relaxed);
                    reached(Step::SlotUnlisted);
                    self.wipe_fresh_slot(slot);
                }
                return Ok(slot);
            }
            self.rebuild_all();
        }
        Err(Full)
    }

    fn wipe_fresh_slot(&self, slot: u32) {
        if self.author.mapped.checksums {
            // Cells of a slot that nobody knows may be older than their headers, in a file whose machine stopped.
            self.on_ring(slot, |ring| ring.wipe());
            reached(Step::SlotWiped);
        }
    }

    /// Makes the books anew from all slots: they lead astray, so they are damaged. The slots are not.
    fn rebuild_all(&self) {
        let slots = self.author.mapped.geometry.slots;
        // No slot of this number: whoever finds the journal open makes the books anew, and no more.
        self.open_journal(slots);
        rebuild(self.author.mapped, slots);
        self.close_journal();
    }

    fn a_holder_died(&self) -> bool {
        self.directory_header().journal.load(Ordering::Acquire) != 0
    }

    fn finish_what_a_dead_holder_began(&self) {
        let Some(slot) = self.directory_header().journal.load(Ordering::Acquire).checked_sub(1) else {
            return;
        };
        if slot < self.author.mapped.geometry.slots && !has_key(self.generation(slot)) {
            self.empty(slot);
        }
        self.rebuild();
        self.close_journal();
    }

    fn rebuild(&self) {
        rebuild(self.author.mapped, self.author.mapped.used_slots());
    }

    fn open_journal(&self, slot: u32) {
        self.directory_header().journal.store(slot + 1, Ordering::Relaxed);
        // Release: nothing of the change is written before its mark, so that a kill in the middle is always seen.
        fence(Ordering::Release);
        reached(Step::JournalOpened);
    }

    fn close_journal(&self) {
        // Release: not before all of the change is written.
        self.directory_header().journal.store(0, Ordering::Release);
        reached(Step::JournalClosed);
    }

    fn active_table(&self) -> &[AtomicU64] {
        self.author.mapped.table(self.directory_header().active.load(Ordering::Relaxed))
    }

    fn directory_header(&self) -> &DirectoryHeader {
        self.author.mapped.directory_header()
    }

    fn header(&self, slot: u32) -> &SlotHeader {
        self.author.mapped.slot_header(slot)
    }

    fn generation(&self, slot: u32) -> u64 {
        self.header(slot).generation.load(Ordering::Acquire)
    }

    fn on_ring<R>(&self, slot: u32, act: impl FnOnce(Ring<'_>) -> R) -> R {
        act(Ring::new(&Handle::of_present_key(self.author.mapped.slot(slot)), self.author.context))
    }
}

/// Makes index, list of free slots and counts anew from the first `used` slots. The caller has the lock.
pub(super) fn rebuild(mapped: &Mapped, used: u32) {
    let (mut live, mut free) = (0, 0);
    for slot in (0..used).rev() {
        let header = mapped.slot_header(slot);
        if has_key(header.generation.load(Ordering::Relaxed)) {
            live += 1;
        } else {
            header.next_free.store(free, Ordering::Relaxed);
            free = slot + 1;
        }
    }
    let books = mapped.directory_header();
    books.free.store(free, Ordering::Relaxed);
    books.fresh.store(used, Ordering::Relaxed);
    books.live.store(live, Ordering::Relaxed);
    books.tombstones.store(0, Ordering::Relaxed);
    index::rebuild(mapped, used);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::Store;

    /// Two handles on a store in a file, the second of which can be in the first one's way; the file is gone when they are.
    fn two_handles() -> (Store, Store) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.store");
        (Store::create(&path).unwrap(), Store::open(&path).unwrap())
    }

    fn is_busy<T>(result: &Result<T, DirectoryError>, limit: Duration) -> bool {
        matches!(result, Err(DirectoryError::Busy { waited, .. }) if *waited == limit)
    }

    #[test]
    fn a_thread_that_waits_for_the_directory_keeps_no_other_thread_for_longer_than_its_own_limit() {
        let (store, other) = two_handles();
        let long = Duration::from_secs(600);
        let in_the_way = other.inner.directory(&mut WaitLimit::longest()).unwrap();
        let (waits, waiting) = mpsc::channel();
        let patient = thread::spawn({
            let store = store.clone();
            move || {
                waits.send(()).unwrap();
                store.slot_within("patient", &mut WaitLimit::new(long)).map(drop)
            }
        });
        waiting.recv().unwrap();
        let (answers, answered) = mpsc::channel();
        for limit in [Duration::ZERO, Duration::from_millis(30)] {
            for number in 0..4 {
                let (store, answers) = (store.clone(), answers.clone());
                thread::spawn(move || {
                    let outcome = store.slot_within(&format!("{number}"), &mut WaitLimit::new(limit));
                    answers.send(is_busy(&outcome, limit)).unwrap();
                });
            }
        }
        for _ in 0..8 {
            let busy = answered.recv_timeout(long / 10).expect("held up by another thread that waits");
            assert!(busy);
        }
        assert!(!patient.is_finished());
        drop(in_the_way);
        patient.join().unwrap().unwrap();
    }

    #[test]
    fn all_waits_of_one_operation_share_one_limit() {
        let (store, other) = two_handles();
        let _in_the_way = other.inner.directory(&mut WaitLimit::longest()).unwrap();
        let mut limit = WaitLimit::new(Duration::from_millis(20));
        assert!(is_busy(&store.slot_within("k", &mut limit), limit.limit));
        assert!(limit.left().is_zero());
        assert!(is_busy(&store.slot_within("k", &mut limit), limit.limit));
    }

    #[test]
    fn who_does_not_wait_leaves_what_a_dead_holder_began_to_those_who_do() {
        let (store, _) = two_handles();
        store.slot("before").unwrap();
        let books = store.mapped().directory_header();
        books.journal.store(store.mapped().geometry.slots + 1, Ordering::Relaxed);
        assert!(is_busy(&store.slot_within("k", &mut WaitLimit::new(Duration::ZERO)), Duration::ZERO));
        assert_ne!(books.journal.load(Ordering::Relaxed), 0);
        store.slot("k").unwrap();
        assert_eq!(books.journal.load(Ordering::Relaxed), 0);
        store.slot_within("another", &mut WaitLimit::new(Duration::ZERO)).unwrap();
    }
}
