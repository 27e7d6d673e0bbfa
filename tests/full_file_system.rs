//! A file system without space: errors with numbers, and never a signal; nothing that was sent is
//! damaged; and room again once something was removed.
//!
//! `SPLINTER_TEST_SECONDS` makes the hostile scenes longer.

mod support;

use std::time::{Duration, Instant};

use splinter_bus::Bus;
use splinter_bus::store::{DirectoryError, GetError, KeyError, KeyOptions, OpenError, SetError, Store, StoreOptions};
use support::offsets::{CLEAN_EPOCH, Offsets, set_word, word};
use support::{Actor, Random};

/// The store of all actors, in the `/dev/shm` of a mount namespace.
const NAME: &str = "full";
const KEYS: u64 = 6;

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    let location = arguments.first().map_or(NAME, String::as_str);
    match role.as_str() {
        "fill" => fill(location),
        "go round" => go_round(location),
        "crowd" => crowd(location),
        "writer" => write(location, seed(&arguments)),
        "trimmer" => trim(location, seed(&arguments)),
        "reader" => read(location, seed(&arguments)),
        "pages" => publish_in_pages(location),
        "recover" => recover_an_older_value(),
        "shapes" => change_shapes(location),
        "late limit" => under_a_limit(location),
        _ => panic!("no such role: {role}"),
    }
}

fn seed(arguments: &[String]) -> u64 {
    arguments[1].parse().unwrap()
}

fn on_tmpfs(megabytes: u32, role: &str) {
    Actor::run_on_mount(&format!("-t tmpfs -o size={megabytes}m none /dev/shm"), role, &[NAME]);
}

/// A value of which every byte tells its key and number.
fn value(key: u64, number: u64, len: usize) -> Vec<u8> {
    let mark = (key * 31 + number * 7) as u8;
    let mut value = vec![mark; len.max(17)];
    value[..8].copy_from_slice(&key.to_le_bytes());
    value[8..16].copy_from_slice(&number.to_le_bytes());
    value
}

fn assert_whole(key: u64, bytes: &[u8]) {
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    assert_eq!(word(0), key, "a value of another key");
    assert_eq!(bytes, value(key, word(8), bytes.len()), "a torn value");
}

fn key(number: u64) -> String {
    format!("key {number}")
}

/// How long hostile scenes take.
fn duration() -> Duration {
    let seconds = std::env::var("SPLINTER_TEST_SECONDS").map(|text| text.parse().expect("a number of seconds"));
    Duration::from_secs(seconds.unwrap_or(3))
}

#[test]
fn a_full_dev_shm_is_an_error_with_numbers_and_has_room_again_after_a_removal() {
    on_tmpfs(8, "fill");
}

fn fill(location: &str) {
    let store = Store::create(location).unwrap();
    let mut sent = 0;
    let error = loop {
        match store.set(&key(sent), &value(sent, sent, 100_000)) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(sent > 60, "{sent} values fit");
    match &error {
        SetError::NoSpace { needed, available, .. } => assert!(available < needed, "{error}"),
        SetError::Directory(DirectoryError::NoSpace { needed, available, .. }) => assert!(available < needed),
        error => panic!("{error:?}"),
    }
    assert!(error.to_string().contains("bytes"), "{error}");
    for number in 0..sent {
        assert_whole(number, &store.get(&key(number)).unwrap().unwrap());
    }
    // What needs no more space goes on: short values of a key that has cells, and messages.
    while store.set("short", &[1; 100]).is_err() {
        sent -= 1;
        assert!(store.unset(&key(sent)).unwrap().is_some());
    }
    for _ in 0..100 {
        store.set(&key(0), &value(0, 1, 1000)).unwrap();
    }
    // Loans are refused, too, and an update in place.
    let slot = store.slot(&key(1)).unwrap();
    assert!(matches!(slot.loan(7_000_000), Err(SetError::NoSpace { .. })));
    assert!(Bus::<Vec<u8>>::on(store.clone()).publish("m", &vec![0; 5_000_000]).is_err());
    assert_whole(1, &slot.pin().unwrap().unwrap());
    // Room again.
    for number in 2..sent {
        assert!(store.unset(&key(number)).unwrap().is_some());
    }
    store.set(&key(2), &value(2, 9, 5_000_000)).unwrap();
    assert_whole(2, &store.get(&key(2)).unwrap().unwrap());
    assert_whole(1, &store.get(&key(1)).unwrap().unwrap());
    Store::remove(location).unwrap();
}

#[test]
fn a_lone_writer_of_10_mib_goes_on_for_ever_on_64_mib() {
    on_tmpfs(64, "go round");
}

fn go_round(location: &str) {
    const LEN: usize = 10 << 20;
    let store = Store::create(location).unwrap();
    let slot = store.slot(&key(0)).unwrap();
    let numbers = |bytes: &[u8]| {
        let [first, last] = [0, LEN - 8].map(|at| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()));
        assert_eq!(first, last, "a torn value");
        first
    };
    let mut pinned = None;
    let mut value = vec![7; LEN];
    for number in 0..2000_u64 {
        value[..8].copy_from_slice(&number.to_le_bytes());
        value[LEN - 8..].copy_from_slice(&number.to_le_bytes());
        slot.set(&value).unwrap();
        if number % 10 == 0 {
            // A reader that holds a value for a while.
            pinned = slot.pin().unwrap();
        }
        if let Some(pinned) = &pinned {
            assert_eq!(numbers(pinned), number / 10 * 10);
        }
    }
    drop(pinned);
    assert_eq!(numbers(&slot.pin().unwrap().unwrap()), 1999);
    Store::remove(location).unwrap();
}

#[test]
fn nobody_is_ended_and_nothing_is_torn_while_processes_fill_trim_and_read_8_mib() {
    on_tmpfs(8, "crowd");
}

fn crowd(location: &str) {
    let store = StoreOptions::new().slots(16).create(location).unwrap();
    let actors = ["writer", "writer", "trimmer", "reader", "reader"];
    let actors = actors.iter().zip(1..).map(|(role, seed)| Actor::spawn(role, &[location, &seed.to_string()]));
    // An actor that a signal ended fails here.
    actors.collect::<Vec<_>>().into_iter().for_each(Actor::finish);
    // All space is found again.
    for number in 0..KEYS {
        if let Some(bytes) = store.get(&key(number)).unwrap() {
            assert_whole(number, &bytes);
        }
        store.unset(&key(number)).unwrap();
    }
    store.set(&key(0), &value(0, 0, 5_000_000)).unwrap();
    Store::remove(location).unwrap();
}

fn write(location: &str, seed: u64) {
    let store = Store::open(location).unwrap();
    let (mut random, end) = (Random::new(seed), Instant::now() + duration());
    let (mut sent, mut refused) = (0, 0);
    while Instant::now() < end {
        let (to, longest) = (random.below(KEYS), [900, 4000, 60_000, 1_500_000][random.below(4) as usize]);
        match store.set(&key(to), &value(to, random.below(1 << 40), random.below(longest) as usize)) {
            Ok(_) => sent += 1,
            Err(SetError::NoSpace { .. } | SetError::Directory(DirectoryError::NoSpace { .. })) => refused += 1,
            Err(SetError::Backpressure(_) | SetError::Key(KeyError::Removed)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    println!("{sent} values were set, {refused} were refused");
    assert!(sent > 100);
}

fn trim(location: &str, seed: u64) {
    let store = Store::open(location).unwrap();
    let (mut random, end) = (Random::new(seed), Instant::now() + duration());
    while Instant::now() < end {
        match random.below(8) {
            0 => _ = store.unset(&key(random.below(KEYS))).unwrap(),
            1 => _ = store.purge(),
            _ => _ = store.trim().unwrap(),
        }
    }
}

fn read(location: &str, seed: u64) {
    let store = Store::open(location).unwrap();
    let (mut random, end) = (Random::new(seed), Instant::now() + duration());
    let (mut bytes, mut found) = (Vec::new(), 0);
    while Instant::now() < end {
        let from = random.below(KEYS);
        let read = match random.below(3) {
            0 => store.get_into(&key(from), &mut bytes).map(|version| version.is_some()),
            1 => store.existing_slot(&key(from)).map_err(GetError::from).and_then(|slot| {
                let Some(pinned) = slot.map(|slot| slot.pin()).transpose()?.flatten() else { return Ok(false) };
                assert_whole(from, &pinned);
                pinned.copy_into(&mut bytes);
                Ok(true)
            }),
            _ => store.existing_slot(&key(from)).map_err(GetError::from).and_then(|slot| {
                let Some(slot) = slot else { return Ok(false) };
                let version = slot.version().saturating_sub(random.below(20));
                slot.get_version_into(version, &mut bytes)
                    .map(|outcome| matches!(outcome, splinter_bus::store::Lookup::Found(())))
            }),
        };
        match read {
            Ok(true) => {
                assert_whole(from, &bytes);
                found += 1;
            }
            Ok(false) | Err(GetError::Overtaken | GetError::Claimed { .. } | GetError::Key(KeyError::Removed)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    println!("{found} values were read");
    assert!(found > 100);
}

/// Takes all space of the file system but for some bytes.
fn take_all_but(left: u64) -> std::fs::File {
    let file = std::fs::File::create(BALLAST).unwrap();
    let free = rustix::fs::statvfs("/dev/shm").unwrap();
    let len = (free.f_bavail * free.f_frsize).saturating_sub(left);
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, len).unwrap();
    file
}

const BALLAST: &str = "/dev/shm/ballast";

#[test]
fn a_key_goes_on_with_the_pages_that_it_has() {
    on_tmpfs(8, "pages");
}

fn publish_in_pages(location: &str) {
    let store = Store::create(location).unwrap();
    let slot = store.slot("key").unwrap();
    (0..3).for_each(|number| _ = slot.set(&[number; 3000]).unwrap());
    let _ballast = take_all_but(0);
    for number in 0..100 {
        slot.set(&[number; 3000]).unwrap();
        assert_eq!(store.get("key").unwrap(), Some(vec![number; 3000]));
    }
    slot.append(b"more").unwrap();
    slot.loan(2000).unwrap().send().unwrap();
    assert_eq!(store.get("key").unwrap(), Some(vec![0; 2000]));
    assert!(matches!(slot.set(&[1; 5000]), Err(SetError::NoSpace { .. })));
}

#[test]
fn a_recovery_gives_back_what_is_damaged_before_it_needs_space() {
    on_tmpfs(40, "recover");
}

fn recover_an_older_value() {
    let path = std::path::Path::new("/dev/shm/store");
    let options = StoreOptions::new().slots(1).key_options(KeyOptions::new().history(2).spare(2));
    let store = options.create(path).unwrap();
    for number in 1..3 {
        store.set("key", &vec![number; 10 << 20]).unwrap();
    }
    drop(store);
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let offsets = Offsets::of(&file);
    let newest = (0..4).find(|&cell| word(&file, offsets.cell(0, cell)) == 2).unwrap();
    set_word(&file, offsets.large(0, newest, 4) + 5_000_000, 7);
    // As after the machine has stopped.
    set_word(&file, CLEAN_EPOCH, 0);
    let _ballast = take_all_but(64 << 10);
    let store = options.open(path).unwrap();
    assert_eq!(store.recovery().unwrap().older, ["key"]);
    assert_eq!(store.get("key").unwrap(), Some(vec![1; 10 << 20]));
}

#[test]
fn keys_of_other_shapes_in_one_slot_never_touch_space_that_was_given_back() {
    on_tmpfs(48, "shapes");
}

fn change_shapes(location: &str) {
    let store = StoreOptions::new().slots(1).span(64 << 20).create(location).unwrap();
    let shape = |cells: u32| KeyOptions::new().history(cells - 8).spare(8);
    let mut value = Vec::new();
    for round in 0..3 {
        // Values of 1 to 4 KiB in all cells, in the page of a cell or in a place.
        let many = store.slot_with("key", &shape(256)).unwrap();
        for number in 0..512 {
            many.set(&[number as u8; 3000]).unwrap();
        }
        store.unset("key").unwrap();
        // Large ones, wherever those have been.
        let few = store.slot_with("key", &shape(24)).unwrap();
        for number in 0..48 {
            few.set(&vec![number; 100_000]).unwrap();
        }
        store.unset("key").unwrap();
        // Without space, a signal ends a process that touches a hole.
        let _ballast = take_all_but(if round == 0 { 0 } else { 1 << 20 });
        let again = store.slot_with("key", &shape(256)).unwrap();
        let (mut sent, mut refused) = (0, 0);
        for number in 0..512 {
            match again.set(&[number as u8; 3000]) {
                Ok(_) => sent += 1,
                Err(SetError::NoSpace { .. } | SetError::Backpressure(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
            let _ = again.get_into(&mut value).unwrap();
            for handle in [&many, &few] {
                assert!(matches!(handle.get_into(&mut value), Err(GetError::Key(KeyError::Removed))));
            }
        }
        println!("{sent} values were set, {refused} were refused");
        assert!(sent > 0);
        std::fs::remove_file(BALLAST).unwrap();
        store.unset("key").unwrap();
    }
}

#[test]
fn a_store_that_does_not_fit_is_not_created() {
    // 84 KiB do not fit into one page.
    Actor::run_on_mount("-t tmpfs -o size=40k none /dev/shm", "late limit", &[NAME]);
}

fn under_a_limit(location: &str) {
    let error = Store::create(location).unwrap_err();
    assert!(matches!(error, OpenError::NoSpace { .. }), "{error:?}");
    assert_eq!(std::fs::read_dir("/dev/shm").unwrap().count(), 0, "a draft was left behind");
}
