//! Purges, and those who come while one is under way: what somebody begins with stays, and what nobody begins with goes.

use loom::sync::Arc;
use loom::thread;

use super::delivery::copied;
use super::removal::remove_key;
use super::support::{GENERATION, Slot, publish, whole};
use crate::core::delivery::Queue;
use crate::core::lookup::Lookup;
use crate::core::ring::{Begin, Position, Ring, Work, readable};
use crate::sync::Ordering;
use crate::sync::watched::{model, model_within};

/// Two values, of which a purge takes the first.
fn two_values() -> Arc<Slot> {
    let slot = Slot::new(2, 3);
    for mark in 1..=2 {
        publish(slot.ring(1), mark).unwrap();
    }
    slot
}

fn purge(slot: &Arc<Slot>) -> thread::JoinHandle<u32> {
    let slot = slot.clone();
    thread::spawn(move || slot.ring(2).purge())
}

/// All there are from `first` on, and nothing older.
fn assert_begins_at(ring: Ring<'_>, first: u64) {
    let mut left: Vec<_> = ring.cells().filter_map(|(_, cell)| readable(cell)).collect();
    left.sort();
    assert_eq!(left, (first..=2).collect::<Vec<_>>());
}

/// Where the queue begins.
fn declared(ring: Ring<'_>) -> u64 {
    let word = Queue::from_bits(ring.slot().header.queue.load(Ordering::SeqCst));
    assert!(!word.is_tentative());
    word.first(GENERATION).unwrap()
}

/// Takes and acknowledges what there is to do.
fn work(ring: Ring<'_>) -> Vec<u64> {
    let (mut position, mut done) = (Position::new(), Vec::new());
    while let Work::Leased(taken) = ring.take_message(&mut position).unwrap() {
        done.push(taken.version);
        assert!(ring.acknowledge(taken));
    }
    done
}

#[test]
fn a_lossless_subscriber_has_all_that_it_begins_with_whoever_purges_meanwhile() {
    model(|| {
        let slot = two_values();
        let purger = purge(&slot);
        let ring = slot.ring(0);
        let cursor = ring.register(Begin::Oldest).unwrap();
        let first = cursor.version();
        for version in first..=2 {
            assert_eq!(copied(ring, version), Some(version as u8), "begins at {first}");
        }
        purger.join().unwrap();
        assert_begins_at(ring, first);
    });
}

#[test]
fn a_queue_has_all_that_it_begins_with_whoever_purges_meanwhile() {
    model(|| {
        let slot = two_values();
        let purger = purge(&slot);
        let ring = slot.ring(0);
        ring.declare_queue(Begin::Oldest).unwrap();
        let first = declared(ring);
        for version in first..=2 {
            assert_eq!(copied(ring, version), Some(version as u8), "begins at {first}");
        }
        purger.join().unwrap();
        assert_begins_at(ring, first);
    });
}

#[test]
fn a_queue_whose_declarer_died_halfway_is_made_final_above_what_is_purged() {
    model(|| {
        let slot = two_values();
        let purger = purge(&slot);
        // The first step of one who died.
        let tentative = Queue::tentative(GENERATION, 1);
        let _ = slot.view().header.queue.compare_exchange(0, tentative.bits(), Ordering::SeqCst, Ordering::SeqCst);
        let ring = slot.ring(0);
        ring.declare_queue(Begin::Oldest).unwrap();
        let first = declared(ring);
        purger.join().unwrap();
        // What had to be kept for the one who died, and is nobody's message now, is gone.
        assert_begins_at(ring, first);
        assert_eq!(work(ring), (first..=2).collect::<Vec<_>>());
    });
}

#[test]
fn a_purge_whose_process_died_is_carried_out_by_those_who_come_after_it() {
    model(|| {
        let slot = two_values();
        // Killed when it had announced itself.
        slot.view().header.purge_intent.fetch_max(1, Ordering::SeqCst);
        let worker = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(1).declare_queue(Begin::Oldest).unwrap())
        };
        let ring = slot.ring(0);
        let cursor = ring.register(Begin::Oldest).unwrap();
        worker.join().unwrap();
        assert_eq!((cursor.version(), declared(ring)), (2, 2));
        assert_begins_at(ring, 2);
    });
}

#[test]
fn a_purge_that_comes_late_takes_nothing_of_the_next_key() {
    // With two it takes minutes.
    model_within(1, || {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let purger = purge(&slot);
        let ring = slot.ring(0);
        remove_key(ring);
        let (header, next) = (slot.view().header, GENERATION + 2);
        let base_version = ring.head().version();
        header.base_version.store(base_version, Ordering::Relaxed);
        header.generation.store(next, Ordering::Release);
        // Refused, if the purge has both cells in hand.
        let published = publish(slot.next_ring(0), 9);
        purger.join().unwrap();
        assert_eq!(ring.begin_of(Begin::Next), base_version + 1 + u64::from(published.is_ok()));
        if let Ok(version) = published {
            let mut bytes = Vec::new();
            assert_eq!(slot.next_ring(0).copy_version(version, &mut bytes), Ok(Lookup::Found(())));
            assert_eq!(whole(&bytes), 9);
        }
    });
}
