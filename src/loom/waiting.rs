//! Waiters beside a publisher: no publish is missed.

use loom::thread;

use super::support::{Sleeper, Slot, publish_and_crash};
use crate::sync::watched::model;

#[test]
fn a_sleeper_never_misses_a_publish() {
    model(|| {
        let slot = Slot::new(1, 3);
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || {
                let ring = slot.ring(1);
                // Nothing between the move of `head` and the event could serve as the event's fence.
                publish_and_crash(ring, 1);
                let _ = ring.new_version().notify();
            })
        };
        let ring = slot.ring(0);
        let found = Sleeper::new(ring.new_version(), writer, || ring.newer_than(0)).wait();
        assert_eq!(found, Some(Ok(1)));
    });
}

#[test]
fn a_listener_that_checks_by_an_acquire_load_misses_no_publish() {
    model(|| {
        let slot = Slot::new(1, 3);
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || {
                let ring = slot.ring(1);
                // As in the scenario above.
                publish_and_crash(ring, 1);
                let _ = ring.new_version().notify();
            })
        };
        let ring = slot.ring(0);
        // As processes do that watch many keys, or wait for a message or free space: an acquire
        // load, and no fence of their own.
        let check = || Some(ring.head().version()).filter(|&version| version > 0);
        assert_eq!(Sleeper::new(ring.new_version(), writer, check).wait(), Some(1));
    });
}
