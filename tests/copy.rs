//! Copies of stores: what is in them, how versions go on, and what is copied while others write.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use splinter_bus::store::{CopyError, Flags, GetError, KeyOptions, Lookup, OpenError, Store, StoreOptions};
use splinter_bus::{Bus, SubscribeOptions};
use support::{Name, proof};

fn value_of(store: &Store, key: &str, version: u64) -> Option<Vec<u8>> {
    let (slot, mut value) = (store.slot(key).unwrap(), Vec::new());
    (slot.get_version_into(version, &mut value).unwrap() == Lookup::Found(())).then_some(value)
}

/// A store with values of all lengths, and a key that was removed.
fn fill(store: &Store) {
    for number in 0..40_u8 {
        store.set("short", &[number; 8]).unwrap();
        store.set("medium", &[number; 5000]).unwrap();
    }
    for number in 0..3 {
        store.set("large", &vec![number; 1 << 20]).unwrap();
    }
    store.slot_with("shaped", &KeyOptions::new().history(100).spare(3).lossless(20)).unwrap().set(b"v").unwrap();
    store.slot("without a value").unwrap();
    for _ in 0..100 {
        store.set("removed", b"v").unwrap();
    }
    store.unset("removed").unwrap();
    store.set_flags(Flags::USR3);
}

fn check(copy: &Store) {
    assert_eq!(copy.keys(), ["large", "medium", "shaped", "short", "without a value"]);
    assert!(copy.flags().contains(Flags::USR3 | Flags::AUTO_VACUUM));
    for version in 25..=40_u64 {
        assert_eq!(value_of(copy, "short", version).unwrap(), [version as u8 - 1; 8]);
        assert_eq!(value_of(copy, "medium", version).unwrap(), [version as u8 - 1; 5000]);
    }
    assert_eq!(value_of(copy, "large", 3).unwrap(), vec![2; 1 << 20]);
    let shape = copy.slot("shaped").unwrap().shape();
    assert_eq!((shape.history, shape.spare, shape.lossless), (100, 3, 20));
    assert_eq!(copy.get("without a value").unwrap(), None);
}

#[test]
fn a_copy_has_all_keys_values_and_versions_and_goes_on_there() {
    let (name, other) = (Name::new(), Name::new());
    let directory = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|file| directory.path().join(file));
    let store = name.create(&StoreOptions::new().slots(77).mode(0o640));
    fill(&store);
    // From memory into a file, from there into another, and back.
    store.copy_to(&first).unwrap();
    let in_file = Store::open(&first).unwrap();
    assert!(in_file.recovery().is_none(), "a copy is sound");
    in_file.copy_to(&second).unwrap();
    Store::open(&second).unwrap().copy_to(&other).unwrap();
    assert_eq!(fs::metadata(&second).unwrap().permissions().mode() & 0o777, 0o640);

    let back = Store::open(&other).unwrap();
    for copy in [&in_file, &Store::open(&second).unwrap(), &back] {
        check(copy);
        assert_eq!(copy.dimensions(), store.dimensions());
        assert_ne!(copy.snapshot().id, store.snapshot().id);
        assert_eq!(copy.set("short", b"next").unwrap(), 41);
        assert!(copy.set("removed", b"next").unwrap() > 100, "no version of a removed key comes again");
    }
    assert_eq!(store.slot("short").unwrap().version(), 40);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "no draft is left");
}

#[test]
fn a_copy_takes_only_the_space_of_its_values() {
    let name = Name::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("copy");
    let store = name.create(&StoreOptions::new());
    for number in 0..24 {
        store.set("k", &vec![number; 4 << 20]).unwrap();
    }
    store.purge().unwrap();
    store.copy_to(&path).unwrap();
    let space = fs::metadata(&path).unwrap().blocks() * 512;
    assert!((4 << 20..5 << 20).contains(&space), "{space}");
}

#[test]
fn a_name_that_is_taken_is_an_error_and_nothing_is_overwritten() {
    let (name, other) = (Name::new(), Name::new());
    let (store, taken) = (name.create(&StoreOptions::new()), other.create(&StoreOptions::new()));
    store.set("k", b"new").unwrap();
    taken.set("k", b"old").unwrap();
    assert!(matches!(store.copy_to(&other), Err(CopyError::Create(OpenError::AlreadyExists { .. }))));
    assert_eq!(taken.get("k").unwrap().as_deref(), Some(&b"old"[..]));
    let missing = store.copy_to("/no/such/directory/copy");
    assert!(matches!(missing, Err(CopyError::Create(OpenError::NoDirectory { .. }))));
}

#[test]
fn jobs_are_copied_with_their_progress() {
    let name = Name::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("copy");
    let bus = Bus::<Vec<u8>>::on(name.create(&StoreOptions::new()));
    bus.store().slot_with("work", &KeyOptions::new().history(240).spare(16)).unwrap();
    bus.publish("work", &vec![0]).unwrap();
    let mut queue = bus.work_queue("work").unwrap();
    for number in 1..=200_u8 {
        bus.publish("work", &vec![number]).unwrap();
    }
    let mut held = None;
    for number in 0..150 {
        let Ok(job) = queue.recv() else { panic!("a job") };
        if number == 7 { held = Some(job) } else { job.acknowledge().unwrap() }
    }
    bus.store().copy_to(&path).unwrap();
    let left = bus.store().slot_snapshot("work").unwrap().unwrap().queue.unwrap();
    let copy = Bus::<Vec<u8>>::open(&path).unwrap();
    let in_copy = copy.store().slot_snapshot("work").unwrap().unwrap().queue.unwrap();
    assert_eq!((in_copy.waiting, in_copy.taken), (left.waiting + left.taken, 0));
    let mut queue = copy.work_queue("work").unwrap();
    let job = queue.recv().unwrap();
    assert_eq!((job[0], job.attempt()), (held.as_ref().unwrap()[0], 2));
    job.acknowledge().unwrap();
    let job = queue.recv().unwrap();
    assert_eq!(job.attempt(), 1);
    job.acknowledge().unwrap();
}

#[test]
fn versions_go_on_after_those_that_a_recovery_has_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let [original, copied, copy] = ["original", "copied", "copy"].map(|file| directory.path().join(file));
    let store = Store::create(&original).unwrap();
    store.set("old", b"v").unwrap();
    store.set("k", b"1").unwrap();
    store.flush().unwrap();
    assert!(Command::new("cp").arg("--sparse=always").args([&original, &copied]).status().unwrap().success());
    let recovered = Store::open(&copied).unwrap();
    assert!(recovered.recovery().is_some());
    let version = recovered.set("k", b"2").unwrap();
    assert!(version > 1 << 20, "the versions of a recovered store begin a new epoch");
    recovered.copy_to(&copy).unwrap();
    let copy = Bus::<Vec<u8>>::open(&copy).unwrap().store().clone();
    assert!(copy.recovery().is_none());
    assert_eq!(
        (value_of(&copy, "k", 1).unwrap(), value_of(&copy, "k", version).unwrap()),
        (b"1".to_vec(), b"2".to_vec())
    );
    assert_eq!(copy.set("k", b"3").unwrap(), version + 1);
    assert_eq!(copy.set("old", b"w").unwrap(), recovered.set("old", b"w").unwrap());
}

#[test]
fn a_copy_that_is_made_while_others_write_has_whole_values() {
    let name = Name::new();
    let directory = tempfile::tempdir().unwrap();
    let store = name.create(&StoreOptions::new().key_options(KeyOptions::new().history(2).spare(2)));
    let keys: Vec<_> = (0..4).map(|number| format!("key {number}")).collect();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut value, mut number) = (Vec::new(), 0);
            while !done.load(Ordering::Relaxed) {
                for key in &keys {
                    proof::write(&mut value, 1, number);
                    store.set(key, &value).unwrap();
                }
                number += 1;
                if number % 50 == 0 {
                    store.unset("comes and goes").unwrap();
                }
                store.set("comes and goes", &vec![number as u8; 3000]).unwrap();
            }
        });
        for number in 0..20 {
            let path = directory.path().join(number.to_string());
            let seen: Vec<_> = keys.iter().map(|key| store.slot(key).unwrap().version()).collect();
            store.copy_to(&path).unwrap();
            let copy = Store::open(&path).unwrap();
            for (key, seen) in keys.iter().zip(seen) {
                let slot = copy.slot(key).unwrap();
                assert!(slot.version() >= seen, "{key}: {} instead of {seen}", slot.version());
                if let Some(value) = copy.get(key).unwrap() {
                    assert_eq!(proof::read(&value), (1, slot.version() - 1));
                }
            }
            match copy.get("comes and goes") {
                Ok(value) => value.into_iter().for_each(|value| assert!(value.iter().all(|&byte| byte == value[0]))),
                Err(error) => assert!(!matches!(error, GetError::Lost)),
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_subscriber_continues_in_the_copy_where_it_was() {
    let (name, other) = (Name::new(), Name::new());
    let bus = Bus::<Vec<u8>>::on(name.create(&StoreOptions::new()));
    for number in 0..10 {
        bus.publish("k", &vec![number]).unwrap();
    }
    bus.store().copy_to(&other).unwrap();
    let copy = Bus::<Vec<u8>>::open(&other).unwrap();
    copy.publish("k", &vec![10]).unwrap();
    let options = SubscribeOptions::new().start(splinter_bus::Start::Version(6));
    let mut subscriber = copy.subscribe_with("k", &options).unwrap();
    for number in 5..=10 {
        assert_eq!(subscriber.recv().unwrap()[0], number);
    }
}
