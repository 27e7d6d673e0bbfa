//! Lossless subscribers: registration, the low-water mark, free space, eviction, reaping.

use loom::thread;

use super::support::{Sleeper, Slot, copied, publish};
use crate::core::ring::{Begin, CommitError};
use crate::core::word::LowWaterMark;
use crate::sync::Ordering;
use crate::sync::watched::{model, model_within};

#[test]
fn a_lossless_subscriber_can_read_the_version_that_it_begins_with() {
    // With two preemptions it takes minutes.
    model_within(1, || {
        let slot = Slot::new(1, 3);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || {
                // Into the free cell, then into those of 1 and 2, unless these are retained.
                [3, 4].map(|mark| publish(slot.ring(1), mark))
            })
        };
        let ring = slot.ring(0);
        let mut cursor = ring.register(Begin::Oldest).unwrap();
        let first = cursor.version();
        assert_eq!(copied(ring, first), Some(first as u8));
        assert!(ring.move_cursor(&mut cursor, first + 1));
        writer.join().unwrap().into_iter().for_each(|result| {
            assert!(matches!(result, Ok(_) | Err(CommitError::Backpressure(_))));
        });
        for version in first + 1..=ring.head().version() {
            assert!(copied(ring, version).is_some(), "version {version} of {:?} was overwritten", ring.head());
        }
    });
}

#[test]
fn versions_published_after_a_registration_are_retained() {
    model(|| {
        let slot = Slot::new(1, 2);
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || {
                for mark in 1..=3 {
                    let _ = publish(slot.ring(1), mark);
                }
            })
        };
        let ring = slot.ring(0);
        let cursor = ring.register(Begin::Next).unwrap();
        for version in cursor.version()..=ring.head().version() {
            assert!(copied(ring, version).is_some(), "version {version} of {:?} was overwritten", ring.head());
        }
        writer.join().unwrap();
        for version in cursor.version()..=ring.head().version() {
            assert!(copied(ring, version).is_some(), "version {version} of {:?} was overwritten", ring.head());
        }
    });
}

#[test]
fn a_computed_low_water_mark_includes_a_new_subscriber() {
    model(|| {
        let slot = Slot::new(2, 4);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        // It begins at the same version as the new one, which therefore does not change the mark's
        // version.
        let other = slot.ring(1).register(Begin::Oldest).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || {
                slot.ring(1).unregister(other);
                slot.ring(1).compute_low_water();
            })
        };
        let ring = slot.ring(0);
        let cursor = ring.register(Begin::Oldest).unwrap();
        writer.join().unwrap();
        assert_eq!(cursor.version(), 1);
        let low_water = LowWaterMark::from_bits(slot.view().header.low_water.load(Ordering::Relaxed));
        assert!(low_water.guards(1), "{low_water:?}");
        assert!(ring.compute_low_water().guards(1));
    });
}

/// The only subscriber of a slot has gone. Participant 1 computes the low-water mark; another
/// thread, of participant `second`, begins to, and stops after it has written its mark. A new
/// subscriber registers at the same version.
fn compute_twice_beside_a_registration(second: u32) {
    model(move || {
        let slot = Slot::new(2, 4);
        publish(slot.ring(1), 1).unwrap();
        let gone = slot.ring(1).register(Begin::Oldest).unwrap();
        slot.ring(1).unregister(gone);
        let subscriber = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(0).register(Begin::Oldest).unwrap().version())
        };
        let other = {
            let slot = slot.clone();
            thread::spawn(move || {
                let ring = slot.ring(second);
                let tag = ring.context.tags.acquire().unwrap();
                let seen = LowWaterMark::from_bits(slot.view().header.low_water.load(Ordering::SeqCst));
                let _ = ring.mark_low_water(seen, &tag);
                std::mem::forget(tag);
            })
        };
        slot.ring(1).compute_low_water();
        assert_eq!(subscriber.join().unwrap(), 1);
        other.join().unwrap();
        let low_water = LowWaterMark::from_bits(slot.view().header.low_water.load(Ordering::Relaxed));
        assert!(low_water.guards(1), "{low_water:?}");
    });
}

#[test]
fn a_low_water_mark_that_two_participants_compute_includes_a_new_subscriber() {
    compute_twice_beside_a_registration(2);
}

#[test]
fn a_low_water_mark_that_two_threads_of_one_participant_compute_includes_a_new_subscriber() {
    compute_twice_beside_a_registration(1);
}

#[test]
fn a_publisher_that_waits_for_free_space_is_woken_by_a_subscriber() {
    model(|| {
        let slot = Slot::new(1, 2);
        let mut cursor = slot.ring(0).register(Begin::Next).unwrap();
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let reader = {
            let slot = slot.clone();
            thread::spawn(move || {
                slot.ring(0).move_cursor(&mut cursor, 2);
            })
        };
        let ring = slot.ring(1);
        let published = Sleeper::new(ring.not_full(), reader, || publish(ring, 3).ok()).wait();
        assert_eq!(published, Some(3));
    });
}

#[test]
fn an_evicted_subscriber_learns_of_it_and_publishers_go_on() {
    model(|| {
        let slot = Slot::new(1, 2);
        let mut cursor = slot.ring(0).register(Begin::Next).unwrap();
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let evictor = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(2).evict(0, || true))
        };
        let owner = {
            let slot = slot.clone();
            thread::spawn(move || {
                let moved = slot.ring(0).move_cursor(&mut cursor, 2);
                (moved, cursor)
            })
        };
        let evicted = evictor.join().unwrap().expect("the cursor is there all the time");
        let (moved, cursor) = owner.join().unwrap();
        // In either order the owner learns of it, and nothing is retained for it.
        assert!(slot.ring(0).is_evicted(&cursor));
        assert_eq!(evicted.oldest, if moved { 2 } else { 1 });
        for mark in 3..=6 {
            publish(slot.ring(1), mark).unwrap();
        }
        // The owner frees the word.
        slot.ring(0).unregister(cursor);
        assert!(slot.view().header.cursors.iter().all(|cursor| cursor.load(Ordering::Relaxed) == 0));
    });
}

#[test]
fn a_publisher_that_waits_for_free_space_is_woken_by_an_eviction() {
    model(|| {
        let slot = Slot::new(1, 2);
        let _cursor = slot.ring(0).register(Begin::Next).unwrap();
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let evictor = {
            let slot = slot.clone();
            thread::spawn(move || drop(slot.ring(2).evict(0, || true).unwrap()))
        };
        let ring = slot.ring(1);
        let published = Sleeper::new(ring.not_full(), evictor, || publish(ring, 3).ok()).wait();
        assert_eq!(published, Some(3));
    });
}

#[test]
fn an_evicted_subscriber_never_moves_another_cursor_of_its_participant() {
    model(|| {
        let slot = Slot::new(1, 3);
        publish(slot.ring(1), 1).unwrap();
        let mut first = slot.ring(0).register(Begin::At(1)).unwrap();
        let other = {
            let slot = slot.clone();
            thread::spawn(move || {
                slot.ring(2).evict(0, || true).unwrap();
                // The same participant, generation and version.
                slot.ring(0).register(Begin::At(1)).unwrap()
            })
        };
        let moved = slot.ring(0).move_cursor(&mut first, 2);
        if !moved {
            slot.ring(0).unregister(first);
        }
        let mut second = other.join().unwrap();
        assert_eq!(second.version(), 1);
        assert!(!slot.ring(0).is_evicted(&second));
        let retained: Vec<_> = slot.ring(1).cursors().map(|cursor| cursor.version).collect();
        assert_eq!(retained, [1], "the second cursor has moved");
        assert!(slot.ring(0).move_cursor(&mut second, 2), "moved or removed by another subscriber");
    });
}

#[test]
fn two_reapers_of_one_crashed_subscriber_spare_the_next_owner_of_its_cursor() {
    model(|| {
        let slot = Slot::new(1, 2);
        slot.ring(1).register(Begin::Next).unwrap();
        let other = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(2).reap(1))
        };
        let ring = slot.ring(0);
        ring.reap(1);
        let mut cursor = ring.register(Begin::Next).unwrap();
        other.join().unwrap();
        let version = cursor.version();
        assert!(ring.move_cursor(&mut cursor, version + 1), "removed although its owner has not crashed");
    });
}
