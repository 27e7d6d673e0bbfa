//! A store that something else has scribbled over: errors, or other values, but no panic, no crash, no endless loop.

mod support;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use splinter_bus::store::{Store, StoreOptions};
use splinter_bus::{Bus, Start, message::Fault};
use support::{Name, Random};

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
    let _ = store.unset("key 2");
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
fn files_of_random_bytes_are_refused() {
    let mut random = Random::new(7);
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
        if let Ok(store) = Store::open(&name) {
            do_everything(&store);
        }
    }
}
