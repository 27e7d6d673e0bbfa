//! Creating and removing keys, under the lock of the directory.
//!
//! The steps, the journal and what a crash leaves are described in [`directory`](super).

use std::sync::{Mutex, MutexGuard};

use super::rebuild::rebuild;
use super::wait_limit::WaitLimit;
use crate::core::index::{self, Indexed, SlotRef, find, has_key};
use crate::core::key::{Key, StoredKey};
use crate::core::memory::records::{DirectoryHeader, HEADER_CURSORS, SlotHeader};
use crate::core::ring::{Context, NoSpace, Ring};
use crate::core::shape::Shape;
use crate::core::word::MAX_VERSION;
use crate::kill_points::{Step, reached};
use crate::os::lock;
use crate::store::dimensions::SYSTEM_SLOTS;
use crate::store::error::DirectoryError;
use crate::store::mapped::{LockByte, Mapped};
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// Why no key was created.
#[derive(Debug)]
pub(crate) enum InsertError {
    /// There are as many keys as the store has room for.
    Full,
    /// There is room for another key, but all slots without one, this many, have another shape, and cells
    /// that others hold.
    Held(u32),
    /// There is no space for another key.
    NoSpace(NoSpace),
}

impl From<NoSpace> for InsertError {
    fn from(space: NoSpace) -> Self {
        Self::NoSpace(space)
    }
}

/// How many keys there are: those of users, or those of the system.
///
/// Both have slots from the same list. So it is their number that is limited, not which slots they have.
struct KeyCount<'a> {
    count: &'a AtomicU32,
    max: u32,
}

impl KeyCount<'_> {
    /// For how many more keys there is room; `None` if the count is damaged.
    fn left(&self) -> Option<u32> {
        self.max.checked_sub(self.count.load(Ordering::Relaxed))
    }

    fn increment(&self) {
        self.count.store(self.count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    fn decrement(&self) {
        self.count.store(self.count.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Relaxed);
    }
}

/// A slot in the list of free slots, and the one before it in the list.
struct Listed {
    slot: u32,
    before: Option<u32>,
}

/// The directory, locked against all other processes and threads that would change it.
pub(crate) struct Locked<'a> {
    mapped: &'a Mapped,
    /// On whose behalf cells are claimed.
    context: &'a Context,
    _thread: MutexGuard<'a, ()>,
}

/// Locks the directory, and finishes what a crashed holder began. Waits for the present holder for
/// `limit` at most.
///
/// The threads of this session wait for each other by `mutex`, within the same limit.
///
/// With a limit of zero, it does not finish an interrupted change either, which reads all slots:
/// the directory counts as busy then.
pub(crate) fn lock<'a>(
    mapped: &'a Mapped,
    context: &'a Context,
    mutex: &'a Mutex<()>,
    limit: &mut WaitLimit,
) -> Result<Locked<'a>, DirectoryError> {
    let byte = LockByte::Directory.offset();
    let thread = lock::lock_among_threads(mapped.fd(), byte, mutex, limit.left()).map_err(DirectoryError::Lock)?;
    let busy = || DirectoryError::Busy {
        pid: mapped.directory_header().lock_owner_pid.load(Ordering::Relaxed),
        waited: limit.limit,
    };
    let locked = Locked { mapped, context, _thread: thread.ok_or_else(busy)? };
    if limit.limit.is_zero() && locked.a_holder_crashed() {
        return Err(busy());
    }
    mapped.directory_header().lock_owner_pid.store(std::process::id(), Ordering::Relaxed);
    reached(Step::DirectoryLocked);
    locked.finish_interrupted_change();
    Ok(locked)
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // If this fails, closing the file releases the lock.
        let _ = lock::unlock(self.mapped.fd(), LockByte::Directory.offset());
    }
}

impl Locked<'_> {
    /// Gives the key a slot of this shape, unless it has one of any shape.
    pub(crate) fn insert(&self, key: &Key<'_>, shape: Shape) -> Result<SlotRef, InsertError> {
        if let Some(place) = find(self.mapped, key) {
            return Ok(place);
        }
        if !index::has_an_end(self.active_table(), key.hash()) {
            // An index has more entries than there are slots, so something else has overwritten it.
            self.rebuild_all();
            if let Some(place) = find(self.mapped, key) {
                return Ok(place);
            }
        }
        let count = self.count_of_keys_like(key);
        if count.left().is_none() {
            self.rebuild_all();
        }
        let slot = match count.left() {
            None | Some(0) => return Err(InsertError::Full),
            Some(_) => self.take_free_slot(shape)?,
        };
        let header = self.header(slot);
        // No version of a key is ever used again for that key, whatever slots it had.
        let base_version = self.on_ring(slot, |ring| {
            ring.forget_queue();
            ring.skip_to(self.directory_header().highest_removed_version.load(Ordering::Relaxed))
        });
        reached(Step::VersionsSkipped);
        let generation = index::assign(header, key, base_version);
        if index::insert(self.active_table(), key.hash(), slot) {
            let tombstones = &self.directory_header().tombstones;
            tombstones.store(tombstones.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        }
        reached(Step::IndexInserted);
        count.increment();
        self.close_journal();
        Ok(SlotRef { slot, generation })
    }

    /// Removes the key and empties its slot. Returns the slot and the length of the newest value, if
    /// there was such a key. Does not wake those who wait for the key.
    pub(crate) fn remove(&self, key: &Key<'_>) -> Option<(u32, usize)> {
        let SlotRef { slot, .. } = find(self.mapped, key)?;
        self.open_journal(slot);
        let len = self.empty(slot);
        let header = self.directory_header();
        let tombstones = header.tombstones.load(Ordering::Relaxed);
        header.tombstones.store(index::delete(self.active_table(), key.hash(), slot, tombstones), Ordering::Relaxed);
        reached(Step::IndexEntryDeleted);
        self.count_of_keys_like(key).decrement();
        self.header(slot).next_free.store(header.free_list.load(Ordering::Relaxed), Ordering::Relaxed);
        header.free_list.store(slot + 1, Ordering::Relaxed);
        reached(Step::SlotListed);
        if header.tombstones.load(Ordering::Relaxed) as usize > self.active_table().len() / 4 {
            self.rebuild();
        }
        self.close_journal();
        Some((slot, len))
    }

    /// Removes key and values from a slot. Returns the length of the newest value.
    fn empty(&self, slot: u32) -> usize {
        let header = self.header(slot);
        index::unassign(header);
        // Release: the key is erased after the generation is even. Else a crash in between would
        // leave a slot with an invalid key.
        fence(Ordering::Release);
        if self.context.host.auto_vacuum() {
            StoredKey::erase(&header.key);
        }
        reached(Step::KeyErased);
        let (len, version) = self.on_ring(slot, |ring| (ring.clear(), ring.head().version()));
        let highest = &self.directory_header().highest_removed_version;
        highest.store(highest.load(Ordering::Relaxed).max(version).min(MAX_VERSION), Ordering::Relaxed);
        reached(Step::HighestRaised);
        len
    }

    /// How many keys there are of the kind of this one.
    fn count_of_keys_like(&self, key: &Key<'_>) -> KeyCount<'_> {
        let header = self.directory_header();
        if key.is_of_system() {
            KeyCount { count: &header.system_key_count, max: SYSTEM_SLOTS }
        } else {
            KeyCount { count: &header.key_count, max: self.mapped.dimensions.slots }
        }
    }

    /// Takes a slot from the list of free slots, or a fresh one, gives it this shape, and opens the
    /// journal for it.
    fn take_free_slot(&self, shape: Shape) -> Result<u32, InsertError> {
        let (header, slots) = (self.directory_header(), self.mapped.slots());
        for _ in 0..2 {
            let Ok(listed) = self.find_listed(shape) else {
                self.rebuild_all();
                continue;
            };
            // Read once, so that the value that was checked is the value that is used.
            let fresh = header.used_slots.load(Ordering::Relaxed);
            let slot = match listed {
                Some(Listed { slot, before }) => {
                    self.open_journal(slot);
                    let next = self.header(slot).next_free.load(Ordering::Relaxed);
                    let link = before.map_or(&header.free_list, |before| &self.header(before).next_free);
                    link.store(next, Ordering::Relaxed);
                    reached(Step::SlotUnlisted);
                    slot
                }
                None if fresh >= slots => {
                    let DirectoryHeader { key_count, system_key_count, .. } = header;
                    let keys =
                        key_count.load(Ordering::Relaxed).saturating_add(system_key_count.load(Ordering::Relaxed));
                    return Err(InsertError::Held(slots.saturating_sub(keys)));
                }
                None => {
                    // Before the slot counts as used, because others look at all used slots.
                    self.mapped.reserve_header(fresh)?;
                    if has_key(self.generation(fresh)) {
                        self.rebuild_all();
                        continue;
                    }
                    self.open_journal(fresh);
                    header.used_slots.store(fresh + 1, Ordering::Relaxed);
                    reached(Step::SlotUnlisted);
                    self.wipe_fresh_slot(fresh)?;
                    fresh
                }
            };
            if let Err(space) = self.reserve_for(slot, shape) {
                // The slot is in no list: the rebuild finds it again.
                self.rebuild();
                self.close_journal();
                return Err(space.into());
            }
            // Relaxed: it is read after the generation, which is changed later.
            self.header(slot).shape.store(shape.bits(), Ordering::Relaxed);
            reached(Step::ShapeWritten);
            return Ok(slot);
        }
        Err(InsertError::Full)
    }

    /// The first slot in the list of free slots that has this shape, or may get it. `Err`: the list is
    /// damaged.
    fn find_listed(&self, shape: Shape) -> Result<Option<Listed>, ()> {
        let slots = self.mapped.slots();
        let (mut before, mut next) = (None, self.directory_header().free_list.load(Ordering::Relaxed));
        for _ in 0..=slots {
            let Some(slot) = next.checked_sub(1) else { return Ok(None) };
            if slot >= slots || has_key(self.generation(slot)) {
                return Err(());
            }
            if self.fits(slot, shape) {
                return Ok(Some(Listed { slot, before }));
            }
            (before, next) = (Some(slot), self.header(slot).next_free.load(Ordering::Relaxed));
        }
        Err(())
    }

    /// Whether a slot without a key has this shape, or may get it: whether nobody has any of its
    /// cells. (A handle on an earlier key may have one, or a participant that has crashed.)
    fn fits(&self, slot: u32, shape: Shape) -> bool {
        let present = self.header(slot).shape.load(Ordering::Relaxed);
        present == shape.bits()
            || self.on_ring(slot, |ring| {
                // SeqCst: pairs with `mark_claimed`. The generation was changed before the cells are
                // read.
                fence(Ordering::SeqCst);
                ring.is_free() || {
                    ring.reap_holders();
                    ring.is_free()
                }
            })
    }

    /// Reserves what a key of this shape needs before it is used.
    fn reserve_for(&self, slot: u32, shape: Shape) -> Result<(), NoSpace> {
        if shape.cursors as usize > HEADER_CURSORS { self.mapped.reserve_cursors(slot) } else { Ok(()) }
    }

    fn wipe_fresh_slot(&self, slot: u32) -> Result<(), NoSpace> {
        if self.mapped.checksums {
            // In a file whose machine stopped, the cells of an unknown slot may be older than their
            // headers.
            self.on_ring(slot, |ring| ring.wipe())?;
            reached(Step::SlotWiped);
        }
        Ok(())
    }

    /// Rebuilds the directory from all slots, because its header contradicts them and so is
    /// damaged.
    fn rebuild_all(&self) {
        let slots = self.mapped.slots();
        // There is no slot of this number: a process that finds the journal open rebuilds, and
        // empties nothing.
        self.open_journal(slots);
        rebuild(self.mapped, slots);
        self.close_journal();
    }

    fn a_holder_crashed(&self) -> bool {
        self.directory_header().journal.load(Ordering::Acquire) != 0
    }

    fn finish_interrupted_change(&self) {
        let Some(slot) = self.directory_header().journal.load(Ordering::Acquire).checked_sub(1) else {
            return;
        };
        if slot < self.mapped.slots() && !has_key(self.generation(slot)) {
            self.empty(slot);
        }
        self.rebuild();
        self.close_journal();
    }

    fn rebuild(&self) {
        rebuild(self.mapped, self.mapped.used_slots());
    }

    fn open_journal(&self, slot: u32) {
        self.directory_header().journal.store(slot + 1, Ordering::Relaxed);
        // Release: no part of the change is written before the journal is open, so that a crash in
        // the middle is always seen.
        fence(Ordering::Release);
        reached(Step::JournalOpened);
    }

    fn close_journal(&self) {
        // Release: pairs with the acquire load of the journal; not before all of the change is
        // written.
        self.directory_header().journal.store(0, Ordering::Release);
        reached(Step::JournalClosed);
    }

    fn active_table(&self) -> &[AtomicU64] {
        self.mapped.table(self.directory_header().active.load(Ordering::Relaxed))
    }

    fn directory_header(&self) -> &DirectoryHeader {
        self.mapped.directory_header()
    }

    fn header(&self, slot: u32) -> &SlotHeader {
        self.mapped.slot_header(slot)
    }

    fn generation(&self, slot: u32) -> u64 {
        self.header(slot).generation.load(Ordering::Acquire)
    }

    fn on_ring<R>(&self, slot: u32, act: impl FnOnce(Ring<'_>) -> R) -> R {
        act(Ring::new(&self.mapped.handle_of(slot), self.context))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::Store;

    /// Two sessions of a store in a file, the second of which can hold the directory. The file is
    /// gone with them.
    fn two_handles() -> (Store, Store) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.store");
        (Store::create(&path).unwrap(), Store::open_unshared(&path).unwrap())
    }

    fn is_busy<T>(result: &Result<T, DirectoryError>, limit: Duration) -> bool {
        matches!(result, Err(DirectoryError::Busy { waited, .. }) if *waited == limit)
    }

    #[test]
    fn a_thread_that_waits_for_the_directory_delays_no_other_thread_beyond_its_own_limit() {
        let (store, other) = two_handles();
        let long = Duration::from_secs(600);
        let holder = other.session.directory(&mut WaitLimit::longest()).unwrap();
        let (waits, waiting) = mpsc::channel();
        let waiter = thread::spawn({
            let store = store.clone();
            move || {
                waits.send(()).unwrap();
                store.slot_within("waited for", &mut WaitLimit::new(long)).map(drop)
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
            let busy = answered.recv_timeout(long / 10).expect("delayed by another thread that waits");
            assert!(busy);
        }
        assert!(!waiter.is_finished());
        drop(holder);
        waiter.join().unwrap().unwrap();
    }

    #[test]
    fn all_waits_of_one_operation_share_one_limit() {
        let (store, other) = two_handles();
        let _holder = other.session.directory(&mut WaitLimit::longest()).unwrap();
        let mut limit = WaitLimit::new(Duration::from_millis(20));
        assert!(is_busy(&store.slot_within("k", &mut limit), limit.limit));
        assert!(limit.left().is_zero());
        assert!(is_busy(&store.slot_within("k", &mut limit), limit.limit));
    }

    #[test]
    fn an_operation_that_does_not_wait_leaves_an_interrupted_change_to_others() {
        let (store, _) = two_handles();
        store.slot("before").unwrap();
        let header = store.mapped().directory_header();
        header.journal.store(store.mapped().slots() + 1, Ordering::Relaxed);
        assert!(is_busy(&store.slot_within("k", &mut WaitLimit::new(Duration::ZERO)), Duration::ZERO));
        assert_ne!(header.journal.load(Ordering::Relaxed), 0);
        store.slot("k").unwrap();
        assert_eq!(header.journal.load(Ordering::Relaxed), 0);
        store.slot_within("another", &mut WaitLimit::new(Duration::ZERO)).unwrap();
    }
}
