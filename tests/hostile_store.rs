//! Stores that another program has damaged. Operations return errors or other values, and never
//! panic, crash or loop without end.

mod support;

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use splinter_bus::bus::AcknowledgeError;
use splinter_bus::store::{KeyError, KeyOptions, OpenError, SetError, Store, StoreOptions, UpdateError};
use splinter_bus::{Bus, RecvError, Start, SubscribeOptions, message::Fault};
use support::image::Image;
use support::offsets::{self, Offsets, set_word, word};
use support::{ForeignLock, Name, Random};

fn options() -> StoreOptions {
    StoreOptions::new().slots(4).span(2 << 20).key_options(KeyOptions::new().history(2).spare(2))
}

/// More than any value of these stores can have.
const MOST: usize = 2 << 20;
/// Lengths of values in a cell, in a medium place and in a large one.
const LENGTHS: [usize; 3] = [10, 3000, 200_000];

/// Uses every kind of operation. The results do not matter. Every operation must return.
fn do_everything(store: &Store) {
    let mut value = Vec::new();
    for number in 0..6u8 {
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
            for len in LENGTHS {
                let _ = slot.set(&vec![number; len]);
                let _ = slot.get_into(&mut value);
                let _ = slot.append(b"more");
                let _ = slot.loan(len).map(|loan| {
                    if number % 2 == 0 {
                        drop(loan.send())
                    }
                });
                let pins = [slot.pin(), slot.pin_version(version)];
                for pin in pins.into_iter().flatten().flatten() {
                    assert!(pin.len() <= MOST);
                    pin.copy_into(&mut value);
                }
            }
            let _ = (slot.max_len(), slot.shape());
            let _ = slot.first_version();
            let _ = store.integer(&key).map(|n| n.fetch_add(1));
            let _ = slot.poll_after(version, Some(Duration::ZERO));
            assert!(value.len() <= MOST);
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
    let _ = store.slot_with("key 2", &KeyOptions::new().history(4).spare(1 + u32::from(value.is_empty())).lossless(9));
    let _ = store.set("key 2", &[2; 3000]);
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
        let file = File::options().read(true).write(true).open(name.path()).unwrap();
        let pages: Vec<u64> = Image::read(name.path()).pages.into_keys().collect();
        // From a single wrong word to one in three. Some words look like cell marks, others are
        // random.
        let damage = 1 << (round % 12);
        for _ in 0..damage {
            // The identity is read once, when the store is opened. Another test damages it.
            let page = pages[random.below(pages.len() as u64) as usize];
            let at = (page * 4096 + random.below(512) * 8).max(64);
            let word = match random.below(5) {
                0 => random.next(),
                1 => random.below(8) << 48 | random.below(16),
                2 => u64::MAX,
                3 => random.below(3) << 56 | random.below(200) << 48 | random.below(16),
                // Lengths, residues, and what is reserved of a place.
                _ => 1 << (17 + random.below(10)) | random.below(1 << 21) << 32,
            };
            set_word(&file, at, word);
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
    // The last ones are shapes, residues, lengths of long values and reserved bytes.
    let words = [0, 1, 2, 3, 4, 5, 0x7f, u64::MAX, u64::MAX >> 16, 1 << 63, u64::from(u32::MAX), 1 << 48 | 1 << 40]
        .into_iter()
        .chain([4096 << 16 | 4096, 1024 << 33 | 1, 3 << 56, 63 << 58 | 1024 << 32, 100_000 << 32 | 100_000]);
    for word in words {
        let name = Name::new();
        let store = name.create(&options());
        do_everything(&store);
        let file = File::options().read(true).write(true).open(name.path()).unwrap();
        let good = Image::read(name.path());
        for at in words_of(&Offsets::of(&file), &good) {
            set_word(&file, at, word);
            touch_everything_once(&store);
            for (number, page) in &good.pages {
                // The identity was read once. The rest of its page is restored.
                let from = if *number == 0 { 64 } else { 0 };
                file.write_all_at(&page[from..], number * 4096 + from as u64).unwrap();
            }
        }
    }
}

/// All words of a store, except those of the identity, which is read once; of most participants,
/// types and entries of the index; and of the values.
fn words_of(offsets: &Offsets, image: &Image) -> Vec<u64> {
    let words = |from: u64, to: u64| (from..to).step_by(8);
    let mut all: Vec<u64> = words(64, 320).collect();
    all.extend(words(offsets::PARTICIPANTS, offsets::PARTICIPANTS + 3 * 64));
    all.extend(words(offsets::SCHEMAS, offsets::SCHEMAS + 2 * 128));
    // Entries, and some of the free ones.
    all.extend(words(offsets::INDEXES, offsets.slot(0)).filter(|at| image.word(*at) != 0 || at % 1024 == 0));
    for slot in 0..4 {
        all.extend(words(offsets.slot(slot), offsets.slot(slot + 1) - 192));
        for cell in 0..4 {
            all.extend(words(offsets.side(slot, cell), offsets.side(slot, cell + 1)));
            // The header, and the first bytes of the value.
            all.extend(words(offsets.cell(slot, cell), offsets.cell(slot, cell) + 64 + 2 * 8));
        }
    }
    all
}

static LARGE: [u8; 70_000] = [9; 70_000];

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
            // A long value, before which an inline one is read.
            let _ = slot.set(&[7; 2000]);
            let _ = slot.get_into(&mut value);
            let _ = slot.append(&[8; 100]);
            let _ = slot.poll_after(slot.version().saturating_sub(1), Some(Duration::ZERO));
            if let Ok(Some(pin)) = slot.pin() {
                pin.copy_into(&mut value);
            }
            let _ = slot.set(&LARGE);
            let _ = slot.get_into(&mut value);
            assert!(value.len() <= MOST);
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
        ("layout to come", 4, &0x5242_0009_u32.to_ne_bytes(), "another version of splinter-bus"),
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
fn a_store_whose_dimensions_lie_gives_errors_or_other_values() {
    for by_path in [false, true] {
        for (what, at, lie) in [
            ("a smaller inline size", 20, 64),
            ("a larger inline size", 20, 1088),
            ("the largest inline size", 20, 65_536),
            ("a larger span", 24, 4 << 20),
            ("the largest span", 24, 16 << 30),
        ] {
            let name = Name::new();
            let store = if by_path { options().create(name.path()).unwrap() } else { name.create(&options()) };
            do_everything(&store);
            let file = File::options().read(true).write(true).open(name.path()).unwrap();
            let mut identity = [0; 64];
            file.read_exact_at(&mut identity, 0).unwrap();
            let half = u32::try_from(lie).ok().filter(|_| at == 20);
            match half {
                Some(half) => file.write_all_at(&half.to_ne_bytes(), at).unwrap(),
                None => set_word(&file, at, lie),
            }
            // Beside a process that has the true dimensions, and alone.
            let mut opened = vec![Store::open(store.location())];
            opened.iter().flatten().for_each(do_everything_of_any_length);
            do_everything(&store);
            drop(opened.drain(..));
            let location = store.location().clone();
            drop(store);
            if let Ok(store) = Store::open(&location) {
                do_everything_of_any_length(&store);
                println!("{what}: opened");
            }
        }
    }
}

/// As `do_everything`, in a store whose longest value may be any.
fn do_everything_of_any_length(store: &Store) {
    for number in 0..4 {
        let key = format!("key {number}");
        for len in LENGTHS {
            let _ = store.get(&key);
            let _ = store.set(&key, &vec![number; len]);
            let _ = store.append(&key, b"more");
            let _ = store.slot(&key).map(|slot| slot.loan(len).map(|loan| loan.send().map(drop)));
            let _ = store.slot(&key).map(|slot| slot.pin().map(|pin| pin.map(|pin| pin.to_vec())));
        }
    }
    let _ = (store.keys(), store.cells(), store.snapshot(), store.participants());
    let _ = (store.unset("key 1"), store.purge(), store.flush());
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

/// The file of a store, and where its words lie.
fn words_of_file(name: &Name) -> (File, Offsets) {
    let file = File::options().read(true).write(true).open(name.path()).unwrap();
    let offsets = Offsets::of(&file);
    (file, offsets)
}

#[test]
fn cells_that_are_not_there_are_not_touched_whatever_the_slot_says() {
    let name = Name::new();
    let store = name.create(&options());
    let slot = store.slot("key").unwrap();
    slot.set(b"first").unwrap();
    let (file, offsets) = words_of_file(&name);
    let header = offsets.slot(offsets.slot_of(&file, "key"));
    for cells in [u32::MAX, 8192, 4096, 100, 5] {
        file.write_all_at(&cells.to_ne_bytes(), header + offsets::CELLS_RESERVED).unwrap();
        // More cells than the key has, and than the file.
        do_everything(&store);
        let _ = (store.cells(), store.purge(), Store::open(&name).map(|store| do_everything(&store)));
    }
    // Fewer cells: what they hold is not found, and they are used again.
    file.write_all_at(&0u32.to_ne_bytes(), header + offsets::CELLS_RESERVED).unwrap();
    let late = Store::open(&name).unwrap();
    let _ = late.get("key");
    late.set("key", b"again").unwrap();
    assert_eq!(late.get("key").unwrap().as_deref(), Some(&b"again"[..]));
}

#[test]
fn a_long_value_whose_place_is_wrong_in_any_word_is_an_error_or_another_value() {
    for len in [3000, 200_000] {
        let name = Name::new();
        let store = name.create(&options());
        store.set("key", &vec![6; len]).unwrap();
        let (file, offsets) = words_of_file(&name);
        let index = offsets.slot_of(&file, "key");
        for (what, at, bytes) in [
            ("length", offsets.cell(index, 0) + offsets::LEN, 4),
            ("residue", offsets.cell(index, 0) + offsets::RESIDUE, 4),
            ("reserved medium", offsets.side(index, 0) + offsets::RESERVED, 4),
            ("reserved large", offsets.side(index, 0) + offsets::RESERVED + 4, 4),
            ("written medium", offsets.side(index, 0) + offsets::WRITTEN, 4),
            ("written large", offsets.side(index, 0) + offsets::WRITTEN + 4, 4),
            ("base of the chain", offsets.side(index, 0) + offsets::CHAIN, 8),
            ("version of the chain", offsets.side(index, 0) + offsets::CHAIN + 8, 8),
            ("shape", offsets.slot(index) + offsets::SHAPE, 8),
        ] {
            for garbage in [0, 1, 2000, 65_536, 70_000, 1 << 24, 1 << 25, 3 << 24, u64::MAX, 1 << 31, u64::MAX / 3] {
                assert_eq!(store.get("key").unwrap(), Some(vec![6; len]), "{what} was not {garbage:x} yet");
                let mut good = vec![0; bytes];
                file.read_exact_at(&mut good, at).unwrap();
                file.write_all_at(&garbage.to_ne_bytes()[..bytes], at).unwrap();
                let mut value = Vec::new();
                for handle in [store.slot("key"), Store::open(&name).unwrap().slot("key")].into_iter().flatten() {
                    let _ = (
                        handle.get_into(&mut value),
                        handle.size(),
                        handle.snapshot(),
                        handle.max_len(),
                        handle.shape(),
                    );
                    assert!(value.len() <= MOST, "{what}: {}", value.len());
                    let _ = handle.pin().map(|pin| pin.map(|pin| pin.to_vec()));
                    let _ = (
                        handle.append(&[2; 100]),
                        handle.set(&[3; 10]),
                        handle.set(&vec![4; len]),
                        handle.append(&[5; 70_000]),
                    );
                    let _ = (handle.loan(len).map(drop), store.purge());
                }
                file.write_all_at(&good, at).unwrap();
                // With its words in order again, the key works: at the latest once it is created again.
                store.unset("key").unwrap();
                store.set("key", &vec![6; len]).unwrap();
                assert_eq!(offsets.slot_of(&file, "key"), index);
            }
        }
    }
}

#[test]
fn receiving_a_version_without_a_cell_returns() {
    let name = Name::new();
    let bus = Bus::<Vec<u8>>::on(name.create(&options()));
    for number in 0..3 {
        bus.publish("key", &vec![number]).unwrap();
    }
    // The head says version 3, but names no cell.
    let (file, offsets) = words_of_file(&name);
    let slot = offsets.slot(offsets.slot_of(&file, "key"));
    set_word(&file, slot, 3);
    let mut subscriber = bus.subscribe_from("key", Start::Version(3)).unwrap();
    assert!(matches!(subscriber.try_recv(), Err(RecvError::Lagged(1))));
    assert!(subscriber.try_recv().unwrap().is_none());
    // The head is at a version that is far away.
    set_word(&file, slot, 1u64 << 48 | 1 << 40);
    let _ = bus.subscribe_from("key", Start::Time(SystemTime::now())).unwrap().try_recv();
}

#[test]
fn publishing_after_the_last_version_is_an_error() {
    const LAST: u64 = (1 << 48) - 1;
    for len in [5, 3000, 200_000] {
        let name = Name::new();
        let slot = name.create(&options()).slot("key").unwrap();
        slot.set(&vec![1; len]).unwrap();
        // The head is as after 2^48 publishes.
        let (file, offsets) = words_of_file(&name);
        let index = offsets.slot_of(&file, "key");
        let (cell, before_last) = (word(&file, offsets.slot(index)) >> 48, LAST - 2);
        set_word(&file, offsets.slot(index), cell << 48 | before_last);
        set_word(&file, offsets.cell(index, cell - 1), before_last);
        assert_eq!(slot.set(&vec![2; len]).unwrap(), LAST - 1);
        // By now the writer's cached head is correct.
        assert_eq!(slot.set(&vec![3; len]).unwrap(), LAST);
        let mut value = Vec::new();
        for _ in 0..3 {
            assert!(matches!(slot.set(&vec![4; len]), Err(SetError::Exhausted)));
            assert!(matches!(slot.append(b"too late"), Err(UpdateError::Set(SetError::Exhausted))));
            assert_eq!(slot.get_into(&mut value).unwrap(), Some(LAST));
            assert_eq!(value, vec![3; len]);
        }
    }
}

#[test]
fn a_long_message_is_received_although_its_version_is_far_away() {
    for len in [3000, 200_000] {
        let name = Name::new();
        let bus = Bus::<Vec<u8>>::on(name.create(&options()));
        let message = vec![7; len];
        bus.publish("key", &message).unwrap();
        let newest = bus.store().slot("key").unwrap().version();
        // The message gets a version that is far away, in the head and in its cell.
        let far = 1u64 << 40;
        let (file, offsets) = words_of_file(&name);
        let index = offsets.slot_of(&file, "key");
        let head = word(&file, offsets.slot(index));
        assert_eq!(head & (far - 1), newest);
        set_word(&file, offsets.slot(index), head - newest + far);
        set_word(&file, offsets.cell(index, (head >> 48) - 1), far);
        let received = bus.get("key").unwrap().unwrap();
        assert_eq!((received.version(), &received[..]), (far, &message[..]));
    }
}

#[test]
fn acknowledging_a_job_whose_delivery_state_was_overwritten_is_an_error() {
    let name = Name::new();
    let bus = Bus::<Vec<u8>>::on(name.create(&options()));
    let mut queue = bus.work_queue("key").unwrap();
    bus.publish("key", &vec![7]).unwrap();
    let job = queue.recv().unwrap();
    let (file, offsets) = words_of_file(&name);
    let index = offsets.slot_of(&file, "key");
    let cell = (word(&file, offsets.slot(index)) >> 48) - 1;
    set_word(&file, offsets.cell(index, cell) + offsets::DELIVERY, 0);
    assert!(matches!(job.acknowledge(), Err(AcknowledgeError::Key { source: KeyError::Damaged, .. })));
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
