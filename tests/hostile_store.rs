//! Stores that another program has damaged. Operations return errors or other values, and never
//! panic, crash or loop without end.

mod support;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant, SystemTime};

use splinter_bus::bus::AcknowledgeError;
use splinter_bus::store::{KeyError, OpenError, SetError, Store, StoreOptions};
use splinter_bus::{Bus, RecvError, Start, SubscribeOptions, message::Fault};
use support::{ForeignLock, Name, Random};

fn options() -> StoreOptions {
    StoreOptions::new().slots(4).max_value_size(64).history(2).spare(2)
}

/// Uses every kind of operation. The results do not matter. Every operation must return.
fn do_everything(store: &Store) {
    let mut value = Vec::new();
    for number in 0..6 {
        let key = format!("key {number}");
        let _ = store.get(&key);
        let _ = store.set(&key, b"some value");
        let _ = store.get(&key);
        if let Ok(slot) = store.slot(&key) {
            let version = slot.version();
            let _ = slot.get_version_into(version, &mut value);
            let _ = slot.get_version_into(version.saturating_sub(1), &mut value);
            let _ = slot.oldest_from(0);
            let _ = slot.size();
            let _ = slot.cells();
            let _ = slot.snapshot();
            let _ = slot.append(b"more");
            let _ = slot.first_version();
            let _ = store.integer(&key).map(|n| n.fetch_add(1));
            let _ = slot.poll_after(version, Some(Duration::ZERO));
            if let Ok(Some(pin)) = slot.pin() {
                pin.copy_into(&mut value);
            }
            assert!(value.len() <= 64);
        }
    }
    let bus: Bus<Fault> = Bus::on(store.clone());
    for start in [Start::Next, Start::Newest, Start::Oldest] {
        if let Ok(mut subscriber) = bus.subscribe_from("key 1", start) {
            for _ in 0..10 {
                let _ = subscriber.try_recv();
            }
        }
    }
    for key in store.keys() {
        assert!(!key.is_empty() && key.len() <= 63);
    }
    let _ = store.keys_matching("key*");
    let _ = store.unset("key 2");
    let _ = store.purge();
    let _ = store.watch().poll(Some(Duration::ZERO));
    let _ = store.snapshot();
    let _ = store.participants();
    let _ = store.diagnostics();
}

#[test]
fn random_words_anywhere_in_an_open_store_cause_no_panic_or_hang() {
    let mut random = Random::new(6);
    for round in 0..150 {
        let name = Name::new();
        let store = name.create(&options());
        do_everything(&store);
        let file = File::options().write(true).open(name.path()).unwrap();
        let len = file.metadata().unwrap().len();
        // From a single wrong word to one in three. Some words look like cell marks, others are
        // random.
        let damage = 1 << (round % 12);
        for _ in 0..damage {
            // The identity is read once, when the store is opened. Another test damages it.
            let at = 64 + random.below((len - 64) / 8) * 8;
            let word = match random.below(4) {
                0 => random.next(),
                1 => random.below(8) << 48 | random.below(16),
                2 => u64::MAX,
                _ => random.below(3) << 56 | random.below(200) << 48 | random.below(16),
            };
            file.write_all_at(&word.to_ne_bytes(), at / 8 * 8).unwrap();
        }
        do_everything(&store);
        // A process that opens the damaged store later survives it, too.
        if let Ok(late) = Store::open_unshared(&name) {
            do_everything(&late);
        }
    }
}

#[test]
fn wrong_values_in_any_word_of_an_open_store_cause_no_panic_or_hang() {
    // Some damaged heads point to a retained version that has no cell, or to a cell of a far away
    // version.
    let words = [0, 1, 2, 3, 4, 5, 0x7f, u64::MAX, u64::MAX >> 16, 1 << 63, u64::from(u32::MAX), 1 << 48 | 1 << 40];
    for word in words {
        let name = Name::new();
        let store = name.create(&options());
        do_everything(&store);
        let file = File::options().read(true).write(true).open(name.path()).unwrap();
        let mut good = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut good, 0).unwrap();
        // All words except the identity, which is read once, and most of the tables of participants
        // and types.
        let skipped = 320 + 3 * 64..16 * 1024;
        for at in (64..good.len()).step_by(8).filter(|at| !skipped.contains(at)) {
            file.write_all_at(&word.to_ne_bytes(), at as u64).unwrap();
            touch_everything_once(&store);
            file.write_all_at(&good[64..], 64).unwrap();
        }
    }
}

/// Uses each operation once, so that one round is fast.
fn touch_everything_once(store: &Store) {
    let mut value = Vec::new();
    for number in 0..3 {
        let key = format!("key {number}");
        if let Ok(slot) = store.slot(&key) {
            let _ = slot.get_into(&mut value);
            let _ = slot.set(b"some value");
            let _ = slot.get_version_into(slot.version().saturating_sub(1), &mut value);
            let _ = (slot.first_version(), slot.oldest_from(0), slot.snapshot(), slot.cells());
            let _ = slot.append(b"more");
            let _ = slot.poll_after(slot.version().saturating_sub(1), Some(Duration::ZERO));
            let _ = slot.pin();
        }
        let bus: Bus<Vec<u8>> = Bus::on(store.clone());
        let starts = [Start::Next, Start::Newest, Start::Oldest, Start::Version(0), Start::Version(u64::MAX)];
        for start in starts.into_iter().chain([Start::Time(SystemTime::UNIX_EPOCH), Start::Time(SystemTime::now())]) {
            if let Ok(mut subscriber) = bus.subscribe_with(&key, &SubscribeOptions::new().lossless().start(start)) {
                let _ = (subscriber.try_recv_sample(), subscriber.try_recv());
            }
        }
        let _ = bus.get(&key);
        let _ = bus.work_queue(&key).map(|mut queue| queue.try_recv().map(drop));
        let _ = store.unset(&key);
        let _ = store.set(&key, b"v");
    }
    let _ = store.purge();
    let _ = (store.keys(), store.snapshot(), store.participants());
}

#[test]
fn a_store_that_was_cut_at_any_length_is_refused() {
    let (name, cut, other) = (Name::new(), Name::new(), Name::new());
    let other = other.create(&options());
    other.set("key", b"v").unwrap();
    drop(options().create(name.path()).unwrap());
    let good = std::fs::read(name.path()).unwrap();
    let lengths = (0..good.len()).step_by(4096).flat_map(|page| [page, page + 1, page + 63, page + 321]);
    for len in lengths.chain(0..400).filter(|&len| len < good.len()) {
        std::fs::write(cut.path(), &good[..len]).unwrap();
        let error = Store::open(cut.path()).unwrap_err();
        let reported = match error {
            OpenError::NotAStore { .. } => len < 64,
            OpenError::Damaged { .. } => len >= 64,
            _ => false,
        };
        assert!(reported, "{len} bytes: {error}");
    }
    assert_eq!(other.get("key").unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn errors_name_the_wrong_field_of_the_header() {
    let (name, wrong) = (Name::new(), Name::new());
    drop(options().create(name.path()).unwrap());
    let good = std::fs::read(name.path()).unwrap();
    let error_with = |at: usize, bytes: &[u8]| {
        let mut image = good.clone();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        std::fs::write(wrong.path(), &image).unwrap();
        Store::open(wrong.path()).unwrap_err().to_string()
    };
    for (field, at, bytes, reported) in [
        ("magic", 0, &b"GIF8"[..], "it begins with 0x"),
        ("magic of the other byte order", 0, &0x534C_4E54_u32.swap_bytes().to_ne_bytes(), "the other order of bytes"),
        ("layout of the C library", 4, &2u32.to_ne_bytes(), "the C library libsplinter (layout 2)"),
        ("layout to come", 4, &0x5242_0007_u32.to_ne_bytes(), "another version of splinter-bus"),
        ("slots", 8, &0u32.to_ne_bytes(), "slots of 0 is out of range"),
        ("more slots", 8, &5u32.to_ne_bytes(), "its geometry needs"),
        ("history", 12, &4097u32.to_ne_bytes(), "history of 4097 is out of range"),
        ("spare", 16, &u32::MAX.to_ne_bytes(), "spare of 4294967295 is out of range"),
        ("lossless", 56, &1025u32.to_ne_bytes(), "lossless of 1025 is out of range"),
        ("feature bits", 20, &4u32.to_ne_bytes(), "feature bits"),
        ("value size", 24, &u64::MAX.to_ne_bytes(), "max_value_size of 18446744073709551615"),
        ("total length", 32, &7u64.to_ne_bytes(), "its header says 7"),
    ] {
        let error = error_with(at, bytes);
        assert!(error.contains(reported), "{field}: {error}");
    }
}

#[test]
fn anything_but_a_regular_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    let socket = directory.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for path in [directory.path(), &pipe, &socket, "/dev/null".as_ref(), "/dev/zero".as_ref()] {
        let error = Store::open(path).unwrap_err();
        assert!(matches!(error, OpenError::NotAStore { .. }), "{path:?}: {error}");
        assert!(Store::remove(path).is_err(), "{path:?}");
        assert!(path.exists());
    }
    let error = Store::open(directory.path().join("pipe/store")).unwrap_err();
    assert!(matches!(error, OpenError::NoDirectory { .. }), "{error}");
}

#[test]
fn a_lock_on_the_whole_file_by_another_program_is_reported() {
    let name = Name::new();
    drop(name.create(&options()));
    let lock = ForeignLock::new(&name.path(), 0, 0);
    let error = Store::open(&name).unwrap_err();
    assert!(matches!(error, OpenError::LockedOut { .. }), "{error}");
    drop(lock);
    Store::open(&name).unwrap();
}

#[test]
fn receiving_a_version_without_a_cell_returns() {
    let name = Name::new();
    let bus = Bus::<Vec<u8>>::on(name.create(&options().max_value_size(256)));
    for number in 0..3 {
        bus.publish("key", &vec![number]).unwrap();
    }
    // The head says version 3, but names no cell.
    let file = File::options().write(true).open(name.path()).unwrap();
    file.write_all_at(&3u64.to_ne_bytes(), SLOT).unwrap();
    let mut subscriber = bus.subscribe_from("key", Start::Version(3)).unwrap();
    assert!(matches!(subscriber.try_recv(), Err(RecvError::Lagged(1))));
    assert!(subscriber.try_recv().unwrap().is_none());
    // The head is at a version that is far away.
    file.write_all_at(&(1u64 << 48 | 1 << 40).to_ne_bytes(), SLOT).unwrap();
    let _ = bus.subscribe_from("key", Start::Time(SystemTime::now())).unwrap().try_recv();
}

#[test]
fn publishing_after_the_last_version_is_an_error() {
    const LAST: u64 = (1 << 48) - 1;
    let name = Name::new();
    let slot = name.create(&options().max_value_size(256)).slot("key").unwrap();
    slot.set(b"first").unwrap();
    // The head is as after 2^48 publishes.
    let file = File::options().read(true).write(true).open(name.path()).unwrap();
    let mut head = [0; 8];
    file.read_exact_at(&mut head, SLOT).unwrap();
    let (cell, before_last) = (u64::from_ne_bytes(head) >> 48, LAST - 2);
    file.write_all_at(&(cell << 48 | before_last).to_ne_bytes(), SLOT).unwrap();
    file.write_all_at(&before_last.to_ne_bytes(), CELLS + (cell - 1) * STRIDE).unwrap();
    assert_eq!(slot.set(b"last but one").unwrap(), LAST - 1);
    // By now the writer's cached head is correct.
    assert_eq!(slot.set(b"last").unwrap(), LAST);
    let mut value = Vec::new();
    for _ in 0..3 {
        assert!(matches!(slot.set(b"too late"), Err(SetError::Exhausted)));
        assert_eq!(slot.get_into(&mut value).unwrap(), Some(LAST));
        assert_eq!(value, b"last");
    }
}

/// The offset of the first slot of a store with these options, after an index for four keys, and of
/// its first cells.
const SLOT: u64 = 25_600;
const CELLS: u64 = SLOT + 4 * 256 + 4 * 64;
const STRIDE: u64 = 320;
/// The offset of the delivery state in a cell.
const DELIVERY: u64 = 40;

#[test]
fn a_message_in_parts_is_assembled_although_its_last_version_is_far_away() {
    let name = Name::new();
    let bus = Bus::<Vec<u8>>::on(name.create(&options().max_value_size(256).history(4)));
    let message = vec![7; 300];
    bus.publish("key", &message).unwrap();
    let newest = bus.store().slot("key").unwrap().version();
    // The newest part gets a version that is far away, in the head and in its cell.
    let far = 1u64 << 40;
    let file = File::options().read(true).write(true).open(name.path()).unwrap();
    let mut head = [0; 8];
    file.read_exact_at(&mut head, SLOT).unwrap();
    let head = u64::from_ne_bytes(head);
    assert_eq!(head & (far - 1), newest);
    file.write_all_at(&(head - newest + far).to_ne_bytes(), SLOT).unwrap();
    file.write_all_at(&far.to_ne_bytes(), CELLS + ((head >> 48) - 1) * STRIDE).unwrap();
    let received = bus.get("key").unwrap().unwrap();
    assert_eq!((received.version(), &received[..]), (far, &message[..]));
}

#[test]
fn acknowledging_a_job_whose_delivery_state_was_overwritten_is_an_error() {
    let name = Name::new();
    let bus = Bus::<Vec<u8>>::on(name.create(&options().max_value_size(256)));
    let mut queue = bus.work_queue("key").unwrap();
    bus.publish("key", &vec![7]).unwrap();
    let job = queue.recv().unwrap();
    let file = File::options().write(true).open(name.path()).unwrap();
    file.write_all_at(&[0; 8], CELLS + DELIVERY).unwrap();
    assert!(matches!(job.acknowledge(), Err(AcknowledgeError::Key { source: KeyError::Damaged, .. })));
}

/// Returns how many damaged copies are opened.
fn copies() -> u32 {
    std::env::var("SPLINTER_TEST_COPIES").map_or(2000, |count| count.parse().expect("a number"))
}

/// Damages a copy: random bytes, wrong fields, a shorter file, or pieces of the file in another
/// order.
fn damaged(good: &[u8], random: &mut Random, round: u32) -> Vec<u8> {
    let (mut bytes, len) = (good.to_vec(), good.len() as u64);
    for _ in 0..1 << random.below(8) {
        let at = random.below(len) as usize;
        match round % 4 {
            0 => bytes[at] = random.next() as u8,
            1 => {
                let (at, field) = (at / 4 * 4, [0, 1, 7, u32::MAX, random.next() as u32][random.below(5) as usize]);
                bytes[at..at + 4].copy_from_slice(&field.to_ne_bytes());
            }
            2 => {
                let piece = good[at..].iter().take(1 << random.below(13)).copied();
                let to = random.below(len) as usize / 8 * 8;
                bytes[to..].iter_mut().zip(piece).for_each(|(old, new)| *old = new);
            }
            _ => bytes[at..].iter_mut().take(random.below(64) as usize).for_each(|byte| *byte = random.next() as u8),
        }
    }
    match round % 16 {
        13 => bytes.truncate(random.below(len) as usize),
        // The length stays the same, as after a power loss.
        14 => bytes[random.below(len) as usize..].fill(0),
        15 => bytes.fill_with(|| random.next() as u8),
        _ => {}
    }
    bytes
}

#[test]
fn a_damaged_copy_of_a_file_returns_committed_values_or_errors() {
    // The files are in memory, so that opening thousands of them does not wait for a disk.
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let (original, copy) = (directory.path().join("original"), directory.path().join("copy"));
    let store = StoreOptions::new().slots(6).max_value_size(300).history(3).spare(3).create(&*original).unwrap();
    let keys: Vec<_> = (0..6).map(|number| format!("key {number}")).collect();
    let value_of = |key: &str, version: u64| format!("{key} as {version} ").repeat(1 + version as usize % 12);
    for version in 1..=8 {
        for key in &keys {
            assert_eq!(store.set(key, value_of(key, version).as_bytes()).unwrap(), version);
        }
    }
    drop(store);
    let good = std::fs::read(&original).unwrap();
    let (mut random, mut longest) = (Random::new(8), Duration::ZERO);
    let (mut refused, mut values, mut lost) = (0, 0, 0);
    for round in 0..copies() {
        std::fs::write(&copy, damaged(&good, &mut random, round)).unwrap();
        let start = Instant::now();
        match Store::open(&*copy) {
            Err(_) => refused += 1,
            Ok(store) => {
                for key in store.keys() {
                    assert!(keys.contains(&key), "round {round}: {key:?} was never a key");
                    match store.get(&key) {
                        Ok(Some(value)) => {
                            let committed = (1..=8).any(|version| value == value_of(&key, version).as_bytes());
                            assert!(
                                committed,
                                "round {round}: {key:?} never was {:?}",
                                String::from_utf8_lossy(&value)
                            );
                            values += 1;
                        }
                        Ok(None) | Err(_) => lost += 1,
                    }
                }
                do_everything(&store);
            }
        }
        longest = longest.max(start.elapsed());
        let _ = Store::remove(&*copy);
        let _ = std::fs::remove_file(&copy);
    }
    println!("{} copies: {refused} refused; {values} values, {lost} lost; at most {longest:?} each", copies());
    assert!(refused > 0 && values > 0 && lost > 0);
    assert!(longest < support::DEADLINE);
}

#[test]
fn files_of_random_bytes_are_refused() {
    let (mut random, mut opened) = (Random::new(7), 0);
    let (name, good) = (Name::new(), Name::new());
    // Opened by its path, so that it can be copied.
    let store = options().create(good.path()).unwrap();
    do_everything(&store);
    drop(store);
    let good = std::fs::read(good.path()).unwrap();
    for round in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(if round % 2 == 0 { 64 } else { bytes.len() as u64 }) as usize;
            bytes[at] = random.next() as u8;
        }
        if round % 3 == 0 {
            bytes.truncate(random.below(bytes.len() as u64) as usize);
        }
        std::fs::write(name.path(), &bytes).unwrap();
        // A file can still be a store: the id and the time can have any value.
        if let Ok(store) = Store::open(name.path()) {
            do_everything(&store);
            opened += 1;
        }
    }
    assert!(opened > 0, "no file was nearly a store");
    for len in [0, 1, 63, 64, 65, 320, 4096, 100_001] {
        let bytes: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        std::fs::write(name.path(), &bytes).unwrap();
        assert!(matches!(Store::open(name.path()), Err(OpenError::NotAStore { .. })), "{len} random bytes");
    }
}
