//! Stores in files that were copied during writes, mixed from several moments or damaged: each key
//! has a value that was committed under it, or an error.

mod support;

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use splinter_bus::store::{DirectoryError, GetError, SetError, Store, StoreOptions};
use support::{Actor, Random, proof};
use tempfile::TempDir;

fn options() -> StoreOptions {
    StoreOptions::new().slots(16).max_value_size(600).history(3).spare(3)
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
        "churner" => churn(&support::open_soon(path)),
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
        fs::copy(&path, &copy).unwrap();
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
    fn check(&self, image: &[u8], found: &mut Found) {
        let copy = self.path.with_file_name("image");
        fs::write(&copy, image).unwrap();
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
    fn advance(&mut self, steps: u64) -> Vec<u8> {
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
                1 if self.store.size(&key).unwrap().is_some_and(|len| len <= 596) => {
                    self.store.append(&key, b"more").unwrap();
                    self.store.get(&key).unwrap().unwrap()
                }
                _ => {
                    let len = self.random.below(600);
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
        fs::read(&self.path).unwrap()
    }
}

#[test]
fn two_thousand_images_that_mix_two_moments_have_only_committed_values() {
    const PAGE: usize = 4096;
    let (_directory, path) = scratch_in_memory();
    let mut life = Life::new(&path, 12);
    let mut random = Random::new(13);
    let (mut before, mut found) = (life.advance(100), Found::default());
    for round in 0..2000 {
        // The two moments are close together or far apart.
        let after = life.advance([1, 3, 10, 100][round % 4]);
        let mut image = before.clone();
        for (page, bytes) in after.chunks(PAGE).enumerate() {
            if random.below(2) == 0 {
                image[page * PAGE..page * PAGE + bytes.len()].copy_from_slice(bytes);
            }
        }
        life.check(&image, &mut found);
        before = after;
    }
    let Found { intact, older, lost } = found;
    println!("values of 2,000 images: {intact} intact, {older} of them older ones; {lost} lost");
    assert!(intact > 0 && older > 0);
}

#[test]
fn a_killed_recovery_is_repeated_by_the_next_process() {
    const CLEAN_EPOCH: u64 = 232;
    let (directory, path) = scratch();
    // Large enough for a recovery to take some time.
    let mut life = Life::with_keys(&path, 18, 1000);
    let mut random = Random::new(19);
    let (mut before, mut found, mut killed, mut older) = (life.advance(3000), Found::default(), 0, 0);
    for _ in 0..30 {
        let after = life.advance(500);
        let mut image = before.clone();
        for (page, bytes) in after.chunks(4096).enumerate().filter(|_| random.below(2) == 0) {
            image[page * 4096..page * 4096 + bytes.len()].copy_from_slice(bytes);
        }
        let copy = directory.path().join("image");
        fs::write(&copy, &image).unwrap();
        let file = File::open(&copy).unwrap();
        let clean_epoch = || {
            let mut word = [0; 8];
            file.read_exact_at(&mut word, CLEAN_EPOCH).unwrap();
            u64::from_ne_bytes(word)
        };
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
            fs::write(&undisturbed, &image).unwrap();
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
    for page in 1..good.len() / 4096 {
        let mut image = good.clone();
        image[page * 4096..(page + 1) * 4096].fill(0);
        life.check(&image, &mut Found::default());
    }
}

#[test]
fn a_flipped_bit_in_a_copy_is_detected() {
    let (_directory, path) = scratch_in_memory();
    let mut life = Life::new(&path, 15);
    let good = life.advance(300);
    life.steady.clear();
    let mut random = Random::new(16);
    for _ in 0..1000 {
        let mut image = good.clone();
        // The first 64 bytes have no checksum. Damage to them is refused or has no effect.
        let at = 64 + random.below(good.len() as u64 - 64) as usize;
        image[at] ^= 1 << random.below(8);
        life.check(&image, &mut Found::default());
    }
}

#[test]
fn a_copy_written_over_the_original_is_recovered() {
    let (directory, path) = scratch();
    let (backup, mut value) = (directory.path().join("backup"), Vec::new());
    let store = options().create(&path).unwrap();
    store.set("lost", &[1; 600]).unwrap();
    fs::copy(&path, &backup).unwrap();
    drop(store);
    // The copy is as if it had been made in the middle of a publish.
    let mut image = fs::read(&backup).unwrap();
    let at = image.windows(600).position(|window| window == [1; 600]).unwrap();
    image[at] = 2;
    fs::write(&path, &image).unwrap();
    let store = Store::open(&path).unwrap();
    assert_eq!(store.recovery().unwrap().lost, ["lost"]);
    assert!(store.get_into("lost", &mut value).is_err());
}

#[test]
fn a_lost_value_is_an_error_until_it_is_set_again() {
    let (directory, path) = scratch();
    let store = options().create(&path).unwrap();
    store.set("lost", &[1; 600]).unwrap();
    store.set("other", &[2; 600]).unwrap();
    let mut image = fs::read(&path).unwrap();
    let at = image.windows(600).position(|window| window == [1; 600]).unwrap();
    image[at + 300] = 9;
    let copy = directory.path().join("copy");
    fs::write(&copy, &image).unwrap();
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
        fs::copy(&path, &copy).unwrap();
        let open = || Store::open_unshared(&copy).unwrap();
        let stores: Vec<_> = thread::scope(|scope| {
            let openers: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            openers.into_iter().map(|opener| opener.join().unwrap()).collect()
        });
        assert_eq!(stores.iter().filter(|store| store.recovery().is_some()).count(), 1);
    }
}
