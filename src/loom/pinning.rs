//! Pins beside a publisher: a pinned value does not change.

use loom::thread;

use super::support::{Slot, publish, whole};
use crate::core::lookup::Lookup;
use crate::core::ring::ReadError;
use crate::sync::Ordering;
use crate::sync::watched::model;

#[test]
fn a_pinned_value_does_not_change() {
    model(|| {
        let slot = Slot::new(1, 3);
        publish(slot.ring(1), 1).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || {
                for mark in 2..=4 {
                    publish(slot.ring(1), mark).unwrap();
                }
            })
        };
        let ring = slot.ring(0);
        let pin = ring.pin_newest(|_| false).unwrap().unwrap();
        let mut bytes = Vec::new();
        ring.copy_pinned(pin, &mut bytes);
        assert_eq!(u64::from(whole(&bytes)), pin.version);
        ring.copy_pinned(pin, &mut bytes);
        assert_eq!(u64::from(whole(&bytes)), pin.version);
        ring.unpin(pin.cell);
        writer.join().unwrap();
    });
}

#[test]
fn an_overtaken_reader_is_told_so_and_can_read_with_a_pin() {
    use std::sync::atomic::AtomicUsize;

    static OVERTAKEN: AtomicUsize = AtomicUsize::new(0);
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || {
                for mark in 2..=3 {
                    // Refused if the only other cell is pinned.
                    let _ = publish(slot.ring(1), mark);
                }
            })
        };
        let ring = slot.ring(0);
        let mut bytes = Vec::new();
        let version = match ring.copy_newest_within(1, &mut bytes) {
            Ok(version) => version.unwrap(),
            Err(error) => {
                assert_eq!(error, ReadError::Overtaken);
                OVERTAKEN.fetch_add(1, Ordering::Relaxed);
                let pin = ring.pin_newest(|_| false).unwrap().unwrap();
                ring.copy_pinned(pin, &mut bytes);
                ring.unpin(pin.cell);
                pin.version
            }
        };
        assert_eq!(u64::from(whole(&bytes)), version);
        writer.join().unwrap();
    });
    assert!(OVERTAKEN.load(Ordering::Relaxed) > 0, "no reader was overtaken");
}

#[test]
fn a_pinned_older_version_does_not_change() {
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
        // Overwritten, or claimed by the writer, also counts.
        if let Ok(Lookup::Found(pin)) = ring.pin_version(1, |_| false) {
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
