//! Publishing beside readers and other publishers.

use loom::thread;

use super::support::{Slot, publish, value, whole};
use crate::core::lookup::Lookup;
use crate::core::ring::{Claim, ClaimError, ComputedLowWater, Keep, readable};
use crate::core::word::Head;
use crate::sync::watched::{model, model_within};

#[test]
fn two_writers_publish_two_versions_and_a_reader_sees_whole_values() {
    model(|| {
        let slot = Slot::new(1, 3);
        let writers = [1u8, 2].map(|mark| {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(mark.into()), mark).unwrap())
        });
        let mut bytes = Vec::new();
        let ring = slot.ring(0);
        if ring.copy_newest(&mut bytes).unwrap().is_some() {
            whole(&bytes);
        }
        let mut versions = writers.map(|writer| writer.join().unwrap());
        versions.sort();
        assert_eq!(versions, [1, 2]);
        assert_eq!(ring.copy_newest(&mut bytes).unwrap(), Some(2));
        whole(&bytes);
        assert_eq!(ring.cells().filter(|(_, cell)| readable(*cell).is_some()).count(), 2);
    });
}

#[test]
fn a_reader_that_a_whole_ring_overtakes_never_returns_a_torn_value() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || {
                publish(slot.ring(1), 2).unwrap();
                publish(slot.ring(1), 3).unwrap();
            })
        };
        let mut bytes = Vec::new();
        let version = slot.ring(0).copy_newest(&mut bytes).unwrap().unwrap();
        assert_eq!(u64::from(whole(&bytes)), version);
        writer.join().unwrap();
    });
}

#[test]
fn a_version_within_history_is_read_during_a_publish() {
    model(|| {
        let slot = Slot::new(2, 3);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(1), 3).unwrap())
        };
        let ring = slot.ring(0);
        let mut bytes = Vec::new();
        assert_eq!(ring.copy_version(2, &mut bytes).unwrap(), Lookup::Found(()));
        assert_eq!(whole(&bytes), 2);
        let exact = ring.copy_version(3, &mut bytes).unwrap();
        if exact == Lookup::Found(()) {
            assert_eq!(whole(&bytes), 3);
        } else {
            assert_eq!(exact, Lookup::NotYet);
        }
        writer.join().unwrap();
        assert_eq!(ring.copy_version(2, &mut bytes).unwrap(), Lookup::Found(()));
        assert_eq!(ring.copy_version(3, &mut bytes).unwrap(), Lookup::Found(()));
    });
}

#[test]
fn history_is_spared_by_two_writers_that_claim_at_once() {
    model(|| {
        // Two cells are needed for history, one for each writer.
        let slot = Slot::new(2, 4);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(1), 3).unwrap())
        };
        publish(slot.ring(2), 4).unwrap();
        writer.join().unwrap();
        let mut bytes = Vec::new();
        for version in [3, 4] {
            assert_eq!(slot.ring(0).copy_version(version, &mut bytes).unwrap(), Lookup::Found(()));
            whole(&bytes);
        }
    });
}

#[test]
fn history_is_spared_until_a_newer_value_is_published() {
    model(|| {
        let slot = Slot::new(2, 3);
        // Of two writers, the one that claimed its cell first publishes last. So the older value is
        // in the cell after the newest one's, which the next writer checks first.
        let mut second = slot.ring(2).claim().unwrap();
        publish(slot.ring(1), 1).unwrap();
        slot.ring(2).fill(&mut second, &value(2));
        slot.ring(2).commit_after(slot.ring(2).head(), second).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(3), 3).unwrap())
        };
        let ring = slot.ring(0);
        let mut bytes = Vec::new();
        match ring.copy_version(1, &mut bytes).unwrap() {
            Lookup::Found(()) => assert_eq!(whole(&bytes), 1),
            exact => {
                assert_eq!(exact, Lookup::Gone);
                assert_eq!(ring.head().version(), 3, "gone while it was one of the newest two");
            }
        }
        writer.join().unwrap();
    });
}

#[test]
fn writers_without_free_cells_overwrite_history_but_never_the_newest_value() {
    // With two preemptions it takes minutes.
    model_within(1, || {
        // As many cells as history: no publish finds a free cell.
        let slot = Slot::new(2, 2);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(1), 3))
        };
        let ours = publish(slot.ring(2), 4);
        let theirs = writer.join().unwrap();
        assert!(ours.is_ok() || theirs.is_ok());
        let mut bytes = Vec::new();
        let newest = slot.ring(0).copy_newest(&mut bytes).unwrap().unwrap();
        let last = ours.into_iter().chain(theirs).max().unwrap();
        assert_eq!(newest, last);
        assert_eq!(whole(&bytes) == 4, ours == Ok(last));
    });
}

#[test]
fn a_writer_that_commits_late_destroys_no_later_value() {
    model(|| {
        let slot = Slot::new(1, 2);
        let first = {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(1), 1).map(|version| (version, 1)))
        };
        // The second value goes into the other writer's cell, whether that writer has committed it
        // or not. A writer that finds no cell gives up.
        let ours = [2, 3].map(|mark| publish(slot.ring(2), mark).map(|version| (version, mark)));
        let theirs = first.join().unwrap();
        let mut bytes = Vec::new();
        let newest = slot.ring(0).copy_newest(&mut bytes).unwrap().unwrap();
        let last = ours.into_iter().chain([theirs]).flatten().max().unwrap();
        assert_eq!((newest, whole(&bytes)), last);
    });
}

#[test]
fn a_writer_with_an_old_cached_head_spares_history() {
    model(|| {
        let slot = Slot::new(2, 3);
        publish(slot.ring(1), 1).unwrap();
        let other = {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(2), 2).unwrap())
        };
        // The writer has cached the first `head`. The cell after its own may hold the newest value.
        publish(slot.ring(1), 3).unwrap();
        let theirs = other.join().unwrap();
        let mut bytes = Vec::new();
        for version in [2, 3] {
            let ring = slot.ring(0);
            assert_eq!(ring.copy_version(version, &mut bytes), Ok(Lookup::Found(())));
            assert_eq!(whole(&bytes) == 2, version == theirs);
        }
    });
}

#[test]
fn a_reader_with_a_read_hint_returns_whole_versions_or_none() {
    model(|| {
        let slot = Slot::new(1, 3);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let ring = slot.ring(0);
        let mut bytes = Vec::new();
        // From here on, the hint says where the second version is, and that it was published.
        assert_eq!(ring.copy_version(1, &mut bytes), Ok(Lookup::Found(())));
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || [3, 4].map(|mark| publish(slot.ring(1), mark).unwrap()))
        };
        if ring.copy_version(2, &mut bytes) == Ok(Lookup::Found(())) {
            assert_eq!(whole(&bytes), 2);
        }
        writer.join().unwrap();
    });
}

#[test]
fn a_writer_without_free_cells_never_claims_the_newest_value() {
    model(|| {
        let slot = Slot::new(2, 2);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(1), 3))
        };
        // The last resort of a writer without free cells. Between the two calls, the other writer
        // may publish in the same cell.
        let ring = slot.ring(2);
        if let Some(index) = ring.oldest_unprotected(&ComputedLowWater::default())
            && let Ok(Some(claim)) = ring.try_claim(index, Keep::Undelivered)
        {
            assert_ne!(ring.head().cell(), Some(index), "the newest value would be overwritten");
            ring.abandon(claim);
        }
        let _ = writer.join().unwrap();
    });
}

#[test]
fn only_pins_and_writers_in_flight_cause_backpressure() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let pin = slot.ring(0).pin_newest(|_| false).unwrap().unwrap();
        publish(slot.ring(1), 2).unwrap();
        assert!(matches!(slot.ring(1).claim(), Err(ClaimError::Backpressure(_))));
        slot.ring(0).unpin(pin.cell);
        let claim: Claim = slot.ring(1).claim().unwrap();
        slot.ring(1).abandon(claim);
        assert_eq!(slot.ring(1).head(), Head::of(1, 2));
    });
}
