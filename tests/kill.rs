//! Writers are killed or stopped at random moments. No committed value and no cell is lost, and no
//! other process waits for them.

mod support;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use splinter_bus::store::{KeyOptions, OpenError, Store, StoreOptions};
use support::image::{Image, space_of};
use support::{Actor, Name, Random, proof};

const KEYS: u32 = 3;
const HISTORY: u32 = 4;
const SPARE: u32 = 4;

fn options() -> StoreOptions {
    StoreOptions::new().slots(8).key_options(KeyOptions::new().history(HISTORY).spare(SPARE))
}

fn key(number: u32) -> String {
    format!("key:{number}")
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    if role == "creator" {
        create_and_remove(&arguments[0]);
    }
    let store = support::open_soon_with(&options(), &arguments[0]);
    match role.as_str() {
        "lone writer" => support::write_versions(&[0, 1, 2].map(|number| store.slot(&key(number)).unwrap())),
        "secretive writer" => write_secrets(&store),
        "writers" => write_among_others(&store),
        "directory" => churn(&store),
        _ => panic!("no such role: {role}"),
    }
}

const SECRET: &[u8] = b"what nobody may find";

/// Sets keys to secrets, and pins some of them.
fn write_secrets(store: &Store) {
    for round in 0.. {
        let slot = store.slot(&key(round as u32 % KEYS)).unwrap();
        let _pin = slot.pin().unwrap();
        // Up to 240 bytes, in the cell; 2,000, in a medium place; 100,000, in a large one.
        let repeated = [1 + round % 12, 100, 5000][round % 3];
        slot.set(&SECRET.repeat(repeated)).unwrap();
    }
}

/// Two threads write the same keys.
fn write_among_others(store: &Store) {
    thread::scope(|scope| {
        for writer in [1, 2] {
            scope.spawn(move || {
                let mut value = Vec::new();
                for number in 0.. {
                    proof::write(&mut value, writer, number);
                    store.set(&key(number as u32 % KEYS), &value).unwrap();
                }
            });
        }
    });
}

/// Creates and removes a store in a loop.
fn create_and_remove(name: &str) -> ! {
    loop {
        if let Err(error) = options().slots(64).create(name) {
            assert!(matches!(error, OpenError::AlreadyExists { .. }), "{error}");
        }
        Store::remove(name).unwrap();
    }
}

/// Creates and removes keys as fast as it can.
fn churn(store: &Store) {
    for number in 0.. {
        store.set(&key(100 + number % 4), b"come and go").unwrap();
        store.unset(&key(100 + (number + 2) % 4)).unwrap();
    }
}

/// Lets a writer run for a random time: until before its first publish, or some thousands of
/// publishes.
fn let_it_run(store: &Store, random: &mut Random) {
    let slot = store.slot(&key(0)).unwrap();
    let start = slot.version();
    if random.below(8) > 0 {
        support::wait_until("the writer has begun", || slot.version() > start);
    }
    let pause = Duration::from_nanos(random.below(300_000));
    let until = Instant::now() + pause;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// Counts the cells that live or crashed writers have claimed.
fn in_flight(store: &Store) -> u64 {
    (0..KEYS).map(|number| store.slot(&key(number)).unwrap().cells().in_flight).sum()
}

/// Checks that every cell is readable or free after crashed writers were reaped.
fn assert_no_cell_is_lost(name: &Name) {
    let store = Store::open_unshared(name).unwrap();
    for number in 0..KEYS {
        let cells = store.slot(&key(number)).unwrap().cells();
        assert_eq!((cells.in_flight, cells.pinned), (0, 0), "{cells:?}");
        assert_eq!(cells.readable + cells.free, u64::from(HISTORY + SPARE), "{cells:?}");
    }
}

#[test]
fn after_250_killed_writers_every_last_value_is_readable_and_every_cell_usable() {
    let (name, mut random) = (Name::new(), Random::new(1));
    let store = name.create(&options());
    let mut value = Vec::new();
    let mut killed_in_flight = 0;
    for round in 0..250 {
        let mut writer = Actor::spawn("lone writer", &[&name]);
        let_it_run(&store, &mut random);
        writer.kill();
        killed_in_flight += in_flight(&store);
        for number in 0..KEYS {
            let slot = store.slot(&key(number)).unwrap();
            if let Some(version) = slot.get_into(&mut value).unwrap() {
                assert_eq!(proof::read(&value), (number, version), "round {round}: not the last committed value");
                assert_eq!(slot.version(), version);
            }
            // The next writer continues at once, with the next version.
            let next = slot.version() + 1;
            proof::write(&mut value, number, next);
            assert_eq!(slot.set(&value).unwrap(), next, "round {round}");
        }
        assert_no_cell_is_lost(&name);
    }
    println!("killed in the middle of a publish: {killed_in_flight} of 250");
    assert!(killed_in_flight > 10, "too few kills hit the middle of a publish: {killed_in_flight} of 250");
}

#[test]
fn a_writer_stopped_250_times_delays_no_other_writer_or_reader() {
    let (name, mut random) = (Name::new(), Random::new(2));
    let store = name.create(&options());
    let mut value = Vec::new();
    let mut stopped_in_flight = 0;
    for round in 0..250u64 {
        let mut writers = Actor::spawn("writers", &[&name]);
        let_it_run(&store, &mut random);
        writers.stop();
        stopped_in_flight += in_flight(&store);
        for number in 0..KEYS {
            let slot = store.slot(&key(number)).unwrap();
            // More publishes than there are cells: the writer meets the cell of the stopped one,
            // and skips it.
            for publish in 0..u64::from(3 * (HISTORY + SPARE)) {
                proof::write(&mut value, 9, publish);
                let version = slot.set(&value).unwrap();
                assert!(slot.get_into(&mut value).unwrap().is_some_and(|newest| newest >= version), "round {round}");
                proof::read(&value);
            }
        }
        if round % 2 == 0 {
            // The stopped writer continues after others have published, and is killed at a random
            // moment.
            writers.signal(Signal::CONT);
        }
        writers.kill();
        for number in 0..KEYS {
            if store.get_into(&key(number), &mut value).unwrap().is_some() {
                proof::read(&value);
            }
        }
        assert_no_cell_is_lost(&name);
    }
    println!("stopped in the middle of a publish: {stopped_in_flight} of 250");
    assert!(stopped_in_flight > 10, "too few stops hit the middle of a publish: {stopped_in_flight} of 250");
}

#[test]
fn removing_keys_erases_the_values_of_a_killed_writer() {
    let (name, mut random) = (Name::new(), Random::new(8));
    let store = name.create(&options());
    let mut killed_in_flight = 0;
    for round in 0..100 {
        let mut writer = Actor::spawn("secretive writer", &[&name]);
        let_it_run(&store, &mut random);
        writer.kill();
        killed_in_flight += in_flight(&store);
        for number in 0..KEYS {
            store.unset(&key(number)).unwrap();
        }
        let space = space_of(name.path());
        assert!(space < 300 << 10, "round {round}: {space} bytes are left of removed keys");
        let left = Image::read(name.path()).find(SECRET);
        assert!(left.is_empty(), "round {round}: a secret is still in the store: {left:x?}");
    }
    println!("killed in the middle of a publish: {killed_in_flight} of 100");
    assert!(killed_in_flight > 0);
}

#[test]
fn a_publish_that_needs_a_cell_of_a_killed_writer_reaps_it() {
    let name = Name::new();
    let store = name.create(&options().key_options(KeyOptions::new().history(1).spare(2)));
    let slot = store.slot(&key(0)).unwrap();
    let mut random = Random::new(3);
    // Without reaping, three crashes in the middle of a publish would block the key permanently.
    let mut value = Vec::new();
    for _ in 0..50 {
        let mut writers = Actor::spawn("writers", &[&name]);
        let_it_run(&store, &mut random);
        writers.kill();
        for publish in 0..20 {
            proof::write(&mut value, 9, publish);
            slot.set(&value).unwrap();
        }
    }
}

#[test]
fn the_directory_works_after_a_process_that_changes_keys_is_killed() {
    let (name, mut random) = (Name::new(), Random::new(4));
    let store = name.create(&options());
    store.set(&key(0), b"stays").unwrap();
    for round in 0..100 {
        let mut churner = Actor::spawn("directory", &[&name]);
        support::wait_until("the churner has opened the store", || store.participants().unwrap().len() == 2);
        let until = Instant::now() + Duration::from_nanos(random.below(400_000));
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        churner.kill();
        assert_eq!(store.get(&key(0)).unwrap().as_deref(), Some(&b"stays"[..]), "round {round}");
        for number in 0..4 {
            store.unset(&key(100 + number)).unwrap();
        }
        assert_eq!(store.keys(), [key(0)], "round {round}: a key cannot be removed");
        // Every slot is usable: none was lost.
        for number in 0..7 {
            store.set(&key(200 + number), b"fill").unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
        assert!(store.set("one too many", b"").is_err());
        for number in 0..7 {
            assert!(store.unset(&key(200 + number)).unwrap().is_some());
        }
    }
}

/// Lists the names of drafts of stores, also of those that another process creates now.
fn drafts() -> Vec<String> {
    let names = fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".splinter-draft-")).collect()
}

#[test]
fn a_store_can_be_created_after_its_creator_is_killed_at_any_moment() {
    let (name, mut random) = (Name::new(), Random::new(5));
    let mut killed_half_way = 0;
    for round in 0..100 {
        let mut creator = Actor::spawn("creator", &[&name]);
        support::wait_until("the creator has created a store", || Store::open(&name).is_ok());
        let until = Instant::now() + Duration::from_nanos(random.below(2_000_000));
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        let before = drafts();
        creator.kill();
        killed_half_way += u32::from(before.iter().any(|draft| drafts().contains(draft)));
        let store = options().open_or_create(&name).unwrap_or_else(|error| panic!("round {round}: {error}"));
        store.set("k", b"v").unwrap();
        Store::remove(&name).unwrap();
    }
    println!("killed during the creation of a store: {killed_half_way} of 100");
    // A process that creates a store removes the drafts of crashed creators.
    drop(options().create(&name).unwrap());
}
