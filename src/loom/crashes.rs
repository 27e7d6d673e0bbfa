//! Writers that crash during a publish, and participants that finish or undo it.

use loom::thread;

use super::support::{Slot, publish, publish_and_crash, value, whole};
use crate::core::lookup::Lookup;
use crate::core::ring::{Advance, readable};
use crate::core::word::Seq;
use crate::sync::Ordering;
use crate::sync::watched::model;

#[test]
fn a_value_whose_writer_crashed_before_committing_is_read_and_survives_the_next_publish() {
    model(|| {
        let slot = Slot::new(2, 3);
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish_and_crash(slot.ring(1), 1))
        };
        let other = publish(slot.ring(2), 2).unwrap();
        let mut bytes = Vec::new();
        let newest = slot.ring(0).copy_newest(&mut bytes).unwrap().unwrap();
        assert!(newest >= other);
        whole(&bytes);
        writer.join().unwrap();
        // Both are there, although the writer of one never committed it.
        let ring = slot.ring(0);
        assert_eq!(ring.copy_newest(&mut bytes).unwrap(), Some(2));
        for version in [1, 2] {
            assert_eq!(ring.copy_version(version, &mut bytes).unwrap(), Lookup::Found(()));
            assert_eq!(whole(&bytes) == 2, version == other);
        }
    });
}

#[test]
fn a_reader_and_the_next_writer_may_both_commit_for_a_crashed_writer() {
    model(|| {
        let slot = Slot::new(2, 4);
        publish_and_crash(slot.ring(1), 1);
        let reader = {
            let slot = slot.clone();
            thread::spawn(move || {
                let mut bytes = Vec::new();
                let version = slot.ring(3).copy_newest(&mut bytes).unwrap().unwrap();
                assert_eq!(u64::from(whole(&bytes)), version);
            })
        };
        assert_eq!(publish(slot.ring(2), 2), Ok(2));
        reader.join().unwrap();
        let mut bytes = Vec::new();
        assert_eq!(slot.ring(0).copy_version(1, &mut bytes).unwrap(), Lookup::Found(()));
        assert_eq!(whole(&bytes), 1);
    });
}

#[test]
fn a_writer_without_free_cells_never_claims_the_newest_value_that_a_reader_committed() {
    model(|| {
        // No cells but those of the newest value and of the one before.
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let other = {
            let slot = slot.clone();
            thread::spawn(move || {
                let mut published = 1;
                if let Ok(mut claim) = slot.ring(1).claim() {
                    slot.ring(1).fill(&mut claim, &value(2));
                    while let Advance::Overtaken(_) = slot.ring(1).advance(&claim, slot.ring(1).head()) {}
                    published += 1;
                }
                // Commits it.
                let mut bytes = Vec::new();
                let version = slot.ring(3).copy_newest(&mut bytes).unwrap();
                assert!(version.is_some_and(|version| version >= published));
                published
            })
        };
        let ours = publish(slot.ring(2), 3);
        let published = other.join().unwrap() + u64::from(ours.is_ok());
        let mut bytes = Vec::new();
        assert_eq!(slot.ring(0).copy_newest(&mut bytes), Ok(Some(published)));
        whole(&bytes);
    });
}

#[test]
fn a_late_helper_commits_no_cell_that_another_writer_owns_by_now() {
    model(|| {
        let slot = Slot::new(1, 3);
        publish_and_crash(slot.ring(1), 1);
        // The late helper has read `head` while it named the cell of the first value.
        let ring = slot.ring(3);
        let mut claim = ring.claim().unwrap();
        ring.fill(&mut claim, &value(4)).unwrap();
        let mut seen = ring.head();
        slot.crash(1, 2);
        let other = {
            let slot = slot.clone();
            thread::spawn(move || [2, 3].map(|mark| publish(slot.ring(2), mark).unwrap()))
        };
        // Commits that cell, which the other writer may own by now.
        while let Advance::Overtaken(now) = ring.advance(&claim, seen) {
            seen = now;
        }
        // It is read as the whole first value, or not at all.
        let mut bytes = Vec::new();
        if ring.copy_version(1, &mut bytes) == Ok(Lookup::Found(())) {
            assert_eq!(whole(&bytes), 1);
        }
        other.join().unwrap();
        // Each of these two was the newest whenever a writer looked for a cell.
        for version in 3..=4 {
            let mut bytes = Vec::new();
            assert_eq!(slot.ring(0).copy_version(version, &mut bytes), Ok(Lookup::Found(())));
            whole(&bytes);
        }
    });
}

#[test]
fn the_cell_of_a_crashed_writer_is_reaped_and_no_published_value_is_lost() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(2), 7).unwrap();
        // Crashes while it owns a filled cell, the only one that was free.
        let mut claim = slot.ring(1).claim().unwrap();
        slot.ring(1).fill(&mut claim, &value(9));
        let reader = {
            let slot = slot.clone();
            thread::spawn(move || {
                let mut bytes = Vec::new();
                let version = slot.ring(3).copy_newest(&mut bytes).unwrap().unwrap();
                assert_eq!(whole(&bytes), if version == 1 { 7 } else { 8 });
            })
        };
        slot.crash(1, 2);
        assert_eq!(publish(slot.ring(2), 8), Ok(2));
        reader.join().unwrap();
        assert!(slot.ring(2).cells().all(|(_, cell)| {
            matches!(Seq::from_bits(cell.header.seq.load(Ordering::Relaxed)), Seq::Committed { .. })
        }));
    });
}

#[test]
fn reaping_a_writer_that_crashed_after_its_publish_keeps_the_value() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish_and_crash(slot.ring(1), 1);
        let reader = {
            let slot = slot.clone();
            thread::spawn(move || {
                let mut bytes = Vec::new();
                assert_eq!(slot.ring(3).copy_newest(&mut bytes), Ok(Some(1)));
                assert_eq!(whole(&bytes), 1);
            })
        };
        slot.ring(2).reap(1);
        reader.join().unwrap();
        let mut bytes = Vec::new();
        assert_eq!(slot.ring(2).copy_newest(&mut bytes), Ok(Some(1)));
        assert_eq!(whole(&bytes), 1);
    });
}

#[test]
fn a_writer_that_crashed_after_its_claim_has_destroyed_nothing() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let ring = slot.ring(0);
        let (index, cell) = ring.cells().find(|(_, cell)| readable(*cell) == Some(1)).unwrap();
        cell.header.seq.store(Seq::Claimed { version: 1, participant: 1 }.bits(), Ordering::Relaxed);
        let mut bytes = Vec::new();
        assert_eq!(ring.copy_version(1, &mut bytes).unwrap(), Lookup::Found(()));
        ring.reap(1);
        let seq = ring.slot().cells.get(index).header.seq.load(Ordering::Relaxed);
        assert_eq!(Seq::from_bits(seq), Seq::Committed { version: 1 });
    });
}

#[test]
fn two_reapers_of_one_crashed_writer_spare_the_next_value_in_its_cell() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let mut claim = slot.ring(1).claim().unwrap();
        slot.ring(1).fill(&mut claim, &value(9));
        let other = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(2).reap(1))
        };
        let ring = slot.ring(3);
        ring.reap(1);
        if let Ok(version) = publish(ring, 2) {
            let mut bytes = Vec::new();
            assert_eq!(slot.ring(0).copy_newest(&mut bytes), Ok(Some(version)));
            assert_eq!(whole(&bytes), 2);
        }
        other.join().unwrap();
        let mut bytes = Vec::new();
        if slot.ring(0).copy_newest(&mut bytes) == Ok(Some(2)) {
            assert_eq!(whole(&bytes), 2);
        }
    });
}
