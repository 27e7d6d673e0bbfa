//! Opens files that may be a store: random bytes, and stores that were changed, cut, or put
//! together from pieces of themselves.

#![no_main]

use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use splinter_bus::store::{Store, KeyOptions, StoreOptions};
use splinter_bus::{Bus, Start, SubscribeOptions};
use splinter_bus_fuzz::store_path;

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    Bytes(&'a [u8]),
    Changed(Vec<Change<'a>>),
}

#[derive(Debug, Arbitrary)]
enum Change<'a> {
    Bytes {
        at: u32,
        bytes: &'a [u8],
    },
    /// Values to write over a word. Most fields are one word, or half of one.
    Word {
        at: u16,
        word: u64,
    },
    Copied {
        from: u32,
        to: u32,
        len: u16,
    },
    Cut {
        len: u32,
    },
}

const MAX_VALUE_SIZE: usize = 96;

/// Returns a small store in which every feature was used.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let path = store_path();
    let options = StoreOptions::new().slots(3).key_options(KeyOptions::new().history(2).spare(2).lossless(2));
    let store = options.create(&path[..]).expect("a new store");
    let bus = Bus::<Vec<u8>>::on(store.clone());
    let _reader = bus.subscribe_with("k", &SubscribeOptions::new().lossless().start(Start::Oldest));
    let mut queue = bus.work_queue("q").expect("a queue");
    for number in 0..3 {
        let _ = bus.publish("k", &vec![number; 8]);
        bus.publish("q", &vec![number; 8]).expect("free space");
        store.set("v", &[number; MAX_VALUE_SIZE]).expect("free space");
    }
    let _job = queue.recv();
    // The image is taken while everything is in use, as if the store's users had been killed.
    let bytes = fs::read(&path).expect("the store's file");
    fs::remove_file(path).expect("the store's file");
    bytes
});

fuzz_target!(|input: Input<'_>| {
    let bytes = match input {
        Input::Bytes(bytes) => bytes.to_vec(),
        Input::Changed(changes) => changes.into_iter().fold(GOOD.clone(), |mut bytes, change| {
            change.apply(&mut bytes);
            bytes
        }),
    };
    let path = store_path();
    fs::write(&path, bytes).expect("free space");
    if let Ok(store) = Store::open(&path[..]) {
        use_everything(&store);
    }
    fs::remove_file(path).expect("the store's file");
});

impl Change<'_> {
    fn apply(&self, store: &mut Vec<u8>) {
        let len = store.len();
        if len == 0 {
            return;
        }
        let room = |at: u32| at as usize % len..len;
        match *self {
            Self::Bytes { at, bytes } => store[room(at)].iter_mut().zip(bytes).for_each(|(old, new)| *old = *new),
            Self::Word { at, word } => {
                let at = usize::from(at) * 8 % len;
                store[at..].iter_mut().zip(word.to_ne_bytes()).for_each(|(old, new)| *old = new);
            }
            Self::Copied { from, to, len } => {
                let piece: Vec<u8> = store[room(from)].iter().take(len.into()).copied().collect();
                store[room(to)].iter_mut().zip(piece).for_each(|(old, new)| *old = new);
            }
            Self::Cut { len } => store.truncate(room(len).start),
        }
    }
}

/// Uses the store. The results do not matter. Every operation must return, and soon.
fn use_everything(store: &Store) {
    let _ = (store.recovery(), store.snapshot(), store.participants(), store.diagnostics(), store.cells());
    let mut keys = store.keys();
    assert!(keys.iter().all(|key| !key.is_empty() && key.len() <= 63));
    keys.extend(["k", "q", "v", "new"].map(str::to_owned));
    let bus = Bus::<Vec<u8>>::on(store.clone());
    let mut value = Vec::new();
    for key in &keys {
        let _ = store.get(key).map(|value| {
            value.map(|value| assert!(value.len() <= store.geometry().max_value_size.next_multiple_of(8) as usize))
        });
        if let Ok(slot) = store.slot(key) {
            let _ = (slot.snapshot(), slot.size(), slot.first_version());
            let oldest = slot.oldest_from(0).ok().flatten().unwrap_or(0);
            let _ = slot.get_version_into(oldest, &mut value);
            let _ = slot.pin().map(|pin| pin.map(|pin| pin.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte))));
            let _ = (slot.set(b"set"), slot.append(b"appended"), slot.loan(9).map(|loan| loan.send()));
            let _ = slot.poll_after(slot.version(), Some(Duration::ZERO));
        }
        let _ = (bus.get(key), bus.sample(key).map(drop));
        for start in [Start::Oldest, Start::Version(oldest_version(store, key))] {
            if let Ok(mut subscriber) = bus.subscribe_with(key, &SubscribeOptions::new().lossless().start(start)) {
                let _ = (subscriber.try_recv(), subscriber.try_recv_sample());
            }
        }
    }
    let _ = bus.work_queue("q").map(|mut queue| queue.try_recv().map(|job| job.map(|job| job.acknowledge())));
    let _ = store.purge();
    for key in keys {
        let _ = store.unset(&key);
    }
}

fn oldest_version(store: &Store, key: &str) -> u64 {
    store.slot_snapshot(key).ok().flatten().map_or(0, |slot| slot.version)
}
