//! Operations of the raw store that need no message types.

mod support;

use std::thread;

use splinter_bus::store::{GetError, KeyError, KeyOptions, SetError, Store, StoreOptions};
use support::{Actor, Name};

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    assert_eq!(role, "counter");
    add(&Store::open(arguments[0].as_str()).unwrap(), 500);
}

/// Adds to a counter that is long, by compare-and-set.
fn add(store: &Store, times: u64) {
    let (slot, mut value) = (store.slot("counter").unwrap(), Vec::new());
    for _ in 0..times {
        loop {
            let version = slot.get_into(&mut value).unwrap().unwrap_or(0);
            let count = value.first_chunk().filter(|_| version > 0).map_or(0, |count| u64::from_le_bytes(*count)) + 1;
            // Short, medium and large values.
            value.resize([8, 5000, 100_000][count as usize % 3], 0);
            value[..8].copy_from_slice(&count.to_le_bytes());
            if slot.set_if_version(version, &value).unwrap().is_ok() {
                break;
            }
        }
    }
}

#[test]
fn no_change_is_lost_if_a_value_is_set_by_its_version() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    let actors = [0, 1].map(|_| Actor::spawn("counter", &[&name]));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| add(&store, 500));
        }
    });
    actors.into_iter().for_each(Actor::finish);
    let value = store.get("counter").unwrap().unwrap();
    assert_eq!(u64::from_le_bytes(*value.first_chunk().unwrap()), 2000);
    assert_eq!(store.slot("counter").unwrap().version(), 2000);
}

#[test]
fn a_value_is_set_only_if_the_version_is_the_newest() {
    let name = Name::new();
    let directory = tempfile::tempdir().unwrap();
    for store in [name.create(&StoreOptions::new()), Store::create(directory.path().join("a.store")).unwrap()] {
        assert_eq!(store.set_if_version("k", 5, b"v").unwrap(), Err(0));
        assert!(store.keys().is_empty(), "a key is created only for its first value");
        assert_eq!(store.set_if_version("k", 0, b"v").unwrap(), Ok(1));
        assert_eq!(store.set_if_version("k", 0, b"w").unwrap(), Err(1));
        assert_eq!(store.set_if_version("k", 1, &[7; 500_000]).unwrap(), Ok(2));
        assert_eq!(store.set_if_version("k", 1, &[8; 500_000]).unwrap(), Err(2));
        assert_eq!(store.get("k").unwrap().unwrap(), vec![7; 500_000]);
        // A key that is created again begins with a version that it never had.
        let slot = store.slot("k").unwrap();
        store.unset("k").unwrap();
        assert!(matches!(slot.set_if_version(2, b"v"), Err(SetError::Key(KeyError::Removed))));
        assert!(matches!(slot.set_if_version(9, b"v"), Err(SetError::Key(KeyError::Removed))));
        let slot = store.slot("k").unwrap();
        let before = slot.version();
        assert_eq!(slot.set_if_version(0, b"v").unwrap(), Ok(before + 1));
        let too_large = store.set_if_version("k", before + 1, &vec![0; slot.max_len() + 1]);
        assert!(matches!(too_large, Err(SetError::TooLarge { .. })));
        assert_eq!(store.cells().in_flight, 0);
    }
}

#[test]
fn a_value_is_copied_to_a_slice_or_its_length_is_reported() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    let slot = store.slot("k").unwrap();
    let mut buffer = vec![0xaa; 200_000];
    assert_eq!((slot.get_to_slice(&mut buffer), store.get_to_slice("none", &mut buffer)), (Ok(None), Ok(None)));
    for (version, len) in (1..).zip([0, 1, 7, 8, 1024, 1025, 4096, 65_536, 65_537, 200_000]) {
        let value: Vec<_> = (0..len).map(|at| at as u8 ^ 0x55).collect();
        slot.set(&value).unwrap();
        buffer.fill(0xaa);
        assert_eq!(slot.get_to_slice(&mut buffer).unwrap(), Some((version, len)));
        assert_eq!(buffer[..len], value);
        assert!(buffer[len..].iter().all(|&byte| byte == 0xaa), "nothing is written behind the value");
        assert_eq!(store.get_to_slice("k", &mut buffer[..len]).unwrap(), Some((version, len)));
        if len > 0 {
            let short = slot.get_to_slice(&mut buffer[..len - 1]);
            assert_eq!(short, Err(GetError::TooShort { len: len - 1, needed: len }));
        }
    }
    assert_eq!(store.cells().pinned, 0);
}

#[test]
fn a_slice_gets_whole_values_while_others_publish() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().key_options(KeyOptions::new().history(2).spare(2)));
    let slot = store.slot("k").unwrap();
    slot.set(&[0; 8]).unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..30_000_usize {
                slot.set(&vec![number as u8; [8, 900, 3000, 70_000][number % 4]]).unwrap();
            }
        });
        let mut buffer = [0; 1000];
        while !writer.is_finished() {
            match store.get_to_slice("k", &mut buffer) {
                Ok(value) => assert!(buffer[..value.unwrap().1].iter().all(|&byte| byte == buffer[0])),
                Err(error) => assert!(matches!(error, GetError::TooShort { needed: 3000 | 70_000, .. }), "{error}"),
            }
        }
    });
}

#[test]
fn an_append_says_how_long_the_value_is() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    let mut len = 0;
    for (version, tail) in (1..).zip([10, 1000, 20, 5000, 70_000, 1, 0]) {
        len += tail;
        let appended = store.append("k", &vec![7; tail]).unwrap();
        assert_eq!((appended.version, appended.len), (version, len));
    }
    assert_eq!(store.get("k").unwrap().unwrap(), vec![7; len]);
}

#[test]
fn removing_a_key_says_how_long_its_value_was() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    store.slot("empty").unwrap();
    assert_eq!(store.unset("empty").unwrap(), Some(0));
    for len in [0, 5, 2000, 100_000] {
        store.set("k", &[7; 50]).unwrap();
        store.set("k", &vec![7; len]).unwrap();
        assert_eq!((store.unset("k").unwrap(), store.unset("k").unwrap()), (Some(len), None));
    }
}

#[test]
fn keys_are_visited_without_an_order() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    let keys: Vec<_> = (0..50).map(|number| format!("{number:02}")).collect();
    for key in keys.iter().rev() {
        store.slot(key).unwrap();
    }
    let mut visited = Vec::new();
    store.for_each_key(|key| visited.push(key.to_owned()));
    visited.sort_unstable();
    assert_eq!((&visited, &store.keys()), (&keys, &keys));
    assert_eq!(store.keys_matching("4?").unwrap(), keys[40..]);
}

#[test]
fn changes_grow_with_every_change_and_with_nothing_else() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    let mut last = store.changes();
    let mut grows = |what: &str| {
        let now = store.changes();
        assert!(now > std::mem::replace(&mut last, now), "{what}");
    };
    store.set("a", b"1").unwrap();
    grows("set");
    store.set("b", &[7; 5000]).unwrap();
    grows("another key");
    store.append("a", b"2").unwrap();
    grows("append");
    store.unset("b").unwrap();
    grows("removal");
    let before = store.changes();
    store.get("a").unwrap();
    store.slot("c").unwrap();
    store.trim().unwrap();
    store.purge().unwrap();
    assert_eq!(store.changes(), before);
}
