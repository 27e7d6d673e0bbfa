//! Kernels, file systems and sandboxes that lack a system call. A store works without it, or
//! reports what is missing. A filter refuses each call, in a process of its own.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use splinter_bus::bus::{Source, WaitSet, Waited};
use splinter_bus::store::{DirectoryError, KeyOptions, Location, OpenError, SetError, Store, StoreOptions};
use splinter_bus::{Bus, Message};
use support::image::Image;
use support::locations::Locations;
use support::seccomp::{Call, refuse};
use support::{Actor, DEADLINE, Name};

const RENAME: Call = Call::any(libc::SYS_renameat2);
const LINK: Call = Call::any(libc::SYS_linkat);
const RESERVE: Call = Call::any(libc::SYS_fallocate);
const STATX: Call = Call::any(libc::SYS_statx);
const STATFS: [Call; 2] = [Call::any(libc::SYS_statfs), Call::any(libc::SYS_fstatfs)];
const LOCK: Call = Call::with(libc::SYS_fcntl, 1, libc::F_OFD_SETLK as u64);
const MAP_SHARED: [Call; 2] = [
    Call::with(libc::SYS_mmap, 3, libc::MAP_SHARED as u64),
    Call::with(libc::SYS_mmap, 3, (libc::MAP_SHARED | libc::MAP_NORESERVE) as u64),
];
const POPULATE: Call = Call::with(libc::SYS_madvise, 2, libc::MADV_POPULATE_WRITE as u64);
const SLEEP_ON_ALL: Call = Call::any(libc::SYS_futex_waitv);
const SLEEP_ON_ONE: Call = Call::with(libc::SYS_futex, 1, libc::FUTEX_WAIT as u64);

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Tick {
    count: u64,
}

fn options() -> StoreOptions {
    StoreOptions::new().slots(16).key_options(KeyOptions::new().history(3).spare(3))
}

/// Runs an actor with this role. The system calls that the role names fail with this error.
fn run(locations: &Locations, role: &str, errno: i32) {
    locations.run(&format!("{role}: {errno}"));
}

#[test]
fn actor() {
    let Some((role, locations)) = support::role() else { return };
    let (role, errno) = role.split_once(": ").unwrap();
    let errno = errno.parse().unwrap();
    match role {
        "create without renaming" => {
            refuse(&[RENAME], errno);
            locations.iter().for_each(|location| create_and_use(location));
        }
        "race without renaming" => {
            refuse(&[RENAME], errno);
            locations.iter().for_each(|location| create_at_once(location));
        }
        "create without naming" => {
            refuse(&[RENAME, LINK], errno);
            for location in &locations {
                let error = options().create(location).unwrap_err();
                assert!(matches!(error, OpenError::Unsupported { .. } | OpenError::PermissionDenied { .. }), "{error}");
            }
        }
        "create where neither is supported" => {
            refuse(&[RENAME], libc::EINVAL);
            refuse(&[LINK], errno);
            for location in &locations {
                let error = options().create(location).unwrap_err();
                assert!(matches!(error, OpenError::Unsupported { .. }), "{error}");
                assert!(error.to_string().contains("renameat2") && error.to_string().contains("linkat"), "{error}");
            }
        }
        "create without reserving" => {
            refuse(&[RESERVE], errno);
            locations.iter().for_each(|location| create_and_use(location));
            locations.iter().for_each(|location| use_long_values(location));
        }
        "recover without reserving" => {
            refuse(&[RESERVE], errno);
            assert_recovered(&locations[0]);
        }
        "create on a full disk" => {
            refuse(&[RESERVE, STATFS[0], STATFS[1]], errno);
            create_on_a_full_disk(&locations[0]);
        }
        "reserve during signals" => reserve_during_signals(&locations[0], errno),
        "create without statx" => {
            refuse(&[STATX], errno);
            locations.iter().for_each(|location| create_and_use(location));
            assert_copies_are_recognised(&locations[0], &locations[1]);
        }
        "open without statx" => {
            refuse(&[STATX], errno);
            for location in &locations {
                Store::open(location).unwrap().set("key", b"value").unwrap();
            }
        }
        "create without statfs" => {
            refuse(&STATFS, errno);
            locations.iter().for_each(|location| create_and_use(location));
        }
        "open without locks" => {
            refuse(&[LOCK], errno);
            for location in &locations {
                for error in [options().open_or_create(location), options().create(format!("{location}-new"))] {
                    let error = error.unwrap_err();
                    assert!(matches!(error, OpenError::Unsupported { .. }), "{error}");
                    assert!(error.to_string().contains("F_OFD_SETLK"), "{error}");
                }
            }
        }
        "open without mappings" => {
            refuse(&MAP_SHARED, errno);
            for location in &locations {
                for error in [options().open_or_create(location), options().create(format!("{location}-new"))] {
                    let error = error.unwrap_err();
                    assert!(matches!(error, OpenError::Unsupported { .. }), "{error}");
                    assert!(error.to_string().contains("no shared mappings"), "{error}");
                }
            }
        }
        "prefault" => {
            refuse(&[POPULATE], errno);
            locations.iter().for_each(|location| prefault(location));
        }
        "wait for several" => {
            refuse(&[SLEEP_ON_ALL], errno);
            wait_for_several(&locations[0]);
        }
        #[cfg(feature = "async")]
        "wait in a task" => {
            refuse(&[SLEEP_ON_ALL], errno);
            wait_in_a_task(&locations[0]);
        }
        "wait for one" => {
            refuse(&[SLEEP_ON_ALL, SLEEP_ON_ONE], errno);
            wait_for_one(&locations[0]);
            wait_for_several(&locations[0]);
        }
        _ => panic!("no such role: {role}"),
    }
}

fn store_path(location: &str) -> PathBuf {
    Location::from(location).path()
}

/// Checks that a store can be created, cannot be created twice, and is the same for the next
/// process that opens it.
fn create_and_use(location: &str) {
    let store = options().create(location).unwrap();
    // Not `std::fs::metadata`, which may call statx.
    assert_eq!(rustix::fs::stat(store_path(location)).unwrap().st_nlink, 1, "the name of the draft still exists");
    assert!(matches!(options().create(location), Err(OpenError::AlreadyExists { .. })));
    store.set("key", b"value").unwrap();
    drop(store);
    let store = Store::open(location).unwrap();
    assert!(store.recovery().is_none());
    assert_eq!(store.get("key").unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(store.participants().unwrap().len(), 1);
}

/// Uses long values where space can be neither reserved nor given back by a call.
fn use_long_values(location: &str) {
    const SECRET: &[u8] = b"what nobody may find";
    let store = options().open(location).unwrap();
    let space = || rustix::fs::stat(store_path(location)).unwrap().st_blocks as u64 * 512;
    for round in 0..3 {
        for (number, len) in (0..).zip([7usize, 3000, 65_536, 300_000]) {
            let slot = store.slot(&format!("key {number}")).unwrap();
            let value = SECRET.repeat(len.div_ceil(SECRET.len()));
            for _ in 0..8 {
                slot.set(&value).unwrap();
            }
            assert_eq!(store.get(&format!("key {number}")).unwrap(), Some(value));
            slot.append(b"more").unwrap();
            slot.loan(len).unwrap().send().unwrap();
            assert_eq!(store.get(&format!("key {number}")).unwrap(), Some(vec![0; len]));
        }
        // All cells and places have their space.
        assert!(space() >= 6 * (65_536 + 3000) + 300_000, "{} bytes are reserved", space());
        for number in 0..4 {
            store.unset(&format!("key {number}")).unwrap();
        }
        assert!(!Image::read(store_path(location)).contains(SECRET), "round {round}: bytes of removed values are left");
    }
}

#[test]
fn a_store_is_created_where_renaming_without_replacing_is_unsupported() {
    for errno in [libc::EINVAL, libc::ENOSYS, libc::EOPNOTSUPP, libc::EPERM, libc::EACCES] {
        let locations = Locations::new();
        run(&locations, "create without renaming", errno);
        for location in locations.all() {
            assert_eq!(Store::open(location).unwrap().get("key").unwrap().as_deref(), Some(&b"value"[..]));
        }
    }
}

#[test]
fn one_of_many_concurrent_creators_succeeds_where_renaming_without_replacing_is_unsupported() {
    let locations = Locations::new();
    run(&locations, "race without renaming", libc::EINVAL);
}

fn create_at_once(location: &str) {
    let created = thread::scope(|scope| {
        let creators: Vec<_> = (0..8).map(|_| scope.spawn(|| options().create(location))).collect();
        let results = creators.into_iter().map(|creator| creator.join().unwrap());
        results
            .filter_map(|result| match result {
                Ok(store) => Some(store),
                Err(OpenError::AlreadyExists { .. }) => None,
                Err(error) => panic!("{error}"),
            })
            .collect::<Vec<_>>()
    });
    assert_eq!(created.len(), 1);
    let id = |store: &Store| store.snapshot().id;
    assert_eq!(id(&created[0]), id(&Store::open(location).unwrap()));
}

#[test]
fn a_directory_in_which_no_file_can_be_named_is_an_error_and_stays_empty() {
    for (role, errno) in [
        ("create without naming", libc::ENOSYS),
        ("create without naming", libc::EPERM),
        ("create where neither is supported", libc::EPERM),
    ] {
        let locations = Locations::new();
        run(&locations, role, errno);
        assert!(locations.all().iter().all(|location| !fs::exists(store_path(location)).unwrap()));
    }
}

#[test]
fn space_is_reserved_where_fallocate_is_missing() {
    for errno in [libc::EOPNOTSUPP, libc::ENOSYS, libc::EPERM] {
        let locations = Locations::new();
        run(&locations, "create without reserving", errno);
    }
}

/// Values of all kinds of places; of some, whole pages are zero.
fn values() -> impl Iterator<Item = (String, Vec<u8>)> {
    [7, 1500, 4000, 30_000, 65_536, 300_000, 2_000_000].into_iter().map(|len| {
        let value = (0..len).map(|at| if at / 4096 % 2 == 1 { 0 } else { at as u8 | 1 }).collect();
        (format!("{len}"), value)
    })
}

#[test]
fn a_recovery_keeps_all_values_where_fallocate_is_missing() {
    for errno in [libc::EOPNOTSUPP, libc::ENOSYS, libc::EPERM] {
        let directory = tempfile::tempdir().unwrap();
        let [path, copy] = ["store", "copy"].map(|name| directory.path().join(name));
        let store = options().create(&path).unwrap();
        for (key, value) in values() {
            // Something to be given back, too.
            store.set(&key, &vec![3; value.len() + 10_000]).unwrap();
            store.set(&key, &value).unwrap();
        }
        store.set("removed", &[7; 100_000]).unwrap();
        store.unset("removed").unwrap();
        let copied = std::process::Command::new("cp").arg("--sparse=always").args([&path, &copy]).status().unwrap();
        assert!(copied.success());
        drop(store);
        Actor::spawn(&format!("recover without reserving: {errno}"), &[copy.to_str().unwrap()]).finish();
    }
}

fn assert_recovered(location: &str) {
    let store = Store::open(Path::new(location)).unwrap();
    let recovery = store.recovery().expect("a copy is recovered");
    assert!(recovery.lost.is_empty() && recovery.older.is_empty(), "{recovery:?}");
    for (key, value) in values() {
        assert!(store.get(&key).unwrap() == Some(value), "the value of {key} bytes was damaged");
    }
    use_long_values(location);
}

#[test]
fn a_disk_that_becomes_full_during_the_reservation_is_an_error_and_stays_empty() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let mount = format!("-t tmpfs -o size=1m none '{path}'");
    Actor::run_on_mount(&mount, &format!("create on a full disk: {}", libc::EOPNOTSUPP), &[path]);
}

fn create_on_a_full_disk(directory: &str) {
    let large = options().slots(100_000).span(2 << 20);
    let error = large.create(Path::new(directory).join("store")).unwrap_err();
    assert!(matches!(error, OpenError::NoSpace { source: Some(_), .. }), "{error}");
    assert!(error.to_string().contains("No space left on device"), "{error}");
    assert_eq!(fs::read_dir(directory).unwrap().count(), 0, "a file was left behind");
    // A store that fits is created, and used until there is no space.
    let store = options().create(Path::new(directory).join("store")).unwrap();
    store.set("key", b"v").unwrap();
    let error = (0..).find_map(|number| store.set(&format!("key {}", number % 15), &[1; 30_000]).err()).unwrap();
    assert!(matches!(error, SetError::NoSpace { .. } | SetError::Directory(DirectoryError::NoSpace { .. })), "{error}");
    assert_eq!(store.get("key").unwrap().as_deref(), Some(&b"v"[..]));
    store.set("key", b"w").unwrap();
}

#[test]
fn space_is_reserved_although_signals_keep_coming() {
    let name = Name::new();
    let mut actor = Actor::spawn(&format!("reserve during signals: {}", libc::EINTR), &[&name]);
    let mut status = None;
    support::wait_until("the value is set", || {
        status = actor.0.try_wait().unwrap();
        status.is_some()
    });
    assert!(status.unwrap().success());
}

/// Interrupts calls as on a tmpfs, which releases all that a call has reserved when a signal comes.
/// No call for a whole value, or for half of one, completes.
fn reserve_during_signals(location: &str, errno: i32) {
    const LEN: u64 = 1 << 20;
    create_and_use(location);
    let of_length = |len| Call::with(libc::SYS_fallocate, 3, len);
    refuse(&[of_length(LEN), of_length(LEN / 2)], errno);
    let store = Store::open(location).unwrap();
    store.set("long", &vec![7; LEN as usize]).unwrap();
    assert_eq!(store.get("long").unwrap(), Some(vec![7; LEN as usize]));
    let found = rustix::fs::stat(store_path(location)).unwrap();
    assert!(found.st_blocks as u64 * 512 >= LEN, "{} blocks", found.st_blocks);
}

#[test]
fn a_store_is_distinguished_from_its_copies_where_statx_is_missing() {
    for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES] {
        let locations = Locations::new();
        run(&locations, "create without statx", errno);
        let [memory, file] = locations.all();
        // A process that has the call also recognises the segment as the original. It recovers the
        // file and finds no damage.
        for location in [memory, file] {
            let store = Store::open(location).unwrap();
            assert_eq!(store.get("key").unwrap().as_deref(), Some(&b"value"[..]));
        }
    }
}

fn assert_copies_are_recognised(memory: &str, file: &str) {
    let copy = format!("{file}-copy");
    let duplicate = |from: &Path, to: &str| fs::write(to, fs::read(from).unwrap()).unwrap();
    duplicate(Path::new(file), &copy);
    assert!(Store::open(&copy).unwrap().recovery().is_some());
    fs::remove_file(&copy).unwrap();
    let copy = Name::new();
    duplicate(&store_path(memory), &copy.path());
    assert!(matches!(Store::open(&copy), Err(OpenError::Copied { .. })));
}

#[test]
fn processes_with_and_without_statx_recognise_the_same_segment() {
    let locations = Locations::new();
    // No process has the store open, so only its identity shows that it is not a copy.
    locations.create(&options());
    run(&locations, "open without statx", libc::ENOSYS);
}

#[test]
fn a_store_is_created_where_the_free_space_is_unknown() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        run(&Locations::new(), "create without statfs", errno);
    }
}

#[test]
fn missing_support_for_locks_is_an_error_that_names_them() {
    for errno in [libc::EINVAL, libc::ENOSYS, libc::EOPNOTSUPP, libc::ENOLCK] {
        let locations = Locations::new();
        locations.create(&options());
        run(&locations, "open without locks", errno);
    }
}

#[test]
fn missing_support_for_shared_mappings_is_an_error_that_names_them() {
    let locations = Locations::new();
    locations.create(&options());
    run(&locations, "open without mappings", libc::ENODEV);
}

#[test]
fn pages_are_prefaulted_where_the_kernel_cannot_populate_mappings() {
    for errno in [libc::EINVAL, libc::EPERM] {
        let locations = Locations::new();
        for location in locations.all() {
            // Values of as many bytes as fit into a cell, in all cells.
            let store = prefaulted_options().create(&location).unwrap();
            for number in 0..KEYS {
                (0..24).for_each(|_| _ = store.set(&number.to_string(), &[6; 1 << 14]).unwrap());
            }
            store.set("before", b"value").unwrap();
        }
        run(&locations, "prefault", errno);
    }
}

const KEYS: u32 = 16;

fn prefaulted_options() -> StoreOptions {
    StoreOptions::new().slots(KEYS + 1).inline_size(1 << 14)
}

/// Uses a store that another process has filled.
fn prefault(location: &str) {
    let store = Store::open(location).unwrap();
    store.prefault().unwrap();
    assert_eq!(store.get("before").unwrap().as_deref(), Some(&b"value"[..]), "prefaulting has changed a value");
    let slots: Vec<_> = (0..KEYS).map(|number| store.slot(&number.to_string()).unwrap()).collect();
    let faults = page_faults();
    for slot in &slots {
        (0..24).for_each(|_| _ = slot.set(&[7; 1 << 14]).unwrap());
    }
    let (faults, pages) = (page_faults() - faults, KEYS as usize * 24 * (1 << 14) / rustix::param::page_size());
    assert!(faults < pages as u64 / 4, "{faults} of {pages} pages were not prefaulted");
}

/// Returns how many page faults this thread had.
fn page_faults() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
    // The fields follow the name of the thread, which may contain spaces; see proc_pid_stat(5).
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(7).unwrap().parse().unwrap()
}

#[test]
fn waiting_for_several_keys_uses_little_processor_time_where_futex_waitv_is_missing() {
    for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES, libc::EINVAL, libc::ENOMEM] {
        run(&Locations::new(), "wait for several", errno);
    }
}

#[cfg(feature = "async")]
#[test]
fn waiting_tasks_use_little_processor_time_where_futex_waitv_is_missing() {
    for errno in [libc::ENOSYS, libc::EACCES] {
        run(&Locations::new(), "wait in a task", errno);
    }
}

#[test]
fn waiting_uses_little_processor_time_where_futexes_are_missing() {
    for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES, libc::EINVAL] {
        run(&Locations::new(), "wait for one", errno);
    }
}

/// Runs an operation that waits. Checks that this process uses a processor for at most a quarter of
/// that time.
fn assert_mostly_idle(wait: impl FnOnce()) {
    let busy = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let (start, before) = (Instant::now(), busy());
    wait();
    let (waited, busy) = (start.elapsed(), busy() - before);
    assert!(waited >= Duration::from_millis(100), "{waited:?}");
    assert!(busy < waited / 4, "busy for {busy:?} of {waited:?}");
}

#[cfg(feature = "async")]
fn wait_in_a_task(location: &str) {
    let bus: Bus<Tick> = Bus::on(options().create_or_open(location).unwrap());
    let subscriber = bus.subscribe("task").unwrap().into_async().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    assert_mostly_idle(|| {
        let limit = Duration::from_millis(200);
        let waited = runtime.block_on(async { tokio::time::timeout(limit, subscriber.recv()).await });
        assert!(waited.is_err(), "nothing was published");
    });
    thread::scope(|scope| {
        scope.spawn(|| bus.publish("task", &Tick { count: 7 }).unwrap());
        assert_eq!(runtime.block_on(subscriber.recv()).unwrap().count, 7);
    });
}

fn wait_for_several(location: &str) {
    let bus: Bus<Tick> = Bus::on(options().create_or_open(location).unwrap());
    let mut subscribers = [bus.subscribe("several 1").unwrap(), bus.subscribe("several 2").unwrap()];
    let mut set = WaitSet::new();
    assert_mostly_idle(|| {
        let [first, second] = &subscribers;
        let waited = set.wait(&[first as &dyn Source, second], Some(Duration::from_millis(200))).unwrap();
        assert_eq!(waited, Waited::TimedOut);
    });
    // The published key is not the one on whose word the thread sleeps.
    thread::scope(|scope| {
        scope.spawn(|| bus.publish("several 2", &Tick { count: 5 }).unwrap());
        let [first, second] = &subscribers;
        set.wait(&[first as &dyn Source, second], Some(DEADLINE)).unwrap();
    });
    assert_eq!(subscribers[1].try_recv().unwrap().unwrap().count, 5);
}

fn wait_for_one(location: &str) {
    let bus: Bus<Tick> = Bus::on(options().create_or_open(location).unwrap());
    let mut subscriber = bus.subscribe("one").unwrap();
    assert_mostly_idle(|| assert!(subscriber.recv_timeout(Duration::from_millis(200)).unwrap().is_none()));
    thread::scope(|scope| {
        scope.spawn(|| bus.publish("one", &Tick { count: 6 }).unwrap());
        assert_eq!(subscriber.recv_timeout(DEADLINE).unwrap().unwrap().count, 6);
    });
}
