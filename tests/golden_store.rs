//! The layout of a store, byte for byte. Every version that supports this layout reads what every
//! other has written.
//!
//! `golden/layout_6.txt` contains every word of a small store that is not zero, as `offset: word`
//! in hexadecimal, with the lowest byte last. If these tests fail, stores of other versions may not
//! be read correctly any more, and the layout needs another number. If only other cells were chosen
//! for the same values, replace the file by what the test prints.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use splinter_bus::store::{Flags, KeyOptions, Lookup, Store, StoreOptions};

const GOLDEN: &str = include_str!("golden/layout_6.txt");

/// The words that differ from store to store: its id, its time of creation, and the clean epoch in
/// the directory header.
const OWN: [usize; 3] = [40, 48, 192 + 40];
/// The process ids of participants and of the last process that held the directory's lock.
const PROCESSES: [usize; 2] = [512 + 8, 192 + 24];

fn make(path: &Path) {
    let store = StoreOptions::new().slots(4).key_options(KeyOptions::new().history(2).spare(2)).create(path).unwrap();
    store.set("first", b"overwritten").unwrap();
    store.set("first", b"newest value").unwrap();
    store.set("removed", b"nobody may see this").unwrap();
    store.unset("removed").unwrap();
    store.append("log", b"one,").unwrap();
    store.append("log", b"two").unwrap();
    store.integer("n").unwrap().fetch_add(0x0102_0304).unwrap();
    store.set("empty", b"").unwrap();
    store.set_flags(Flags::USR1);
    store.report_parse_failure();
}

/// Returns all words that are not zero, without those that differ from store to store.
fn words(image: &[u8]) -> BTreeMap<usize, u64> {
    let words = image.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
    let mut words: BTreeMap<usize, u64> = (0..).step_by(8).zip(words).filter(|(_, word)| *word != 0).collect();
    // The time of the last parse failure.
    words.remove(&(128 + 8));
    for own in OWN {
        assert!(words.remove(&own).is_some(), "no word at {own}");
    }
    for process in PROCESSES {
        assert!(words.contains_key(&process), "no word at {process}");
        // The other half of the word is another field.
        let rest = words[&process] & if process == PROCESSES[0] { u64::MAX << 32 } else { u64::from(u32::MAX) };
        words.insert(process, rest);
    }
    words.retain(|_, word| *word != 0);
    words
}

fn golden() -> BTreeMap<usize, u64> {
    let lines = GOLDEN.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let words = lines.map(|line| {
        let (at, word) = line.split_once(": ").expect("an offset and a word");
        (usize::from_str_radix(at, 16).unwrap(), u64::from_str_radix(word, 16).unwrap())
    });
    words.collect()
}

#[test]
#[cfg(target_endian = "little")]
fn a_store_is_written_with_the_golden_words_of_layout_6() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    make(&path);
    let written = words(&fs::read(&path).unwrap());
    let text = written.iter().fold(String::new(), |mut text, (at, word)| {
        writeln!(text, "{at:05x}: {word:016x}").unwrap();
        text
    });
    assert!(written == golden(), "the layout has changed:\n{text}");
}

#[test]
#[cfg(target_endian = "little")]
fn a_store_of_layout_6_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let golden = golden();
    let mut image = vec![0; golden[&32] as usize];
    for (at, word) in golden {
        image[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    fs::write(&path, image).unwrap();
    let store = Store::open(&path).unwrap();
    let recovery = store.recovery().expect("a copy is recovered");
    assert_eq!((recovery.keys, recovery.older.len(), recovery.lost.len()), (4, 0, 0));
    assert_eq!(store.keys(), ["empty", "first", "log", "n"]);
    assert_eq!(store.get("first").unwrap().as_deref(), Some(&b"newest value"[..]));
    let mut value = Vec::new();
    assert_eq!(store.slot("first").unwrap().get_version_into(1, &mut value).unwrap(), Lookup::Found(()));
    assert_eq!(value, b"overwritten");
    assert_eq!(store.get("log").unwrap().as_deref(), Some(&b"one,two"[..]));
    assert_eq!(store.integer("n").unwrap().get().unwrap(), Some(0x0102_0304));
    assert_eq!(store.get("empty").unwrap(), Some(vec![]));
    assert_eq!(store.flags(), Flags::AUTO_VACUUM | Flags::USR1);
    assert_eq!(store.diagnostics().parse_failures, 1);
}
