//! The protocol under loom: the functions that the store runs, in scenarios small enough to finish.
//!
//! A value is two words that must match: a torn or foreign copy shows. "Killed" is a participant that does not go on.

mod delivery;

use loom::sync::Arc;
use loom::thread;

use super::claim::{Backpressure, Claim};
use super::publish::Advance;
use super::{AUTO_VACUUM, CommitError, Exact, ModifyError, ReadError, Reaper, Ring, Terms, Unfit};
use crate::region::view::{CellView, HeapSlot};
use crate::store::word::{Head, Seq};
use crate::sync::watched::{model, model_within};
use crate::sync::{AtomicU32, Ordering};

/// The generation of the key in all scenarios, until it is removed.
const GENERATION: u64 = 1;

struct Slot {
    slot: HeapSlot,
    /// Of the participants 0 to 3.
    terms: [Terms; 4],
}

impl Slot {
    fn new(history: u32, cells: usize) -> Arc<Self> {
        let slot = HeapSlot::new(cells, 2, 2);
        slot.view().header.generation.store(GENERATION, Ordering::Relaxed);
        let terms = [0, 1, 2, 3].map(|me| Terms { me, history, checksums: false, flags: AtomicU32::new(AUTO_VACUUM) });
        Arc::new(Self { slot, terms })
    }

    fn ring(&self, me: u32) -> Ring<'_> {
        Ring::new(self.slot.view(), &self.terms[me as usize])
    }
}

/// Nobody is dead.
struct Alive;

impl Reaper for Alive {
    fn if_dead(&self, _: u32, _: &mut dyn FnMut()) {}
}

/// This one is.
struct Dead(u32);

impl Reaper for Dead {
    fn if_dead(&self, participant: u32, clean: &mut dyn FnMut()) {
        if participant == self.0 {
            clean();
        }
    }
}

fn value(mark: u8) -> [u8; 16] {
    [mark; 16]
}

/// The mark of a value, all of which must be the same.
fn whole(bytes: &[u8]) -> u8 {
    assert_eq!(bytes.len(), 16, "a torn length");
    assert!(bytes.iter().all(|&byte| byte == bytes[0]), "a torn value: {bytes:?}");
    bytes[0]
}

fn publish(ring: Ring<'_>, mark: u8) -> Result<u64, CommitError> {
    ring.publish(&value(mark), GENERATION, &Alive)
}

/// Steps one to four, and the compare-and-swap of step five: killed before it can mark its cell whole.
fn publish_and_die(ring: Ring<'_>, mark: u8) {
    let mut claim = ring.claim(&Alive).unwrap();
    ring.fill(&mut claim, &value(mark));
    let mut seen = ring.head();
    loop {
        match ring.advance(&claim, seen, GENERATION) {
            Advance::Done(_) => return,
            Advance::Overtaken(now) => seen = now,
            Advance::Failed(error) => panic!("{error:?}"),
        }
    }
}

/// What the directory does to remove the key.
fn remove_key(ring: Ring<'_>) {
    ring.slot.header.generation.store(GENERATION + 1, Ordering::SeqCst);
    ring.clear(&Alive);
}

/// Not a byte of any value is left.
fn assert_sterile(ring: Ring<'_>) {
    for (_, cell) in ring.cells() {
        assert_eq!(Seq::from_bits(cell.header.seq.load(Ordering::Relaxed)), Seq::Whole { version: 0 });
        assert!(cell.words.iter().all(|word| word.load(Ordering::Relaxed) == 0));
    }
}

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
        if ring.copy_newest(GENERATION, &mut bytes).unwrap().is_some() {
            whole(&bytes);
        }
        let mut versions = writers.map(|writer| writer.join().unwrap());
        versions.sort();
        assert_eq!(versions, [1, 2]);
        assert_eq!(ring.copy_newest(GENERATION, &mut bytes).unwrap(), Some(2));
        whole(&bytes);
        assert_eq!(ring.cells().filter(|(_, cell)| super::read::readable(*cell).is_some()).count(), 2);
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
        let version = slot.ring(0).copy_newest(GENERATION, &mut bytes).unwrap().unwrap();
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
        assert_eq!(ring.copy_version(2, GENERATION, &mut bytes).unwrap(), Exact::Copied);
        assert_eq!(whole(&bytes), 2);
        let exact = ring.copy_version(3, GENERATION, &mut bytes).unwrap();
        if exact == Exact::Copied {
            assert_eq!(whole(&bytes), 3);
        } else {
            assert_eq!(exact, Exact::NotYet);
        }
        writer.join().unwrap();
        assert_eq!(ring.copy_version(2, GENERATION, &mut bytes).unwrap(), Exact::Copied);
        assert_eq!(ring.copy_version(3, GENERATION, &mut bytes).unwrap(), Exact::Copied);
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
            assert_eq!(slot.ring(0).copy_version(version, GENERATION, &mut bytes).unwrap(), Exact::Copied);
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
        let pin = ring.pin_newest(GENERATION, |_| false).unwrap().unwrap();
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
fn a_value_whose_writer_died_before_marking_it_whole_is_read_and_survives_the_next_publish() {
    model(|| {
        let slot = Slot::new(2, 3);
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish_and_die(slot.ring(1), 1))
        };
        let other = publish(slot.ring(2), 2).unwrap();
        let mut bytes = Vec::new();
        let newest = slot.ring(0).copy_newest(GENERATION, &mut bytes).unwrap().unwrap();
        assert!(newest >= other);
        whole(&bytes);
        writer.join().unwrap();
        // Both are there, although one was never marked by the one who wrote it.
        let ring = slot.ring(0);
        assert_eq!(ring.copy_newest(GENERATION, &mut bytes).unwrap(), Some(2));
        for version in [1, 2] {
            assert_eq!(ring.copy_version(version, GENERATION, &mut bytes).unwrap(), Exact::Copied);
            assert_eq!(whole(&bytes) == 2, version == other);
        }
    });
}

#[test]
fn a_reader_and_the_next_writer_may_both_finish_a_dead_writers_work() {
    model(|| {
        let slot = Slot::new(2, 4);
        publish_and_die(slot.ring(1), 1);
        let reader = {
            let slot = slot.clone();
            thread::spawn(move || {
                let mut bytes = Vec::new();
                let version = slot.ring(3).copy_newest(GENERATION, &mut bytes).unwrap().unwrap();
                assert_eq!(u64::from(whole(&bytes)), version);
            })
        };
        assert_eq!(publish(slot.ring(2), 2), Ok(2));
        reader.join().unwrap();
        let mut bytes = Vec::new();
        assert_eq!(slot.ring(0).copy_version(1, GENERATION, &mut bytes).unwrap(), Exact::Copied);
        assert_eq!(whole(&bytes), 1);
    });
}

#[test]
fn a_writer_in_need_never_takes_the_newest_value_that_was_marked_whole_for_a_dead_one() {
    model(|| {
        // No cell but those of the newest value and of the one before.
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let other = {
            let slot = slot.clone();
            thread::spawn(move || {
                let mut published = 1;
                if let Ok(mut claim) = slot.ring(1).claim(&Alive) {
                    slot.ring(1).fill(&mut claim, &value(2));
                    while let Advance::Overtaken(_) = slot.ring(1).advance(&claim, slot.ring(1).head(), GENERATION) {}
                    published += 1;
                }
                // Marks it.
                let mut bytes = Vec::new();
                let version = slot.ring(3).copy_newest(GENERATION, &mut bytes).unwrap();
                assert!(version.is_some_and(|version| version >= published));
                published
            })
        };
        let ours = publish(slot.ring(2), 3);
        let published = other.join().unwrap() + u64::from(ours.is_ok());
        let mut bytes = Vec::new();
        assert_eq!(slot.ring(0).copy_newest(GENERATION, &mut bytes), Ok(Some(published)));
        whole(&bytes);
    });
}

#[test]
fn a_writer_that_comes_late_marks_no_cell_that_is_in_anothers_hands_by_now() {
    model(|| {
        let slot = Slot::new(1, 3);
        publish_and_die(slot.ring(1), 1);
        // Has read `head` while the cell of the first value was its own.
        let ring = slot.ring(3);
        let mut claim = ring.claim(&Alive).unwrap();
        ring.fill(&mut claim, &value(4));
        let mut seen = ring.head();
        let other = {
            let slot = slot.clone();
            thread::spawn(move || [2, 3].map(|mark| publish(slot.ring(2), mark).unwrap()))
        };
        // Marks that cell, when it may be the other's by now.
        while let Advance::Overtaken(now) = ring.advance(&claim, seen, GENERATION) {
            seen = now;
        }
        other.join().unwrap();
        // Each of these two was the newest for as long as anybody looked for a cell.
        for version in 3..=4 {
            let mut bytes = Vec::new();
            assert_eq!(slot.ring(0).copy_version(version, GENERATION, &mut bytes), Ok(Exact::Copied));
            whole(&bytes);
        }
    });
}

#[test]
fn what_the_dead_hold_is_taken_back_once_and_nothing_published_is_lost() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(2), 7).unwrap();
        // Killed with a filled cell in hand, the only one that was free.
        let mut claim = slot.ring(1).claim(&Alive).unwrap();
        slot.ring(1).fill(&mut claim, &value(9));
        let reader = {
            let slot = slot.clone();
            thread::spawn(move || {
                let mut bytes = Vec::new();
                let version = slot.ring(3).copy_newest(GENERATION, &mut bytes).unwrap().unwrap();
                assert_eq!(whole(&bytes), if version == 1 { 7 } else { 8 });
            })
        };
        assert_eq!(slot.ring(2).publish(&value(8), GENERATION, &Dead(1)), Ok(2));
        reader.join().unwrap();
        assert!(
            slot.ring(2).cells().all(|(_, cell)| {
                matches!(Seq::from_bits(cell.header.seq.load(Ordering::Relaxed)), Seq::Whole { .. })
            })
        );
    });
}

#[test]
fn history_is_left_alone_until_a_newer_value_is_published() {
    model(|| {
        let slot = Slot::new(2, 3);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        // The next ticket leads to the older of the two.
        slot.ring(1).next_ticket();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(1), 3).unwrap())
        };
        let ring = slot.ring(0);
        let mut bytes = Vec::new();
        match ring.copy_version(1, GENERATION, &mut bytes).unwrap() {
            Exact::Copied => assert_eq!(whole(&bytes), 1),
            exact => {
                assert_eq!(exact, Exact::Gone);
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
        let newest = slot.ring(0).copy_newest(GENERATION, &mut bytes).unwrap().unwrap();
        let last = ours.into_iter().chain(theirs).max().unwrap();
        assert_eq!(newest, last);
        assert_eq!(whole(&bytes) == 4, ours == Ok(last));
    });
}

#[test]
fn reaping_a_writer_that_died_after_its_publish_keeps_the_value() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish_and_die(slot.ring(1), 1);
        let reader = {
            let slot = slot.clone();
            thread::spawn(move || {
                let mut bytes = Vec::new();
                assert_eq!(slot.ring(3).copy_newest(GENERATION, &mut bytes), Ok(Some(1)));
                assert_eq!(whole(&bytes), 1);
            })
        };
        slot.ring(2).reap(1);
        reader.join().unwrap();
        let mut bytes = Vec::new();
        assert_eq!(slot.ring(2).copy_newest(GENERATION, &mut bytes), Ok(Some(1)));
        assert_eq!(whole(&bytes), 1);
    });
}

#[test]
fn a_killed_claimer_has_destroyed_nothing() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let ring = slot.ring(0);
        let (index, cell) = ring.cells().find(|(_, cell)| super::read::readable(*cell) == Some(1)).unwrap();
        cell.header.seq.store(Seq::Claiming { version: 1, participant: 1 }.bits(), Ordering::Relaxed);
        let mut bytes = Vec::new();
        assert_eq!(ring.copy_version(1, GENERATION, &mut bytes).unwrap(), Exact::Copied);
        ring.reap(1);
        let seq = ring.slot.cells.get(index).header.seq.load(Ordering::Relaxed);
        assert_eq!(Seq::from_bits(seq), Seq::Whole { version: 1 });
    });
}

#[test]
fn a_writer_of_a_removed_key_publishes_nothing_under_the_next_one() {
    model(|| {
        let slot = Slot::new(1, 3);
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish(slot.ring(1), 1))
        };
        // What the directory does: remove the key, then give the slot to another.
        let ring = slot.ring(0);
        remove_key(ring);
        let header = slot.slot.view().header;
        let removed_at = ring.head();
        header.born.store(removed_at.version(), Ordering::Relaxed);
        header.generation.store(GENERATION + 2, Ordering::Release);
        let result = writer.join().unwrap();
        assert_eq!(ring.head(), removed_at, "a writer of the old key moved the head");
        match result {
            Ok(version) => assert!(version < removed_at.version()),
            Err(error) => assert_eq!(error, CommitError::Removed),
        }
        let mut bytes = Vec::new();
        assert_eq!(ring.copy_newest(GENERATION + 2, &mut bytes), Ok(None));
        assert_eq!(ring.oldest_from(1), None);
        assert_sterile(ring);
    });
}

#[test]
fn a_reader_of_a_removed_key_gets_no_value_of_the_next_one() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let next = {
            let slot = slot.clone();
            thread::spawn(move || {
                let header = slot.slot.view().header;
                let ring = slot.ring(1);
                remove_key(ring);
                header.born.store(ring.head().version(), Ordering::Relaxed);
                header.generation.store(GENERATION + 2, Ordering::Release);
                ring.publish(&value(9), GENERATION + 2, &Alive).unwrap();
            })
        };
        let mut bytes = Vec::new();
        match slot.ring(0).copy_newest(GENERATION, &mut bytes) {
            Ok(Some(version)) => assert_eq!((version, whole(&bytes)), (1, 1)),
            Ok(None) => {}
            Err(error) => assert_eq!(error, ReadError::Removed),
        }
        next.join().unwrap();
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
                publish(ring, 1).unwrap();
                ring.bell().strike()
            })
        };
        let slept_on = slot.ring(0).prepare_to_sleep(0, GENERATION);
        let woken = writer.join().unwrap();
        if let Some(word) = slept_on {
            assert!(woken);
            assert_ne!(slot.slot.view().header.bell.word.load(Ordering::Relaxed), word);
        }
    });
}

#[test]
fn only_pins_and_writers_in_flight_refuse_a_publisher() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let pin = slot.ring(0).pin_newest(GENERATION, |_| false).unwrap().unwrap();
        publish(slot.ring(1), 2).unwrap();
        assert!(matches!(slot.ring(1).claim(&Alive), Err(Backpressure(_))));
        slot.ring(0).unpin(pin.cell);
        let claim: Claim = slot.ring(1).claim(&Alive).unwrap();
        slot.ring(1).release(claim);
        assert_eq!(slot.ring(1).head(), Head::of(1, 2));
    });
}

#[test]
fn of_two_who_append_neither_loses_the_others_bytes() {
    model(|| {
        let slot = Slot::new(1, 3);
        let append = |ring: Ring<'_>, tail: u8| ring.append(GENERATION, &Alive, &[tail; 8], 16).unwrap();
        let other = {
            let slot = slot.clone();
            thread::spawn(move || append(slot.ring(1), 1))
        };
        append(slot.ring(2), 2);
        other.join().unwrap();
        let mut bytes = Vec::new();
        assert_eq!(slot.ring(0).copy_newest(GENERATION, &mut bytes), Ok(Some(2)));
        let mut marks: Vec<_> = bytes.chunks(8).map(|mark| mark[0]).collect();
        marks.sort();
        assert_eq!(marks, [1, 2]);
    });
}

#[test]
fn an_integer_that_two_count_up_while_one_sets_it_loses_nothing() {
    model(|| {
        let slot = Slot::new(1, 3);
        let count = |ring: Ring<'_>| ring.modify_integer(GENERATION, &Alive, |n| Some(n + 1)).unwrap();
        let other = {
            let slot = slot.clone();
            thread::spawn(move || count(slot.ring(1)))
        };
        let mut seen = [count(slot.ring(2)), other.join().unwrap()];
        seen.sort();
        assert_eq!(seen, [0, 1]);
        let unwanted = slot.ring(0).modify_integer(GENERATION, &Alive, |_| None);
        assert_eq!(unwanted, Err(ModifyError::Unfit(Unfit::Unwanted(2))));
    });
}

#[test]
fn what_was_pinned_while_its_key_was_removed_is_emptied_by_one_of_the_two() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let pin = slot.ring(2).pin_newest(GENERATION, |_| false).unwrap().unwrap();
        let reader = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(2).unpin(pin.cell))
        };
        remove_key(slot.ring(0));
        reader.join().unwrap();
        assert_sterile(slot.ring(0));
    });
}

#[test]
fn what_a_dead_claimer_held_while_its_key_was_removed_is_emptied_when_it_is_reaped() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let (_, cell) = slot.ring(0).cells().find(|(_, cell)| super::read::readable(*cell) == Some(1)).unwrap();
        cell.header.seq.store(Seq::Claiming { version: 1, participant: 1 }.bits(), Ordering::Relaxed);
        let reaper = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(2).reap(1))
        };
        remove_key(slot.ring(0));
        reaper.join().unwrap();
        assert_sterile(slot.ring(0));
    });
}

#[test]
fn two_who_reap_the_same_dead_writer_spare_what_is_written_after_it() {
    model(|| {
        let slot = Slot::new(1, 2);
        publish(slot.ring(1), 1).unwrap();
        let mut claim = slot.ring(1).claim(&Alive).unwrap();
        slot.ring(1).fill(&mut claim, &value(9));
        let other = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(2).reap(1))
        };
        let ring = slot.ring(3);
        ring.reap(1);
        if let Ok(version) = publish(ring, 2) {
            let mut bytes = Vec::new();
            assert_eq!(slot.ring(0).copy_newest(GENERATION, &mut bytes), Ok(Some(version)));
            assert_eq!(whole(&bytes), 2);
        }
        other.join().unwrap();
        let mut bytes = Vec::new();
        if slot.ring(0).copy_newest(GENERATION, &mut bytes) == Ok(Some(2)) {
            assert_eq!(whole(&bytes), 2);
        }
    });
}

#[test]
fn a_purge_leaves_the_newest_value_and_nothing_of_older_ones() {
    model(|| {
        let slot = Slot::new(2, 3);
        publish(slot.ring(1), 1).unwrap();
        publish(slot.ring(1), 2).unwrap();
        let purger = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(2).purge(&Alive))
        };
        let mut bytes = Vec::new();
        assert_eq!(slot.ring(0).copy_newest(GENERATION, &mut bytes), Ok(Some(2)));
        assert_eq!(whole(&bytes), 2);
        publish(slot.ring(1), 3).unwrap();
        purger.join().unwrap();
        assert_eq!(slot.ring(0).copy_newest(GENERATION, &mut bytes), Ok(Some(3)));
        assert_eq!(whole(&bytes), 3);
        let ones = |cell: CellView<'_>| {
            cell.words.iter().any(|word| word.load(Ordering::Relaxed) == u64::from_ne_bytes([1; 8]))
        };
        assert!(!slot.ring(0).cells().any(|(_, cell)| ones(cell)), "purged, and still there");
    });
}

#[test]
fn a_writer_with_a_handle_on_a_removed_key_leaves_the_next_keys_history_alone() {
    model(|| {
        let slot = Slot::new(2, 2);
        remove_key(slot.ring(0));
        let header = slot.slot.view().header;
        header.born.store(slot.ring(0).head().version(), Ordering::Relaxed);
        header.generation.store(GENERATION + 2, Ordering::Release);
        let next = slot.ring(1);
        let versions = [3, 4].map(|mark| next.publish(&value(mark), GENERATION + 2, &Alive).unwrap());
        assert_eq!(publish(slot.ring(2), 9), Err(CommitError::Removed));
        let mut bytes = Vec::new();
        assert_eq!(next.copy_version(versions[0], GENERATION + 2, &mut bytes), Ok(Exact::Copied));
    });
}
