//! The layout of a store, byte for byte. Every version that supports this layout reads what every
//! other has written.
//!
//! `golden/layout_10.txt` contains every word of a small store that is not zero, as `offset: word`
//! in hexadecimal, with the lowest byte last. Long runs of one word, in long values, also have a
//! count. If these tests fail, stores of other versions may not
//! be read correctly any more, and the layout needs another number. If only other cells were chosen
//! for the same values, replace the file by what the test prints.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use splinter_bus::store::{Flags, KeyOptions, Lookup, Store, StoreOptions};
use support::image::Image;
use support::offsets::{CLEAN_EPOCH, DIRECTORY, PARTICIPANTS};

const GOLDEN: &str = include_str!("golden/layout_10.txt");

/// The words that differ from store to store: its id, its time of creation, and the clean epoch in
/// the directory header.
const OWN: [u64; 3] = [40, 48, CLEAN_EPOCH];
/// The process id of the participant. The other half of the word is unused.
const PARTICIPANT: u64 = PARTICIPANTS + 8;
/// The process id of the last process that held the directory's lock, in the second half.
const LOCK_OWNER: u64 = DIRECTORY + 24;
/// The length of the file, which no word of the header says.
const LENGTH: u64 = u64::MAX;

fn make(path: &Path) {
    let options = StoreOptions::new().slots(6).span(2 << 20).key_options(KeyOptions::new().history(2).spare(2));
    let store = options.create(path).unwrap();
    store.set("first", b"overwritten").unwrap();
    store.set("first", b"newest value").unwrap();
    store.set("removed", b"nobody may see this").unwrap();
    store.unset("removed").unwrap();
    store.append("log", b"one,").unwrap();
    store.append("log", b"two").unwrap();
    store.integer("n").unwrap().fetch_add(0x0102_0304).unwrap();
    store.set("empty", b"").unwrap();
    // In a page, in a medium place, and in a large one; and a key of another shape.
    store.set("medium", &[b'm'; 2000]).unwrap();
    store.set("medium", &[b'M'; 5000]).unwrap();
    let shape = KeyOptions::new().history(3).spare(2).lossless(9);
    store.slot_with("large", &shape).unwrap().set(&[b'L'; 70_000]).unwrap();
    store.set_flags(Flags::USR1);
    store.report_parse_failure();
}

/// Returns all words that are not zero, without those that differ from store to store; and the length.
fn words(image: &Image) -> BTreeMap<u64, u64> {
    let mut words = BTreeMap::from([(LENGTH, image.len)]);
    for (number, page) in &image.pages {
        let page = page.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
        words.extend((number * 4096..).step_by(8).zip(page).filter(|(_, word)| *word != 0));
    }
    // The time of the last parse failure.
    words.remove(&(128 + 8));
    for own in OWN {
        assert!(words.remove(&own).is_some(), "no word at {own}");
    }
    for (process, rest) in [(PARTICIPANT, u64::MAX << 32), (LOCK_OWNER, u64::from(u32::MAX))] {
        *words.get_mut(&process).unwrap_or_else(|| panic!("no word at {process}")) &= rest;
    }
    words.retain(|_, word| *word != 0);
    words
}

/// Writes one line for each word, or for each long run of one word.
fn text(words: &BTreeMap<u64, u64>) -> String {
    let (mut text, mut words) = (String::new(), words.iter().peekable());
    while let Some((&at, &word)) = words.next() {
        let mut count = 1;
        while words.next_if(|&(&next, &same)| next == at.wrapping_add(8 * count) && same == word).is_some() {
            count += 1;
        }
        match count {
            1 => writeln!(text, "{at:05x}: {word:016x}").unwrap(),
            _ => writeln!(text, "{at:05x}: {word:016x} * {count}").unwrap(),
        }
    }
    text
}

fn golden() -> BTreeMap<u64, u64> {
    let lines = GOLDEN.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let words = lines.flat_map(|line| {
        let (at, word) = line.split_once(": ").expect("an offset and a word");
        let (word, count) = word.split_once(" * ").unwrap_or((word, "1"));
        let (at, word) = (u64::from_str_radix(at, 16).unwrap(), u64::from_str_radix(word, 16).unwrap());
        (0..count.parse().unwrap()).map(move |number: u64| (at.wrapping_add(8 * number), word))
    });
    words.collect()
}

#[test]
#[cfg(target_endian = "little")]
fn a_store_is_written_with_the_golden_words_of_layout_10() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    make(&path);
    let written = words(&Image::read(&path));
    assert!(written == golden(), "the layout has changed:\n{}", text(&written));
}

#[test]
#[cfg(target_endian = "little")]
fn a_store_of_layout_10_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut golden = golden();
    let mut image = Image { len: golden.remove(&LENGTH).expect("a length"), ..Image::default() };
    for (at, word) in golden {
        image.set_bytes(at, &word.to_le_bytes());
    }
    image.write(&path);
    let store = Store::open(&path).unwrap();
    let recovery = store.recovery().expect("a copy is recovered");
    assert_eq!((recovery.keys, recovery.older.len(), recovery.lost.len()), (6, 0, 0));
    assert_eq!(store.keys(), ["empty", "first", "large", "log", "medium", "n"]);
    assert_eq!(store.get("first").unwrap().as_deref(), Some(&b"newest value"[..]));
    let mut value = Vec::new();
    assert_eq!(store.slot("first").unwrap().get_version_into(1, &mut value).unwrap(), Lookup::Found(()));
    assert_eq!(value, b"overwritten");
    assert_eq!(store.get("log").unwrap().as_deref(), Some(&b"one,two"[..]));
    assert_eq!(store.integer("n").unwrap().get().unwrap(), Some(0x0102_0304));
    assert_eq!(store.get("empty").unwrap(), Some(vec![]));
    assert_eq!(store.get("medium").unwrap(), Some(vec![b'M'; 5000]));
    assert_eq!(store.slot("medium").unwrap().get_version_into(3, &mut value).unwrap(), Lookup::Found(()));
    assert_eq!(value, [b'm'; 2000]);
    assert_eq!(store.get("large").unwrap(), Some(vec![b'L'; 70_000]));
    let shape = store.slot("large").unwrap().shape();
    assert_eq!((shape.history, shape.spare, shape.lossless), (3, 2, 9));
    let dimensions = store.dimensions();
    assert_eq!(
        (dimensions.slots, dimensions.inline_size, dimensions.span, dimensions.dense_cells),
        (6, 1024, 2 << 20, 4)
    );
    assert_eq!(store.flags(), Flags::AUTO_VACUUM | Flags::USR1);
    assert_eq!(store.diagnostics().parse_failures, 1);
}
