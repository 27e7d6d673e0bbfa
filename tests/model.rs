//! Four processes run generated operations at once, and compare each byte of every result with a
//! model.
//!
//! Every process has keys of its own, which its model knows completely. All processes share the key
//! directory, some counters that all increment, and one key that all append to. If operations fail,
//! proptest reduces those of all four processes to the few that matter.

mod support;

use std::collections::BTreeMap;
use std::env;
use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde::{Deserialize, Serialize};
use splinter_bus::store::{KeyOptions, Lookup, SetError, Store, StoreOptions};
use support::{Actor, Name};

const PROCESSES: usize = 4;
const KEYS: u8 = 6;
const COUNTERS: u8 = 2;
const MAX_LEN: usize = 96;
const HISTORY: u32 = 3;

/// One operation of a process. Numbers select one of its own keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Operation {
    Set { key: u8, fill: u8, len: u8 },
    Append { key: u8, fill: u8, len: u8 },
    Get { key: u8 },
    Size { key: u8 },
    Unset { key: u8 },
    ReadVersion { key: u8, back: u8 },
    Poll { key: u8 },
    Pin { key: u8 },
    Integer { key: u8, change: Change, operand: u64 },
    List,
    Purge,
    SetVacuum { on: bool },
    CountUp { counter: u8 },
    AppendShared,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Change {
    Add,
    And,
    Or,
    Xor,
    Not,
    Exchange,
}

fn operation() -> impl Strategy<Value = Operation> {
    let key = || 0..KEYS;
    let change = prop_oneof![
        Just(Change::Add),
        Just(Change::And),
        Just(Change::Or),
        Just(Change::Xor),
        Just(Change::Not),
        Just(Change::Exchange)
    ];
    // Some lengths are a little larger than the maximum.
    let len = || 0..MAX_LEN as u8 + 4;
    prop_oneof![
        8 => (key(), any::<u8>(), len()).prop_map(|(key, fill, len)| Operation::Set { key, fill, len }),
        4 => (key(), any::<u8>(), len()).prop_map(|(key, fill, len)| Operation::Append { key, fill, len }),
        6 => key().prop_map(|key| Operation::Get { key }),
        2 => key().prop_map(|key| Operation::Size { key }),
        4 => key().prop_map(|key| Operation::Unset { key }),
        4 => (key(), 0..8u8).prop_map(|(key, back)| Operation::ReadVersion { key, back }),
        1 => key().prop_map(|key| Operation::Poll { key }),
        2 => key().prop_map(|key| Operation::Pin { key }),
        4 => (key(), change, any::<u64>()).prop_map(|(key, change, operand)| Operation::Integer { key, change, operand }),
        1 => Just(Operation::List),
        1 => Just(Operation::Purge),
        1 => any::<bool>().prop_map(|on| Operation::SetVacuum { on }),
        3 => (0..COUNTERS).prop_map(|counter| Operation::CountUp { counter }),
        2 => Just(Operation::AppendShared),
    ]
}

/// What a process knows about its own keys.
#[derive(Default)]
struct Model {
    /// The values of each existing key with their versions, oldest first.
    keys: BTreeMap<String, Vec<(u64, Vec<u8>)>>,
    /// The largest version that each key has had.
    highest: BTreeMap<String, u64>,
}

impl Model {
    fn newest(&self, key: &str) -> Option<&(u64, Vec<u8>)> {
        self.keys.get(key)?.last()
    }

    fn value(&self, key: &str) -> Option<&[u8]> {
        self.newest(key).map(|(_, value)| &value[..])
    }

    fn publish(&mut self, key: &str, version: u64, value: Vec<u8>) {
        let highest = self.highest.entry(key.to_owned()).or_default();
        assert!(version > *highest, "{key}: version {version} after {highest}");
        if let Some((newest, _)) = self.newest(key) {
            assert_eq!(version, newest + 1, "{key}: another process published");
        }
        self.highest.insert(key.to_owned(), version);
        self.keys.entry(key.to_owned()).or_default().push((version, value));
    }
}

#[test]
fn actor() {
    let Some((_, arguments)) = support::role() else { return };
    let [name, me, operations] = &arguments[..] else { panic!("three arguments") };
    let operations: Vec<Operation> = serde_json::from_str(&fs::read_to_string(operations).unwrap()).unwrap();
    let store = support::open_soon(name.as_str());
    let mut model = Model::default();
    for (number, operation) in operations.iter().enumerate() {
        apply(&store, me, operation, &mut model);
        for key in (0..KEYS).map(|key| own(me, key)) {
            let found = store.get(&key).unwrap();
            assert_eq!(found.as_deref(), model.value(&key), "{key} after operation {number}, {operation:?}");
        }
    }
}

fn own(me: &str, key: u8) -> String {
    format!("{me} has {key}")
}

fn apply(store: &Store, me: &str, operation: &Operation, model: &mut Model) {
    match *operation {
        Operation::Set { key, fill, len } => {
            let (key, value) = (own(me, key), vec![fill; len.into()]);
            match store.set(&key, &value) {
                Ok(version) => model.publish(&key, version, value),
                Err(error) => assert!(matches!(error, SetError::TooLarge { .. }) && value.len() > MAX_LEN, "{error}"),
            }
        }
        Operation::Append { key, fill, len } => {
            let (key, tail) = (own(me, key), vec![fill; len.into()]);
            let longer = [model.value(&key).unwrap_or_default(), &tail].concat();
            match store.append(&key, &tail) {
                Ok(appended) => {
                    assert_eq!(appended.len, longer.len());
                    model.publish(&key, appended.version, longer);
                }
                Err(error) => {
                    assert!(longer.len() > MAX_LEN, "{error}");
                    if tail.len() <= MAX_LEN {
                        // The key was created before the append found that the total is too long.
                        model.keys.entry(key).or_default();
                    }
                }
            }
        }
        // Every value is compared after every operation.
        Operation::Get { .. } => {}
        Operation::Size { key } => {
            let key = own(me, key);
            assert_eq!(store.size(&key).unwrap(), model.value(&key).map(<[u8]>::len));
        }
        Operation::Unset { key } => {
            let key = own(me, key);
            let len = model.keys.contains_key(&key).then(|| model.value(&key).map_or(0, |value| value.len()));
            model.keys.remove(&key);
            assert_eq!(store.unset(&key).unwrap(), len, "{key}");
        }
        Operation::ReadVersion { key, back } => read_version(store, &own(me, key), back.into(), model),
        Operation::Poll { key } => {
            let key = own(me, key);
            let newest = model.newest(&key).map(|(version, _)| *version);
            let seen = newest.map_or(0, |version| version - 1);
            assert_eq!(store.poll_after(&key, seen, Some(std::time::Duration::ZERO)).unwrap(), newest);
            // Without waiting, it creates the key only if no other process has locked the
            // directory.
            if store.slot_snapshot(&key).unwrap().is_some() {
                model.keys.entry(key).or_default();
            }
        }
        Operation::Pin { key } => {
            let key = own(me, key);
            let pinned = store.slot(&key).unwrap().pin().unwrap();
            assert_eq!(pinned.as_ref().map(|pin| pin.version()), model.newest(&key).map(|(version, _)| *version));
            if let Some(pin) = pinned {
                let mut value = Vec::new();
                pin.copy_into(&mut value);
                assert_eq!(Some(&value[..]), model.value(&key));
            }
            model.keys.entry(key).or_default();
        }
        Operation::Integer { key, change, operand } => change_integer(store, &own(me, key), change, operand, model),
        Operation::List => {
            let mine: Vec<_> = store.keys().into_iter().filter(|key| key.starts_with(me)).collect();
            assert!(mine.iter().eq(model.keys.keys()), "{mine:?}");
            assert_eq!(store.keys_matching(&format!("{me}*")).unwrap(), mine);
        }
        Operation::Purge => drop(store.purge().unwrap()),
        Operation::SetVacuum { on } => store.set_auto_vacuum(on),
        Operation::CountUp { counter } => {
            store.integer(&format!("counter {counter}")).unwrap().fetch_add(1).unwrap();
        }
        Operation::AppendShared => match store.append("shared", me.as_bytes()) {
            Ok(_) => {}
            Err(_) => assert_eq!(store.size("shared").unwrap(), Some(MAX_LEN)),
        },
    }
}

/// Reads a version that is retained, was overwritten, or never existed.
fn read_version(store: &Store, key: &str, back: u64, model: &mut Model) {
    let slot = store.slot(key).unwrap();
    let versions = model.keys.entry(key.to_owned()).or_default();
    let Some((newest, _)) = versions.last() else { return };
    let mut value = Vec::new();
    assert_eq!(slot.get_version_into(newest + 1, &mut value).unwrap(), Lookup::NotYet);
    let version = newest.saturating_sub(back).max(1);
    let held = versions.iter().find(|(of, _)| *of == version);
    match (slot.get_version_into(version, &mut value).unwrap(), held) {
        (Lookup::Found(()), Some((_, held))) => assert_eq!(value, *held, "{key} version {version}"),
        // Others purge the store, but the newest version stays.
        (Lookup::Gone, _) => assert!(back > 0 || held.is_none(), "{key} version {version}"),
        (answer, held) => panic!("{key} version {version}: {answer:?}, and it held {held:?}"),
    }
}

fn change_integer(store: &Store, key: &str, change: Change, operand: u64, model: &mut Model) {
    let before = match model.value(key) {
        None => Some(0),
        Some(value) => value.try_into().ok().map(u64::from_le_bytes),
    };
    let n = store.integer(key).unwrap();
    model.keys.entry(key.to_owned()).or_default();
    let answer = match change {
        Change::Add => n.fetch_add(operand),
        Change::And => n.fetch_and(operand),
        Change::Or => n.fetch_or(operand),
        Change::Xor => n.fetch_xor(operand),
        Change::Not => n.fetch_not(),
        Change::Exchange => {
            let wrong = before.unwrap_or(0).wrapping_add(1);
            match n.compare_exchange(wrong, operand) {
                Ok(answer) => assert_eq!(answer.err(), before),
                Err(_) => assert_eq!(before, None),
            }
            n.compare_exchange(before.unwrap_or(0), operand).map(Result::unwrap)
        }
    };
    let Some(before) = before else {
        assert!(answer.is_err(), "{key} is no integer");
        return;
    };
    assert_eq!(answer.unwrap(), before);
    let after = match change {
        Change::Add => before.wrapping_add(operand),
        Change::And => before & operand,
        Change::Or => before | operand,
        Change::Xor => before ^ operand,
        Change::Not => !before,
        Change::Exchange => operand,
    };
    let version = store.slot_snapshot(key).unwrap().unwrap().version;
    model.publish(key, version, after.to_le_bytes().into());
}

/// Runs the operations of all four processes at once. Fails if one of them found an error.
fn run(scripts: &[Vec<Operation>]) -> Result<(), TestCaseError> {
    let (name, directory) = (Name::new(), tempfile::tempdir().unwrap());
    // There are just enough slots for all keys.
    let slots = PROCESSES as u32 * u32::from(KEYS) + u32::from(COUNTERS) + 1;
    let options = StoreOptions::new().slots(slots).key_options(KeyOptions::new().history(HISTORY).spare(6));
    let store = name.create(&options);
    let actors: Vec<_> = (scripts.iter().enumerate())
        .map(|(me, script)| {
            let path = directory.path().join(me.to_string());
            fs::write(&path, serde_json::to_string(script).unwrap()).unwrap();
            Actor::spawn("process", &[&name, &me.to_string(), path.to_str().unwrap()])
        })
        .collect();
    for (me, mut actor) in actors.into_iter().enumerate() {
        prop_assert!(actor.0.wait().unwrap().success(), "process {me} found an error");
    }
    let all = || scripts.iter().flatten();
    for counter in 0..COUNTERS {
        let expected =
            all().filter(|operation| matches!(operation, Operation::CountUp { counter: of } if *of == counter));
        let counted = store.integer(&format!("counter {counter}")).unwrap().get().unwrap().unwrap_or(0);
        prop_assert_eq!(counted, expected.count() as u64);
    }
    let appended = all().filter(|operation| matches!(operation, Operation::AppendShared)).count();
    let shared = store.get("shared").unwrap().unwrap_or_default();
    prop_assert_eq!(shared.len(), appended.min(MAX_LEN));
    Ok(())
}

/// Returns how many operations run in all. `SPLINTER_TEST_OPERATIONS` may set it.
fn operations() -> usize {
    env::var("SPLINTER_TEST_OPERATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000)
}

#[test]
fn results_in_four_processes_equal_those_of_their_models() {
    const EACH: usize = 250;
    let cases = (operations() / (PROCESSES * EACH)).max(1);
    let config = Config { cases: cases as u32, failure_persistence: None, ..Config::default() };
    let scripts = vec(vec(operation(), EACH), PROCESSES);
    TestRunner::new(config).run(&scripts, |scripts| run(&scripts)).unwrap();
    println!("{} operations", cases * PROCESSES * EACH);
}
