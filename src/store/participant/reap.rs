//! Reaping crashed participants: their marks are cleared in all slots, and their entries become
//! free.
//!
//! A crash in the middle leaves the remaining marks, and the entry with its owner: the next process
//! that joins goes on.

use std::io;
use std::sync::Arc;

use super::entry::{Participant, is_owned};
use super::host::context;
use crate::core::memory::records::PARTICIPANTS;
use crate::core::participant_set::ParticipantSet;
use crate::core::ring::Ring;
use crate::kill_points::{Step, reached};
use crate::os::lock;
use crate::store::mapped::{LockByte, Mapped};
use crate::sync::Ordering;

/// How many crashed participants are reaped at a time. All of them are locked meanwhile, so no more
/// than half of the table: newcomers find a free entry also while a process is stopped in the
/// middle of this.
const REAPED_AT_ONCE: usize = PARTICIPANTS / 2;

/// Finds every crashed participant, clears its marks in all slots, and frees its entry. Scans the
/// slots once for all of them, or twice if there are more than [`REAPED_AT_ONCE`].
///
/// If `inherited`, our own entry was that of a crashed participant. If we crash before its marks
/// are cleared, the next owner inherits them.
pub(super) fn reap_crashed(mapped: &Arc<Mapped>, me: Participant, inherited: bool) -> io::Result<()> {
    let mut marked = ParticipantSet::default();
    if inherited {
        marked.insert(me.id);
    }
    let mut owned = (0..).zip(mapped.participants()).filter(|&(id, entry)| id != me.id && is_owned(entry));
    loop {
        let mut dead = Vec::new();
        for (id, entry) in owned.by_ref() {
            let incarnation = entry.incarnation.load(Ordering::Acquire);
            // Shared, as in `CrashedLocks`.
            if lock::try_lock_shared(mapped.fd(), LockByte::Participant(id).offset())? {
                marked.insert(id);
                dead.push((id, entry, incarnation));
            }
            if dead.len() == REAPED_AT_ONCE {
                break;
            }
        }
        if marked.is_empty() {
            return Ok(());
        }
        reap(mapped, me.id, &marked);
        for (id, entry, incarnation) in dead {
            reached(Step::ParticipantReaped);
            // Unless it was closed properly between our check and our lock, or another process has
            // reaped it.
            if incarnation % 2 == 1 {
                let next = incarnation.wrapping_add(1);
                let _ = entry.incarnation.compare_exchange(incarnation, next, Ordering::Release, Ordering::Relaxed);
            }
            lock::unlock(mapped.fd(), LockByte::Participant(id).offset())?;
        }
        marked = ParticipantSet::default();
    }
}

/// Clears the marks of crashed participants in all slots, in one scan.
fn reap(mapped: &Arc<Mapped>, me: u32, dead: &ParticipantSet) {
    #[cfg(test)]
    tests::SCANS.with(|scans| scans.set(scans.get() + 1));
    let context = context(mapped, me);
    for slot in 0..mapped.used_slots() {
        let handle = mapped.handle_of(slot);
        let ring = Ring::new(&handle, &context);
        // A slot that never had a key has no marks; and a process that prepares it for its first
        // key does not claim its cells.
        if ring.generation() > 0 {
            ring.reap_all(dead);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::core::word::Cursor;
    use crate::store::participant::crashed_locks::CrashedLocks;
    use crate::store::{KeyOptions, StoreOptions};

    thread_local! {
        pub(crate) static SCANS: Cell<u32> = const { Cell::new(0) };
    }

    /// Makes `count` entries look like those of crashed participants, with pins on each cell of a
    /// key and, as far as there is space, cursors. Returns how many scans it takes to reap them.
    fn scans_to_reap(count: u32) -> u32 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.store");
        let store =
            StoreOptions::new().slots(4).key_options(KeyOptions::new().history(2).spare(2)).create(&path).unwrap();
        store.set("k", b"v").unwrap();
        let mapped = store.mapped();
        let cells = || mapped.slot(0).cells;
        for id in 1..=count {
            mapped.participants()[id as usize].incarnation.store(7, Ordering::Relaxed);
            for index in 0..mapped.cells_reserved(0) {
                let pins = &cells().get(index).header.pins[id as usize / 64];
                pins.fetch_or(1 << (id % 64), Ordering::Relaxed);
            }
        }
        let slot = mapped.slot(0);
        let generation = slot.header.generation.load(Ordering::Relaxed);
        for (id, cursor) in (1..=count).zip(&slot.header.cursors) {
            cursor.store(Cursor::new(id, generation, 1).bits(), Ordering::Relaxed);
        }
        let before = SCANS.get();
        reap_crashed(&store.session.mapped, store.participant(), false).unwrap();
        let scans = SCANS.get() - before;
        for entry in &mapped.participants()[1..=count as usize] {
            assert_eq!(entry.incarnation.load(Ordering::Relaxed), 8);
        }
        assert_eq!(store.cells().pinned, 0, "a pin of a crashed participant is left");
        assert_eq!(
            store.slot_snapshot("k").unwrap().unwrap().lossless,
            [],
            "a cursor of a crashed participant is left"
        );
        assert_eq!(locked_entries(&store), 0, "a lock on a crashed participant is left");
        scans
    }

    /// How many entries, except those of the two stores, are locked, as another open file sees
    /// them.
    fn locked_entries(store: &crate::Store) -> usize {
        let other = crate::Store::open_unshared(store.location()).unwrap();
        let fd = other.mapped().fd();
        let me = [store.participant().id, other.participant().id];
        let entries = (0..PARTICIPANTS as u32).filter(|id| !me.contains(id));
        entries.filter(|&id| !lock::try_lock(fd, LockByte::Participant(id).offset()).unwrap()).count()
    }

    #[test]
    fn all_crashed_participants_are_reaped_in_one_scan_of_the_slots() {
        assert_eq!(scans_to_reap(0), 0);
        assert_eq!(scans_to_reap(1), 1);
        assert_eq!(scans_to_reap(40), 1);
        assert_eq!(scans_to_reap(253), 2, "half of the entries stay open to newcomers");
    }

    #[test]
    fn the_lock_on_a_crashed_participant_is_held_until_the_last_thread_releases_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.store");
        let store = StoreOptions::new().slots(1).create(&path).unwrap();
        let other = crate::Store::open_unshared(&path).unwrap();
        let (mapped, locks) = (store.mapped(), CrashedLocks::new());
        let is_free = || {
            let byte = LockByte::Participant(9).offset();
            let free = lock::try_lock(other.mapped().fd(), byte).unwrap();
            lock::unlock(other.mapped().fd(), byte).unwrap();
            free
        };
        let mut ran = 0;
        // As two threads do that overlap.
        locks
            .if_crashed(mapped, 9, || {
                locks.if_crashed(mapped, 9, || ran += 1).unwrap();
                assert!(!is_free(), "a newcomer may take the entry while it is being reaped");
            })
            .unwrap();
        assert_eq!(ran, 1);
        assert!(is_free());
        locks.if_crashed(mapped, other.participant().id, || panic!("it is alive")).unwrap();
    }
}
