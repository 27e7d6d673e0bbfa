//! Stores of the largest and the smallest geometry. Their files are sparse, so they take only the
//! space that is written.

mod support;

use splinter_bus::store::{
    DirectoryError, KeyOptions, Lookup, MAX_HISTORY, MAX_SLOTS, MAX_VALUE_SIZE, SetError, StoreOptions,
};
use support::Name;

#[test]
fn a_store_with_the_most_slots_finds_its_keys() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(MAX_SLOTS).key_options(KeyOptions::new().history(1).spare(1)));
    for number in 0..1000u32 {
        store.set(&format!("key {number}"), &[number as u8]).unwrap();
    }
    for number in 0..1000u32 {
        assert_eq!(store.get(&format!("key {number}")).unwrap(), Some(vec![number as u8]));
    }
    assert_eq!(store.keys().len(), 1000);
    assert_eq!(store.get("not there").unwrap(), None);
    assert!(store.unset("key 7").unwrap());
}

#[test]
fn the_largest_value_is_written_and_read() {
    let stat = rustix::fs::statvfs("/dev/shm").unwrap();
    if stat.f_bavail * stat.f_frsize < 4 * MAX_VALUE_SIZE {
        println!("not run: /dev/shm has not enough free space for two of the largest values");
        return;
    }
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(2).key_options(KeyOptions::new().history(1).spare(1)));
    let mut value = vec![0; MAX_VALUE_SIZE as usize];
    value[0] = 1;
    *value.last_mut().unwrap() = 2;
    assert_eq!(store.set("key", &value).unwrap(), 1);
    let mut back = Vec::new();
    assert_eq!(store.get_into("key", &mut back).unwrap(), Some(1));
    assert!(back == value);
    value.push(0);
    assert!(matches!(store.set("key", &value), Err(SetError::TooLarge { .. })));
    assert!(store.append("key", b"x").is_err());
    store.set("key", b"short").unwrap();
    store.set("key", b"short").unwrap();
    assert_eq!(store.size("key").unwrap(), Some(5));
}

#[test]
fn the_longest_history_keeps_all_its_versions() {
    let name = Name::new();
    let options = StoreOptions::new().slots(1).key_options(KeyOptions::new().history(MAX_HISTORY).spare(MAX_HISTORY));
    let store = name.create(&options);
    let slot = store.slot("key").unwrap();
    for version in 1..=10_000u64 {
        slot.set(&version.to_le_bytes()).unwrap();
    }
    let mut value = Vec::new();
    for version in 10_001 - u64::from(MAX_HISTORY)..=10_000 {
        assert_eq!(slot.get_version_into(version, &mut value).unwrap(), Lookup::Found(()));
        assert_eq!(value, version.to_le_bytes());
    }
    assert_eq!(slot.cells().readable, u64::from(2 * MAX_HISTORY));
}

#[test]
fn the_smallest_store_works() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(1).key_options(KeyOptions::new().history(1).spare(1)));
    for version in 1..=100 {
        assert_eq!(store.set("k", &[version as u8]).unwrap(), version);
        assert_eq!(store.get("k").unwrap(), Some(vec![version as u8]));
    }
    store.set("k", b"").unwrap();
    assert_eq!(store.get("k").unwrap(), Some(vec![]));
    assert!(matches!(store.set("other", b""), Err(SetError::Directory(DirectoryError::Full { slots: 1 }))));
    assert!(store.unset("k").unwrap());
    assert!(store.set("other", b"").unwrap() > 101);
}

#[test]
fn cells_of_the_largest_stores_are_counted() {
    let name = Name::new();
    let slots = 1 << 20;
    let options = StoreOptions::new().slots(slots).key_options(KeyOptions::new().history(MAX_HISTORY).spare(1));
    let store = name.create(&options);
    store.set("k", b"v").unwrap();
    assert_eq!(store.cells().total(), u64::from(slots) * u64::from(MAX_HISTORY + 1));
}
