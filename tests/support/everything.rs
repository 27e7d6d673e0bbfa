//! Every operation of a store, for stores that another program has damaged.

use std::time::Duration;

use splinter_bus::message::Fault;
use splinter_bus::store::{KeyOptions, Store, StoreOptions};
use splinter_bus::{Bus, Start};

pub fn options() -> StoreOptions {
    StoreOptions::new().slots(4).span(2 << 20).key_options(KeyOptions::new().history(2).spare(2))
}

/// More than any value of these stores can have.
pub const MOST: usize = 2 << 20;
/// Lengths of values in a cell, in its page, in a medium place and in a large one.
pub const LENGTHS: [usize; 4] = [10, 3000, 20_000, 200_000];

/// Uses every kind of operation. The results do not matter. Every operation must return.
pub fn do_everything(store: &Store) {
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
            let _ = slot.set_if_version(slot.version(), &[number; 5000]);
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
    let _ = (store.trim(), store.memory());
    let _ = store.watch().poll(Some(Duration::ZERO));
    let _ = store.snapshot();
    let _ = store.participants();
    let _ = store.diagnostics();
}
