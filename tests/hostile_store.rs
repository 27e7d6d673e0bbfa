//! A store that something else has scribbled over: errors, or other values, but no panic, no crash, no endless loop.

mod support;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use splinter_bus::store::{OpenError, Store, StoreOptions};
use splinter_bus::{Bus, Start, SubscribeOptions, message::Fault};
use support::{ForeignLock, Name, Random};

fn options() -> StoreOptions {
    StoreOptions::new().slots(4).max_value_size(64).history(2).spare(2)
}

/// Does everything that can be done. What it answers does not matter; that it answers does.
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
fn random_words_anywhere_in_an_open_store_are_survived() {
    let mut random = Random::new(6);
    for round in 0..150 {
        let name = Name::new();
        let store = name.create(&options());
        do_everything(&store);
        let file = File::options().write(true).open(name.path()).unwrap();
        let len = file.metadata().unwrap().len();
        // From a single wrong word to one in three; words that look like marks, and words that look like nothing.
        let damage = 1 << (round % 12);
        for _ in 0..damage {
            // The identity is read once, when the store is opened: damage to it is another test's.
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
        // And who comes later.
        if let Ok(late) = Store::open(&name) {
            do_everything(&late);
        }
    }
}

#[test]
fn every_word_of_an_open_store_may_turn_into_anything() {
    for word in [0, 1, 0x7f, u64::MAX, u64::MAX >> 16, 1 << 63, u64::from(u32::MAX)] {
        let name = Name::new();
        let store = name.create(&options());
        do_everything(&store);
        let file = File::options().read(true).write(true).open(name.path()).unwrap();
        let mut good = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut good, 0).unwrap();
        // All but the identity, which is read once, and the tables of participants and types, of which a few will do.
        let untold = 320 + 3 * 64..16 * 1024;
        for at in (64..good.len()).step_by(8).filter(|at| !untold.contains(at)) {
            file.write_all_at(&word.to_ne_bytes(), at as u64).unwrap();
            touch_everything_once(&store);
            file.write_all_at(&good[64..], 64).unwrap();
        }
    }
}

/// Once each, so that it is done quickly.
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
        for start in [Start::Next, Start::Newest, Start::Oldest, Start::Version(0), Start::Version(u64::MAX)] {
            if let Ok(mut subscriber) = bus.subscribe_with(&key, &SubscribeOptions::new().lossless().start(start)) {
                let _ = subscriber.try_recv_sample();
            }
        }
        let _ = bus.work_queue(&key).map(|mut queue| queue.try_recv().map(drop));
        let _ = store.unset(&key);
        let _ = store.set(&key, b"v");
    }
    let _ = store.purge();
    let _ = (store.keys(), store.snapshot(), store.participants());
}

#[test]
fn a_store_cut_anywhere_is_refused() {
    let (name, cut, other) = (Name::new(), Name::new(), Name::new());
    let other = other.create(&options());
    other.set("key", b"v").unwrap();
    drop(options().create(name.path()).unwrap());
    let good = std::fs::read(name.path()).unwrap();
    let lengths = (0..good.len()).step_by(4096).flat_map(|page| [page, page + 1, page + 63, page + 321]);
    for len in lengths.chain(0..400).filter(|&len| len < good.len()) {
        std::fs::write(cut.path(), &good[..len]).unwrap();
        let error = Store::open(cut.path()).unwrap_err();
        let told = match error {
            OpenError::NotAStore { .. } => len < 64,
            OpenError::Damaged { .. } => len >= 64,
            _ => false,
        };
        assert!(told, "{len} bytes: {error}");
    }
    assert_eq!(other.get("key").unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn every_field_of_the_header_that_is_wrong_is_told() {
    let (name, wrong) = (Name::new(), Name::new());
    drop(options().create(name.path()).unwrap());
    let good = std::fs::read(name.path()).unwrap();
    let error_with = |at: usize, bytes: &[u8]| {
        let mut image = good.clone();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        std::fs::write(wrong.path(), &image).unwrap();
        Store::open(wrong.path()).unwrap_err().to_string()
    };
    for (field, at, bytes, told) in [
        ("magic", 0, &b"GIF8"[..], "it begins with 0x"),
        ("magic of the other byte order", 0, &0x534C_4E54_u32.swap_bytes().to_ne_bytes(), "the other order of bytes"),
        ("layout of the C library", 4, &2u32.to_ne_bytes(), "the C library libsplinter (layout 2)"),
        ("layout to come", 4, &0x5242_0003_u32.to_ne_bytes(), "another version of splinter-bus"),
        ("slots", 8, &0u32.to_ne_bytes(), "slots of 0 is out of range"),
        ("more slots", 8, &5u32.to_ne_bytes(), "its geometry needs"),
        ("history", 12, &4097u32.to_ne_bytes(), "history of 4097 is out of range"),
        ("spare", 16, &u32::MAX.to_ne_bytes(), "spare of 4294967295 is out of range"),
        ("lossless", 56, &1025u32.to_ne_bytes(), "lossless of 1025 is out of range"),
        ("traits", 20, &4u32.to_ne_bytes(), "traits"),
        ("value size", 24, &u64::MAX.to_ne_bytes(), "max_value_size of 18446744073709551615"),
        ("total length", 32, &7u64.to_ne_bytes(), "its header says 7"),
    ] {
        let error = error_with(at, bytes);
        assert!(error.contains(told), "{field}: {error}");
    }
}

#[test]
fn what_is_no_file_is_no_store() {
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
fn a_program_that_locks_the_whole_file_is_told_of() {
    let name = Name::new();
    drop(name.create(&options()));
    let lock = ForeignLock::new(&name.path(), 0, 0);
    let error = Store::open(&name).unwrap_err();
    assert!(matches!(error, OpenError::LockedOut { .. }), "{error}");
    drop(lock);
    Store::open(&name).unwrap();
}

#[test]
fn files_of_random_bytes_are_refused() {
    let (mut random, mut opened) = (Random::new(7), 0);
    let (name, good) = (Name::new(), Name::new());
    // By its path, so that it can be copied.
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
        // It may still be a store: the id and the time can be anything.
        if let Ok(store) = Store::open(name.path()) {
            do_everything(&store);
            opened += 1;
        }
    }
    assert!(opened > 0, "none of them was nearly a store");
    for len in [0, 1, 63, 64, 65, 320, 4096, 100_001] {
        let bytes: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        std::fs::write(name.path(), &bytes).unwrap();
        assert!(matches!(Store::open(name.path()), Err(OpenError::NotAStore { .. })), "{len} random bytes");
    }
}
