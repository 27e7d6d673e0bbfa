//! Stores into which another program writes while they are open. Operations return errors or other
//! values, and never panic, crash or loop without end.

mod support;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use splinter_bus::bus::AcknowledgeError;
use splinter_bus::store::{KeyError, KeyOptions, SetError, Store, UpdateError};
use splinter_bus::{Bus, RecvError, Start, SubscribeOptions};
use support::everything::{LENGTHS, MOST, do_everything, options};
use support::image::Image;
use support::offsets::{self, Offsets, set_word, word};
use support::{Name, Random};

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
/// entries of the index; and of the values.
fn words_of(offsets: &Offsets, image: &Image) -> Vec<u64> {
    let words = |from: u64, to: u64| (from..to).step_by(8);
    let mut all: Vec<u64> = words(64, 384).collect();
    all.extend(words(offsets::PARTICIPANTS, offsets::PARTICIPANTS + 3 * 64));
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
fn a_number_of_reserved_cells_that_is_zeroed_all_the_time_is_an_error_or_none() {
    let name = Name::new();
    let store = name.create(&options());
    let slot = store.slot_with("key", &KeyOptions::new().history(2).spare(2).lossless(1)).unwrap();
    let bus: Bus<Vec<u8>> = Bus::on(store.clone());
    // Nothing may be overwritten, so each publish looks at all cells.
    let _stalled = bus.subscribe_with("key", &SubscribeOptions::new().lossless()).unwrap();
    while slot.set(b"value").is_ok() {}
    let (file, offsets) = words_of_file(&name);
    let at = offsets.slot(offsets.slot_of(&file, "key")) + offsets::CELLS_RESERVED;
    let map = memmap2::MmapRaw::map_raw(&file).unwrap();
    let word = map.as_mut_ptr().wrapping_add(at as usize).cast::<AtomicU32>();
    // SAFETY: inside of the mapping, which lives as long, aligned, and others touch it by atomic accesses
    // only.
    let word = unsafe { &*word };
    let publisher = std::thread::spawn(move || {
        for _ in 0..100_000 {
            let _ = slot.set(b"value");
        }
    });
    while !publisher.is_finished() {
        word.store(0, Ordering::Relaxed);
    }
    publisher.join().expect("a publisher that does not panic");
}

#[test]
fn a_long_value_whose_place_is_wrong_in_any_word_is_an_error_or_another_value() {
    for len in [3000, 30_000, 200_000] {
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
            for garbage in [
                0,
                1,
                2000,
                65_536,
                70_000,
                1 << 24,
                1 << 25,
                3 << 24,
                1 << 26,
                1023 << 14 | 1 << 26,
                u64::MAX,
                1 << 31,
                u64::MAX / 3,
            ] {
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
    for len in [5, 3000, 30_000, 200_000] {
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
    for len in [3000, 30_000, 200_000] {
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
