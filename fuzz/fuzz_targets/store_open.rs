//! Opens files that may be a store: random bytes, and stores that were changed, cut, or put
//! together from pieces of themselves.

#![no_main]

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use splinter_bus::store::{KeyOptions, Store, StoreOptions};
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

const PAGE: usize = 4096;

/// The pages of a file that are not zero, one after the other, and where each of them is.
#[derive(Clone)]
struct Image {
    len: u64,
    numbers: Vec<u64>,
    bytes: Vec<u8>,
}

impl Image {
    fn read(path: &str) -> Self {
        let file = File::open(path).expect("the store's file");
        let len = file.metadata().expect("the store's file").len();
        let mut image = Self { len, numbers: Vec::new(), bytes: Vec::new() };
        let mut page = [0; PAGE];
        for number in data_pages(&file, len) {
            file.read_exact_at(&mut page, number * PAGE as u64).expect("a whole page");
            if page != [0; PAGE] {
                image.numbers.push(number);
                image.bytes.extend(page);
            }
        }
        image
    }

    fn write(&self, path: &str) {
        let file = File::create(path).expect("a new file");
        file.set_len(self.len).expect("a sparse file");
        for (number, page) in self.numbers.iter().zip(self.bytes.chunks(PAGE)) {
            let at = number * PAGE as u64;
            let room = self.len.saturating_sub(at).min(page.len() as u64) as usize;
            file.write_all_at(&page[..room], at).expect("free space");
        }
    }
}

/// The numbers of the pages that may be other than zero.
fn data_pages(file: &File, len: u64) -> Vec<u64> {
    let (mut pages, mut at) = (Vec::new(), 0);
    while at < len {
        // SAFETY: the file is open.
        let from = unsafe { libc::lseek(file.as_raw_fd(), at as i64, libc::SEEK_DATA) };
        let Ok(from) = u64::try_from(from) else { break };
        // SAFETY: as above.
        let to = unsafe { libc::lseek(file.as_raw_fd(), from as i64, libc::SEEK_HOLE) };
        let to = u64::try_from(to).unwrap_or(len);
        pages.extend(from / PAGE as u64..to / PAGE as u64);
        at = to.max(from + 1);
    }
    pages
}

/// Returns a small store in which every feature was used.
static GOOD: LazyLock<Image> = LazyLock::new(|| {
    let path = store_path();
    let keys = KeyOptions::new().history(2).spare(2).lossless(2);
    let options = StoreOptions::new().slots(3).span(2 << 20).key_options(keys);
    let store = options.create(&path[..]).expect("a new store");
    let bus = Bus::<Vec<u8>>::on(store.clone());
    let _reader = bus.subscribe_with("k", &SubscribeOptions::new().lossless().start(Start::Oldest));
    let mut queue = bus.work_queue("q").expect("a queue");
    for number in 0..3 {
        let _ = bus.publish("k", &vec![number; 8]);
        bus.publish("q", &vec![number; 8]).expect("free space");
        for len in [96, 3000, 70_000] {
            store.set("v", &vec![number; len]).expect("free space");
        }
    }
    let _job = queue.recv();
    // The image is taken while everything is in use, as if the store's users had been killed.
    let image = Image::read(&path);
    fs::remove_file(path).expect("the store's file");
    image
});

fuzz_target!(|input: Input<'_>| {
    let path = store_path();
    match input {
        Input::Bytes(bytes) => fs::write(&path, bytes).expect("free space"),
        Input::Changed(changes) => {
            let mut image = GOOD.clone();
            changes.iter().for_each(|change| change.apply(&mut image));
            image.write(&path);
        }
    }
    if let Ok(store) = Store::open(&path[..]) {
        use_everything(&store);
    }
    fs::remove_file(path).expect("the store's file");
});

impl Change<'_> {
    fn apply(&self, image: &mut Image) {
        let store = &mut image.bytes;
        let len = store.len();
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
            // In a page that is not zero.
            Self::Cut { len } => {
                let at = room(len).start;
                image.len = image.len.min(image.numbers[at / PAGE] * PAGE as u64 + (at % PAGE) as u64);
            }
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
        let _ = store.get(key);
        if let Ok(slot) = store.slot(key) {
            let _ = slot.get_into(&mut value).map(|_| assert!(value.len() <= slot.max_len()));
            let _ = (slot.snapshot(), slot.size(), slot.first_version());
            let oldest = slot.oldest_from(0).ok().flatten().unwrap_or(0);
            let _ = slot.get_version_into(oldest, &mut value);
            let _ = slot.pin().map(|pin| pin.map(|pin| pin.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte))));
            let _ = (slot.set(b"set"), slot.append(b"appended"), slot.loan(9).map(|loan| loan.send()));
            let _ = (slot.set(&[1; 3000]), slot.append(&[2; 70_000]), slot.loan(5000).map(|loan| loan.send()));
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
