//! Copies of a store's file that other programs make: they are opened, checked and used. Where there
//! is no space for what the copy has left out, that is an error, and never a signal.

mod support;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use splinter_bus::Bus;
use splinter_bus::store::{DirectoryError, KeyOptions, Lookup, OpenError, SetError, Store, StoreOptions};
use support::Actor;

/// Inline, medium and large.
const LENS: [usize; 3] = [100, 3000, 100_000];
const KEYS: [&str; 3] = ["short", "medium", "large"];
const VALUES: u8 = 30;

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    match role.as_str() {
        "copy to a full disk" => copy_to_a_full_disk(Path::new(&arguments[0])),
        role => panic!("no role {role}"),
    }
}

fn options() -> StoreOptions {
    StoreOptions::new().slots(6).span(4 << 20).key_options(KeyOptions::new().history(8).spare(4))
}

/// Creates a store with values of these lengths, and a job.
fn create(path: &Path, lens: &[usize]) -> Store {
    let store = options().create(path).unwrap();
    for number in 1..=VALUES {
        for (key, len) in KEYS.iter().zip(lens) {
            store.set(key, &vec![number; *len]).unwrap();
        }
    }
    let bus = Bus::<Vec<u8>>::on(store.clone());
    let _declared = bus.work_queue_with("jobs", &KeyOptions::new().history(8)).unwrap();
    bus.publish("jobs", &vec![7]).unwrap();
    store
}

fn assert_whole(store: &Store, lens: &[usize]) {
    for (key, len) in KEYS.iter().zip(lens) {
        assert_eq!(store.get(key).unwrap(), Some(vec![VALUES; *len]), "{key}");
        let slot = store.slot(key).unwrap();
        let (mut bytes, newest) = (Vec::new(), slot.version());
        for version in newest - 7..=newest {
            if slot.get_version_into(version, &mut bytes).unwrap() == Lookup::Found(()) {
                assert!(bytes.len() == *len && bytes.iter().all(|&byte| byte == bytes[0]), "{key} {version}");
            }
        }
    }
}

/// Copies are used as the original is.
fn check(copy: &Path, lens: &[usize]) {
    let store = Store::open(copy).unwrap();
    let recovery = store.recovery().expect("a copy is recovered");
    assert!(recovery.lost.is_empty(), "{recovery:?}");
    assert_whole(&store, lens);
    let bus = Bus::<Vec<u8>>::on(store.clone());
    assert_eq!(**bus.work_queue("jobs").unwrap().recv().unwrap(), [7]);
    for key in KEYS {
        for len in LENS {
            store.set(key, &vec![99; len]).unwrap();
            assert_eq!(store.get(key).unwrap(), Some(vec![99; len]));
        }
    }
    store.set("new", &[1; 3000]).unwrap();
    drop((bus, store));
    let again = Store::open(copy).unwrap();
    assert!(again.recovery().is_none(), "a copy that was used is recovered once");
    assert_eq!(again.get("new").unwrap(), Some(vec![1; 3000]));
}

/// Runs a program in a directory; `false` if it is not installed.
fn run(directory: &Path, program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    match command.status() {
        Ok(status) => {
            assert!(status.success(), "{program} {arguments:?}: {status}");
            true
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("not run: {program} is not installed");
            false
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

#[test]
fn copies_that_leave_out_holes_are_recovered_and_used() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let original = create(&path("store"), &LENS);
    fs::create_dir(path("unpacked")).unwrap();
    let space = |name: &str| fs::metadata(path(name)).unwrap().blocks() * 512;
    for (name, program, steps) in [
        ("copy", "cp", &[&["store", "copy"][..]][..]),
        ("sparse", "cp", &[&["--sparse=always", "store", "sparse"]]),
        ("unpacked/store", "tar", &[&["-S", "-cf", "archive", "store"], &["-xf", "archive", "-C", "unpacked"]]),
    ] {
        if steps.iter().all(|step| run(directory.path(), program, step)) {
            assert!(space(name) <= space("store") + (1 << 20), "{program} wrote {} bytes", space(name));
            check(&path(name), &LENS);
        }
    }
    original.copy_to(path("copied")).unwrap();
    assert_whole(&Store::open(path("copied")).unwrap(), &LENS);
    assert_whole(&original, &LENS);
}

#[test]
fn rsync_copies_a_store() {
    let directory = tempfile::tempdir().unwrap();
    // It reads all the zeros. The file of a store that never had a longer value is short.
    let original = create(&directory.path().join("store"), &[100, 900, 1000]);
    if run(directory.path(), "rsync", &["-S", "store", "synced"]) {
        check(&directory.path().join("synced"), &[100, 900, 1000]);
    }
    assert_whole(&original, &[100, 900, 1000]);
}

#[test]
fn a_copy_on_a_disk_without_space_is_an_error_and_never_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let store = create(&directory.path().join("store"), &LENS);
    store.set("half", &half_of_zeros()).unwrap();
    drop(store);
    let arguments = directory.path().join("store");
    Actor::run_on_mount("-t tmpfs -o size=8m none /dev/shm", "copy to a full disk", &[arguments.to_str().unwrap()]);
}

/// A value whose first half is a hole in a copy. It is proven while there is no space for it.
fn half_of_zeros() -> Vec<u8> {
    let mut value = vec![0; 200_000];
    value[100_000..].fill(8);
    value
}

fn assert_half_of_zeros(store: &Store) {
    assert!(store.recovery().is_some_and(|recovery| recovery.lost.is_empty() && recovery.older.is_empty()));
    assert!(store.get("half").unwrap() == Some(half_of_zeros()), "a value was damaged");
}

fn copy_to_a_full_disk(original: &Path) {
    let (mut opened, mut refused, mut full) = (0, 0, 0);
    let needed = fs::metadata(original).unwrap().blocks() * 512;
    let [copy, ballast] = ["copy", "ballast"].map(|name| Path::new("/dev/shm").join(name));
    // From a disk with space for everything to one that has not even the space for the copy.
    for left in (0..needed + (512 << 10)).rev().step_by(8 << 10) {
        let file = File::create(&ballast).unwrap();
        let size = (8_u64 << 20).saturating_sub(left + 4096);
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size).unwrap();
        let mut command = Command::new("cp");
        command.arg("--sparse=always").args([original, &copy]).stderr(Stdio::null());
        if command.status().unwrap().success() {
            match Store::open(&copy) {
                Ok(store) => {
                    opened += 1;
                    assert_half_of_zeros(&store);
                    assert_whole(&store, &LENS);
                    // Keys that had values, and one that has none yet. History gives way before a value is
                    // refused.
                    for (key, len) in KEYS.iter().copied().zip(LENS).chain([("new", 100_000)]).cycle().take(40) {
                        match store.set(key, &vec![VALUES; len]) {
                            Ok(_) => {}
                            Err(SetError::NoSpace { .. } | SetError::Directory(DirectoryError::NoSpace { .. })) => {
                                full += 1;
                            }
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                    assert_whole(&store, &LENS);
                }
                Err(error) => {
                    assert!(matches!(error, OpenError::NoSpaceToRecover { .. }), "{error:?}");
                    assert!(error.to_string().contains("bytes"), "{error}");
                    refused += 1;
                    // With space, the same copy opens.
                    drop(file);
                    fs::remove_file(&ballast).unwrap();
                    let store = Store::open(&copy).unwrap();
                    assert_half_of_zeros(&store);
                    assert_whole(&store, &LENS);
                }
            }
        }
        let _ = fs::remove_file(&copy);
    }
    eprintln!("{opened} copies opened, {refused} were refused, {full} values had no space");
    assert!(opened > 0 && refused > 0, "{opened} {refused}");
}
