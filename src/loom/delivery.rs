//! Pins of any version, lossless subscribers, work queues.

use loom::thread;

use super::support::{GENERATION, Sleeper, Slot, publish, whole};
use crate::core::delivery::LowWaterMark;
use crate::core::lookup::Lookup;
use crate::core::ring::{Begin, CommitError, PinError, Position, Ring, Work};
use crate::sync::Ordering;
use crate::sync::watched::{model, model_within};

/// The version of a value that was read as one of these marks.
pub(super) fn copied(ring: Ring<'_>, version: u64) -> Option<u8> {
    let mut bytes = Vec::new();
    (ring.copy_version(version, &mut bytes) == Ok(Lookup::Found(()))).then(|| whole(&bytes))
}

#[test]
fn a_version_that_is_pinned_does_not_change() {
    model(|| {
        let slot = Slot::new(1, 3);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || {
                for mark in 3..=4 {
                    publish(slot.ring(1), mark).unwrap();
                }
            })
        };
        let ring = slot.ring(0);
        let pinned = ring.pin_version(1, |_| false);
        assert_ne!(pinned, Err(PinError::Removed));
        if let Ok(Lookup::Found(pin)) = pinned {
            for _ in 0..2 {
                let mut bytes = Vec::new();
                ring.copy_pinned(pin, &mut bytes);
                assert_eq!(whole(&bytes), 1);
            }
            ring.unpin(pin.cell);
        }
        writer.join().unwrap();
    });
}

#[test]
fn what_a_lossless_subscriber_begins_with_is_still_there_when_it_reads() {
    // With two it takes minutes.
    model_within(1, || {
        let slot = Slot::new(1, 3);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || {
                // The free cell, then those of 1 and 2, unless somebody is to receive them.
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
            assert!(copied(ring, version).is_some(), "version {version} of {:?} is gone", ring.head());
        }
    });
}

#[test]
fn what_is_published_after_a_lossless_subscriber_has_come_is_kept_for_it() {
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
            assert!(copied(ring, version).is_some(), "version {version} of {:?} is gone", ring.head());
        }
        writer.join().unwrap();
        for version in cursor.version()..=ring.head().version() {
            assert!(copied(ring, version).is_some(), "version {version} of {:?} is gone", ring.head());
        }
    });
}

#[test]
fn a_floor_computed_afresh_never_leaves_a_new_subscriber_out() {
    model(|| {
        let slot = Slot::new(2, 4);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        // As far back as the one that comes: the floor's version does not change by it.
        let other = slot.ring(1).register(Begin::Oldest).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || {
                slot.ring(1).unregister(other);
                slot.ring(1).fresh_low_water();
            })
        };
        let ring = slot.ring(0);
        let cursor = ring.register(Begin::Oldest).unwrap();
        writer.join().unwrap();
        assert_eq!(cursor.version(), 1);
        let floor = LowWaterMark::from_bits(slot.view().header.low_water.load(Ordering::Relaxed));
        assert!(floor.guards(1), "{floor:?}");
        assert!(ring.fresh_low_water().guards(1));
    });
}

/// The floor of a slot whose only subscriber has gone is recomputed by participant 1, and as far as the mark by another thread, which is stopped there;
/// and another subscriber comes, as far back.
fn recompute_twice_beside_a_registration(second: u32) {
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
                let tag = ring.context.tags.take().unwrap();
                let seen = LowWaterMark::from_bits(slot.view().header.low_water.load(Ordering::SeqCst));
                let _ = ring.mark_low_water(seen, &tag);
                std::mem::forget(tag);
            })
        };
        slot.ring(1).fresh_low_water();
        assert_eq!(subscriber.join().unwrap(), 1);
        other.join().unwrap();
        let floor = LowWaterMark::from_bits(slot.view().header.low_water.load(Ordering::Relaxed));
        assert!(floor.guards(1), "{floor:?}");
    });
}

#[test]
fn a_floor_that_two_participants_recompute_never_leaves_a_new_subscriber_out() {
    recompute_twice_beside_a_registration(2);
}

#[test]
fn a_floor_that_two_threads_of_one_participant_recompute_never_leaves_a_new_subscriber_out() {
    recompute_twice_beside_a_registration(1);
}

#[test]
fn a_publisher_that_waits_for_room_is_woken_by_whoever_makes_it() {
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
fn of_two_workers_each_message_goes_to_one() {
    model(|| {
        let slot = Slot::new(2, 4);
        slot.ring(0).declare_queue(Begin::Next).unwrap();
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let work = |ring: Ring<'_>| {
            let (mut position, mut seen) = (Position::new(), Vec::new());
            while let Work::Leased(taken) = ring.take_message(&mut position).unwrap() {
                assert_eq!(taken.attempt, 1);
                seen.push(taken.version);
                assert!(ring.acknowledge(taken));
            }
            assert!(seen.is_sorted());
            seen
        };
        let other = {
            let slot = slot.clone();
            thread::spawn(move || work(slot.ring(2)))
        };
        let mut seen = work(slot.ring(0));
        seen.extend(other.join().unwrap());
        seen.sort();
        assert_eq!(seen, [1, 2]);
    });
}

#[test]
fn a_worker_that_comes_late_undoes_nothing_that_others_have_done() {
    model(|| {
        let slot = Slot::new(1, 2);
        slot.ring(0).declare_queue(Begin::Next).unwrap();
        publish(slot.ring(1), 1).unwrap();
        let work = |ring: Ring<'_>, position: &mut Position| {
            let Work::Leased(taken) = ring.take_message(position).unwrap() else {
                return None;
            };
            assert!(ring.acknowledge(taken));
            Some(taken.version)
        };
        let quick = {
            let slot = slot.clone();
            thread::spawn(move || {
                let (ring, mut position) = (slot.ring(1), Position::new());
                let mut done = vec![work(ring, &mut position)];
                // Into the other cell, then into that of the first message, once that is done.
                for mark in [2, 3] {
                    if publish(ring, mark).is_ok() {
                        done.push(work(ring, &mut position));
                    }
                }
                done
            })
        };
        let ring = slot.ring(0);
        let mut done = vec![work(ring, &mut Position::new())];
        done.extend(quick.join().unwrap());
        let mut position = Position::new();
        while let Some(version) = work(ring, &mut position) {
            done.push(Some(version));
        }
        let mut versions: Vec<_> = done.into_iter().flatten().collect();
        versions.sort();
        assert_eq!(versions, (1..=ring.head().version()).collect::<Vec<_>>());
    });
}

#[test]
fn a_message_is_there_until_it_is_acknowledged_and_its_cell_free_afterwards() {
    model(|| {
        let slot = Slot::new(1, 2);
        slot.ring(0).declare_queue(Begin::Next).unwrap();
        publish(slot.ring(1), 1).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || [2, 3].map(|mark| publish(slot.ring(1), mark).is_ok()))
        };
        let ring = slot.ring(0);
        let Work::Leased(taken) = ring.take_message(&mut Position::new()).unwrap() else {
            panic!("a message is there");
        };
        let mut bytes = Vec::new();
        assert_eq!(ring.copy_version(taken.version, &mut bytes), Ok(Lookup::Found(())));
        assert_eq!((taken.version, whole(&bytes)), (1, 1));
        assert!(ring.acknowledge(taken));
        let published = writer.join().unwrap();
        assert!(published[0]);
        if !published[1] {
            assert_eq!(publish(slot.ring(1), 3), Ok(3));
        }
        assert_eq!(copied(ring, 2), Some(2), "overwritten before anybody had it");
    });
}

#[test]
fn what_a_dead_worker_had_goes_to_another_once_and_counts_the_attempt() {
    model(|| {
        let slot = Slot::new(1, 3);
        slot.ring(0).declare_queue(Begin::Next).unwrap();
        publish(slot.ring(1), 1).unwrap();
        let first = slot.ring(1).take_message(&mut Position::new()).unwrap();
        assert!(matches!(first, Work::Leased(taken) if taken.attempt == 1));
        let work = |ring: Ring<'_>| {
            ring.reap(1);
            ring.take_message(&mut Position::new()).unwrap()
        };
        let other = {
            let slot = slot.clone();
            thread::spawn(move || work(slot.ring(2)))
        };
        let got = [work(slot.ring(0)), other.join().unwrap()];
        let taken = got.iter().filter_map(|work| match work {
            Work::Leased(taken) => Some((taken.version, taken.attempt)),
            Work::Nothing { .. } => None,
        });
        assert_eq!(taken.collect::<Vec<_>>(), [(1, 2)]);
    });
}

#[test]
fn a_subscriber_that_is_evicted_learns_of_it_and_publishers_go_on() {
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
        let evicted = evictor.join().unwrap().expect("the cursor was there throughout");
        let (moved, cursor) = owner.join().unwrap();
        // Whoever came first, the owner is told, and nothing is kept for it.
        assert!(slot.ring(0).is_evicted(&cursor));
        assert_eq!(evicted.oldest, if moved { 2 } else { 1 });
        for mark in 3..=6 {
            publish(slot.ring(1), mark).unwrap();
        }
        // The owner frees the place.
        slot.ring(0).unregister(cursor);
        assert!(slot.view().cursors.iter().all(|cursor| cursor.load(Ordering::Relaxed) == 0));
    });
}

#[test]
fn a_publisher_that_waits_for_room_is_woken_by_an_eviction() {
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
fn who_was_evicted_and_does_not_know_it_yet_never_moves_another_cursor_of_its_process() {
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
        let kept: Vec<_> = slot.ring(1).cursors().map(|cursor| cursor.version).collect();
        assert_eq!(kept, [1], "the second cursor is where its owner has put it");
        assert!(slot.ring(0).move_cursor(&mut second, 2), "moved or ended by another");
    });
}

#[test]
fn two_who_reap_the_same_dead_subscriber_spare_the_one_that_takes_its_place() {
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
        assert!(ring.move_cursor(&mut cursor, version + 1), "taken away from the living");
    });
}
