//! Removed keys and purged values: readers and writers of a removed key touch nothing of the next
//! one, and every retired value is discarded.

use loom::thread;

use super::support::{GENERATION, Slot, publish, remove_key, shape, whole};
use crate::core::lookup::Lookup;
use crate::core::memory::cell_view::CellView;
use crate::core::ring::{Begin, CommitError, ReadError, Ring, readable};
use crate::core::word::Seq;
use crate::sync::Ordering;
use crate::sync::watched::{model, model_of_many_steps};

/// Asserts that no byte of any value is left.
fn assert_sterile(ring: Ring<'_>) {
    for (_, cell) in ring.cells() {
        assert_eq!(Seq::from_bits(cell.header.seq.load(Ordering::Relaxed)), Seq::Committed { version: 0 });
        assert!(cell.words.iter().all(|word| word.load(Ordering::Relaxed) == 0));
    }
}

#[test]
fn a_writer_of_a_removed_key_publishes_nothing_under_the_next_key() {
    model(|| {
        let slot = Slot::new(1, 3);
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(1), 1))
        };
        // As the directory does: removes the key, then assigns the slot to another one.
        let ring = slot.ring(0);
        remove_key(ring);
        let header = slot.view().header;
        let removed_at = ring.head();
        header.base_version.store(removed_at.version(), Ordering::Relaxed);
        header.generation.store(GENERATION + 2, Ordering::Release);
        let result = writer.join().unwrap();
        assert_eq!(ring.head(), removed_at, "a writer of the old key moved `head`");
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
fn a_reader_of_a_removed_key_reads_no_value_of_the_next_key() {
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
fn a_value_pinned_during_a_removal_is_discarded_by_reader_or_remover() {
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
fn the_newest_value_of_a_removed_key_is_discarded_by_the_remover_only() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let pin = slot.ring(2).pin_newest(|_| false).unwrap().unwrap();
        let reader = {
            let slot = slot.clone();
            // If it emptied the cell while `head` names it, the remover would commit the cell
            // again.
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
fn a_value_claimed_by_a_crashed_writer_during_a_removal_is_discarded_by_reaper_or_remover() {
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
fn a_writer_of_a_removed_key_spares_the_history_of_the_next_key() {
    model_of_many_steps(|| {
        let slot = Slot::new(1, 2);
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(2), 9))
        };
        remove_key(slot.ring(0));
        // The writer's key has less history than this one.
        let published = slot.create_key(1, shape(2, 2)).map(|next| (next, [3, 4].map(|mark| publish(next, mark))));
        let late = writer.join().unwrap();
        assert!(matches!(late, Ok(_) | Err(CommitError::Removed)), "{late:?}");
        if let Some((next, [Ok(older), Ok(newer)])) = published {
            let mut bytes = Vec::new();
            for version in [older, newer] {
                assert_eq!(next.copy_version(version, &mut bytes), Ok(Lookup::Found(())));
            }
        }
    });
}

#[test]
fn a_purge_leaves_the_newest_value_and_no_byte_of_older_ones() {
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
        assert!(!slot.ring(0).cells().any(|(_, cell)| ones(cell)), "not discarded");
    });
}

#[test]
fn a_pinned_value_of_a_removed_key_is_not_a_version_of_the_next_key() {
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
fn a_writer_with_a_cached_head_publishes_nothing_once_its_key_is_unassigned() {
    model(|| {
        let slot = Slot::new(1, 3);
        for mark in 1..=2 {
            publish(slot.ring(1), mark).unwrap();
        }
        // The process that removes the key has not changed `head` yet.
        slot.view().header.generation.store(GENERATION + 1, Ordering::SeqCst);
        assert_eq!(publish(slot.ring(1), 3), Err(CommitError::Removed));
        assert_eq!(slot.ring(0).head().version(), 2);
    });
}

#[test]
fn a_retired_value_is_not_read_by_a_read_hint() {
    model(|| {
        for purged in [true, false] {
            let slot = Slot::new(3, 4);
            let ring = slot.ring(0);
            for mark in 1..=3 {
                publish(slot.ring(1), mark).unwrap();
            }
            let mut bytes = Vec::new();
            assert_eq!(ring.copy_version(1, &mut bytes), Ok(Lookup::Found(())));
            // The pin keeps the value in its cell.
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
fn a_value_published_during_a_purge_is_discarded_by_writer_or_purger() {
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
        // A value that was published after the purge had read `head` stays beside the one that was
        // there.
        assert!(left == [ours.max(theirs)] || theirs > ours && left.len() == 2, "{left:?}");
    });
}

#[test]
fn a_value_pinned_during_a_purge_is_discarded_by_reader_or_purger() {
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
fn the_value_of_a_reader_that_crashed_after_clearing_its_pin_is_discarded_by_a_reaper() {
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
fn a_queue_declared_during_a_removal_is_forgotten() {
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
