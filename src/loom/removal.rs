//! Removed keys, and values that are removed from a key.

use loom::thread;

use super::support::{GENERATION, Slot, publish, whole};
use crate::core::lookup::Lookup;
use crate::core::memory::cell_view::CellView;
use crate::core::ring::{Begin, CommitError, ReadError, Ring, readable};
use crate::core::word::Seq;
use crate::sync::Ordering;
use crate::sync::watched::model;

/// What the directory does to remove the key.
pub(super) fn remove_key(ring: Ring<'_>) {
    ring.slot().header.generation.store(GENERATION + 1, Ordering::SeqCst);
    ring.clear();
}

/// Not a byte of any value is left.
fn assert_sterile(ring: Ring<'_>) {
    for (_, cell) in ring.cells() {
        assert_eq!(Seq::from_bits(cell.header.seq.load(Ordering::Relaxed)), Seq::Committed { version: 0 });
        assert!(cell.words.iter().all(|word| word.load(Ordering::Relaxed) == 0));
    }
}

#[test]
fn a_writer_of_a_removed_key_publishes_nothing_under_the_next_one() {
    model(|| {
        let slot = Slot::new(1, 3);
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(1), 1))
        };
        // What the directory does: remove the key, then give the slot to another.
        let ring = slot.ring(0);
        remove_key(ring);
        let header = slot.view().header;
        let removed_at = ring.head();
        header.base_version.store(removed_at.version(), Ordering::Relaxed);
        header.generation.store(GENERATION + 2, Ordering::Release);
        let result = writer.join().unwrap();
        assert_eq!(ring.head(), removed_at, "a writer of the old key moved the head");
        match result {
            Ok(version) => assert!(version < removed_at.version()),
            Err(error) => assert_eq!(error, CommitError::Removed),
        }
        let mut bytes = Vec::new();
        let next = slot.next_ring(0);
        assert_eq!(next.copy_newest(&mut bytes), Ok(None));
        assert_eq!(next.oldest_from(1), None);
        assert_sterile(ring);
    });
}

#[test]
fn a_reader_of_a_removed_key_gets_no_value_of_the_next_one() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let next = {
            let slot = slot.clone();
            thread::spawn(move || {
                let header = slot.view().header;
                let ring = slot.ring(1);
                remove_key(ring);
                header.base_version.store(ring.head().version(), Ordering::Relaxed);
                header.generation.store(GENERATION + 2, Ordering::Release);
                publish(slot.next_ring(1), 9).unwrap();
            })
        };
        let mut bytes = Vec::new();
        match slot.ring(0).copy_newest(&mut bytes) {
            Ok(Some(version)) => assert_eq!((version, whole(&bytes)), (1, 1)),
            Ok(None) => {}
            Err(error) => assert_eq!(error, ReadError::Removed),
        }
        next.join().unwrap();
    });
}

#[test]
fn what_was_pinned_while_its_key_was_removed_is_emptied_by_one_of_the_two() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let pin = slot.ring(2).pin_newest(|_| false).unwrap().unwrap();
        let reader = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(2).unpin(pin.cell))
        };
        remove_key(slot.ring(0));
        reader.join().unwrap();
        assert_sterile(slot.ring(0));
    });
}

#[test]
fn the_newest_value_of_a_removed_key_is_left_to_the_remover() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let pin = slot.ring(2).pin_newest(|_| false).unwrap().unwrap();
        let reader = {
            let slot = slot.clone();
            // If it emptied the cell while `head` is there, the remover would take that for a publish to be finished.
            thread::spawn(move || slot.ring(2).unpin(pin.cell))
        };
        let ring = slot.ring(0);
        remove_key(ring);
        let header = slot.view().header;
        header.base_version.store(ring.head().version(), Ordering::Relaxed);
        header.generation.store(GENERATION + 2, Ordering::Release);
        let next = slot.next_ring(0);
        let version = publish(next, 9);
        reader.join().unwrap();
        if let Ok(version) = version {
            let mut bytes = Vec::new();
            assert_eq!(next.copy_newest(&mut bytes), Ok(Some(version)));
            assert_eq!(whole(&bytes), 9);
        }
    });
}

#[test]
fn what_a_dead_claimer_held_while_its_key_was_removed_is_emptied_when_it_is_reaped() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let (_, cell) = slot.ring(0).cells().find(|(_, cell)| readable(*cell) == Some(1)).unwrap();
        cell.header.seq.store(Seq::Claimed { version: 1, participant: 1 }.bits(), Ordering::Relaxed);
        let reaper = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(2).reap(1))
        };
        remove_key(slot.ring(0));
        reaper.join().unwrap();
        assert_sterile(slot.ring(0));
    });
}

#[test]
fn a_writer_with_a_handle_on_a_removed_key_leaves_the_next_keys_history_alone() {
    model(|| {
        let slot = Slot::new(2, 2);
        remove_key(slot.ring(0));
        let header = slot.view().header;
        header.base_version.store(slot.ring(0).head().version(), Ordering::Relaxed);
        header.generation.store(GENERATION + 2, Ordering::Release);
        let next = slot.next_ring(1);
        let versions = [3, 4].map(|mark| publish(next, mark).unwrap());
        assert_eq!(publish(slot.ring(2), 9), Err(CommitError::Removed));
        let mut bytes = Vec::new();
        assert_eq!(next.copy_version(versions[0], &mut bytes), Ok(Lookup::Found(())));
    });
}

#[test]
fn a_purge_leaves_the_newest_value_and_nothing_of_older_ones() {
    model(|| {
        let slot = Slot::new(2, 3);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let purger = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(2).purge())
        };
        let mut bytes = Vec::new();
        assert_eq!(slot.ring(0).copy_newest(&mut bytes), Ok(Some(2)));
        assert_eq!(whole(&bytes), 2);
        publish(slot.ring(1), 3).unwrap();
        purger.join().unwrap();
        assert_eq!(slot.ring(0).copy_newest(&mut bytes), Ok(Some(3)));
        assert_eq!(whole(&bytes), 3);
        let ones = |cell: CellView<'_>| {
            cell.words.iter().any(|word| word.load(Ordering::Relaxed) == u64::from_ne_bytes([1; 8]))
        };
        assert!(!slot.ring(0).cells().any(|(_, cell)| ones(cell)), "purged, and still there");
    });
}

#[test]
fn what_is_left_of_a_removed_key_is_no_value_of_the_next_one() {
    model(|| {
        let slot = Slot::new(1, 3);
        let ring = slot.ring(0);
        publish(ring, 1).unwrap();
        let pin = ring.pin_newest(|_| false).unwrap().unwrap();
        remove_key(slot.ring(1));
        let header = slot.view().header;
        header.base_version.store(ring.head().version(), Ordering::Relaxed);
        header.generation.store(GENERATION + 2, Ordering::Release);
        publish(slot.next_ring(0), 2).unwrap();
        let mut bytes = Vec::new();
        let next = slot.next_ring(1);
        assert_eq!(next.copy_version(pin.version, &mut bytes), Ok(Lookup::Gone));
        let again = next.pin_version(pin.version, |_| false);
        assert_eq!(again, Ok(Lookup::Gone));
    });
}

#[test]
fn a_writer_that_knows_head_publishes_nothing_once_its_key_is_disowned() {
    model(|| {
        let slot = Slot::new(1, 3);
        for mark in 1..=2 {
            publish(slot.ring(1), mark).unwrap();
        }
        // Whoever removes the key has not come to `head` yet.
        slot.view().header.generation.store(GENERATION + 1, Ordering::SeqCst);
        assert_eq!(publish(slot.ring(1), 3), Err(CommitError::Removed));
        assert_eq!(slot.ring(0).head().version(), 2);
    });
}

#[test]
fn what_is_obsolete_is_not_read_by_those_who_know_where_it_was() {
    model(|| {
        for purged in [true, false] {
            let slot = Slot::new(3, 4);
            let ring = slot.ring(0);
            for mark in 1..=3 {
                publish(slot.ring(1), mark).unwrap();
            }
            let mut bytes = Vec::new();
            assert_eq!(ring.copy_version(1, &mut bytes), Ok(Lookup::Found(())));
            // So its cell keeps it.
            assert!(matches!(slot.ring(2).pin_version(2, |_| false), Ok(Lookup::Found(_))));
            if purged {
                slot.ring(1).purge();
            } else {
                remove_key(slot.ring(1));
            }
            let read = ring.copy_version(2, &mut bytes);
            assert_eq!(read, if purged { Ok(Lookup::Gone) } else { Err(ReadError::Removed) });
        }
    });
}

#[test]
fn what_a_writer_held_during_a_purge_is_emptied_by_one_of_the_two() {
    model(|| {
        let slot = Slot::new(2, 3);
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(1), 1).unwrap())
        };
        let ours = publish(slot.ring(2), 2).unwrap();
        slot.ring(0).purge();
        let theirs = writer.join().unwrap();
        let left = slot.ring(0).cells().filter_map(|(_, cell)| readable(cell)).collect::<Vec<_>>();
        // What was published after the purge has looked is kept beside what was there.
        assert!(left == [ours.max(theirs)] || theirs > ours && left.len() == 2, "{left:?}");
    });
}

#[test]
fn what_was_pinned_during_a_purge_is_emptied_by_one_of_the_two() {
    model(|| {
        let slot = Slot::new(2, 3);
        publish(slot.ring(1), 1).unwrap();
        let pin = slot.ring(2).pin_newest(|_| false).unwrap().unwrap();
        publish(slot.ring(1), 2).unwrap();
        let reader = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(2).unpin(pin.cell))
        };
        slot.ring(0).purge();
        reader.join().unwrap();
        assert_eq!(
            slot.ring(0).cells().filter_map(|(_, cell)| readable(cell)).filter(|&version| version > 0).count(),
            1
        );
    });
}

#[test]
fn what_a_reader_has_left_that_died_once_its_pin_was_off_is_emptied_when_it_is_reaped() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let pin = slot.ring(2).pin_newest(|_| false).unwrap().unwrap();
        let reader = {
            let slot = slot.clone();
            // The first half of `unpin`.
            thread::spawn(move || {
                let pins = &slot.ring(2).slot().cells.get(pin.cell).header.pins[0];
                pins.fetch_and(!(1 << 2), Ordering::SeqCst);
            })
        };
        remove_key(slot.ring(0));
        reader.join().unwrap();
        slot.ring(3).reap(2);
        assert_sterile(slot.ring(0));
    });
}

#[test]
fn a_queue_that_is_declared_while_its_key_is_removed_is_forgotten() {
    model(|| {
        let slot = Slot::new(1, 3);
        let worker = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(1).declare_queue(Begin::Oldest))
        };
        remove_key(slot.ring(0));
        let _ = worker.join().unwrap();
        assert_eq!(slot.view().header.queue.load(Ordering::Relaxed), 0);
    });
}
