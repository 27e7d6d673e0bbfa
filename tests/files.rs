//! Stores in files: they survive their processes, and errors name what is wrong with a file, a disk
//! or a machine.

mod support;

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use splinter_bus::store::{DirectoryError, KeyOptions, Location, OpenError, SetError, Store, StoreOptions};
use splinter_bus::{Bus, Message};
use support::image::Image;
use support::{Actor, Name, Random, proof};
use tempfile::TempDir;

const KEYS: u32 = 6;

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

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    let path = Path::new(&arguments[0]);
    match role.as_str() {
        "writer" => {
            let store = support::open_soon_with(&options(), path);
            let slots: Vec<_> = (0..KEYS).map(|number| store.slot(&key(number)).unwrap()).collect();
            support::write_versions(&slots)
        }
        "toucher" => touch_all(&support::open_soon_with(&options(), path)),
        "full disk" => create_on_a_full_disk(path),
        "torn without a boot id" => recover_a_torn_value(path),
        "without a boot id" => open_without_a_boot_id(&arguments[0], &arguments[1]),
        "read-only" => open_on_a_read_only_file_system(path),
        _ => panic!("no such role: {role}"),
    }
}

/// Reads and writes every part of the store, and so accesses pages that no longer exist.
fn touch_all(store: &Store) {
    let mut value = Vec::new();
    for number in 0.. {
        let key = key(number % 16);
        store.set(&key, &[7; 600]).unwrap();
        store.get_into(&key, &mut value).unwrap();
    }
}

#[test]
fn a_store_in_a_file_survives_its_last_close() {
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
fn a_bus_in_a_file_works_beside_one_in_memory() {
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
fn a_symbolic_link_can_be_opened_but_not_removed() {
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
    assert_eq!(by_name.location(), &Location::Memory(name.to_string()));
    assert_eq!(by_path.participant(), by_name.participant());
    // A copy of a segment is refused, because a segment has no checksums.
    let copy = Name::new();
    Image::read(name.path()).write(copy.path());
    for result in [Store::open(&copy), Store::open(copy.path())] {
        assert!(matches!(result, Err(OpenError::Copied { .. })));
    }
}

#[test]
fn every_newest_value_survives_300_killed_writers() {
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
        // Every second round another handle stays open all the time.
        let survivor = (round % 2 == 0).then_some(watcher);
        drop(slot);
        writer.kill();
        if let Some(survivor) = &survivor {
            hit += (0..KEYS).map(|number| survivor.slot(&key(number)).unwrap().cells().in_flight).sum::<u64>();
        }
        let store = Store::open_unshared(&path).unwrap();
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

#[test]
fn a_store_whose_last_process_was_killed_is_recovered_with_all_values() {
    let (_directory, path) = scratch();
    let store = options().create(&path).unwrap();
    let mut writer = Actor::spawn("writer", &[path.to_str().unwrap()]);
    let slot = store.slot(&key(0)).unwrap();
    support::wait_until("the writer has begun", || slot.version() > 100);
    drop((slot, store));
    writer.kill();
    let store = Store::open(&path).unwrap();
    let recovery = store.recovery().expect("the store was not closed");
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
fn truncating_a_mapped_file_ends_only_processes_that_access_the_removed_part() {
    let (directory, path) = scratch();
    let other = options().create(directory.path().join("other")).unwrap();
    other.set("key", b"v").unwrap();
    let store = options().create(&path).unwrap();
    let mut toucher = Actor::spawn("toucher", &[path.to_str().unwrap()]);
    // Until it has reserved all cells: that would make the file longer again.
    let slot = store.slot(&key(15)).unwrap();
    support::wait_until("the writer goes round", || slot.version() > 200);
    File::options().write(true).open(&path).unwrap().set_len(4096).unwrap();
    let status = toucher.0.wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::BUS.as_raw()), "{status}");
    assert_eq!(other.get("key").unwrap().as_deref(), Some(&b"v"[..]));
    assert!(matches!(Store::open(&path), Err(OpenError::Damaged { .. })));
    // Dropping them here would access the file, too.
    std::mem::forget((store, slot));
}

#[test]
fn a_full_disk_is_reported_in_bytes_and_no_file_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    Actor::run_on_mount(&format!("-t tmpfs -o size=1m none '{path}'"), "full disk", &[path]);
}

fn create_on_a_full_disk(directory: &Path) {
    let path = directory.join("store");
    let free = || {
        let stat = rustix::fs::statvfs(directory).unwrap();
        stat.f_bavail * stat.f_frsize
    };
    // The index of so many slots takes more than there is.
    let error = options().slots(100_000).span(2 << 20).create(&path).unwrap_err();
    let OpenError::NoSpace { needed, available, .. } = error else { panic!("{error}") };
    assert!(needed > available && available > 0, "{error}");
    assert_eq!(fs::read_dir(directory).unwrap().count(), 0, "a file was left behind");
    let store = options().create(&path).unwrap();
    store.set("k", b"v").unwrap();
    let slot = store.slot(&key(0)).unwrap();
    let mut random = Random::new(1);
    // Keys are filled until there is no space, with values of all kinds. Whatever was written is
    // still there, and can be overwritten.
    let mut written = HashMap::new();
    let mut refused = 0;
    for round in 0..500 {
        let key = key(random.below(15) as u32);
        let value = vec![round as u8; [600, 3000, 60_000, 150_000][random.below(4) as usize]];
        match store.set(&key, &value) {
            Ok(_) => _ = written.insert(key, value),
            Err(SetError::NoSpace { needed, .. } | SetError::Directory(DirectoryError::NoSpace { needed, .. })) => {
                assert!(needed > 0);
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
        for (key, value) in &written {
            assert_eq!(store.get(key).unwrap().as_ref(), Some(value), "in round {round}");
        }
    }
    assert!(refused > 10 && written.len() > 3, "{refused} refused, {} written", written.len());
    assert_eq!(store.cells().in_flight, 0);
    // Full to the last page.
    let mut filler = File::create(directory.join("filler")).unwrap();
    while std::io::Write::write_all(&mut filler, &[1; 4096]).is_ok() {}
    assert_eq!(free(), 0);
    let error = options().create(directory.join("other")).unwrap_err();
    assert!(matches!(error, OpenError::NoSpace { available: 0, .. }), "{error}");
    assert_eq!(fs::read_dir(directory).unwrap().count(), 2, "a file was left behind");
    // The space of what exists is reserved. A process that opens the store now works, too.
    let late = options().open(&path).unwrap();
    for (key, value) in &written {
        assert_eq!(late.get(key).unwrap().as_ref(), Some(value));
        late.set(key, &[7; 600]).unwrap();
        assert_eq!(store.get(key).unwrap(), Some(vec![7; 600]));
    }
    store.set("k", b"w").unwrap();
    // What is removed is space for others.
    for key in written.keys() {
        store.unset(key).unwrap();
    }
    assert!(free() > 0);
    drop(slot);
    store.set("k", &[1; 60_000]).unwrap();
    assert_eq!(store.get("k").unwrap(), Some(vec![1; 60_000]));
}

#[test]
fn a_read_only_file_system_is_an_error_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let bind = format!("--bind '{path}' '{path}' && mount -o remount,bind,ro '{path}'");
    options().create(directory.path().join("store")).unwrap();
    Actor::run_on_mount(&bind, "read-only", &[path]);
}

fn open_on_a_read_only_file_system(directory: &Path) {
    for result in [Store::open(directory.join("store")), options().create(directory.join("new"))] {
        let error = result.unwrap_err();
        assert!(matches!(error, OpenError::ReadOnly { .. }), "{error}");
    }
}

/// Opens a segment and a file that were closed. The boot id has changed, or cannot be read.
fn open_without_a_boot_id(segment: &str, directory: &str) {
    let store = Store::open(segment).expect("a segment is distinguished from a copy by its file alone");
    assert_eq!(store.get("key").unwrap().as_deref(), Some(&b"v"[..]));
    assert!(matches!(Store::open(format!("{segment}-copy")), Err(OpenError::Copied { .. })));

    let closed = Store::open(Path::new(directory).join("store")).unwrap();
    assert_eq!(closed.recovery().expect("the machine has restarted, or may have restarted").keys, 1);
    assert_eq!(closed.get("key").unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn closed_stores_open_under_another_boot_id() {
    let (segment, directory) = (Name::new(), tempfile::tempdir().unwrap());
    let boot_id = directory.path().join("boot_id");
    fs::write(&boot_id, "another").unwrap();
    close_stores(&segment, directory.path());
    let bind = format!("--bind '{}' /proc/sys/kernel/random/boot_id", boot_id.display());
    Actor::run_on_mount(&bind, "without a boot id", &[&segment, directory.path().to_str().unwrap()]);
    fs::remove_file(format!("{}-copy", segment.path())).unwrap();
}

#[test]
fn closed_stores_are_recovered_at_each_open_without_a_boot_id() {
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
    Image::read(segment.path()).write(format!("{}-copy", segment.path()));
    options().create(directory.join("store")).unwrap().set("key", b"v").unwrap();
}

#[test]
fn a_torn_value_is_found_without_a_boot_id() {
    let directory = tempfile::tempdir().unwrap();
    let hidden = "-t tmpfs none /proc/sys/kernel/random";
    Actor::run_on_mount(hidden, "torn without a boot id", &[directory.path().join("store").to_str().unwrap()]);
}

/// Creates, damages and opens a store again while the boot id cannot be read.
fn recover_a_torn_value(path: &Path) {
    let store = options().create(path).unwrap();
    store.set("torn", &[1; 600]).unwrap();
    drop(store);
    let at = Image::read(path).find(&[1; 600])[0];
    File::options().write(true).open(path).unwrap().write_all_at(&[2], at).unwrap();
    let store = Store::open(path).unwrap();
    assert_eq!(store.recovery().expect("without a boot id, the store is recovered").lost, ["torn"]);
    // Another process that opens the store does not recover it while it is open.
    assert!(Store::open_unshared(path).unwrap().recovery().is_none());
}
