//! Many processes create and remove keys at once, and some are killed. No key exists twice, no key
//! is lost, and no slot leaks.

mod support;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use splinter_bus::store::{DirectoryError, KeyOptions, SetError, Store, StoreOptions};
use support::{Actor, Name, Random, proof};

const SLOTS: u32 = 24;
/// The number of keys that every process sets and unsets.
const SHARED: u32 = 12;
/// The number of keys that one process sets in a loop.
const STEADY: u32 = 3;

fn options() -> StoreOptions {
    StoreOptions::new().slots(SLOTS).key_options(KeyOptions::new().history(2).spare(4))
}

fn shared(number: u32) -> String {
    format!("shared {number}")
}

fn steady(number: u32) -> String {
    format!("steady {number}")
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    let store = support::open_soon_with(&options(), &arguments[0]);
    match role.as_str() {
        "churner" => churn(&store, arguments[1].parse().unwrap()),
        "steady" => {
            let mut value = Vec::new();
            for number in 0.. {
                proof::write(&mut value, number as u32 % STEADY, number);
                store.set(&steady(number as u32 % STEADY), &value).unwrap();
            }
        }
        _ => panic!("no such role: {role}"),
    }
}

/// Sets and unsets shared keys, whose values contain the key, and one key that only this process
/// removes.
fn churn(store: &Store, me: u32) {
    let mut random = Random::new(std::process::id().into());
    let mut value = Vec::new();
    let own = format!("own {me}");
    for number in 0.. {
        let key = random.below(SHARED.into()) as u32;
        proof::write(&mut value, key, number);
        match random.below(4) {
            0 => store.set(&shared(key), &value).map(drop).or_else(allow_full).unwrap(),
            1 => drop(store.unset(&shared(key)).unwrap()),
            2 => {
                if store.get_into(&shared(key), &mut value).unwrap().is_some() {
                    assert_eq!(proof::read(&value).0, key, "another key's value");
                }
            }
            _ => {
                if store.set(&own, &value).map(|_| true).or_else(|error| allow_full(error).map(|()| false)).unwrap() {
                    assert_eq!(store.get(&own).unwrap().as_deref(), Some(&value[..]), "a key was lost");
                    assert!(store.unset(&own).unwrap(), "a key was lost");
                    assert_eq!(store.get(&own).unwrap(), None, "a removed key is found");
                }
            }
        }
    }
}

fn allow_full(error: SetError) -> Result<(), SetError> {
    if matches!(error, SetError::Directory(DirectoryError::Full { slots: SLOTS })) { Ok(()) } else { Err(error) }
}

#[test]
fn keys_stay_consistent_while_four_processes_change_them_and_are_killed() {
    let (name, mut random) = (Name::new(), Random::new(21));
    let store = name.create(&options());
    let _load = Actor::spawn("steady", &[&name]);
    support::wait_until("all steady keys are set", || {
        (0..STEADY).all(|number| store.get(&steady(number)).unwrap().is_some())
    });
    let mut churners: Vec<_> = (0..4).map(|me| Actor::spawn("churner", &[&name, &me.to_string()])).collect();
    let mut value = Vec::new();
    for round in 0..150 {
        let victim = random.below(4) as usize;
        let until = Instant::now() + Duration::from_micros(random.below(4000));
        while Instant::now() < until {
            for number in 0..STEADY {
                let version = store.get_into(&steady(number), &mut value).unwrap();
                assert!(version.is_some(), "round {round}: a key was lost although no process removed it");
                assert_eq!(proof::read(&value).0, number);
            }
            let keys = store.keys();
            assert!((0..STEADY).all(|number| keys.contains(&steady(number))), "round {round}: not listed: {keys:?}");
        }
        churners[victim].kill();
        churners[victim] = Actor::spawn("churner", &[&name, &victim.to_string()]);
    }
    drop(churners);

    // No process changes the directory any more. It is consistent after one operation has completed
    // what a crashed process began.
    assert!(!store.unset("not there").unwrap());
    let keys = store.keys();
    assert_eq!(store.snapshot().keys as usize, keys.len());
    let mut slots = HashMap::new();
    for key in &keys {
        let slot = store.slot_snapshot(key).unwrap().expect("a key that is listed is found").slot;
        assert_eq!(slots.insert(slot, key), None, "two keys in one slot");
    }
    for key in keys.iter().filter(|key| !key.starts_with("steady")) {
        assert!(store.unset(key).unwrap());
        assert_eq!(store.get(key).unwrap(), None, "the removed key {key} is found");
    }
    assert_eq!(store.keys().len(), STEADY as usize);
    for number in STEADY..SLOTS {
        store.set(&format!("fill {number}"), b"").unwrap_or_else(|error| panic!("a slot was lost: {error}"));
    }
    assert!(matches!(store.set("one too many", b""), Err(SetError::Directory(DirectoryError::Full { .. }))));
}
