//! Work queues: leases, acknowledgements, crashed workers.

use loom::thread;

use super::support::{Slot, copied, publish, whole};
use crate::core::lookup::Lookup;
use crate::core::ring::{Begin, QueuePosition, Ring, Work};
use crate::sync::watched::model;

#[test]
fn each_message_is_leased_to_one_of_two_workers() {
    model(|| {
        let slot = Slot::new(2, 4);
        slot.ring(0).declare_queue(Begin::Next).unwrap();
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let work = |ring: Ring<'_>| {
            let (mut position, mut seen) = (QueuePosition::new(), Vec::new());
            while let Work::Leased(lease) = ring.lease_message(&mut position).unwrap() {
                assert_eq!(lease.attempt, 1);
                seen.push(lease.version);
                assert!(ring.acknowledge(lease));
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
fn a_late_worker_leases_no_message_that_was_done() {
    model(|| {
        let slot = Slot::new(1, 2);
        slot.ring(0).declare_queue(Begin::Next).unwrap();
        publish(slot.ring(1), 1).unwrap();
        let work = |ring: Ring<'_>, position: &mut QueuePosition| {
            let Work::Leased(lease) = ring.lease_message(position).unwrap() else {
                return None;
            };
            assert!(ring.acknowledge(lease));
            Some(lease.version)
        };
        let quick = {
            let slot = slot.clone();
            thread::spawn(move || {
                let (ring, mut position) = (slot.ring(1), QueuePosition::new());
                let mut done = vec![work(ring, &mut position)];
                // Into the other cell, then into that of the first message, once it is done.
                for mark in [2, 3] {
                    if publish(ring, mark).is_ok() {
                        done.push(work(ring, &mut position));
                    }
                }
                done
            })
        };
        let ring = slot.ring(0);
        let mut done = vec![work(ring, &mut QueuePosition::new())];
        done.extend(quick.join().unwrap());
        let mut position = QueuePosition::new();
        while let Some(version) = work(ring, &mut position) {
            done.push(Some(version));
        }
        let mut versions: Vec<_> = done.into_iter().flatten().collect();
        versions.sort();
        assert_eq!(versions, (1..=ring.head().version()).collect::<Vec<_>>());
    });
}

#[test]
fn a_message_stays_until_it_is_acknowledged_and_its_cell_is_free_afterwards() {
    model(|| {
        let slot = Slot::new(1, 2);
        slot.ring(0).declare_queue(Begin::Next).unwrap();
        publish(slot.ring(1), 1).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || [2, 3].map(|mark| publish(slot.ring(1), mark).is_ok()))
        };
        let ring = slot.ring(0);
        let Work::Leased(lease) = ring.lease_message(&mut QueuePosition::new()).unwrap() else {
            panic!("a message is there");
        };
        let mut bytes = Vec::new();
        assert_eq!(ring.copy_version(lease.version, &mut bytes), Ok(Lookup::Found(())));
        assert_eq!((lease.version, whole(&bytes)), (1, 1));
        assert!(ring.acknowledge(lease));
        let published = writer.join().unwrap();
        assert!(published[0]);
        if !published[1] {
            assert_eq!(publish(slot.ring(1), 3), Ok(3));
        }
        assert_eq!(copied(ring, 2), Some(2), "overwritten before it was leased");
    });
}

#[test]
fn the_message_of_a_crashed_worker_is_requeued_once_and_counts_the_attempt() {
    model(|| {
        let slot = Slot::new(1, 3);
        slot.ring(0).declare_queue(Begin::Next).unwrap();
        publish(slot.ring(1), 1).unwrap();
        let first = slot.ring(1).lease_message(&mut QueuePosition::new()).unwrap();
        assert!(matches!(first, Work::Leased(lease) if lease.attempt == 1));
        let work = |ring: Ring<'_>| {
            ring.reap(1);
            ring.lease_message(&mut QueuePosition::new()).unwrap()
        };
        let other = {
            let slot = slot.clone();
            thread::spawn(move || work(slot.ring(2)))
        };
        let got = [work(slot.ring(0)), other.join().unwrap()];
        let leases = got.iter().filter_map(|work| match work {
            Work::Leased(lease) => Some((lease.version, lease.attempt)),
            Work::Nothing { .. } => None,
        });
        assert_eq!(leases.collect::<Vec<_>>(), [(1, 2)]);
    });
}
