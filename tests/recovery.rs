//! Stores in files that were copied during writes, mixed from several moments or damaged: each key
//! has a value that was committed under it, or an error.

mod support;

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use splinter_bus::store::{DirectoryError, GetError, KeyOptions, Lookup, SetError, Store, StoreOptions};
use support::image::{Image, space_of};
use support::offsets::{CLEAN_EPOCH, Offsets, word};
use support::{Actor, Random, proof};
use tempfile::TempDir;

fn options() -> StoreOptions {
    StoreOptions::new().slots(16).key_options(KeyOptions::new().history(3).spare(3))
}

fn key(number: u32) -> String {
    format!("key {number}")
}

fn scratch() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    (directory, path)
}

/// A directory on a tmpfs, for tests that open thousands of files. To the store they are files like
/// any others.
fn scratch_in_memory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = directory.path().join("store");
    (directory, path)
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    let path = Path::new(&arguments[0]);
    match role.as_str() {
        "churner" => churn(&support::open_soon_with(&options(), path)),
        "opener" => drop(Store::open(path).unwrap()),
        _ => panic!("no such role: {role}"),
    }
}

/// Sets and removes keys in a loop. Each value contains its key.
fn churn(store: &Store) {
    let mut random = Random::new(std::process::id().into());
    let mut value = Vec::new();
    for round in 0.. {
        let number = random.below(16) as u32;
        if random.below(10) == 0 {
            store.unset(&key(number)).unwrap();
        } else {
            proof::write(&mut value, number, round);
            store.set(&key(number), &value).unwrap();
        }
    }
}

/// Checks that every key has a value that was committed under it, or is reported as lost. Returns
/// the numbers of both.
fn assert_nothing_wrong(store: &Store, committed: impl Fn(&str, &[u8]) -> bool) -> (u32, u32) {
    let (mut intact, mut lost) = (0, 0);
    let mut value = Vec::new();
    for key in store.keys() {
        match store.get_into(&key, &mut value) {
            Ok(Some(version)) => {
                assert!(committed(&key, &value), "{key} version {version}: {value:?} was never committed");
                intact += 1;
            }
            Ok(None) => {}
            Err(GetError::Lost) => {
                assert!(store.recovery().is_none_or(|recovery| recovery.lost.contains(&key)));
                lost += 1;
            }
            Err(error) => panic!("{key}: {error}"),
        }
        // The next versions are of a new epoch: larger than any that a reader can have seen.
        let before = store.slot(&key).unwrap().version();
        let next = store.set(&key, b"next").unwrap();
        assert!(next > before && next >= 1 << 26, "{key}: {next} after {before}");
        assert_eq!(store.poll_after(&key, before, Some(Duration::ZERO)).unwrap(), Some(next));
        assert_eq!(store.get(&key).unwrap().as_deref(), Some(&b"next"[..]));
    }
    (intact, lost)
}

#[test]
fn a_copy_made_during_writes_has_only_committed_values() {
    let (directory, path) = scratch_in_memory();
    let store = options().create(&path).unwrap();
    let _churners = [(); 2].map(|()| Actor::spawn("churner", &[path.to_str().unwrap()]));
    support::wait_until("all writers have begun", || {
        store.participants().unwrap().len() == 3 && store.keys().len() > 3
    });
    let (mut intact, mut lost) = (0, 0);
    for round in 0..500 {
        let copy = directory.path().join(format!("copy {round}"));
        Image::read(&path).write(&copy);
        let store = Store::open(&copy).unwrap();
        assert!(store.recovery().is_some());
        let found = assert_nothing_wrong(&store, |of, value| key(proof::read(value).0) == of);
        intact += found.0;
        lost += found.1;
        fs::remove_file(&copy).unwrap();
    }
    println!("values of 500 copies: {intact} intact, {lost} lost");
    assert!(intact > 0);
}

/// A store, and every value that a key of it ever had.
struct Life {
    store: Store,
    path: PathBuf,
    committed: HashSet<(String, Vec<u8>)>,
    keys: u32,
    /// Keys that existed all the time since the last image.
    steady: Vec<String>,
    random: Random,
    number: u64,
}

/// How many values were found in all images.
#[derive(Default)]
struct Found {
    intact: u32,
    older: usize,
    lost: u32,
}

impl Life {
    /// Uses a few more keys than there are slots.
    fn new(path: &Path, seed: u64) -> Self {
        Self::with_keys(path, seed, 20)
    }

    fn with_keys(path: &Path, seed: u64, keys: u32) -> Self {
        Self {
            store: options().slots(keys - 4).create(path).unwrap(),
            keys,
            path: path.to_owned(),
            committed: HashSet::new(),
            steady: Vec::new(),
            random: Random::new(seed),
            number: 0,
        }
    }

    /// Opens an image of the file. Each key has a value that it once had, or an error. No key that
    /// existed all the time is missing.
    fn check(&self, image: &Image, found: &mut Found) {
        let copy = self.path.with_file_name("image");
        image.write(&copy);
        self.check_file(&copy, found);
    }

    fn check_file(&self, copy: &Path, found: &mut Found) {
        let store = Store::open(copy).unwrap();
        let keys = store.keys();
        for key in &self.steady {
            assert!(keys.contains(key), "{key} is missing");
        }
        found.older += store.recovery().map_or(0, |recovery| recovery.older.len());
        let committed = |key: &str, value: &[u8]| self.committed.contains(&(key.to_owned(), value.to_owned()));
        let (intact, lost) = assert_nothing_wrong(&store, committed);
        found.intact += intact;
        found.lost += lost;
        drop(store);
        fs::remove_file(copy).unwrap();
    }

    /// Sets, appends to and removes keys. Returns the image of the file afterwards.
    fn advance(&mut self, steps: u64) -> Image {
        self.steady = self.store.keys();
        for _ in 0..steps {
            let key = key(self.random.below(self.keys.into()) as u32);
            self.number += 1;
            let value = match self.random.below(10) {
                0 => {
                    self.store.unset(&key).unwrap();
                    self.steady.retain(|steady| *steady != key);
                    continue;
                }
                1 if self.store.size(&key).unwrap().is_some_and(|len| len <= 100_000) => {
                    self.store.append(&key, b"more").unwrap();
                    self.store.get(&key).unwrap().unwrap()
                }
                _ => {
                    // In cells, in medium places and in large ones.
                    let len = match self.random.below(50) {
                        0 => 65_000 + self.random.below(30_000),
                        1..5 => 1000 + self.random.below(20_000),
                        _ => self.random.below(600),
                    };
                    let value: Vec<u8> = (0..len).map(|at| (self.number * 7 + at * 13) as u8).collect();
                    match self.store.set(&key, &value) {
                        Err(SetError::Directory(DirectoryError::Full { .. })) => continue,
                        done => done.unwrap(),
                    };
                    value
                }
            };
            self.committed.insert((key, value));
        }
        Image::read(&self.path)
    }
}

#[test]
fn two_thousand_images_that_mix_two_moments_have_only_committed_values() {
    let (_directory, path) = scratch_in_memory();
    let mut life = Life::new(&path, 12);
    let mut random = Random::new(13);
    let (mut before, mut found) = (life.advance(100), Found::default());
    for round in 0..2000 {
        // The two moments are close together or far apart.
        let after = life.advance([1, 3, 10, 100][round % 4]);
        life.check(&Image::mix(&[&before, &after], &mut random), &mut found);
        before = after;
    }
    let Found { intact, older, lost } = found;
    println!("values of 2,000 images: {intact} intact, {older} of them older ones; {lost} lost");
    assert!(intact > 0 && older > 0);
}

#[test]
fn a_killed_recovery_is_repeated_by_the_next_process() {
    let (directory, path) = scratch_in_memory();
    // Large enough for a recovery to take some time.
    let mut life = Life::with_keys(&path, 18, 1000);
    let mut random = Random::new(19);
    let (mut before, mut found, mut killed, mut older) = (life.advance(3000), Found::default(), 0, 0);
    for _ in 0..30 {
        let after = life.advance(500);
        let image = Image::mix(&[&before, &after], &mut random);
        let copy = directory.path().join("image");
        image.write(&copy);
        let file = File::open(&copy).unwrap();
        let clean_epoch = || word(&file, CLEAN_EPOCH);
        let before_recovery = clean_epoch();
        let mut opener = Actor::spawn("opener", &[copy.to_str().unwrap()]);
        support::wait_until("the recovery has begun", || clean_epoch() != before_recovery);
        let until = Instant::now() + Duration::from_nanos(random.below(2_000_000));
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        opener.kill();
        if clean_epoch() == 0 {
            killed += 1;
            // The next process reports everything that the killed one found.
            let undisturbed = directory.path().join("undisturbed");
            image.write(&undisturbed);
            let [reported, expected] = [&copy, &undisturbed].map(|path| Store::open(path).unwrap().recovery().cloned());
            assert_eq!(reported, expected);
            older += expected.unwrap().older.len();
        }
        life.check_file(&copy, &mut found);
        before = after;
    }
    println!("killed in the middle of a recovery: {killed} of 30; {older} keys had an older value");
    assert!(killed > 0 && older > 0 && found.intact > 0);
}

#[test]
fn a_zeroed_page_loses_only_the_data_of_that_page() {
    let (_directory, path) = scratch();
    let mut life = Life::new(&path, 14);
    let good = life.advance(300);
    // A key whose name was in the zeroed page is missing.
    life.steady.clear();
    for &page in good.pages.keys().skip(1) {
        let mut image = good.clone();
        image.pages.remove(&page);
        life.check(&image, &mut Found::default());
    }
}

#[test]
fn keys_in_slots_whose_headers_were_lost_find_nothing_of_the_old_ones() {
    const SECRET: &[u8] = b"of another key";
    let directory = tempfile::tempdir().unwrap();
    let [path, copy] = ["store", "copy"].map(|name| directory.path().join(name));
    let keys = KeyOptions::new().history(4).spare(4);
    let options = StoreOptions::new().slots(40).span(2 << 20).key_options(keys);
    let store = options.create(&path).unwrap();
    for number in 0..40 {
        for len in [20, 3000, 20_000, 100_000] {
            store.set(&format!("old {number}"), &SECRET.repeat(1 + len / SECRET.len())).unwrap();
        }
    }
    let offsets = Offsets::of(&File::open(&path).unwrap());
    drop(store);
    // The machine stops before the kernel has written a page of headers, in the middle of others.
    let mut image = Image::read(&path);
    let page = offsets.slot(16) / 4096;
    let lost = (0..40).filter(|&slot| offsets.slot(slot) / 4096 == page).count();
    assert!(lost >= 7 && image.pages.remove(&page).is_some());
    image.write(&copy);
    let store = options.open(&copy).unwrap();
    let left = store.keys();
    assert_eq!(left.len(), 40 - lost);
    let mut value = Vec::new();
    for number in 0..lost {
        let slot = store.slot(&format!("new {number}")).unwrap();
        assert_eq!(slot.get_into(&mut value).unwrap(), None);
        let first = slot.set(&[1; 3000]).unwrap();
        for version in first.saturating_sub(300)..first {
            assert_eq!(slot.get_version_into(version, &mut value).unwrap(), Lookup::Gone, "version {version}");
        }
        for len in [20, 3000, 20_000, 100_000] {
            slot.set(&vec![2; len]).unwrap();
            assert_eq!(slot.size().unwrap(), Some(len));
        }
    }
    for key in left {
        store.unset(&key).unwrap();
    }
    drop(store);
    assert!(!Image::read(&copy).contains(SECRET), "bytes of lost keys are left");
}

#[test]
fn a_flipped_bit_in_a_copy_is_detected() {
    let (_directory, path) = scratch_in_memory();
    let mut life = Life::new(&path, 15);
    let good = life.advance(300);
    life.steady.clear();
    let pages: Vec<u64> = good.pages.keys().copied().collect();
    let mut random = Random::new(16);
    for _ in 0..1000 {
        let mut image = good.clone();
        // The first 64 bytes have no checksum. Damage to them is refused or has no effect.
        let at = pages[random.below(pages.len() as u64) as usize] * 4096 + random.below(4096);
        let [byte] = image.bytes(at..at + 1)[..] else { panic!() };
        if at >= 64 {
            image.set_bytes(at, &[byte ^ 1 << random.below(8)]);
        }
        life.check(&image, &mut Found::default());
    }
}

#[test]
fn a_copy_written_over_the_original_is_recovered() {
    let (_directory, path) = scratch();
    let mut value = Vec::new();
    let store = options().create(&path).unwrap();
    store.set("lost", &[1; 600]).unwrap();
    store.set("long and lost", &[3; 3000]).unwrap();
    store.set("long", &[4; 100_000]).unwrap();
    let mut image = Image::read(&path);
    drop(store);
    // The copy is as if it had been made in the middle of a publish.
    image.set_bytes(image.find(&[1; 600])[0], &[2]);
    image.set_bytes(image.find(&[3; 3000])[0] + 2999, &[2]);
    // Written over the original, which stays the same file.
    image.write(&path);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.recovery().unwrap().lost, ["long and lost", "lost"]);
    assert!(store.get_into("lost", &mut value).is_err() && store.get_into("long and lost", &mut value).is_err());
    assert_eq!(store.get("long").unwrap(), Some(vec![4; 100_000]));
}

#[test]
fn a_lost_value_is_an_error_until_it_is_set_again() {
    let (directory, path) = scratch();
    let store = options().create(&path).unwrap();
    store.set("lost", &[1; 600]).unwrap();
    store.set("other", &[2; 600]).unwrap();
    let mut image = Image::read(&path);
    image.set_bytes(image.find(&[1; 600])[0] + 300, &[9]);
    let copy = directory.path().join("copy");
    image.write(&copy);
    let store = Store::open(&copy).unwrap();
    assert_eq!(store.recovery().unwrap().lost, ["lost"]);
    assert_eq!(store.get("lost"), Err(GetError::Lost));
    assert!(store.append("lost", b"v").is_err() && store.slot_snapshot("lost").is_err());
    assert_eq!(store.get("other").unwrap().as_deref(), Some(&[2; 600][..]));
    let later = Store::open_unshared(&copy).unwrap();
    assert!(later.recovery().is_none());
    assert_eq!(later.get("lost"), Err(GetError::Lost));
    later.set("lost", b"found").unwrap();
    assert_eq!(store.get("lost").unwrap().as_deref(), Some(&b"found"[..]));
}

#[test]
fn concurrent_openers_of_a_copy_recover_it_once() {
    let (directory, path) = scratch();
    let mut life = Life::new(&path, 17);
    life.advance(200);
    for round in 0..20 {
        let copy = directory.path().join(format!("copy {round}"));
        Image::read(&path).write(&copy);
        let open = || Store::open_unshared(&copy).unwrap();
        let stores: Vec<_> = thread::scope(|scope| {
            let openers: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            openers.into_iter().map(|opener| opener.join().unwrap()).collect()
        });
        assert_eq!(stores.iter().filter(|store| store.recovery().is_some()).count(), 1);
    }
}

/// Runs a program, which must succeed.
fn run(command: &mut Command) {
    let output = command.output().expect("a program that every system has");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Copies `from` to `to` by a program.
type Copy = fn(&Path, &Path);

#[test]
fn copies_by_other_programs_have_all_values_and_can_be_written_to() {
    let copies: [(&str, Copy); 4] = [
        ("cp", |from, to| run(Command::new("cp").args([from, to]))),
        ("cp --sparse=always", |from, to| run(Command::new("cp").arg("--sparse=always").args([from, to]))),
        ("tar -S", |from, to| {
            let (archive, name) = (to.with_extension("tar"), from.file_name().unwrap());
            run(Command::new("tar").arg("-cSf").arg(&archive).arg("-C").arg(from.parent().unwrap()).arg(name));
            fs::create_dir(to.with_extension("d")).unwrap();
            run(Command::new("tar").arg("-xSf").arg(&archive).arg("-C").arg(to.with_extension("d")));
            fs::rename(to.with_extension("d").join(name), to).unwrap();
        }),
        ("dd with all zeros written out", |from, to| {
            // All of it would be gigabytes: the rings of the first slots.
            let len = fs::metadata(from).unwrap().len().min(64 << 20);
            fs::write(to, Image::read(from).bytes(0..len)).unwrap();
            let file = File::options().write(true).open(to).unwrap();
            for (page, bytes) in Image::read(from).pages.range(len / 4096..) {
                file.write_all_at(&bytes[..], page * 4096).unwrap();
            }
            file.set_len(fs::metadata(from).unwrap().len()).unwrap();
        }),
    ];
    for in_memory in [false, true] {
        let (directory, path) = if in_memory { scratch_in_memory() } else { scratch() };
        let store = options().create(&path).unwrap();
        // Zeros in all of a value or in the middle of it, which are holes in the copy.
        let value_of = |number: u32| {
            let len = [10, 1024, 1025, 5000, 65_536, 65_537, 300_000][number as usize % 7];
            let mut value = vec![0; len];
            value[len / 2] = number as u8 / 7;
            value
        };
        for number in 0..14 {
            for version in 4..8 {
                store.set(&key(number), &vec![version; (number as usize + 1) * 5000]).unwrap();
            }
            store.set(&key(number), &value_of(number)).unwrap();
        }
        store.set("removed", &[1; 300_000]).unwrap();
        store.unset("removed").unwrap();
        let original = space_of(&path);
        for (what, copy_by) in copies {
            let copy = directory.path().join("copy");
            copy_by(&path, &copy);
            let copied = Store::open(&copy).unwrap();
            let recovery = copied.recovery().unwrap_or_else(|| panic!("{what}: not recovered"));
            assert_eq!((recovery.keys, recovery.lost.len(), recovery.older.len()), (14, 0, 0), "{what}");
            for number in 0..14 {
                let key = key(number);
                assert_eq!(copied.get(&key).unwrap(), Some(value_of(number)), "{what}");
                let slot = copied.slot(&key).unwrap();
                let mut value = Vec::new();
                let before = slot.version() - 1;
                assert_eq!(slot.get_version_into(before, &mut value).unwrap(), Lookup::Found(()), "{what}");
                assert_eq!(value, vec![7; (number as usize + 1) * 5000], "{what}");
                for len in [7, 3000, 65_536, 200_000] {
                    slot.set(&vec![9; len]).unwrap();
                    assert_eq!(copied.get(&key).unwrap(), Some(vec![9; len]), "{what}");
                }
                slot.append(b"more").unwrap();
                assert_eq!(slot.size().unwrap(), Some(200_004), "{what}");
            }
            // Whatever the copy had reserved is given back with its key.
            for key in copied.keys() {
                copied.unset(&key).unwrap();
            }
            let left = space_of(&copy);
            assert!(left < original.min(1 << 20) || what.starts_with("dd"), "{what}: {left} of {original} bytes");
            drop(copied);
            fs::remove_file(&copy).unwrap();
            let _ = fs::remove_dir_all(copy.with_extension("d"));
            let _ = fs::remove_file(copy.with_extension("tar"));
        }
    }
}

#[test]
fn a_recovered_copy_has_its_space_reserved() {
    let (directory, path) = scratch_in_memory();
    let store = options().create(&path).unwrap();
    store.set("zeros", &vec![0; 1 << 20]).unwrap();
    let copy = directory.path().join("copy");
    Image::read(&path).write(&copy);
    assert!(space_of(&copy) < 1 << 20);
    let copied = Store::open(&copy).unwrap();
    // Readers do not look at what is reserved: a hole that they read must not need space.
    assert!(space_of(&copy) >= 1 << 20);
    assert_eq!(copied.get("zeros").unwrap(), Some(vec![0; 1 << 20]));
    assert!(copied.unset("zeros").unwrap().is_some());
    assert!(space_of(&copy) < 256 << 10);
}
