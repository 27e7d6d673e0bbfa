//! The memory that a store takes: what is reserved, for what, and what is given back.

mod support;

use std::os::unix::fs::MetadataExt;

use splinter_bus::store::{KeyOptions, Memory, Store, StoreOptions};
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
        store.set("large", &[number; LONG]).unwrap();
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
    store.set("k", &[1; LONG]).unwrap();
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
    store.set("k", &[1; LONG]).unwrap();
    let memory = store.memory().unwrap();
    assert!(memory.reserved >= sum(&memory), "{memory}");
    assert_eq!(memory.values, LONG as u64);
}
