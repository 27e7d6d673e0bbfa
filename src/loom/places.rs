//! Long values: nobody touches a place that has no space, and no space is left behind.
//!
//! Under loom, a page is a word. The tests' host notes which pages have space. A touch of another one
//! fails the test, and so does giving a page back while another thread may be touching it.

use loom::thread;

use super::support::{Pinned, Slot, publish_long, read, remove_key, same, shape};
use crate::core::lookup::Lookup;
use crate::core::place::Tier;
use crate::core::ring::{CommitError, PinError, ReadError};
use crate::core::word::Residue;
use crate::sync::Ordering;
use crate::sync::watched::{model, model_of_many_steps};

/// The lengths of values: one in a page, a medium one, a large one.
const PAGE: usize = 8;
const MEDIUM: usize = 16;
const LARGE: usize = 24;

/// A reader beside a writer that overwrites.
fn read_beside_a_writer(len: usize) {
    model_of_many_steps(move || {
        let slot = Slot::with_places(1, 2, 2, 2);
        publish_long(slot.ring(0), 1, len).unwrap();
        publish_long(slot.ring(0), 3, len).unwrap();
        let reader = {
            let slot = slot.clone();
            thread::spawn(move || read(slot.ring(1)))
        };
        let _ = publish_long(slot.ring(0), 5, len);
        let _ = publish_long(slot.ring(0), 7, len);
        if let Some(read) = reader.join().unwrap() {
            assert!(read % 2 == 1);
        }
        slot.assert_sound(slot.ring(0));
    });
}

#[test]
fn a_value_in_a_page_is_read_without_a_pin_beside_a_writer() {
    read_beside_a_writer(PAGE);
}

#[test]
fn a_medium_value_is_read_beside_a_writer() {
    read_beside_a_writer(MEDIUM);
}

#[test]
fn a_large_value_is_read_beside_a_writer() {
    read_beside_a_writer(LARGE);
}

/// A reader of a key that is removed and created again with another shape.
fn read_beside_a_removal(len: usize) {
    model_of_many_steps(move || {
        let slot = Slot::with_places(1, 2, 3, 2);
        publish_long(slot.ring(0), 1, len).unwrap();
        let reader = {
            let slot = slot.clone();
            thread::spawn(move || read(slot.ring(1)))
        };
        remove_key(slot.ring(0));
        if let Some(next) = slot.create_key(0, shape(2, 3)) {
            publish_long(next, 9, LARGE).unwrap();
            slot.assert_sound(next);
        }
        assert!(reader.join().unwrap().is_none_or(|read| read == 1));
    });
}

#[test]
fn a_value_in_a_page_is_read_without_a_pin_while_its_key_is_removed() {
    read_beside_a_removal(PAGE);
}

#[test]
fn a_medium_value_is_read_while_its_key_is_removed() {
    read_beside_a_removal(MEDIUM);
}

#[test]
fn a_large_value_is_read_while_its_key_is_removed() {
    read_beside_a_removal(LARGE);
}

#[test]
fn a_read_by_a_system_call_is_whole_or_refused_while_the_value_is_replaced_and_its_key_removed() {
    model_of_many_steps(|| {
        let slot = Slot::with_places(1, 2, 3, 2);
        publish_long(slot.ring(0), 1, LARGE).unwrap();
        let reader = {
            let slot = slot.clone();
            thread::spawn(move || {
                let mut bytes = Vec::new();
                match slot.ring(1).copy_unpinned(1, &mut bytes) {
                    Ok(Lookup::Found(())) => assert_eq!(same(&bytes), 1),
                    Ok(_) => {}
                    Err(error) => assert_eq!(error, ReadError::Removed),
                }
            })
        };
        let _ = publish_long(slot.ring(0), 3, LARGE);
        remove_key(slot.ring(0));
        if let Some(next) = slot.create_key(0, shape(2, 3)) {
            publish_long(next, 9, LARGE).unwrap();
        }
        reader.join().unwrap();
    });
}

#[test]
fn the_last_pin_of_a_removed_value_gives_its_space_back() {
    model(|| {
        let slot = Slot::with_places(1, 2, 3, 2);
        publish_long(slot.ring(0), 1, LARGE).unwrap();
        let pin = slot.ring(1).pin_newest(|_| false).unwrap().unwrap();
        let reader = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(1).unpin(pin.cell))
        };
        remove_key(slot.ring(0));
        let next = slot.create_key(0, shape(2, 3));
        if let Some(next) = next {
            publish_long(next, 9, LARGE).unwrap();
        }
        reader.join().unwrap();
        slot.assert_sound(next.unwrap_or_else(|| slot.ring(0)));
        assert!(next.is_some() || slot.ring(0).is_free());
    });
}

/// A writer of a removed key, whose slot gets another shape.
fn write_beside_a_removal(len: usize, reserved: u32) {
    model_of_many_steps(move || {
        let slot = Slot::with_places(1, 2, 3, reserved);
        if len < LARGE {
            publish_long(slot.ring(0), 1, PAGE).unwrap();
        }
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish_long(slot.ring(1), 3, len))
        };
        remove_key(slot.ring(0));
        let next = slot.create_key(0, shape(2, 3));
        if let Some(next) = next {
            publish_long(next, 9, PAGE).unwrap();
        }
        let written = writer.join().unwrap();
        assert!(matches!(written, Ok(_) | Err(CommitError::Removed | CommitError::Backpressure(_))), "{written:?}");
        if let Some(next) = next {
            assert_eq!(read(next), Some(9));
            slot.assert_sound(next);
        } else {
            assert!(slot.ring(0).is_free());
            slot.assert_sound(slot.ring(0));
        }
    });
}

#[test]
fn a_late_writer_of_a_large_value_touches_nothing_of_the_next_key() {
    write_beside_a_removal(LARGE, 2);
}

#[test]
fn a_late_writer_of_a_medium_value_touches_nothing_of_the_next_key() {
    write_beside_a_removal(MEDIUM, 2);
}

#[test]
fn a_late_writer_that_reserves_a_cell_touches_nothing_of_the_next_key() {
    write_beside_a_removal(LARGE, 1);
}

#[test]
fn two_writers_and_a_reader_use_a_ring_that_grows() {
    model_of_many_steps(|| {
        let slot = Slot::with_places(1, 3, 3, 1);
        publish_long(slot.ring(0), 1, MEDIUM).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish_long(slot.ring(1), 3, MEDIUM))
        };
        let mine = publish_long(slot.ring(0), 5, MEDIUM).unwrap();
        assert!(read(slot.ring(2)).is_some_and(|read| read == 3 || read == 5));
        assert_ne!(writer.join().unwrap().unwrap(), mine);
        slot.assert_sound(slot.ring(0));
    });
}

#[test]
fn a_loan_that_is_dropped_after_its_key_was_removed_leaves_no_space() {
    model_of_many_steps(|| {
        let slot = Slot::with_places(1, 2, 3, 2);
        let lender = {
            let slot = slot.clone();
            thread::spawn(move || {
                if let Ok(claim) = slot.ring(1).claim_for(LARGE) {
                    slot.ring(1).abandon(claim);
                }
            })
        };
        remove_key(slot.ring(0));
        let next = slot.create_key(0, shape(2, 3));
        if let Some(next) = next {
            publish_long(next, 9, PAGE).unwrap();
        }
        lender.join().unwrap();
        slot.assert_sound(next.unwrap_or_else(|| slot.ring(0)));
        assert!(next.is_some() || slot.ring(0).is_free());
    });
}

/// How far a writer gets before it crashes.
#[derive(Clone, Copy)]
enum Crash {
    Claimed,
    Marked,
    Reserved,
    Filled,
    Published,
}

fn crash(slot: &Slot, at: Crash, len: usize) {
    let ring = slot.ring(1);
    let Ok(mut claim) = ring.claim() else { return };
    let residue = &ring.slot().cells.get(claim.cell).header.residue;
    let seen = Residue::of(ring.slot().cells.get(claim.cell).header);
    match at {
        Crash::Claimed => {}
        Crash::Marked => {
            ring.context.host.reserve_side(0, claim.cell).unwrap();
            residue.store(seen.with(Tier::of(len)).bits(), Ordering::Release);
        }
        Crash::Reserved => _ = ring.reserve_storage(&claim, len),
        Crash::Filled | Crash::Published => {
            if ring.reserve_storage(&claim, len).is_ok() {
                ring.fill(&mut claim, &vec![5; len]).unwrap();
                if matches!(at, Crash::Published) {
                    let _ = ring.advance(&claim, ring.head());
                }
            }
        }
    }
}

/// A writer that crashed, a participant that reaps it, and a reader, or a removal.
fn crash_and_reap(at: Crash) {
    model_of_many_steps(move || {
        let slot = Slot::with_places(1, 3, 3, 3);
        publish_long(slot.ring(0), 1, LARGE).unwrap();
        crash(&slot, at, LARGE);
        [0, 2].into_iter().for_each(|observer| slot.crash(1, observer));
        let other = {
            let slot = slot.clone();
            thread::spawn(move || {
                slot.ring(2).reap_holders();
                read(slot.ring(2))
            })
        };
        slot.ring(0).reap_holders();
        publish_long(slot.ring(0), 7, MEDIUM).unwrap();
        assert!(other.join().unwrap().is_some_and(|read| [1, 5, 7].contains(&read)));
        assert_eq!(read(slot.ring(0)), Some(7));
        slot.assert_sound(slot.ring(0));
        // The key is removed, and nothing stays.
        remove_key(slot.ring(0));
        assert!(slot.ring(0).is_free());
        slot.assert_sound(slot.create_key(0, shape(1, 2)).unwrap());
    });
}

#[test]
fn a_writer_that_crashed_before_it_marked_its_place_leaves_no_space() {
    crash_and_reap(Crash::Claimed);
}

#[test]
fn a_writer_that_crashed_after_it_marked_its_place_leaves_no_space() {
    crash_and_reap(Crash::Marked);
}

#[test]
fn a_writer_that_crashed_with_a_reserved_place_leaves_no_space() {
    crash_and_reap(Crash::Reserved);
}

#[test]
fn a_writer_that_crashed_with_a_filled_place_leaves_no_space() {
    crash_and_reap(Crash::Filled);
}

#[test]
fn a_writer_that_crashed_after_it_published_a_large_value_leaves_the_value() {
    crash_and_reap(Crash::Published);
}

#[test]
fn a_removal_beside_a_reaper_leaves_nothing_of_a_crashed_writer() {
    for at in [Crash::Marked, Crash::Reserved, Crash::Published] {
        model_of_many_steps(move || {
            let slot = Slot::with_places(1, 2, 3, 2);
            publish_long(slot.ring(0), 1, LARGE).unwrap();
            crash(&slot, at, LARGE);
            [0, 2].into_iter().for_each(|observer| slot.crash(1, observer));
            let reaper = {
                let slot = slot.clone();
                thread::spawn(move || slot.ring(2).reap_holders())
            };
            remove_key(slot.ring(0));
            let next = slot.create_key(0, shape(2, 3));
            if let Some(next) = next {
                publish_long(next, 9, LARGE).unwrap();
            }
            reaper.join().unwrap();
            slot.assert_sound(next.unwrap_or_else(|| slot.ring(0)));
            assert!(next.is_some() || slot.ring(0).is_free());
        });
    }
}

#[test]
fn a_reader_that_crashed_with_a_pin_keeps_no_space() {
    model_of_many_steps(|| {
        let slot = Slot::with_places(1, 2, 3, 2);
        publish_long(slot.ring(0), 1, LARGE).unwrap();
        slot.ring(1).pin_newest(|_| false).unwrap().unwrap();
        [0, 2].into_iter().for_each(|observer| slot.crash(1, observer));
        let reaper = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(2).reap_holders())
        };
        remove_key(slot.ring(0));
        reaper.join().unwrap();
        slot.assert_sound(slot.create_key(0, shape(2, 3)).unwrap());
    });
}

#[test]
fn two_writers_of_large_values_keep_history() {
    model_of_many_steps(|| {
        let slot = Slot::with_places(2, 4, 4, 4);
        publish_long(slot.ring(0), 1, LARGE).unwrap();
        publish_long(slot.ring(0), 3, LARGE).unwrap();
        let writer = {
            let slot = slot.clone();
            thread::spawn(move || publish_long(slot.ring(1), 5, LARGE).unwrap())
        };
        let mine = publish_long(slot.ring(0), 7, LARGE).unwrap();
        let newest = mine.max(writer.join().unwrap());
        assert_eq!(newest, 4);
        for version in [3, 4] {
            let pin = slot.ring(2).pin_version(version, |_| false);
            assert!(matches!(pin, Ok(Lookup::Found(_)) | Err(PinError::Claimed)), "version {version} is gone");
        }
        slot.assert_sound(slot.ring(0));
    });
}

#[test]
fn appends_to_long_values_lose_no_bytes_beside_a_publisher() {
    model_of_many_steps(|| {
        let slot = Slot::with_places(1, 3, 3, 3);
        // The third append finds the first one's bytes in its own cell. They are the beginning of the newest
        // value, or not.
        slot.ring(0).append(&[1; LARGE], 40, &Pinned).unwrap();
        slot.ring(0).append(&[1; 8], 40, &Pinned).unwrap();
        let other = {
            let slot = slot.clone();
            thread::spawn(move || publish_long(slot.ring(1), 2, LARGE).unwrap())
        };
        let appended = slot.ring(0).append(&[1; 8], 40, &Pinned).unwrap();
        let published = other.join().unwrap();
        let ring = slot.ring(2);
        let pin = ring.pin_newest(|_| false).unwrap().unwrap();
        let mut bytes = Vec::new();
        ring.copy_pinned(pin, &mut bytes);
        let expected: &[&[u8]] = match (published < appended.version, appended.len) {
            (false, _) => &[&[2; LARGE]],
            (true, _) => &[&[2; LARGE], &[1; 8]],
        };
        assert_eq!(bytes, expected.concat());
    });
}

#[test]
fn two_appends_to_long_values_lose_no_bytes() {
    model_of_many_steps(|| {
        let slot = Slot::with_places(1, 3, 3, 3);
        slot.ring(0).append(&[0; 8], 32, &Pinned).unwrap();
        let append = |slot: &Slot, me: u32| slot.ring(me).append(&[me as u8; 8], 32, &Pinned).unwrap();
        let other = {
            let slot = slot.clone();
            thread::spawn(move || append(&slot, 1))
        };
        let mine = append(&slot, 2);
        let theirs = other.join().unwrap();
        assert_eq!((mine.version.min(theirs.version), mine.version.max(theirs.version)), (2, 3));
        let ring = slot.ring(3);
        let pin = ring.pin_newest(|_| false).unwrap().unwrap();
        let mut bytes = Vec::new();
        ring.copy_pinned(pin, &mut bytes);
        let order: [u8; 3] = if mine.version < theirs.version { [0, 2, 1] } else { [0, 1, 2] };
        assert_eq!(bytes, order.map(|mark| [mark; 8]).concat());
    });
}

/// Cells whose values are short now, and whose places still have space.
fn slot_to_trim() -> loom::sync::Arc<Slot> {
    let slot = Slot::with_places(2, 3, 3, 3);
    for mark in 1..=3 {
        publish_long(slot.ring(0), mark, LARGE).unwrap();
    }
    for _ in 4..=5 {
        publish_long(slot.ring(0), 0, 0).unwrap();
    }
    slot
}

#[test]
fn a_trim_beside_a_writer_takes_no_space_that_is_in_use() {
    model_of_many_steps(|| {
        let slot = slot_to_trim();
        let trimmer = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(1).trim())
        };
        let published = publish_long(slot.ring(0), 7, MEDIUM);
        trimmer.join().unwrap();
        if published.is_ok() {
            assert_eq!(read(slot.ring(0)), Some(7));
        }
        slot.assert_sound(slot.ring(0));
    });
}

#[test]
fn a_trim_beside_a_reader_leaves_pinned_values_alone() {
    model_of_many_steps(|| {
        let slot = Slot::with_places(2, 4, 4, 4);
        for mark in 1..=4 {
            publish_long(slot.ring(0), mark, LARGE).unwrap();
        }
        let trimmer = {
            let slot = slot.clone();
            thread::spawn(move || slot.ring(1).trim())
        };
        let ring = slot.ring(2);
        if let Ok(Lookup::Found(pin)) = ring.pin_version(2, |_| false) {
            let mut bytes = Vec::new();
            assert!(ring.copy_pinned(pin, &mut bytes));
            assert_eq!(same(&bytes), 2);
            ring.unpin(pin.cell);
        }
        trimmer.join().unwrap();
        assert_eq!(read(ring), Some(4));
        slot.assert_sound(ring);
    });
}
