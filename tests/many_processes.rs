//! Several processes with several writers each publish to one key.

mod support;

use std::collections::HashMap;
use std::fs;
use std::thread;

use splinter_bus::store::{KeyOptions, Lookup, Store, StoreOptions};
use support::offsets::{Offsets, set_word, word};
use support::{Actor, Name, proof};

const WRITERS: u32 = 4;

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    if role == "reader of many keys" {
        return read_many_keys(&arguments[0]);
    }
    if role == "publisher of pages" {
        return publish_pages(&arguments[0]);
    }
    let [name, first, count] = &arguments[..] else { panic!("three arguments") };
    let (first, count): (u32, u64) = (first.parse().unwrap(), count.parse().unwrap());
    let store = support::open_soon(name);
    thread::scope(|scope| {
        for writer in first..first + WRITERS {
            let slot = store.slot("key").unwrap();
            scope.spawn(move || {
                let mut value = Vec::new();
                let mut last = 0;
                for number in 0..count {
                    proof::write(&mut value, writer, number);
                    let version = slot.set(&value).unwrap();
                    assert!(version > last, "a writer's versions went backwards");
                    last = version;
                }
            });
        }
    });
}

/// Returns how many messages all writers publish. `SPLINTER_TEST_PUBLISHES` may set it.
fn publishes() -> u64 {
    std::env::var("SPLINTER_TEST_PUBLISHES").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000)
}

#[test]
fn every_version_of_eight_writers_in_two_processes_is_seen_once_or_counted_as_lagged() {
    let name = Name::new();
    let store: Store = name.create(&StoreOptions::new().slots(1).key_options(KeyOptions::new().history(64)));
    let slot = store.slot("key").unwrap();
    let each = publishes() / u64::from(2 * WRITERS);
    let total = each * u64::from(2 * WRITERS);
    let actors = [0, WRITERS].map(|first| Actor::spawn("writers", &[&name, &first.to_string(), &each.to_string()]));

    let (mut seen, mut lagged, mut next) = (0, 0, 1);
    let mut last_of: HashMap<u32, u64> = HashMap::new();
    let mut value = Vec::new();
    while next <= total {
        match slot.get_version_into(next, &mut value).unwrap() {
            Lookup::Found(()) => {
                let (writer, number) = proof::read(&value);
                if let Some(last) = last_of.insert(writer, number) {
                    assert!(number > last, "writer {writer}: {number} after {last}");
                }
                seen += 1;
                next += 1;
            }
            Lookup::NotYet => {
                assert!(
                    slot.poll_after(next - 1, Some(support::DEADLINE)).unwrap().is_some(),
                    "no writer published in time"
                );
            }
            Lookup::Gone => {
                let oldest = slot.oldest_from(next).unwrap().expect("the newest version is always retained");
                assert!(oldest > next, "version {next} was reported as overwritten, and exists");
                lagged += oldest - next;
                next = oldest;
            }
        }
    }
    actors.into_iter().for_each(Actor::finish);
    println!("{total} publishes: {seen} seen, {lagged} lagged");
    assert_eq!(seen + lagged, total);
    assert_eq!(slot.version(), total);
    assert!(seen > 0);
    let cells = slot.cells();
    assert_eq!((cells.in_flight, cells.readable + cells.free), (0, 72), "{cells:?}");
}

#[test]
fn a_hundred_processes_start_at_once_in_any_order() {
    let name = Name::new();
    let actors: Vec<_> =
        (0..100).map(|number| Actor::spawn("writers", &[&name, &(number * WRITERS).to_string(), "10"])).collect();
    // The store is created last. The other processes wait for it.
    let store = name.create(&StoreOptions::new().slots(4));
    actors.into_iter().for_each(Actor::finish);
    assert_eq!(store.slot("key").unwrap().version(), 100 * 10 * u64::from(WRITERS));
    assert_eq!(store.keys(), ["key"]);
    assert_eq!(store.participants().unwrap(), [store.participant()]);
}

const KEYS: usize = 1000;

/// Prints what a hundred processes cost that use the same thousand keys, and checks that it is not more
/// than it was.
#[test]
fn a_hundred_processes_on_a_thousand_keys_need_few_page_tables() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    for number in 0..KEYS {
        store.set(&format!("key {number}"), &[7; 3000]).unwrap();
    }
    let mut actors: Vec<_> = (0..100).map(|_| Actor::spawn("reader of many keys", &[&name])).collect();
    support::wait_until("all have read", || store.get("ready").unwrap().is_some_and(|ready| ready[0] == 100));
    let mut costs = actors.iter().map(|actor| Costs::of(actor.0.id())).collect::<Vec<_>>();
    costs.sort_unstable_by_key(|costs| costs.page_tables);
    println!("a hundred processes on {KEYS} keys of 3,000 bytes, each at most: {:?}", costs[99]);
    // Some of it is the program's own.
    assert!(
        costs[99].page_tables < 2 << 20 && costs[99].resident_shared < 64 << 20 && costs[99].mappings < 200,
        "{:?}",
        costs[99]
    );
    actors.iter_mut().for_each(Actor::kill);
}

/// What a process costs, by its files in /proc: bytes, and a number.
#[derive(Debug)]
struct Costs {
    page_tables: u64,
    resident_shared: u64,
    mappings: usize,
}

impl Costs {
    fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of status");
            line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
        };
        let mappings = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap().lines().count();
        Self { page_tables: kib("VmPTE:"), resident_shared: kib("RssShmem:"), mappings }
    }
}

fn read_many_keys(name: &str) {
    let store = support::open_soon(name);
    for _ in 0..2 {
        for number in 0..KEYS {
            assert_eq!(store.get(&format!("key {number}")).unwrap(), Some(vec![7; 3000]));
        }
    }
    store.integer("ready").unwrap().fetch_add(1).unwrap();
    // Until it is killed.
    loop {
        thread::park();
    }
}

#[test]
fn a_value_that_a_stopped_writer_has_claimed_is_read_although_the_file_has_grown_meanwhile() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(4));
    let slot = store.slot("key").unwrap();
    // All cells are known, and no page.
    (0..30).for_each(|_| _ = slot.set(b"short").unwrap());
    let mut value = Vec::new();
    slot.get_into(&mut value).unwrap();
    let mut actor = Actor::spawn("publisher of pages", &[&name]);
    support::wait_until("all are published", || slot.version() == 34);
    // The publisher, which lives, has claimed version 32, and does not go on.
    let file = fs::File::options().read(true).write(true).open(name.path()).unwrap();
    let offsets = Offsets::of(&file);
    let index = offsets.slot_of(&file, "key");
    let cell = (0..24).map(|cell| offsets.cell(index, cell)).find(|&cell| word(&file, cell) == 32).unwrap();
    let publisher = store.participants().unwrap().into_iter().find(|it| *it != store.participant()).unwrap();
    set_word(&file, cell, 1 << 56 | u64::from(publisher.id) << 48 | 32);
    assert_eq!(slot.get_version_into(32, &mut value).unwrap(), Lookup::Found(()));
    assert_eq!(value, [3; 3000]);
    set_word(&file, cell, 32);
    actor.kill();
}

fn publish_pages(name: &str) {
    let slot = support::open_soon(name).slot("key").unwrap();
    for number in 2..6 {
        slot.set(&[number; 3000]).unwrap();
    }
    // Until it is killed.
    loop {
        thread::park();
    }
}
