//! Publishing, reading, pinning, waiting and modifying.

use loom::sync::Arc;
use loom::thread;

use super::support::{Sleeper, Slot, publish, publish_and_die, value, whole};
use crate::core::lookup::Lookup;
use crate::core::ring::{
    Advance, Backpressure, Claim, CommitError, ComputedLowWater, Keep, ModifyError, ReadError, Ring, Unfit, readable,
};
use crate::core::word::Head;
use crate::sync::Ordering;
use crate::sync::watched::{model, model_within};

#[test]
fn two_writers_publish_two_versions_and_a_reader_sees_whole_ones() {
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
fn a_reader_overtaken_by_a_whole_ring_never_takes_a_torn_value() {
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
fn a_version_within_history_is_read_whatever_is_published_meanwhile() {
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
fn history_is_kept_while_two_writers_look_for_cells() {
    model(|| {
        // Three cells are needed for history and the newest, one for each writer in flight.
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
fn history_is_left_alone_until_a_newer_value_is_published() {
    model(|| {
        let slot = Slot::new(2, 3);
        // Of two writers, the one that took its cell first publishes last: so the older value is behind the newest, where the next looks first.
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
fn history_gives_way_to_a_writer_in_need_but_the_newest_value_never_does() {
    // With two it takes minutes.
    model_within(1, || {
        // As many cells as history: every publish is one in need.
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
fn a_writer_that_commits_its_cell_late_spoils_nothing_that_came_after_it() {
    model(|| {
        let slot = Slot::new(1, 2);
        let first = {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(1), 1).map(|version| (version, 1)))
        };
        // The second time into the other's cell, whether that one has committed it or not. A writer that finds no cell gives up.
        let ours = [2, 3].map(|mark| publish(slot.ring(2), mark).map(|version| (version, mark)));
        let theirs = first.join().unwrap();
        let mut bytes = Vec::new();
        let newest = slot.ring(0).copy_newest(&mut bytes).unwrap().unwrap();
        let last = ours.into_iter().chain([theirs]).flatten().max().unwrap();
        assert_eq!((newest, whole(&bytes)), last);
    });
}

#[test]
fn a_writer_that_expects_an_older_head_spares_what_is_kept() {
    model(|| {
        let slot = Slot::new(2, 3);
        publish(slot.ring(1), 1).unwrap();
        let other = {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(2), 2).unwrap())
        };
        // Remembers the first `head`, and the cell after its own may hold the newest value.
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
fn a_reader_on_the_trail_of_a_writer_gets_each_version_whole_or_none() {
    model(|| {
        let slot = Slot::new(1, 3);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let ring = slot.ring(0);
        let mut bytes = Vec::new();
        // From here on it knows where the second one is, and that it was published.
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
fn a_writer_in_need_never_takes_what_has_become_the_newest_value() {
    model(|| {
        let slot = Slot::new(2, 2);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(1), 3))
        };
        // What a writer in need does at last. Between the two, the other may have published in the very same cell.
        let ring = slot.ring(2);
        if let Some(index) = ring.oldest_unprotected(&ComputedLowWater::default())
            && let Some(claim) = ring.try_claim(index, Keep::Undelivered)
        {
            assert_ne!(ring.head().cell(), Some(index), "the newest value would be overwritten");
            ring.abandon(claim);
        }
        let _ = writer.join().unwrap();
    });
}

#[test]
fn a_sleeper_is_never_left_behind() {
    model(|| {
        let slot = Slot::new(1, 3);
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || {
                let ring = slot.ring(1);
                // Nothing comes between the move of `head` and the event that could do what the event does.
                publish_and_die(ring, 1);
                let _ = ring.new_version().notify();
            })
        };
        let ring = slot.ring(0);
        let found = Sleeper::new(ring.new_version(), writer, || ring.newer_than(0)).wait();
        assert_eq!(found, Some(Ok(1)));
    });
}

#[test]
fn a_check_by_weak_loads_after_listening_misses_nothing() {
    model(|| {
        let slot = Slot::new(1, 3);
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || {
                let ring = slot.ring(1);
                // As in the scenario before this one.
                publish_and_die(ring, 1);
                let _ = ring.new_version().notify();
            })
        };
        let ring = slot.ring(0);
        // As a watch, a worker or a publisher checks: no load is SeqCst, and no fence is theirs.
        let check = || Some(ring.head().version()).filter(|&version| version > 0);
        assert_eq!(Sleeper::new(ring.new_version(), writer, check).wait(), Some(1));
    });
}

#[test]
fn a_reader_that_is_overtaken_is_told_so_and_reads_by_way_of_a_pin() {
    use std::sync::atomic::AtomicUsize;

    static OVERTAKEN: AtomicUsize = AtomicUsize::new(0);
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || {
                for mark in 2..=3 {
                    // Refused, if the only other cell is pinned.
                    let _ = publish(slot.ring(1), mark);
                }
            })
        };
        let ring = slot.ring(0);
        let mut bytes = Vec::new();
        let version = match ring.copy_newest_again(1, &mut bytes) {
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
    assert!(OVERTAKEN.load(Ordering::Relaxed) > 0, "nobody was overtaken");
}

#[test]
fn only_pins_and_writers_in_flight_refuse_a_publisher() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let pin = slot.ring(0).pin_newest(|_| false).unwrap().unwrap();
        publish(slot.ring(1), 2).unwrap();
        assert!(matches!(slot.ring(1).claim(), Err(Backpressure(_))));
        slot.ring(0).unpin(pin.cell);
        let claim: Claim = slot.ring(1).claim().unwrap();
        slot.ring(1).abandon(claim);
        assert_eq!(slot.ring(1).head(), Head::of(1, 2));
    });
}

#[test]
fn of_two_who_append_neither_loses_the_others_bytes() {
    model(|| {
        let slot = Slot::new(1, 3);
        let append = |ring: Ring<'_>, tail: u8| ring.append(&[tail; 8], 16).unwrap();
        let other = {
            let slot = slot.clone();
            thread::spawn(move || append(slot.ring(1), 1))
        };
        append(slot.ring(2), 2);
        other.join().unwrap();
        let mut bytes = Vec::new();
        assert_eq!(slot.ring(0).copy_newest(&mut bytes), Ok(Some(2)));
        let mut marks: Vec<_> = bytes.chunks(8).map(|mark| mark[0]).collect();
        marks.sort();
        assert_eq!(marks, [1, 2]);
    });
}

#[test]
fn an_integer_that_two_count_up_while_one_sets_it_loses_nothing() {
    model(|| {
        let slot = Slot::new(1, 3);
        let count = |ring: Ring<'_>| ring.modify_integer(|n| Some(n + 1)).unwrap();
        let other = {
            let slot = slot.clone();
            thread::spawn(move || count(slot.ring(1)))
        };
        let mut seen = [count(slot.ring(2)), other.join().unwrap()];
        seen.sort();
        assert_eq!(seen, [0, 1]);
        let unwanted = slot.ring(0).modify_integer(|_| None);
        assert_eq!(unwanted, Err(ModifyError::Unfit(Unfit::Unwanted(2))));
    });
}
