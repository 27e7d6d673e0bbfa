//! Limits of a process and of the system: file sizes, open files, address space, disk space,
//! quotas. Each error names the limit and what to do, and no file is left behind.

mod support;

use std::env;
use std::fs::{self, File};
use std::path::PathBuf;
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use splinter_bus::PublishError;
use splinter_bus::store::{
    DirectoryError, GetError, KeyOptions, Location, OpenError, SetError, SpaceReason, Store, StoreOptions, UpdateError,
};
use support::image::space_of;
use support::locations::Locations;
use support::seccomp::{Call, refuse};

fn options() -> StoreOptions {
    StoreOptions::new().slots(16).key_options(KeyOptions::new().history(3).spare(3))
}

#[test]
fn actor() {
    let Some((role, locations)) = support::role() else { return };
    match role.as_str() {
        "run out of file size" => locations.iter().for_each(|location| run_out_of_file_size(location)),
        "run out of open files" => run_out_of_open_files(&locations),
        "run out of addresses" => locations.iter().for_each(|location| run_out_of_addresses(location)),
        "run out of memory" => {
            refuse(&[Call::any(libc::SYS_fallocate)], libc::ENOMEM);
            locations.iter().for_each(|location| run_out_of_memory(location));
        }
        "run out of space later" => locations.iter().for_each(|location| run_out_of_space_later(location)),
        "lock all memory" => lock_all_memory(&locations),
        "be refused" => locations.iter().for_each(|location| be_refused(location)),
        _ => panic!("no such role: {role}"),
    }
}

fn limit(resource: Resource, to: u64) {
    let Rlimit { maximum, .. } = getrlimit(resource);
    setrlimit(resource, Rlimit { current: Some(to), maximum }).unwrap();
}

#[test]
fn a_store_above_the_file_size_limit_is_an_error_and_ends_no_process() {
    Locations::new().run("run out of file size");
}

fn run_out_of_file_size(location: &str) {
    const LIMIT: u64 = 1 << 20;
    limit(Resource::Fsize, LIMIT);
    // The slots of this one alone take more.
    let large = options().slots(5000);
    for result in [large.create(location), large.open_or_create(location)] {
        let error = result.unwrap_err();
        let OpenError::FileTooLarge { needed, limit: Some(LIMIT), .. } = error else { panic!("{error}") };
        assert!(needed > LIMIT);
        let text = error.to_string();
        assert!(text.contains(&needed.to_string()) && text.contains("1048576") && text.contains("ulimit -f"), "{text}");
    }
    // A smaller store is created, and the first cells of its keys are below the limit.
    let store = options().create(location).unwrap();
    store.set("key", b"v").unwrap();
    Store::open(location).unwrap().set("key", b"w").unwrap();
    store.set("second", b"v").unwrap();
    // Everything else would make the file longer.
    let check = |text: String| {
        assert!(text.contains("1048576") && text.contains("ulimit -f") && text.contains("LimitFSIZE="), "{text}");
    };
    let many = KeyOptions::new().lossless(100);
    for _ in 0..2 {
        for (key, len) in [("second", 3000), ("key", 3000), ("key", 200_000)] {
            let error = store.set(key, &vec![1; len]).unwrap_err();
            let SetError::NoSpace { reason: SpaceReason::FileSizeLimit { limit: LIMIT }, needed, .. } = error else {
                panic!("{error}")
            };
            assert!(needed > 0);
            check(error.to_string());
            check(PublishError::from(error).to_string());
        }
        let error = store.append("key", &[1; 3000]).unwrap_err();
        assert!(
            matches!(
                error,
                UpdateError::Set(SetError::NoSpace { reason: SpaceReason::FileSizeLimit { limit: LIMIT }, .. })
            ),
            "{error}"
        );
        check(error.to_string());
        let error = store.slot("key").unwrap().loan(3000).unwrap_err();
        assert!(
            matches!(error, SetError::NoSpace { reason: SpaceReason::FileSizeLimit { limit: LIMIT }, .. }),
            "{error}"
        );
        let error = store.slot_with("third", &many).unwrap_err();
        assert!(
            matches!(error, DirectoryError::NoSpace { reason: SpaceReason::FileSizeLimit { limit: LIMIT }, .. }),
            "{error}"
        );
        check(error.to_string());
        // Nothing is lost, nothing is held, and the key goes on.
        let slot = store.slot("key").unwrap();
        let version = slot.version();
        for number in 0..20 {
            assert_eq!(slot.set(&[number]).unwrap(), version + 1 + u64::from(number));
        }
        assert_eq!(store.get("key").unwrap(), Some(vec![19]));
        assert_eq!((slot.cells().in_flight, slot.cells().pinned), (0, 0));
    }
    // A process without the limit does all of that.
    setrlimit(Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
    for (key, len) in [("second", 1), ("second", 3000), ("key", 3000), ("key", 200_000)] {
        store.set(key, &vec![2; len]).unwrap();
        assert_eq!(store.get(key).unwrap(), Some(vec![2; len]));
    }
    assert_eq!(store.slot_with("third", &many).unwrap().shape().lossless, 100);
    // With the limit again, the file is longer already, with places of more than one cell. What it has is
    // used.
    store.set("key", &vec![2; 200_000]).unwrap();
    limit(Resource::Fsize, LIMIT);
    store.set("key", &vec![3; 200_000]).unwrap();
    assert_eq!(Store::open(location).unwrap().get("key").unwrap(), Some(vec![3; 200_000]));
    setrlimit(Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
}

#[test]
fn running_out_of_descriptors_at_any_step_of_creating_and_opening_is_an_error_that_says_so() {
    let locations = Locations::new();
    locations.create(&options());
    locations.run("run out of open files");
}

fn run_out_of_open_files(locations: &[String]) {
    const LIMIT: u64 = 64;
    limit(Resource::Nofile, LIMIT);
    let mut held: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let (mut done, mut refused) = (0, 0);
    // From no free descriptors to as many as the operations need.
    for _ in 0..10 {
        for location in locations {
            let new = format!("{location}-new");
            for result in [Store::open_unshared(location), options().create(&new), options().open_or_create(location)] {
                match result {
                    Ok(store) => {
                        assert!(
                            store.recovery().is_none(),
                            "the store was recovered as a copy or as after a power loss"
                        );
                        store.set("key", b"w").unwrap();
                        done += 1;
                    }
                    Err(error) => {
                        assert!(matches!(error, OpenError::TooManyFiles { limit: Some(LIMIT), .. }), "{error}");
                        assert!(error.to_string().contains("as it may, 64: close some"), "{error}");
                        refused += 1;
                    }
                }
            }
            match rustix::fs::unlink(path(&new)) {
                Ok(()) | Err(rustix::io::Errno::NOENT) => {}
                Err(error) => panic!("{error}"),
            }
        }
        held.pop();
    }
    assert!(done >= 18 && refused >= 6, "{done} done and {refused} refused");
}

fn path(location: &str) -> PathBuf {
    Location::from(location).path()
}

#[test]
fn running_out_of_addresses_is_an_error_for_stores_and_loans() {
    Locations::new().run("run out of addresses");
}

fn run_out_of_addresses(location: &str) {
    let (large, new) = (format!("{location}-large"), format!("{location}-new"));
    drop(options().slots(1000).create(&large).unwrap());
    let store = options().create(location).unwrap();
    store.set("key", b"v").unwrap();
    store.set("long", &[7; 30_000]).unwrap();
    // As another process: it has not mapped the values of these keys yet.
    let other = Store::open_unshared(location).unwrap();
    // The free addresses are too few for the other stores, too few to map this store a second time,
    // and too few for the long values of a key.
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
    let allowed = pages * rustix::param::page_size() as u64 + (1 << 29);
    let unlimited = getrlimit(Resource::As);
    limit(Resource::As, allowed);
    for (result, least) in [(Store::open(&large), 16 << 30), (options().create(&new), 4 << 30)] {
        let error = result.unwrap_err();
        let OpenError::NoMemory { needed, limit: Some(limit), .. } = error else { panic!("{error}") };
        assert!(needed >= least && limit == allowed, "{error}");
        let text = error.to_string();
        assert!(text.contains("Cannot allocate memory") && text.contains("ulimit -v"), "{text}");
    }
    assert!(!fs::exists(path(&new)).unwrap());
    let check = |error: SetError| {
        assert!(matches!(error, SetError::Mapping { .. }), "{error}");
        for text in [error.to_string(), PublishError::from(error).to_string()] {
            assert!(text.contains("Cannot allocate memory") && text.contains("ulimit -v"), "{text}");
        }
    };
    // More often than the key has cells: none is lost.
    let slot = other.slot("key").unwrap();
    for round in 0..10 {
        check(slot.loan(8).unwrap_err());
        for len in [30_000, 200_000] {
            check(slot.loan(len).unwrap_err());
            check(slot.set(&vec![1; len]).unwrap_err());
        }
        let error = slot.append(&[1; 30_000]).unwrap_err();
        let UpdateError::Set(error) = error else { panic!("{error}") };
        check(error);
        // The key still works for short values.
        assert_eq!(other.get("key").unwrap(), Some(vec![b'v'; round + 1]));
        slot.append(b"v").unwrap();
        assert_eq!((slot.cells().in_flight, slot.cells().pinned), (0, 0));
    }
    // A long value of another process is read all the same, without a mapping.
    assert_eq!(other.get("long").unwrap(), Some(vec![7; 30_000]));
    let error = other.slot("long").unwrap().pin().unwrap_err();
    assert_eq!(error, GetError::NoAddresses { limit: Some(allowed) });
    assert!(error.to_string().contains("ulimit -v") && error.to_string().contains("copy the value"), "{error}");
    assert_eq!(store.get("key").unwrap(), Some(vec![b'v'; 11]));
    setrlimit(Resource::As, unlimited).unwrap();
    slot.loan(8).unwrap().send().unwrap();
    slot.loan(30_000).unwrap().send().unwrap();
    slot.set(&[2; 200_000]).unwrap();
    assert_eq!(store.get("key").unwrap(), Some(vec![2; 200_000]));
    fs::remove_file(path(&large)).unwrap();
}

#[test]
fn memory_that_cannot_be_reserved_is_an_error_that_says_so() {
    Locations::new().run("run out of memory");
}

fn run_out_of_memory(location: &str) {
    let error = options().create(location).unwrap_err();
    assert!(matches!(error, OpenError::NoSpace { source: Some(_), .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("Cannot allocate memory") && text.contains("`memory.max`"), "{text}");
    assert!(!fs::exists(path(location)).unwrap());
}

#[test]
fn space_that_cannot_be_reserved_later_is_an_error_and_nothing_is_lost() {
    Locations::new().run("run out of space later");
}

fn run_out_of_space_later(location: &str) {
    let store = options().create(location).unwrap();
    let slot = store.slot("key").unwrap();
    let before = vec![1; 3000];
    store.set("short", b"v").unwrap();
    for errno in [libc::ENOMEM, libc::EDQUOT, libc::ENOSPC] {
        for _ in 0..10 {
            slot.set(&before).unwrap();
        }
        let space = space_of(path(location));
        thread::scope(|scope| {
            scope.spawn(|| {
                // For this thread alone.
                refuse(&[Call::with(libc::SYS_fallocate, 1, 0)], errno);
                // A medium value fits into a place that is there.
                let version = slot.version() + 1;
                assert_eq!(slot.set(&before).unwrap(), version);
                for _ in 0..10 {
                    for error in [
                        slot.set(&[2; 60_000]).unwrap_err(),
                        slot.set(&[2; 200_000]).unwrap_err(),
                        slot.loan(200_000).map(drop).unwrap_err(),
                        store.set("short", &[2; 2000]).unwrap_err(),
                        store.set("new", b"v").unwrap_err(),
                    ] {
                        let (SetError::NoSpace { needed, reason, .. }
                        | SetError::Directory(DirectoryError::NoSpace { needed, reason, .. })) = error
                        else {
                            panic!("{error}")
                        };
                        match reason {
                            SpaceReason::Full => assert_eq!(errno, libc::ENOSPC),
                            SpaceReason::Refused { errno: said } => {
                                let source = std::io::Error::from_raw_os_error(errno).to_string();
                                assert!(said == errno && error.to_string().contains(&source), "{error}");
                            }
                            reason => panic!("{reason:?}"),
                        }
                        assert!(needed > 0 && error.to_string().contains(&needed.to_string()), "{error}");
                    }
                    let error = slot.append(&[2; 60_000]).unwrap_err();
                    assert!(matches!(error, UpdateError::Set(SetError::NoSpace { .. })), "{error}");
                    let error = store.slot_with("many", &KeyOptions::new().lossless(9)).unwrap_err();
                    assert!(matches!(error, DirectoryError::NoSpace { .. }), "{error}");
                    assert_eq!(slot.version(), version);
                    assert_eq!(store.get("key").unwrap().as_ref(), Some(&before));
                    assert_eq!(store.get("short").unwrap().as_deref(), Some(&b"v"[..]));
                    assert_eq!((slot.cells().in_flight, slot.cells().pinned), (0, 0));
                }
            });
        });
        assert!(space_of(path(location)) <= space, "space has leaked");
    }
    // With space, all of that works.
    for _ in 0..10 {
        slot.set(&[2; 60_000]).unwrap();
        slot.set(&[3; 200_000]).unwrap();
    }
    assert_eq!(store.get("key").unwrap(), Some(vec![3; 200_000]));
    store.set("new", b"v").unwrap();
    assert_eq!(store.slot_with("many", &KeyOptions::new().lossless(9)).unwrap().shape().lossless, 9);
}

#[test]
fn a_process_that_locks_all_its_memory_takes_no_more_space() {
    Locations::new().run("lock all memory");
}

fn lock_all_memory(locations: &[String]) {
    for location in locations {
        drop(options().create(location).unwrap());
    }
    if let Err(error) = rustix::mm::mlockall(rustix::mm::MlockAllFlags::FUTURE) {
        println!("not run: this machine does not allow to lock memory: {error}");
        return;
    }
    for location in locations {
        let new = format!("{location}-new");
        for (store, path) in [(Store::open(location), path(location)), (options().create(&new), path(&new))] {
            let store = store.unwrap();
            // The fixed part at most.
            assert!(space_of(&path) <= 192 << 10, "{} bytes after it was opened", space_of(&path));
            let slot = store.slot("key").unwrap();
            for len in [10, 3000, 200_000] {
                slot.set(&vec![1; len]).unwrap();
                assert_eq!(store.get("key").unwrap(), Some(vec![1; len]));
            }
            slot.loan(10).unwrap().send().unwrap();
            assert!(space_of(&path) < 1 << 20, "{} bytes after it was used", space_of(&path));
        }
        fs::remove_file(path(&new)).unwrap();
    }
}

#[test]
fn errors_contain_the_kernels_reason_for_not_creating_a_file() {
    Locations::new().run("be refused");
}

/// Makes the kernel refuse to let a file grow, each time with another error. Of several filters,
/// the one that was set last decides.
fn be_refused(location: &str) {
    type Expected = fn(&OpenError) -> bool;
    let is_no_space: Expected = |error| matches!(error, OpenError::NoSpace { source: Some(_), .. });
    for (errno, expected, words) in [
        (libc::EDQUOT, is_no_space, &["Disk quota exceeded", "`quota`", "`df -i`"][..]),
        (libc::ENOSPC, is_no_space, &["No space left on device"]),
        (libc::EFBIG, |error| matches!(error, OpenError::FileTooLarge { limit: None, .. }), &["has none that long"]),
        (
            libc::ENFILE,
            |error| matches!(error, OpenError::TooManyFiles { limit: None, .. }),
            &["the system", "fs.file-max"],
        ),
        (libc::EROFS, |error| matches!(error, OpenError::ReadOnly { .. }), &["read-only"]),
        (libc::EPERM, |error| matches!(error, OpenError::PermissionDenied { .. }), &["Operation not permitted"]),
        (libc::EIO, |error| matches!(error, OpenError::Io { .. }), &["Input/output error"]),
    ] {
        refuse(&[Call::any(libc::SYS_ftruncate)], errno);
        let error = options().create(location).unwrap_err();
        assert!(expected(&error), "{errno}: {error:?}");
        for words in words {
            assert!(error.to_string().contains(words), "{error}");
        }
        assert!(!fs::exists(path(location)).unwrap());
    }
}

#[test]
fn a_running_program_is_refused_as_a_store() {
    let program = env::current_exe().unwrap();
    let error = Store::open(&program).unwrap_err();
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error}");
    assert!(error.to_string().contains("a program that is running"), "{error}");
}
