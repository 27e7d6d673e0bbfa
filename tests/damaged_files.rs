//! Files that are no store, or not a whole one. They are refused, with words that say why, or opened
//! with what is whole in them.

mod support;

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use splinter_bus::store::{KeyOptions, OpenError, Store, StoreOptions};
use support::everything::{LENGTHS, do_everything, options};
use support::image::Image;
use support::offsets::{self, Offsets};
use support::{ForeignLock, Name, Random};

#[test]
fn a_store_that_was_cut_at_any_length_is_refused() {
    let (name, cut, other) = (Name::new(), Name::new(), Name::new());
    let other = other.create(&options());
    other.set("key", b"v").unwrap();
    drop(options().create(name.path()).unwrap());
    // All of a new store.
    let good = std::fs::read(name.path()).unwrap();
    assert!(good.len() < 1 << 20);
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
        ("layout to come", 4, &0x5242_000B_u32.to_ne_bytes(), "another version of splinter-bus"),
        ("slots", 8, &0u32.to_ne_bytes(), "slots of 0 is out of range"),
        ("the most slots", 8, &u32::MAX.to_ne_bytes(), "slots of 4294967295 is out of range"),
        ("more slots", 8, &5u32.to_ne_bytes(), "by its dimensions, values begin at byte"),
        ("slots of the system", 12, &255u32.to_ne_bytes(), "it has 255 slots of the system instead of 256"),
        ("feature bits", 16, &4u32.to_ne_bytes(), "feature bits"),
        ("inline size", 20, &0u32.to_ne_bytes(), "inline_size of 0 is out of range"),
        ("a larger inline size", 20, &u32::MAX.to_ne_bytes(), "inline_size of 4294967295 is out of range"),
        ("an odd inline size", 20, &1000u32.to_ne_bytes(), "inline_size of 1000 is not a multiple of 64"),
        ("span", 24, &0u64.to_ne_bytes(), "span of 0 is out of range"),
        ("a larger span", 24, &u64::MAX.to_ne_bytes(), "span of 18446744073709551615 is out of range"),
        ("an odd span", 24, &((2u64 << 20) + 1).to_ne_bytes(), "span of 2097153 is not a multiple of 65536"),
        ("where values begin", 32, &7u64.to_ne_bytes(), "its header says byte 7"),
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
fn a_closed_file_that_was_cut_behind_its_slots_gives_errors_or_other_values() {
    let name = Name::new();
    // Enough for all kinds of data: rings, side records, medium and large places.
    let make = || {
        let store = options().create(name.path()).unwrap();
        do_everything(&store);
        Offsets::of(&File::open(name.path()).unwrap())
    };
    let offsets = make();
    let mut cuts = vec![offsets.fixed_len(), offsets.fixed_len() + 1, offsets.extents];
    for slot in 0..4 {
        cuts.extend([
            offsets.ring(slot) + 20_000,
            offsets.side(slot, 1),
            offsets.cell(slot, 0),
            offsets.cell(slot, 2) + 60,
        ]);
        cuts.extend([0, 1, 3].map(|cell| offsets.medium(slot, cell) + 1000));
        cuts.extend([0, 1, 3].map(|cell| offsets.large(slot, cell, 4) + 100_000));
    }
    for cut in cuts {
        Store::remove(name.path()).unwrap();
        make();
        let file = File::options().write(true).open(name.path()).unwrap();
        file.set_len(file.metadata().unwrap().len().min(cut)).unwrap();
        for _ in 0..2 {
            match Store::open(name.path()) {
                Ok(store) => do_everything(&store),
                Err(error) => panic!("cut at {cut}: {error}"),
            }
        }
        // What is written afterwards is read.
        let store = options().open(name.path()).unwrap();
        for key in store.keys() {
            store.unset(&key).unwrap();
        }
        for len in LENGTHS {
            store.set("after all", &vec![5; len]).unwrap();
            assert_eq!(store.get("after all").unwrap(), Some(vec![5; len]), "cut at {cut}");
        }
    }
}

/// Returns how many damaged copies are opened.
fn copies() -> u32 {
    std::env::var("SPLINTER_TEST_COPIES").map_or(2000, |count| count.parse().expect("a number"))
}

/// Damages a copy: random bytes, wrong fields, a shorter file, or pieces of the file in another
/// order. All in the pages that are not zero, of which there are few.
fn damaged(good: &Image, random: &mut Random, round: u32) -> Image {
    let (mut image, pages) = (good.clone(), good.pages.keys().copied().collect::<Vec<_>>());
    let place = |random: &mut Random| pages[random.below(pages.len() as u64) as usize] * 4096 + random.below(4096);
    for _ in 0..1 << random.below(8) {
        let at = place(random);
        match round % 4 {
            0 => image.set_bytes(at, &[random.next() as u8]),
            1 => {
                let fields = [0, 1, 7, u32::MAX, random.next() as u32, 3 << 24, 1 << (10 + random.below(16))];
                image.set_bytes(at / 4 * 4, &fields[random.below(7) as usize].to_ne_bytes());
            }
            2 => {
                let piece = good.bytes(at..at + (1 << random.below(13)));
                image.set_bytes(place(random) / 8 * 8, &piece);
            }
            _ => {
                let bytes: Vec<u8> = (0..random.below(64)).map(|_| random.next() as u8).collect();
                image.set_bytes(at, &bytes);
            }
        }
    }
    let at = place(random);
    match round % 16 {
        13 => image.len = at,
        // The length stays the same, as after a power loss.
        14 => image.pages.retain(|&page, _| page < at / 4096),
        15 => image.pages.values_mut().for_each(|page| *page = Arc::new([0; 4096].map(|_| random.next() as u8))),
        _ => {}
    }
    image
}

#[test]
fn a_damaged_copy_of_a_file_returns_committed_values_or_errors() {
    // The files are in memory, so that opening thousands of them does not wait for a disk.
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let (original, copy) = (directory.path().join("original"), directory.path().join("copy"));
    let options = StoreOptions::new().slots(6).span(2 << 20).key_options(KeyOptions::new().history(3).spare(3));
    let store = options.create(&*original).unwrap();
    let keys: Vec<_> = (0..6).map(|number| format!("key {number}")).collect();
    // In their cells, in medium places, and the last one in a large place.
    let value_of = |key: &str, version: u64| {
        format!("{key} as {version} ").repeat([1, 5, 300, 20, 1000, 80, 3, 2, 6000][version as usize])
    };
    for version in 1..=8 {
        for key in &keys {
            assert_eq!(store.set(key, value_of(key, version).as_bytes()).unwrap(), version);
        }
    }
    drop(store);
    let committed: HashMap<_, Vec<_>> =
        keys.iter().map(|key| (key.clone(), (1..=8).map(|version| value_of(key, version)).collect())).collect();
    let good = Image::read(&original);
    let (mut random, mut longest) = (Random::new(8), Duration::ZERO);
    let (mut refused, mut values, mut lost) = (0, 0, 0);
    for round in 0..copies() {
        damaged(&good, &mut random, round).write(&copy);
        let start = Instant::now();
        match Store::open(&*copy) {
            Err(_) => refused += 1,
            Ok(store) => {
                for key in store.keys() {
                    assert!(keys.contains(&key), "round {round}: {key:?} was never a key");
                    match store.get(&key) {
                        Ok(Some(value)) => {
                            assert!(
                                committed[&key].iter().any(|committed| value == committed.as_bytes()),
                                "round {round}: {key:?} never was {:?}",
                                String::from_utf8_lossy(&value[..value.len().min(100)])
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
    let good = Image::read(good.path());
    let pages: Vec<u64> = good.pages.keys().copied().collect();
    for round in 0..300 {
        let mut image = good.clone();
        for _ in 0..=random.below(4) {
            let page = pages[random.below(pages.len() as u64) as usize];
            let at = if round % 2 == 0 { random.below(64) } else { page * 4096 + random.below(4096) };
            image.set_bytes(at, &[random.next() as u8]);
        }
        if round % 3 == 0 {
            image.len = random.below(2 * offsets::INDEXES);
        }
        let _ = std::fs::remove_file(name.path());
        image.write(name.path());
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
