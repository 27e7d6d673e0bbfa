//! Stores in files: what survives processes, machines and copies.

mod support;

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use splinter_bus::store::{DirectoryError, GetError, Location, OpenError, SetError, Store, StoreOptions};
use splinter_bus::{Bus, Message};
use support::{Actor, Name, Random, proof};
use tempfile::TempDir;

const KEYS: u32 = 6;

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

/// As [`scratch`], where nothing waits for a disk, for tests that open thousands of files. They are files like any other to the store.
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
        "writer" => {
            let store = support::open_soon(path);
            let slots: Vec<_> = (0..KEYS).map(|number| store.slot(&key(number)).unwrap()).collect();
            support::write_versions(&slots)
        }
        "churner" => churn_for_ever(&support::open_soon(path)),
        "opener" => drop(Store::open(path).unwrap()),
        "toucher" => touch_for_ever(&support::open_soon(path)),
        "full disk" => meet_a_full_disk(path),
        "torn without a boot id" => meet_a_torn_value(path),
        "without a boot id" => live_without_a_boot_id(&arguments[0], &arguments[1]),
        "read-only" => meet_a_read_only_file_system(path),
        _ => panic!("no such role: {role}"),
    }
}

/// Sets keys to values that name the key, and removes them.
fn churn_for_ever(store: &Store) {
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

/// Reads and writes every part of the store, so that a part that is gone is met.
fn touch_for_ever(store: &Store) {
    let mut value = Vec::new();
    for number in 0.. {
        let key = key(number % 16);
        store.set(&key, &[7; 600]).unwrap();
        store.get_into(&key, &mut value).unwrap();
    }
}

#[test]
fn a_store_in_a_file_is_there_again_when_all_have_closed_it() {
    let (_directory, path) = scratch();
    let store = options().create(&path).unwrap();
    assert!(store.snapshot().persistent && store.recovery().is_none());
    store.set("key", b"value").unwrap();
    store.integer("n").unwrap().fetch_add(5).unwrap();
    store.flush().unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    assert!(store.recovery().is_none());
    assert_eq!(store.get("key").unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(store.integer("n").unwrap().get().unwrap(), Some(5));
    drop(store);
    Store::remove(&path).unwrap();
    assert!(matches!(Store::open(&path), Err(OpenError::NotFound { .. })));
}

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Note {
    text: String,
}

#[test]
fn a_bus_may_be_in_a_file_and_both_kinds_may_be_open_at_once() {
    let (_directory, path) = scratch();
    let name = Name::new();
    let text = path.to_str().unwrap();
    let (file, memory): (Bus<Note>, Bus<Note>) = (Bus::create(text).unwrap(), Bus::create(&name).unwrap());
    file.publish("key", &Note { text: "in a file".to_owned() }).unwrap();
    assert!(memory.get("key").unwrap().is_none());
    drop(file);
    let file: Bus<Note> = Bus::open(text).unwrap();
    assert_eq!(file.get("key").unwrap().unwrap().text, "in a file");
}

#[test]
fn an_existing_file_is_opened_through_a_link_but_never_removed_through_one() {
    let (directory, path) = scratch();
    let (link, astray) = (directory.path().join("link"), directory.path().join("astray"));
    options().create(&path).unwrap().set("key", b"v").unwrap();
    symlink(&path, &link).unwrap();
    symlink("nowhere", &astray).unwrap();
    assert_eq!(Store::open(&link).unwrap().get("key").unwrap().as_deref(), Some(&b"v"[..]));
    assert!(matches!(Store::remove(&link), Err(OpenError::NotAStore { .. })));
    let error = options().open_or_create(&astray).unwrap_err().to_string();
    assert!(error.contains("a symbolic link that leads nowhere"), "{error}");
}

#[test]
fn a_segment_opened_by_its_path_is_the_same_store() {
    let name = Name::new();
    let by_name = name.create(&options());
    let by_path = Store::open(name.path()).unwrap();
    by_name.set("key", b"v").unwrap();
    assert_eq!(by_path.get("key").unwrap().as_deref(), Some(&b"v"[..]));
    assert_eq!(by_path.location(), &Location::File(name.path().into()));
    // But a copy of it has no checksums to go by.
    let copy = Name::new();
    fs::copy(name.path(), copy.path()).unwrap();
    for result in [Store::open(&copy), Store::open(copy.path())] {
        assert!(matches!(result, Err(OpenError::Copied { .. })));
    }
}

#[test]
fn a_writer_killed_300_times_in_the_middle_leaves_every_last_value() {
    let (_directory, path) = scratch();
    drop(options().create(&path).unwrap());
    let mut random = Random::new(11);
    let mut value = Vec::new();
    let mut hit = 0;
    for round in 0..300 {
        let watcher = Store::open(&path).unwrap();
        let slot = watcher.slot(&key(0)).unwrap();
        let start = slot.version();
        let mut writer = Actor::spawn("writer", &[path.to_str().unwrap()]);
        support::wait_until("the writer has begun", || slot.version() > start);
        let until = Instant::now() + Duration::from_nanos(random.below(200_000));
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        // With and without anybody who has it open all the time.
        let survivor = (round % 2 == 0).then_some(watcher);
        drop(slot);
        writer.kill();
        if let Some(survivor) = &survivor {
            hit += (0..KEYS).map(|number| survivor.slot(&key(number)).unwrap().cells().in_flight).sum::<u64>();
        }
        let store = Store::open(&path).unwrap();
        assert_eq!(store.recovery().is_some(), survivor.is_none());
        for number in 0..KEYS {
            let slot = store.slot(&key(number)).unwrap();
            if let Some(version) = slot.get_into(&mut value).unwrap() {
                assert_eq!(proof::read(&value), (number, version), "round {round}");
            }
            assert_eq!(slot.cells().in_flight, 0);
        }
    }
    println!("killed in the middle of a publish: {hit} of 150");
    assert!(hit > 0);
}

/// Every key has a value that was once committed under it, or an error says that it was lost. What was found.
fn assert_nothing_wrong(store: &Store, committed: impl Fn(&str, &[u8]) -> bool) -> (u32, u32) {
    let (mut whole, mut lost) = (0, 0);
    let mut value = Vec::new();
    for key in store.keys() {
        match store.get_into(&key, &mut value) {
            Ok(Some(version)) => {
                assert!(committed(&key, &value), "{key} version {version}: {value:?} was never committed");
                whole += 1;
            }
            Ok(None) => {}
            Err(GetError::Lost) => {
                assert!(store.recovery().is_none_or(|recovery| recovery.lost.contains(&key)));
                lost += 1;
            }
            Err(error) => panic!("{key}: {error}"),
        }
        // And it goes on from there, with versions that nobody can have seen: larger than all of which the image has any trace, and of many more.
        let before = store.slot(&key).unwrap().version();
        let next = store.set(&key, b"next").unwrap();
        assert!(next > before && next >= 1 << 26, "{key}: {next} after {before}");
        assert_eq!(store.poll_after(&key, before, Some(Duration::ZERO)).unwrap(), Some(next));
        assert_eq!(store.get(&key).unwrap().as_deref(), Some(&b"next"[..]));
    }
    (whole, lost)
}

#[test]
fn a_copy_made_while_writers_are_at_work_has_committed_values_only() {
    let (directory, path) = scratch_in_memory();
    let store = options().create(&path).unwrap();
    let _churners = [(); 2].map(|()| Actor::spawn("churner", &[path.to_str().unwrap()]));
    support::wait_until("all are at work", || store.participants().unwrap().len() == 3 && store.keys().len() > 3);
    let (mut whole, mut lost) = (0, 0);
    for round in 0..500 {
        let copy = directory.path().join(format!("copy {round}"));
        fs::copy(&path, &copy).unwrap();
        let store = Store::open(&copy).unwrap();
        assert!(store.recovery().is_some());
        let found = assert_nothing_wrong(&store, |of, value| key(proof::read(value).0) == of);
        whole += found.0;
        lost += found.1;
        fs::remove_file(&copy).unwrap();
    }
    println!("values of 500 copies: {whole} whole, {lost} lost");
    assert!(whole > 0);
}

/// What a store holds at one moment, and what each key ever held.
struct Life {
    store: Store,
    path: PathBuf,
    committed: HashSet<(String, Vec<u8>)>,
    keys: u32,
    /// Keys that were there all the time since the last image.
    steady: Vec<String>,
    random: Random,
    number: u64,
}

/// What was found in an image.
#[derive(Default)]
struct Found {
    whole: u32,
    older: usize,
    lost: u32,
}

impl Life {
    /// A few more keys than there are slots.
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

    /// Opens an image of the file: each key has a value that it once had, or an error, and no key that was there all the time
    /// is missing.
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
        let (whole, lost) = assert_nothing_wrong(&store, committed);
        found.whole += whole;
        found.lost += lost;
        drop(store);
        fs::remove_file(copy).unwrap();
    }

    /// Sets, appends to and unsets keys; the image of the file afterwards.
    fn go_on(&mut self, steps: u64) -> Vec<u8> {
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
fn two_thousand_images_with_pages_of_two_moments_have_committed_values_only() {
    const PAGE: usize = 4096;
    let (_directory, path) = scratch_in_memory();
    let mut life = Life::new(&path, 12);
    let mut random = Random::new(13);
    let (mut before, mut found) = (life.go_on(100), Found::default());
    for round in 0..2000 {
        // A new pair of moments now and then, close together or far apart.
        let after = life.go_on([1, 3, 10, 100][round % 4]);
        let mut image = before.clone();
        for (page, bytes) in after.chunks(PAGE).enumerate() {
            if random.below(2) == 0 {
                image[page * PAGE..page * PAGE + bytes.len()].copy_from_slice(bytes);
            }
        }
        life.check(&image, &mut found);
        before = after;
    }
    let Found { whole, older, lost } = found;
    println!("values of 2,000 images: {whole} whole, {older} of them older ones; {lost} lost");
    assert!(whole > 0 && older > 0);
}

#[test]
fn a_recovery_that_is_killed_at_any_moment_is_begun_anew() {
    const HOME: u64 = 232;
    let (directory, path) = scratch();
    // Large enough for a recovery to take a while.
    let mut life = Life::with_keys(&path, 18, 1000);
    let mut random = Random::new(19);
    let (mut before, mut found, mut killed, mut older) = (life.go_on(3000), Found::default(), 0, 0);
    for _ in 0..30 {
        let after = life.go_on(500);
        let mut image = before.clone();
        for (page, bytes) in after.chunks(4096).enumerate().filter(|_| random.below(2) == 0) {
            image[page * 4096..page * 4096 + bytes.len()].copy_from_slice(bytes);
        }
        let copy = directory.path().join("image");
        fs::write(&copy, &image).unwrap();
        let file = File::open(&copy).unwrap();
        let home = || {
            let mut home = [0; 8];
            file.read_exact_at(&mut home, HOME).unwrap();
            u64::from_ne_bytes(home)
        };
        let as_it_was = home();
        let mut opener = Actor::spawn("opener", &[copy.to_str().unwrap()]);
        support::wait_until("the recovery has begun", || home() != as_it_was);
        let until = Instant::now() + Duration::from_nanos(random.below(2_000_000));
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        opener.kill();
        if home() == 0 {
            killed += 1;
            // Whoever comes next tells all that the one before did not live to tell.
            let undisturbed = directory.path().join("undisturbed");
            fs::write(&undisturbed, &image).unwrap();
            let [told, expected] = [&copy, &undisturbed].map(|path| Store::open(path).unwrap().recovery().cloned());
            assert_eq!(told, expected);
            older += expected.unwrap().older.len();
        }
        life.check_file(&copy, &mut found);
        before = after;
    }
    println!("killed in the middle of a recovery: {killed} of 30; {older} keys had an older value");
    assert!(killed > 0 && older > 0 && found.whole > 0);
}

#[test]
fn a_page_that_was_never_written_costs_what_is_in_it_and_no_more() {
    let (_directory, path) = scratch();
    let mut life = Life::new(&path, 14);
    let good = life.go_on(300);
    // Of keys that were in a page that is gone, nobody knows.
    life.steady.clear();
    for page in 1..good.len() / 4096 {
        let mut image = good.clone();
        image[page * 4096..(page + 1) * 4096].fill(0);
        life.check(&image, &mut Found::default());
    }
}

#[test]
fn a_flipped_bit_is_found_when_the_machine_has_stopped_since() {
    let (_directory, path) = scratch_in_memory();
    let mut life = Life::new(&path, 15);
    let good = life.go_on(300);
    life.steady.clear();
    let mut random = Random::new(16);
    for _ in 0..1000 {
        let mut image = good.clone();
        // The identity has no checksum: damage to it is refused, or does not matter.
        let at = 64 + random.below(good.len() as u64 - 64) as usize;
        image[at] ^= 1 << random.below(8);
        life.check(&image, &mut Found::default());
    }
}

#[test]
fn a_copy_written_over_the_original_is_taken_for_the_copy_it_is() {
    let (directory, path) = scratch();
    let (backup, mut value) = (directory.path().join("backup"), Vec::new());
    let store = options().create(&path).unwrap();
    store.set("lost", &[1; 600]).unwrap();
    fs::copy(&path, &backup).unwrap();
    drop(store);
    // As if the copy had been made in the middle of a publish.
    let mut image = fs::read(&backup).unwrap();
    let at = image.windows(600).position(|window| window == [1; 600]).unwrap();
    image[at] = 2;
    fs::write(&path, &image).unwrap();
    let store = Store::open(&path).unwrap();
    assert_eq!(store.recovery().unwrap().lost, ["lost"]);
    assert!(store.get_into("lost", &mut value).is_err());
}

#[test]
fn a_store_whose_last_user_was_killed_is_looked_through_and_has_all_its_values() {
    let (_directory, path) = scratch();
    let store = options().create(&path).unwrap();
    let mut writer = Actor::spawn("writer", &[path.to_str().unwrap()]);
    let slot = store.slot(&key(0)).unwrap();
    support::wait_until("it is at work", || slot.version() > 100);
    drop((slot, store));
    writer.kill();
    let store = Store::open(&path).unwrap();
    let recovery = store.recovery().expect("nobody closed it");
    assert_eq!((recovery.keys, recovery.older.len(), recovery.lost.len()), (KEYS, 0, 0));
    let mut value = Vec::new();
    for number in 0..KEYS {
        let version = store.get_into(&key(number), &mut value).unwrap().unwrap();
        assert_eq!(proof::read(&value), (number, version));
    }
    drop(store);
    assert!(Store::open(&path).unwrap().recovery().is_none());
}

#[test]
fn a_lost_value_is_an_error_until_it_is_set_anew() {
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
    let later = Store::open(&copy).unwrap();
    assert!(later.recovery().is_none());
    assert_eq!(later.get("lost"), Err(GetError::Lost));
    later.set("lost", b"found").unwrap();
    assert_eq!(store.get("lost").unwrap().as_deref(), Some(&b"found"[..]));
}

#[test]
fn many_who_open_a_copy_at_once_make_it_sound_once() {
    let (directory, path) = scratch();
    let mut life = Life::new(&path, 17);
    life.go_on(200);
    for round in 0..20 {
        let copy = directory.path().join(format!("copy {round}"));
        fs::copy(&path, &copy).unwrap();
        let open = || Store::open(&copy).unwrap();
        let stores: Vec<_> = thread::scope(|scope| {
            let openers: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            openers.into_iter().map(|opener| opener.join().unwrap()).collect()
        });
        assert_eq!(stores.iter().filter(|store| store.recovery().is_some()).count(), 1);
    }
}

#[test]
fn a_file_that_is_cut_while_it_is_mapped_ends_who_touches_it_and_nobody_else() {
    let (directory, path) = scratch();
    let other = options().create(directory.path().join("other")).unwrap();
    other.set("key", b"v").unwrap();
    let store = options().create(&path).unwrap();
    let mut toucher = Actor::spawn("toucher", &[path.to_str().unwrap()]);
    support::wait_until("it is at work", || store.keys().len() == 16);
    File::options().write(true).open(&path).unwrap().set_len(4096).unwrap();
    let status = toucher.0.wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::BUS.as_raw()), "{status}");
    assert_eq!(other.get("key").unwrap().as_deref(), Some(&b"v"[..]));
    assert!(matches!(Store::open(&path), Err(OpenError::Damaged { .. })));
    // Not to be touched by us either.
    std::mem::forget(store);
}

#[test]
fn a_full_disk_is_told_in_bytes_and_nothing_is_left_on_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    Actor::run_on_mount(&format!("-t tmpfs -o size=1m none '{path}'"), "full disk", &[path]);
}

fn meet_a_full_disk(directory: &Path) {
    let path = directory.join("store");
    let error = options().slots(1000).create(&path).unwrap_err();
    let OpenError::NoSpace { needed, available, .. } = error else { panic!("{error}") };
    assert!(needed > available && available > 0, "{error}");
    let store = options().create(&path).unwrap();
    store.set("key", b"v").unwrap();
    let error = options().slots(300).create(directory.join("other")).unwrap_err();
    assert!(matches!(error, OpenError::NoSpace { .. }), "{error}");
    assert_eq!(fs::read_dir(directory).unwrap().count(), 1, "something was left behind");
    // The one that is there has its space.
    for number in 0..15 {
        store.set(&key(number), &[7; 600]).unwrap();
    }
}

#[test]
fn a_read_only_file_system_is_called_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let bind = format!("--bind '{path}' '{path}' && mount -o remount,bind,ro '{path}'");
    options().create(directory.path().join("store")).unwrap();
    Actor::run_on_mount(&bind, "read-only", &[path]);
}

fn meet_a_read_only_file_system(directory: &Path) {
    for result in [Store::open(directory.join("store")), options().create(directory.join("new"))] {
        let error = result.unwrap_err();
        assert!(matches!(error, OpenError::ReadOnly { .. }), "{error}");
    }
}

/// A segment and a file that were closed, and the process that opens them knows the machine as another one, or not at all.
fn live_without_a_boot_id(segment: &str, directory: &str) {
    let store = Store::open(segment).expect("a segment is told from a copy by its file alone");
    assert_eq!(store.get("key").unwrap().as_deref(), Some(&b"v"[..]));
    assert!(matches!(Store::open(format!("{segment}-copy")), Err(OpenError::Copied { .. })));

    let closed = Store::open(Path::new(directory).join("store")).unwrap();
    assert_eq!(closed.recovery().expect("it was another run of the machine, or may have been").keys, 1);
    assert_eq!(closed.get("key").unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn what_was_closed_is_opened_where_the_boot_id_is_another() {
    let (segment, directory) = (Name::new(), tempfile::tempdir().unwrap());
    let boot_id = directory.path().join("boot_id");
    fs::write(&boot_id, "another").unwrap();
    close_stores(&segment, directory.path());
    let bind = format!("--bind '{}' /proc/sys/kernel/random/boot_id", boot_id.display());
    Actor::run_on_mount(&bind, "without a boot id", &[&segment, directory.path().to_str().unwrap()]);
    fs::remove_file(format!("{}-copy", segment.path())).unwrap();
}

#[test]
fn what_was_closed_is_opened_and_examined_each_time_where_the_boot_id_cannot_be_read() {
    let (segment, directory) = (Name::new(), tempfile::tempdir().unwrap());
    close_stores(&segment, directory.path());
    let hidden = "-t tmpfs none /proc/sys/kernel/random";
    for _ in 0..2 {
        Actor::run_on_mount(hidden, "without a boot id", &[&segment, directory.path().to_str().unwrap()]);
    }
    fs::remove_file(format!("{}-copy", segment.path())).unwrap();
}

fn close_stores(segment: &Name, directory: &Path) {
    segment.create(&options()).set("key", b"v").unwrap();
    fs::copy(segment.path(), format!("{}-copy", segment.path())).unwrap();
    options().create(directory.join("store")).unwrap().set("key", b"v").unwrap();
}

#[test]
fn a_torn_value_is_found_where_the_boot_id_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let hidden = "-t tmpfs none /proc/sys/kernel/random";
    Actor::run_on_mount(hidden, "torn without a boot id", &[directory.path().join("store").to_str().unwrap()]);
}

/// The store is created, used, torn and opened again without a boot id ever being known.
fn meet_a_torn_value(path: &Path) {
    let store = options().create(path).unwrap();
    store.set("torn", &[1; 600]).unwrap();
    drop(store);
    let image = fs::read(path).unwrap();
    let at = image.windows(600).position(|window| window == [1; 600]).unwrap();
    File::options().write(true).open(path).unwrap().write_all_at(&[2], at as u64).unwrap();
    let store = Store::open(path).unwrap();
    assert_eq!(store.recovery().expect("nobody knows what has happened since").lost, ["torn"]);
    // Those who come while it is open find it as it is.
    assert!(Store::open(path).unwrap().recovery().is_none());
}
