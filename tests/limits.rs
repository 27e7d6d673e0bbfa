//! Limits of a process and of the system: file sizes, open files, address space, disk space,
//! quotas. Each error names the limit and what to do, and no file is left behind.

mod support;

use std::env;
use std::fs::{self, File};
use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use splinter_bus::PublishError;
use splinter_bus::store::{Location, OpenError, SetError, Store, StoreOptions};
use support::locations::Locations;
use support::seccomp::{Call, refuse};

fn options() -> StoreOptions {
    StoreOptions::new().slots(16).max_value_size(600).history(3).spare(3)
}

/// A store of about this many bytes. It is sparse, so it takes no space.
fn of_size(bytes: u64) -> StoreOptions {
    StoreOptions::new().slots(16).max_value_size(bytes / 32).history(1).spare(1).sparse(true)
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
    for options in [of_size(8 << 20), of_size(8 << 20).sparse(false)] {
        for result in [options.create(location), options.open_or_create(location)] {
            let error = result.unwrap_err();
            let OpenError::FileTooLarge { needed, limit: Some(LIMIT), .. } = error else { panic!("{error}") };
            assert!(needed > LIMIT);
            let text = error.to_string();
            assert!(
                text.contains(&needed.to_string()) && text.contains("1048576") && text.contains("ulimit -f"),
                "{text}"
            );
        }
    }
    // A smaller store is not affected by the limit.
    options().create(location).unwrap().set("key", b"v").unwrap();
    Store::open(location).unwrap().set("key", b"w").unwrap();
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
    drop(of_size(512 << 20).create(&large).unwrap());
    let store = of_size(64 << 20).create(location).unwrap();
    store.set("key", b"v").unwrap();
    // The free addresses are too few for the other stores, and too few to map this store a second
    // time.
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
    let allowed = pages * rustix::param::page_size() as u64 + store.snapshot().total_len / 2;
    let unlimited = getrlimit(Resource::As);
    limit(Resource::As, allowed);
    for (result, least) in [(Store::open(&large), 512 << 20), (of_size(256 << 20).create(&new), 256 << 20)] {
        let error = result.unwrap_err();
        let OpenError::NoMemory { needed, limit: Some(limit), .. } = error else { panic!("{error}") };
        assert!(needed >= least && limit == allowed, "{error}");
        let text = error.to_string();
        assert!(text.contains("Cannot allocate memory") && text.contains("ulimit -v"), "{text}");
    }
    assert!(!fs::exists(path(&new)).unwrap());
    let error = store.slot("key").unwrap().loan(8).unwrap_err();
    assert!(matches!(error, SetError::Mapping { .. }), "{error}");
    for text in [error.to_string(), PublishError::from(error).to_string()] {
        assert!(text.contains("Cannot allocate memory") && text.contains("ulimit -v"), "{text}");
    }
    assert_eq!(store.get("key").unwrap().as_deref(), Some(&b"v"[..]));
    setrlimit(Resource::As, unlimited).unwrap();
    store.slot("key").unwrap().loan(8).unwrap().send().unwrap();
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
