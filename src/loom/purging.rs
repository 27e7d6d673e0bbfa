//! Purges beside registrations and declarations of queues: a version that one of them begins with
//! stays, and all others are discarded.

use loom::sync::Arc;
use loom::thread;

use super::support::{GENERATION, Slot, copied, publish, remove_key, whole};
use crate::core::lookup::Lookup;
use crate::core::ring::{Begin, QueuePosition, Ring, Work, readable};
use crate::core::word::QueueWord;
use crate::sync::Ordering;
use crate::sync::watched::{model, model_within};

/// A slot with two values, of which a purge takes the first.
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

/// Asserts that all versions from `first` on are there, and no older one.
fn assert_begins_at(ring: Ring<'_>, first: u64) {
    let mut left: Vec<_> = ring.cells().filter_map(|(_, cell)| readable(cell)).collect();
    left.sort();
    assert_eq!(left, (first..=2).collect::<Vec<_>>());
}

/// The first message of the queue, which must be final.
fn declared(ring: Ring<'_>) -> u64 {
    let word = QueueWord::from_bits(ring.slot().header.queue.load(Ordering::SeqCst));
    assert!(!word.is_tentative());
    word.first(GENERATION).unwrap()
}

/// Leases and acknowledges all messages that wait.
fn work(ring: Ring<'_>) -> Vec<u64> {
    let (mut position, mut done) = (QueuePosition::new(), Vec::new());
    while let Work::Leased(lease) = ring.lease_message(&mut position).unwrap() {
        done.push(lease.version);
        assert!(ring.acknowledge(lease));
    }
    done
}

#[test]
fn a_purge_takes_nothing_from_a_subscriber_that_registers_meanwhile() {
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
fn a_purge_takes_nothing_from_a_queue_that_is_declared_meanwhile() {
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
fn a_tentative_queue_of_a_crashed_worker_is_made_final_above_the_purge_intent() {
    model(|| {
        let slot = two_values();
        let purger = purge(&slot);
        // The first step of a worker that crashes.
        let tentative = QueueWord::tentative(GENERATION, 1);
        let _ = slot.view().header.queue.compare_exchange(0, tentative.bits(), Ordering::SeqCst, Ordering::SeqCst);
        let ring = slot.ring(0);
        ring.declare_queue(Begin::Oldest).unwrap();
        let first = declared(ring);
        purger.join().unwrap();
        // Values that were retained for the tentative queue, and are not its messages now, are
        // gone.
        assert_begins_at(ring, first);
        assert_eq!(work(ring), (first..=2).collect::<Vec<_>>());
    });
}

#[test]
fn the_purge_of_a_crashed_process_is_finished_by_later_registrations() {
    model(|| {
        let slot = two_values();
        // Crashes after it has announced itself.
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
fn a_late_purge_retires_no_value_of_the_next_key() {
    // With two preemptions it takes minutes.
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
        // Refused if the purge owns both cells.
        let published = publish(slot.next_ring(0), 9);
        purger.join().unwrap();
        assert_eq!(ring.resolve_begin(Begin::Next), base_version + 1 + u64::from(published.is_ok()));
        if let Ok(version) = published {
            let mut bytes = Vec::new();
            assert_eq!(slot.next_ring(0).copy_version(version, &mut bytes), Ok(Lookup::Found(())));
            assert_eq!(whole(&bytes), 9);
        }
    });
}
