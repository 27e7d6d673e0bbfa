//! Waiters beside a publisher: no publish is missed.

use loom::thread;

use super::support::{Slot, publish_and_crash};
use crate::sync::Ordering;
use crate::sync::watched::model;

#[test]
fn a_sleeper_never_misses_a_publish() {
    model(|| {
        let slot = Slot::new(1, 3);
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || {
                let ring = slot.ring(1);
                // Nothing between the move of `head` and the event could serve as the event's
                // fence.
                publish_and_crash(ring, 1);
                ring.new_version().notify()
            })
        };
        let slept_on = slot.ring(0).prepare_to_sleep(0);
        let woken = writer.join().unwrap();
        if let Some(word) = slept_on {
            assert!(woken);
            assert_ne!(slot.view().header.new_version.word.load(Ordering::Relaxed), word);
        }
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
                ring.new_version().notify()
            })
        };
        let ring = slot.ring(0);
        let word = ring.new_version().listen();
        // As processes do that watch many keys, or wait for a message or free space: an acquire
        // load, and no fence of their own.
        let has_missed = ring.head().version() == 0;
        let woken = writer.join().unwrap();
        assert!(!has_missed || woken && !ring.new_version().is_quiet(word), "asleep although there is a version");
    });
}
