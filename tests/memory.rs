//! The memory that a store takes: what is reserved, for what, and what is given back.

mod support;

use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};

use splinter_bus::store::{KeyOptions, Lookup, Memory, Store, StoreOptions};
use support::Name;

const LONG: usize = 1 << 20;

fn sum(memory: &Memory) -> u64 {
    memory.fixed + memory.rings + memory.values + memory.history
}

fn on_disk(name: &Name) -> u64 {
    std::fs::metadata(name.path()).unwrap().blocks() * 512
}

#[test]
fn the_parts_are_all_that_is_reserved() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    let empty = store.memory().unwrap();
    assert_eq!((empty.reserved, empty.reserved), (sum(&empty), on_disk(&name)));
    assert!(empty.reserved < 1 << 20 && empty.keys.is_empty());

    for number in 0..100 {
        store.set("short", &[number; 100]).unwrap();
        store.set("medium", &[number; 10_000]).unwrap();
        store.set("large", &vec![number; LONG]).unwrap();
    }
    store.slot_with("many subscribers", &KeyOptions::new().lossless(100)).unwrap();
    let memory = store.memory().unwrap();
    assert_eq!((memory.reserved, memory.reserved), (sum(&memory), on_disk(&name)));
    let keys: Vec<_> = memory.keys.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["large", "many subscribers", "medium", "short"]);
    let [large, _, medium, short] = [0, 1, 2, 3].map(|key| memory.keys[key].1);
    assert_eq!((short.value, short.history), (0, 0));
    assert_eq!((medium.value, large.value), (12 << 10, LONG as u64));
    assert!(medium.history >= 15 * medium.value && large.history >= 3 * large.value);
    assert_eq!(memory.values, medium.value + large.value);
    assert!(memory.mapped > 1 << 30, "rings and extents of two keys");
    assert_eq!(store.slot_snapshot("large").unwrap().unwrap().memory, large);
}

#[test]
fn counting_memory_takes_none() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    for number in 0..100 {
        store.set(&format!("key {number}"), b"v").unwrap();
    }
    let before = on_disk(&name);
    let memory = store.memory().unwrap();
    assert_eq!((on_disk(&name), memory.reserved), (before, before));
}

#[test]
fn memory_of_removed_keys_is_given_back_except_for_their_rings() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    store.set("k", &vec![1; LONG]).unwrap();
    let before = store.memory().unwrap();
    store.unset("k").unwrap();
    let after = store.memory().unwrap();
    assert!(after.keys.is_empty());
    assert_eq!((after.values, after.history), (0, 0));
    assert!(after.rings > 0 && after.reserved + LONG as u64 <= before.reserved);
}

#[test]
fn a_store_in_a_file_counts_its_memory_too() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create(directory.path().join("a.store")).unwrap();
    store.set("k", &vec![1; LONG]).unwrap();
    let memory = store.memory().unwrap();
    assert!(memory.reserved >= sum(&memory), "{memory}");
    assert_eq!(memory.values, LONG as u64);
}

#[test]
fn trimming_gives_back_what_no_value_needs_and_says_how_much() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    let slot = store.slot("k").unwrap();
    for number in 0..24 {
        slot.set(&vec![number; 2 * LONG]).unwrap();
    }
    let before = store.memory().unwrap();
    // Two values of 2 MiB are history.
    let given_back = store.trim().unwrap();
    let after = store.memory().unwrap();
    assert_eq!((after.reserved, after.values), (before.reserved - given_back, before.values));
    assert!(after.history <= 2 * LONG as u64 && given_back > 0, "{before} -> {after}");
    assert_eq!(store.get("k").unwrap().unwrap(), vec![23; 2 * LONG]);
    assert_eq!(store.trim().unwrap(), 0);
}

#[test]
fn trimming_leaves_history_and_pinned_values() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    let slot = store.slot_with("k", &KeyOptions::new().history(4).spare(4)).unwrap();
    slot.set(&vec![0; LONG]).unwrap();
    let pinned = slot.pin().unwrap().unwrap();
    for number in 1..40 {
        slot.set(&vec![number; LONG]).unwrap();
    }
    store.trim().unwrap();
    assert!(pinned.iter().all(|&byte| byte == 0) && pinned.len() == LONG);
    let mut value = Vec::new();
    for number in 36..40 {
        assert_eq!(slot.get_version_into(u64::from(number) + 1, &mut value).unwrap(), Lookup::Found(()));
        assert_eq!(value, vec![number; LONG]);
    }
}

#[test]
fn trimming_gives_back_the_places_of_cells_that_hold_short_history() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    let slot = store.slot_with("k", &KeyOptions::new().history(8).spare(1)).unwrap();
    for number in 0..20 {
        slot.set(&[number; 50_000]).unwrap();
    }
    for number in 0..9 {
        slot.set(&[number; 8]).unwrap();
    }
    let before = store.memory().unwrap();
    let given_back = store.trim().unwrap();
    // All cells but that of the newest value.
    assert!(given_back >= 7 * 45_056, "{given_back} of {before}");
    assert_eq!(store.memory().unwrap().reserved, before.reserved - given_back);
    let mut value = Vec::new();
    for number in 1..9 {
        assert!(matches!(slot.get_version_into(21 + u64::from(number), &mut value), Ok(Lookup::Found(()))));
        assert_eq!(value, [number; 8]);
    }
    slot.set(&[7; 60_000]).unwrap();
    assert_eq!(store.get("k").unwrap().unwrap(), [7; 60_000]);
}

#[test]
fn readers_and_writers_go_on_while_others_trim() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    let other = Store::open(&name).unwrap();
    let slot = store.slot("k").unwrap();
    slot.set(&[1; 10]).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for store in [&store, &other] {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    store.trim().unwrap();
                }
            });
        }
        scope.spawn(|| {
            let (slot, mut value) = (other.slot("k").unwrap(), Vec::new());
            while !done.load(Ordering::Relaxed) {
                slot.get_into(&mut value).unwrap();
                assert!(value.iter().all(|&byte| byte == value[0]), "a torn value");
                let pinned = slot.pin().unwrap().unwrap();
                assert!(pinned.iter().all(|&byte| byte == pinned[0]), "a torn value");
            }
        });
        for number in 0..3000_usize {
            let len = [10, 100_000, 5000, 700, 30_000][number % 5];
            slot.set(&vec![number as u8; len]).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    drop((other, slot));
    store.unset("k").unwrap();
    store.trim().unwrap();
    let memory = store.memory().unwrap();
    assert_eq!(memory.reserved, sum(&memory), "{memory}");
}
