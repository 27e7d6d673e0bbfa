//! Kernels, file systems and sandboxes that lack a system call: a store does without, or says what is missing. Each
//! call is really refused, in a process of its own.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use splinter_bus::bus::{Source, WaitSet, Waited};
use splinter_bus::store::{Location, OpenError, Store, StoreOptions};
use splinter_bus::{Bus, Message};
use support::places::Places;
use support::seccomp::{Call, refuse};
use support::{Actor, DEADLINE, Name};

const RENAME: Call = Call::any(libc::SYS_renameat2);
const LINK: Call = Call::any(libc::SYS_linkat);
const RESERVE: Call = Call::any(libc::SYS_fallocate);
const STATX: Call = Call::any(libc::SYS_statx);
const STATFS: [Call; 2] = [Call::any(libc::SYS_statfs), Call::any(libc::SYS_fstatfs)];
const LOCK: Call = Call::with(libc::SYS_fcntl, 1, libc::F_OFD_SETLK as u64);
const MAP_SHARED: Call = Call::with(libc::SYS_mmap, 3, libc::MAP_SHARED as u64);
const POPULATE: Call = Call::with(libc::SYS_madvise, 2, libc::MADV_POPULATE_WRITE as u64);
const SLEEP_ON_ALL: Call = Call::any(libc::SYS_futex_waitv);
const SLEEP_ON_ONE: Call = Call::with(libc::SYS_futex, 1, libc::FUTEX_WAIT as u64);

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Tick {
    count: u64,
}

fn options() -> StoreOptions {
    StoreOptions::new().slots(16).max_value_size(600).history(3).spare(3)
}

/// Has an actor play this role where the calls that it names fail with this error.
fn run(places: &Places, role: &str, errno: i32) {
    places.run(&format!("{role}: {errno}"));
}

#[test]
fn actor() {
    let Some((role, places)) = support::role() else { return };
    let (role, errno) = role.split_once(": ").unwrap();
    let errno = errno.parse().unwrap();
    match role {
        "create without renaming" => {
            refuse(&[RENAME], errno);
            places.iter().for_each(|place| create_and_use(place));
        }
        "race without renaming" => {
            refuse(&[RENAME], errno);
            places.iter().for_each(|place| create_at_once(place));
        }
        "create without naming" => {
            refuse(&[RENAME, LINK], errno);
            for place in &places {
                let error = options().create(place).unwrap_err();
                assert!(matches!(error, OpenError::Unsupported { .. } | OpenError::PermissionDenied { .. }), "{error}");
            }
        }
        "create where neither is supported" => {
            refuse(&[RENAME], libc::EINVAL);
            refuse(&[LINK], errno);
            for place in &places {
                let error = options().create(place).unwrap_err();
                assert!(matches!(error, OpenError::Unsupported { .. }), "{error}");
                assert!(error.to_string().contains("renameat2") && error.to_string().contains("linkat"), "{error}");
            }
        }
        "create without reserving" => {
            refuse(&[RESERVE], errno);
            for place in &places {
                create_and_use(place);
                let found = rustix::fs::stat(store_path(place)).unwrap();
                let (reserved, len) = (found.st_blocks * 512, found.st_size);
                assert!(reserved >= len, "{reserved} bytes are reserved of {len}");
            }
        }
        "meet a full disk" => {
            refuse(&[RESERVE, STATFS[0], STATFS[1]], errno);
            meet_a_full_disk(&places[0]);
        }
        "reserve among signals" => reserve_among_signals(&places[0], errno),
        "create without statx" => {
            refuse(&[STATX], errno);
            places.iter().for_each(|place| create_and_use(place));
            copies_are_told_from_originals(&places[0], &places[1]);
        }
        "open without statx" => {
            refuse(&[STATX], errno);
            for place in &places {
                Store::open(place).unwrap().set("key", b"value").unwrap();
            }
        }
        "create without statfs" => {
            refuse(&STATFS, errno);
            places.iter().for_each(|place| create_and_use(place));
        }
        "be without locks" => {
            refuse(&[LOCK], errno);
            for place in &places {
                for error in [options().open_or_create(place), options().create(format!("{place}-new"))] {
                    let error = error.unwrap_err();
                    assert!(matches!(error, OpenError::Unsupported { .. }), "{error}");
                    assert!(error.to_string().contains("F_OFD_SETLK"), "{error}");
                }
            }
        }
        "be without mappings" => {
            refuse(&[MAP_SHARED], errno);
            for place in &places {
                for error in [options().open_or_create(place), options().create(format!("{place}-new"))] {
                    let error = error.unwrap_err();
                    assert!(matches!(error, OpenError::Unsupported { .. }), "{error}");
                    assert!(error.to_string().contains("no shared mappings"), "{error}");
                }
            }
        }
        "prefault" => {
            refuse(&[POPULATE], errno);
            places.iter().for_each(|place| prefault(place));
        }
        "wait for several" => {
            refuse(&[SLEEP_ON_ALL], errno);
            wait_for_several(&places[0]);
        }
        #[cfg(feature = "async")]
        "wait in a task" => {
            refuse(&[SLEEP_ON_ALL], errno);
            wait_in_a_task(&places[0]);
        }
        "wait for one" => {
            refuse(&[SLEEP_ON_ALL, SLEEP_ON_ONE], errno);
            wait_for_one(&places[0]);
            wait_for_several(&places[0]);
        }
        _ => panic!("no such role: {role}"),
    }
}

fn store_path(place: &str) -> PathBuf {
    Location::from(place).path()
}

/// A store can be created, is not created twice, and is the same to whoever opens it next.
fn create_and_use(place: &str) {
    let store = options().create(place).unwrap();
    // Not by std, which may call statx.
    assert_eq!(rustix::fs::stat(store_path(place)).unwrap().st_nlink, 1, "it has kept the name of its draft");
    assert!(matches!(options().create(place), Err(OpenError::AlreadyExists { .. })));
    store.set("key", b"value").unwrap();
    drop(store);
    let store = Store::open(place).unwrap();
    assert!(store.recovery().is_none());
    assert_eq!(store.get("key").unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(store.participants().unwrap().len(), 1);
}

#[test]
fn a_store_gets_its_name_where_nothing_renames_without_replacing() {
    for errno in [libc::EINVAL, libc::ENOSYS, libc::EOPNOTSUPP, libc::EPERM, libc::EACCES] {
        let places = Places::new();
        run(&places, "create without renaming", errno);
        for place in places.all() {
            assert_eq!(Store::open(place).unwrap().get("key").unwrap().as_deref(), Some(&b"value"[..]));
        }
    }
}

#[test]
fn of_many_who_create_a_store_at_once_one_does_where_nothing_renames_without_replacing() {
    let places = Places::new();
    run(&places, "race without renaming", libc::EINVAL);
}

fn create_at_once(place: &str) {
    let made = thread::scope(|scope| {
        let creators: Vec<_> = (0..8).map(|_| scope.spawn(|| options().create(place))).collect();
        let results = creators.into_iter().map(|creator| creator.join().unwrap());
        results
            .filter_map(|result| match result {
                Ok(store) => Some(store),
                Err(OpenError::AlreadyExists { .. }) => None,
                Err(error) => panic!("{error}"),
            })
            .collect::<Vec<_>>()
    });
    assert_eq!(made.len(), 1);
    let id = |store: &Store| store.snapshot().id;
    assert_eq!(id(&made[0]), id(&Store::open(place).unwrap()));
}

#[test]
fn a_directory_in_which_nothing_can_be_named_is_an_error_and_stays_empty() {
    for (role, errno) in [
        ("create without naming", libc::ENOSYS),
        ("create without naming", libc::EPERM),
        ("create where neither is supported", libc::EPERM),
    ] {
        let places = Places::new();
        run(&places, role, errno);
        assert!(places.all().iter().all(|place| !fs::exists(store_path(place)).unwrap()));
    }
}

#[test]
fn space_is_reserved_where_fallocate_is_missing() {
    for errno in [libc::EOPNOTSUPP, libc::ENOSYS, libc::EPERM] {
        let places = Places::new();
        run(&places, "create without reserving", errno);
    }
}

#[test]
fn a_disk_that_is_full_before_the_space_is_reserved_has_nothing_left_on_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let mount = format!("-t tmpfs -o size=1m none '{path}'");
    Actor::run_on_mount(&mount, &format!("meet a full disk: {}", libc::EOPNOTSUPP), &[path]);
}

fn meet_a_full_disk(directory: &str) {
    let error = options().slots(1000).create(Path::new(directory).join("store")).unwrap_err();
    assert!(matches!(error, OpenError::NoSpace { source: Some(_), .. }), "{error}");
    assert!(error.to_string().contains("No space left on device"), "{error}");
    assert_eq!(fs::read_dir(directory).unwrap().count(), 0, "something was left behind");
    // And what fits is made.
    options().create(Path::new(directory).join("store")).unwrap().set("key", b"v").unwrap();
}

#[test]
fn space_is_reserved_although_signals_keep_coming() {
    let name = Name::new();
    let mut actor = Actor::spawn(&format!("reserve among signals: {}", libc::EINTR), &[&name]);
    let mut status = None;
    support::wait_until("the store is created", || {
        status = actor.0.try_wait().unwrap();
        status.is_some()
    });
    assert!(status.unwrap().success());
}

/// As where tmpfs gives back all that a call has reserved when a signal comes: no call for a whole store, or half
/// of one, comes to its end.
fn reserve_among_signals(place: &str, errno: i32) {
    let len = options().create(place).unwrap().snapshot().total_len;
    Store::remove(place).unwrap();
    let of_length = |len| Call::with(libc::SYS_fallocate, 3, len);
    refuse(&[of_length(len), of_length(len / 2)], errno);
    create_and_use(place);
    let found = rustix::fs::stat(store_path(place)).unwrap();
    assert!(found.st_blocks * 512 >= found.st_size, "{} blocks for {} bytes", found.st_blocks, found.st_size);
}

#[test]
fn a_store_is_told_from_its_copies_where_statx_is_missing() {
    for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES] {
        let places = Places::new();
        run(&places, "create without statx", errno);
        let [memory, file] = places.all();
        // A process that has the call takes the segment for the same, too; a file it looks through, and finds it
        // sound.
        for place in [memory, file] {
            let store = Store::open(place).unwrap();
            assert_eq!(store.get("key").unwrap().as_deref(), Some(&b"value"[..]));
        }
    }
}

fn copies_are_told_from_originals(memory: &str, file: &str) {
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
fn a_segment_is_the_same_to_a_process_that_has_statx_and_to_one_that_has_not() {
    let places = Places::new();
    // Nobody has it open, so nothing but its identity says that it is no copy.
    places.create(&options());
    run(&places, "open without statx", libc::ENOSYS);
}

#[test]
fn a_store_is_created_where_nobody_says_how_much_space_there_is() {
    for errno in [libc::ENOSYS, libc::EPERM] {
        run(&Places::new(), "create without statfs", errno);
    }
}

#[test]
fn a_kernel_or_file_system_without_the_locks_of_a_store_is_an_error_that_names_them() {
    for errno in [libc::EINVAL, libc::ENOSYS, libc::EOPNOTSUPP, libc::ENOLCK] {
        let places = Places::new();
        places.create(&options());
        run(&places, "be without locks", errno);
    }
}

#[test]
fn a_file_system_without_shared_mappings_is_an_error_that_names_them() {
    let places = Places::new();
    places.create(&options());
    run(&places, "be without mappings", libc::ENODEV);
}

#[test]
fn pages_are_brought_in_where_the_kernel_does_not_do_it() {
    for errno in [libc::EINVAL, libc::EPERM] {
        run(&Places::new(), "prefault", errno);
    }
}

fn prefault(place: &str) {
    const KEYS: usize = 64;
    let options = StoreOptions::new().slots(KEYS as u32).max_value_size(1 << 16).history(1).spare(1);
    let store = options.create(place).unwrap();
    store.set("before", b"value").unwrap();
    store.prefault().unwrap();
    assert_eq!(store.get("before").unwrap().as_deref(), Some(&b"value"[..]), "it has changed what was there");
    let value = vec![7; 1 << 16];
    let slots: Vec<_> = (1..KEYS).map(|number| store.slot(&number.to_string()).unwrap()).collect();
    let faults = page_faults();
    for slot in &slots {
        slot.set(&value).unwrap();
    }
    let (faults, pages) = (page_faults() - faults, (KEYS - 1) * (1 << 16) / rustix::param::page_size());
    assert!(faults < pages as u64 / 4, "{faults} of {pages} pages were not there");
}

/// How many pages this thread has had to wait for.
fn page_faults() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
    // The fields behind the name of the thread, which may have spaces in it; see proc_pid_stat(5).
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(7).unwrap().parse().unwrap()
}

#[test]
fn waiting_for_several_keys_costs_no_processor_where_futex_waitv_is_missing() {
    for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES, libc::EINVAL, libc::ENOMEM] {
        run(&Places::new(), "wait for several", errno);
    }
}

#[cfg(feature = "async")]
#[test]
fn tasks_that_wait_cost_no_processor_where_futex_waitv_is_missing() {
    for errno in [libc::ENOSYS, libc::EACCES] {
        run(&Places::new(), "wait in a task", errno);
    }
}

#[test]
fn waiting_costs_no_processor_where_the_kernel_lets_nobody_sleep_on_words() {
    for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES, libc::EINVAL] {
        run(&Places::new(), "wait for one", errno);
    }
}

/// Runs something that waits, and makes sure that this process keeps a processor busy for a quarter of that time at
/// most.
fn at_ease(wait: impl FnOnce()) {
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
fn wait_in_a_task(place: &str) {
    let bus: Bus<Tick> = Bus::on(options().create_or_open(place).unwrap());
    let subscriber = bus.subscribe("task").unwrap().into_async().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    at_ease(|| {
        let limit = Duration::from_millis(200);
        let waited = runtime.block_on(async { tokio::time::timeout(limit, subscriber.recv()).await });
        assert!(waited.is_err(), "nothing was published");
    });
    thread::scope(|scope| {
        scope.spawn(|| bus.publish("task", &Tick { count: 7 }).unwrap());
        assert_eq!(runtime.block_on(subscriber.recv()).unwrap().count, 7);
    });
}

fn wait_for_several(place: &str) {
    let bus: Bus<Tick> = Bus::on(options().create_or_open(place).unwrap());
    let mut subscribers = [bus.subscribe("several 1").unwrap(), bus.subscribe("several 2").unwrap()];
    let mut set = WaitSet::new();
    at_ease(|| {
        let [first, second] = &subscribers;
        let waited = set.wait(&[first as &dyn Source, second], Some(Duration::from_millis(200))).unwrap();
        assert_eq!(waited, Waited::TimedOut);
    });
    // Not the one whose word it sleeps on.
    thread::scope(|scope| {
        scope.spawn(|| bus.publish("several 2", &Tick { count: 5 }).unwrap());
        let [first, second] = &subscribers;
        set.wait(&[first as &dyn Source, second], Some(DEADLINE)).unwrap();
    });
    assert_eq!(subscribers[1].try_recv().unwrap().unwrap().count, 5);
}

fn wait_for_one(place: &str) {
    let bus: Bus<Tick> = Bus::on(options().create_or_open(place).unwrap());
    let mut subscriber = bus.subscribe("one").unwrap();
    at_ease(|| assert!(subscriber.recv_timeout(Duration::from_millis(200)).unwrap().is_none()));
    thread::scope(|scope| {
        scope.spawn(|| bus.publish("one", &Tick { count: 6 }).unwrap());
        assert_eq!(subscriber.recv_timeout(DEADLINE).unwrap().unwrap().count, 6);
    });
}
