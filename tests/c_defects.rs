//! One test for each defect of the C library that this library replaces.

mod support;

use std::collections::HashSet;
use std::fs;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use splinter_bus::store::{
    DirectoryError, GetError, KeyError, KeyOptions, Lookup, OpenError, SetError, Store, StoreOptions,
};
use support::{Actor, DEADLINE, Name, proof};

fn options() -> StoreOptions {
    StoreOptions::new().slots(16).key_options(KeyOptions::new().history(4).spare(4))
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    let store = support::open_soon_with(&options(), &arguments[0]);
    match role.as_str() {
        "reader" => {
            for number in 0..16 {
                let value = store.get(&format!("key {number}")).unwrap().expect("a value that the creator set");
                assert_eq!(proof::read(&value), (number, 1));
            }
            assert_eq!(store.keys().len(), 16);
        }
        "writer" => {
            let mut value = Vec::new();
            for number in 0.. {
                proof::write(&mut value, 1, number);
                store.set("key", &value).unwrap();
            }
        }
        "setter" => {
            for number in 0..500 {
                store.set(&format!("shared {}", number % 4), b"v").unwrap();
                store.set(&format!("{} {}", arguments[1], number % 4), arguments[1].as_bytes()).unwrap();
                store.unset(&format!("shared {}", (number + 1) % 4)).unwrap();
            }
        }
        "late publisher" => {
            support::wait_until("the reader waits", || store.keys() == ["not there yet"]);
            store.set("not there yet", b"v").unwrap();
        }
        _ => panic!("no such role: {role}"),
    }
}

#[test]
fn defect_1_creators_and_openers_agree_on_the_offsets_of_values() {
    let name = Name::new();
    let store = name.create(&options());
    let mut value = Vec::new();
    for number in 0..16 {
        proof::write(&mut value, number, 1);
        store.set(&format!("key {number}"), &value).unwrap();
    }
    Actor::spawn("reader", &[&name]).finish();
}

#[test]
fn defect_2_a_writer_killed_inside_set_leaves_its_key_readable_and_writable() {
    let name = Name::new();
    let store = name.create(&options());
    let mut value = Vec::new();
    let mut hit = 0;
    for round in 0..40 {
        let version = store.slot("key").unwrap().version();
        let mut writer = Actor::spawn("writer", &[&name]);
        support::wait_until("the writer writes", || store.slot("key").unwrap().version() > version + round * 100);
        writer.kill();
        hit += store.slot("key").unwrap().cells().in_flight;
        assert!(store.slot_snapshot("key").unwrap().unwrap().len.is_some());
        assert!(store.get_into("key", &mut value).unwrap().is_some());
        proof::read(&value);
        store.set("key", &value).unwrap();
    }
    assert!(hit > 0, "no kill hit the middle of a set");
}

#[test]
fn defect_3_concurrent_writers_of_a_new_key_create_one_key() {
    let name = Name::new();
    let store = name.create(&options());
    for _ in 0..300 {
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mine = Store::open_unshared(&name).unwrap();
                    barrier.wait();
                    mine.set("key", b"v").unwrap();
                });
            }
        });
        assert_eq!((store.keys().len(), store.snapshot().keys), (1, 1));
        assert!(store.unset("key").unwrap().is_some());
        assert_eq!(store.get("key").unwrap(), None, "the key exists twice");
    }
}

#[test]
fn defect_4_concurrent_writers_of_different_new_keys_lose_none() {
    let name = Name::new();
    let store = name.create(&options());
    let setters = ["a", "b", "c"].map(|who| Actor::spawn("setter", &[&name, who]));
    setters.into_iter().for_each(Actor::finish);
    for who in ["a", "b", "c"] {
        for number in 0..4 {
            assert_eq!(store.get(&format!("{who} {number}")).unwrap().as_deref(), Some(who.as_bytes()));
        }
    }
}

#[test]
fn defect_5_a_key_set_again_after_others_were_removed_exists_once() {
    let name = Name::new();
    let store = name.create(&options());
    // Every pair in both orders: some of them are neighbours in the index.
    let keys: Vec<String> = (0..16).map(|number| format!("key {number}")).collect();
    for first in &keys {
        for key in &keys {
            store.set(key, b"old").unwrap();
        }
        store.unset(first).unwrap();
        for key in keys.iter().filter(|&key| key != first) {
            store.set(key, b"new").unwrap();
        }
        assert_eq!(store.keys().len(), 15);
        for key in keys.iter().filter(|&key| key != first) {
            assert!(store.unset(key).unwrap().is_some());
            assert_eq!(store.get(key).unwrap(), None, "a removed key is found");
        }
        assert_eq!(store.keys(), Vec::<String>::new());
    }
}

#[test]
fn defect_6_a_reader_never_gets_a_half_zeroed_value() {
    let name = Name::new();
    let store = name.create(&options());
    let done = AtomicBool::new(false);
    let mut seen = 0;
    thread::scope(|scope| {
        let remover = scope.spawn(|| {
            let mut value = Vec::new();
            for number in 0..30_000 {
                proof::write(&mut value, 1, number);
                store.set("key", &value).unwrap();
                store.unset("key").unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        let mut value = Vec::new();
        while !done.load(Ordering::Relaxed) {
            if store.get_into("key", &mut value).unwrap().is_some() {
                proof::read(&value);
                seen += 1;
            }
        }
        remover.join().unwrap();
    });
    assert!(seen > 0);
}

#[test]
fn defect_7_a_reader_never_gets_the_value_of_another_key() {
    let name = Name::new();
    // More keys than slots: every slot has had every key.
    let store = name.create(&options().slots(2));
    let keys = ["a", "b", "c", "d"];
    let done = AtomicBool::new(false);
    let mut seen = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..30_000 {
                let key = keys[number % 4];
                store.set(key, key.repeat(number % 200 + 1).as_bytes()).unwrap();
                store.unset(keys[(number + 3) % 4]).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            for key in keys {
                if let Some(value) = store.get(key).unwrap() {
                    assert!(value.iter().all(|&byte| byte == key.as_bytes()[0]), "{key}: {value:?}");
                    seen += 1;
                }
            }
        }
    });
    assert!(seen > 0);
}

/// Returns the shortest of many measured times, which other processes disturb least.
fn shortest(mut act: impl FnMut()) -> Duration {
    let time = |act: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..100).for_each(|_| act());
        start.elapsed()
    };
    (0..200).map(|_| time(&mut act)).min().unwrap()
}

#[test]
fn defect_8_a_miss_and_an_insert_into_a_full_store_read_few_entries() {
    let (small, large) = (Name::new(), Name::new());
    let fill = |name: &Name, slots| {
        let store = name.create(
            &options().slots(slots).inline_size(64).span(2 << 20).key_options(KeyOptions::new().history(1).spare(1)),
        );
        for number in 0..slots {
            store.set(&format!("key {number}"), b"v").unwrap();
        }
        store
    };
    let (small, large) = (fill(&small, 64), fill(&large, 32_768));
    let miss = |store: &Store| shortest(|| assert_eq!(store.get("not there").unwrap(), None));
    let full = |store: &Store| {
        shortest(|| assert!(matches!(store.set("new", b""), Err(SetError::Directory(DirectoryError::Full { .. })))))
    };
    // There are 512 times as many slots. A search through all of them would take 512 times as long.
    for (what, small, large) in [("miss", miss(&small), miss(&large)), ("full", full(&small), full(&large))] {
        assert!(large < small * 20, "{what}: {large:?} in a large store, {small:?} in a small one");
    }
}

#[test]
fn defect_9_keys_that_are_too_long_or_empty_are_refused_and_take_no_slot() {
    let name = Name::new();
    let store = name.create(&options());
    for key in ["", &"k".repeat(64), &"k".repeat(1000), "\0"] {
        assert!(matches!(store.set(key, b"v"), Err(SetError::Key(_))), "{key:?}");
        assert!(matches!(store.get(key), Err(GetError::Key(_))), "{key:?}");
        assert!(store.slot(key).is_err() && store.unset(key).is_err() && store.append(key, b"v").is_err());
        assert!(store.integer(key).is_err() && store.poll(key, Some(Duration::ZERO)).is_err());
    }
    assert_eq!(store.snapshot().keys, 0);
    let longest = "k".repeat(63);
    store.set(&longest, b"v").unwrap();
    assert_eq!(store.get(&longest).unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn defect_10_empty_values_are_accepted_and_refusals_have_reasons() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(1).span(2 << 20));
    store.set("key", b"").unwrap();
    assert_eq!((store.get("key").unwrap(), store.size("key").unwrap()), (Some(vec![]), Some(0)));
    let too_large = store.set("key", &[0; 65_537]).unwrap_err().to_string();
    assert_eq!(
        too_large,
        "value too large: 65537 bytes (a message counts with its envelope), maximum 65536; shorten it, or remove the key \
         (Store::unset) and create it with fewer cells (KeyOptions::history), or create the store with a larger span (StoreOptions::span)"
    );
    let full = store.set("other", b"").unwrap_err().to_string();
    assert_eq!(full, "all 1 slots of the store have keys: unset one, or create a store with more slots");
}

#[test]
fn defect_11_values_beyond_4_gib_do_not_overlap() {
    let name = Name::new();
    let store = name.create(&options().slots(5000));
    // Short values in the rings, and longer ones in the extents.
    let values = |number: u32| [number.to_le_bytes().to_vec(), number.to_le_bytes().repeat(1100)];
    for number in 0..5000u32 {
        for value in values(number) {
            store.set(&format!("{number}"), &value).unwrap();
        }
    }
    assert!(store.snapshot().total_len > 2 << 32 && fs::metadata(name.path()).unwrap().len() > 2 << 40);
    let mut value = Vec::new();
    for number in 0..5000u32 {
        let slot = store.slot(&format!("{number}")).unwrap();
        for (version, expected) in (1..).zip(values(number)) {
            assert_eq!(slot.get_version_into(version, &mut value).unwrap(), Lookup::Found(()));
            assert_eq!(value, expected);
        }
    }
}

#[test]
fn defect_12_all_keys_are_listed_unchanged() {
    let name = Name::new();
    let store = name.create(&options().slots(5000).inline_size(64).key_options(KeyOptions::new().history(1).spare(1)));
    let mut expected: Vec<String> = (0..5000).map(|number| format!("key {number}")).collect();
    for key in &expected {
        store.set(key, b"").unwrap();
    }
    let keys = store.keys();
    for key in &expected {
        store.unset(key).unwrap();
    }
    expected.sort();
    assert_eq!(keys, expected);
}

#[test]
fn defect_13_missing_keys_and_failures_are_different_errors() {
    let name = Name::new();
    assert!(matches!(Store::open(&name), Err(OpenError::NotFound { .. })));
    let store = name.create(&options());
    assert!(matches!(store.get("missing"), Ok(None)));
    assert!(matches!(store.size("missing"), Ok(None)));
    assert!(matches!(store.slot_snapshot("missing"), Ok(None)));
    assert!(matches!(store.unset("missing"), Ok(None)));
    assert!(matches!(store.get(""), Err(GetError::Key(_))));
    let slot = store.slot("key").unwrap();
    store.unset("key").unwrap();
    assert!(matches!(slot.size(), Err(GetError::Key(KeyError::Removed))));
}

#[test]
fn defect_14_a_reader_can_wait_for_a_key_that_does_not_exist_yet() {
    let name = Name::new();
    let store = name.create(&options());
    let publisher = Actor::spawn("late publisher", &[&name]);
    assert_eq!(store.poll("not there yet", Some(DEADLINE)).unwrap(), Some(1));
    publisher.finish();
}

#[test]
fn defect_15_a_waiting_reader_misses_no_update_between_two_calls() {
    let name = Name::new();
    let store = name.create(&options().key_options(KeyOptions::new().history(100).spare(2)));
    let slot = store.slot("key").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=100u64 {
                store.set("key", &number.to_le_bytes()).unwrap();
            }
        });
        let (mut seen, mut value) = (0, Vec::new());
        while seen < 100 {
            let newest = store.poll_after("key", seen, Some(DEADLINE)).unwrap().expect("in time");
            for version in seen + 1..=newest {
                assert_eq!(slot.get_version_into(version, &mut value).unwrap(), Lookup::Found(()));
                assert_eq!(value, version.to_le_bytes());
            }
            seen = newest;
        }
    });
}

#[test]
fn defect_16_a_waiting_reader_is_woken_at_once() {
    const ROUNDS: u64 = 300;
    let name = Name::new();
    let store = name.create(&options());
    // This sleep synchronises nothing. Both ways are measured with a partner that has fallen
    // asleep, which takes about this long.
    let pause = || thread::sleep(Duration::from_micros(300));
    let by_poll = thread::scope(|scope| {
        let (there, back) = (store.slot("there").unwrap(), store.slot("back").unwrap());
        scope.spawn(|| {
            let (there, back) = (store.slot("there").unwrap(), store.slot("back").unwrap());
            for round in 1..=ROUNDS {
                there.poll_after(round - 1, Some(DEADLINE)).unwrap().expect("in time");
                pause();
                back.set(b"").unwrap();
            }
        });
        let start = Instant::now();
        for round in 1..=ROUNDS {
            pause();
            there.set(b"").unwrap();
            back.poll_after(round - 1, Some(DEADLINE)).unwrap().expect("in time");
        }
        start.elapsed()
    });
    let by_channel = thread::scope(|scope| {
        let ((there, to_there), (back, to_back)) = (mpsc::channel(), mpsc::channel());
        scope.spawn(move || {
            for () in to_there {
                pause();
                back.send(()).unwrap();
            }
        });
        let start = Instant::now();
        for _ in 0..ROUNDS {
            pause();
            there.send(()).unwrap();
            to_back.recv().unwrap();
        }
        start.elapsed()
    });
    // In steps of 10 ms, it would take 10 times as long.
    assert!(by_poll < by_channel * 5, "{by_poll:?} by poll, {by_channel:?} by the standard library");
}

#[test]
fn defect_17_files_that_are_not_stores_are_refused() {
    let (name, other) = (Name::new(), Name::new());
    let good = other.create(&options());
    good.set("key", b"v").unwrap();
    let header = |slots: u32, span: u64| {
        let mut bytes = vec![0; 64];
        for (at, half) in [(0, 0x534C_4E54), (4, 0x5242_000A), (8, slots), (12, 256), (20, 1024)] {
            bytes[at..at + 4].copy_from_slice(&u32::to_ne_bytes(half));
        }
        bytes[24..32].copy_from_slice(&span.to_ne_bytes());
        bytes
    };
    let mut without_slots = fs::read(other.path()).unwrap();
    without_slots.truncate(32_768);
    for bytes in [
        vec![],
        vec![0x5a; 3],
        vec![0x5a; 100_000],
        header(0, 1 << 30),
        header(u32::MAX, u64::MAX),
        header(4, 8),
        header(4, 1 << 30),
        without_slots,
    ] {
        fs::write(name.path(), &bytes).unwrap();
        let error = Store::open(&name).unwrap_err();
        assert!(
            matches!(error, OpenError::NotAStore { .. } | OpenError::Damaged { .. }),
            "{} bytes: {error}",
            bytes.len()
        );
        assert_eq!(good.get("key").unwrap().as_deref(), Some(&b"v"[..]));
    }
}

#[test]
fn defect_18_creating_a_store_in_a_file_overwrites_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (notes, store, link) =
        (directory.path().join("notes"), directory.path().join("store"), directory.path().join("link"));
    fs::write(&notes, "mine").unwrap();
    options().create(&store).unwrap().set("key", b"v").unwrap();
    std::os::unix::fs::symlink(directory.path().join("elsewhere"), &link).unwrap();
    for path in [&notes, &store, &link] {
        assert!(matches!(options().create(path), Err(OpenError::AlreadyExists { .. })), "{path:?}");
    }
    for result in [options().create_or_open(&notes), options().open_or_create(&notes)] {
        assert!(matches!(result, Err(OpenError::NotAStore { .. })));
    }
    assert_eq!(fs::read(&notes).unwrap(), b"mine");
    assert_eq!(options().create_or_open(&store).unwrap().get("key").unwrap().as_deref(), Some(&b"v"[..]));
    assert!(!fs::exists(directory.path().join("elsewhere")).unwrap(), "a symbolic link was followed");
}

#[test]
fn defect_19_a_process_can_open_many_private_stores_and_closes_them() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let names: Vec<Name> = (0..10).map(|_| Name::new()).collect();
    let paths: Vec<_> = (0..10).map(|number| directory.path().join(number.to_string())).collect();
    let stores: Vec<Store> = (names.iter().map(|name| options().create(name)))
        .chain(paths.iter().map(|path| options().create(path)))
        .map(Result::unwrap)
        .collect();
    for (number, store) in stores.iter().enumerate() {
        store.set("key", &[number as u8]).unwrap();
    }
    for (number, store) in stores.iter().enumerate() {
        assert_eq!(store.get("key").unwrap().as_deref(), Some(&[number as u8][..]));
        assert_eq!(fs::metadata(store.location().path()).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Only those of this store, because other tests run at the same time.
    let path = fs::canonicalize(&paths[0]).unwrap();
    let descriptors = || {
        let links =
            fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
        links.filter(|link| *link == path).count()
    };
    let before = descriptors();
    for _ in 0..200 {
        Store::open(&paths[0]).unwrap();
        Store::open_unshared(&paths[0]).unwrap();
    }
    assert_eq!(descriptors(), before);
    let ids: HashSet<u64> = stores.iter().map(|store| store.snapshot().id).collect();
    assert_eq!(ids.len(), stores.len());
}
