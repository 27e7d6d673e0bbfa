//! Flushes beside writers.

use crate::core::lookup::Lookup;
use loom::thread;

use super::support::{Slot, publish, whole};

use crate::sync::Ordering;
use crate::sync::watched::model;

#[test]
fn what_a_flush_promises_is_not_overwritten_by_a_writer_that_had_its_eye_on_the_cell() {
    model(|| {
        // One cell less than a store in a file has: the writer needs the one that the flush marks.
        let slot = Slot::with_checksums(1, 2, true);
        publish(slot.ring(1), 1).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || {
                publish(slot.ring(1), 2).unwrap();
                // In the way of this is what was flushed, if that was the first.
                let _ = publish(slot.ring(1), 3);
            })
        };
        let ring = slot.ring(0);
        ring.begin_flush().unwrap();
        ring.end_flush();
        writer.join().unwrap();
        let flushed = ring.slot().header.flushed.load(Ordering::Relaxed);
        let mut bytes = Vec::new();
        assert_eq!(ring.copy_version(flushed, &mut bytes).unwrap(), Lookup::Found(()));
        assert_eq!(u64::from(whole(&bytes)), flushed);
    });
}

#[test]
fn what_was_flushed_is_spared_until_the_next_flush_is_complete() {
    model(|| {
        let slot = Slot::with_checksums(1, 4, true);
        let ring = slot.ring(0);
        publish(slot.ring(1), 1).unwrap();
        ring.begin_flush().unwrap();
        ring.end_flush();
        publish(slot.ring(1), 2).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || (3..6).for_each(|mark| drop(publish(slot.ring(1), mark).unwrap())))
        };
        // It does not come to its end.
        ring.begin_flush().unwrap();
        writer.join().unwrap();
        let mut bytes = Vec::new();
        assert_eq!(ring.copy_version(1, &mut bytes).unwrap(), Lookup::Found(()));
        let flushing = ring.slot().header.flushing.load(Ordering::Relaxed);
        assert_eq!(ring.copy_version(flushing, &mut bytes).unwrap(), Lookup::Found(()));
        assert_eq!(u64::from(whole(&bytes)), flushing);
    });
}
