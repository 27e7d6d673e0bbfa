//! All handles of one process on one store share one participant and one mapping.

mod support;

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::sync::Barrier;
use std::thread;

use rustix::process::Signal;
use splinter_bus::store::{KeyOptions, Location, OpenError, Participant, Store, StoreOptions};
use splinter_bus::{Bus, RecvError, SubscribeOptions};
use support::{Actor, Name, wait_until};

/// How many processes can have a store open.
const PARTICIPANTS: usize = 254;

fn options() -> StoreOptions {
    StoreOptions::new().slots(4).key_options(KeyOptions::new().history(2).spare(2))
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    let name = &arguments[0];
    match role.as_str() {
        "stay" => {
            let _store = Store::open(name).unwrap();
            rustix::process::kill_process(rustix::process::getpid(), Signal::STOP).unwrap();
            // This thread may run on for a moment.
            loop {
                thread::park();
            }
        }
        "forget" => forget_a_pin(name),
        "many stores" => use_many_stores(&arguments),
        role => panic!("no role {role}"),
    }
}

/// How many descriptors of this file the process has. Other tests run at the same time, so those of
/// other files do not count.
fn descriptors(path: &str) -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap();
    let links = descriptors.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    links.filter(|link| link.to_str() == Some(path)).count()
}

/// How many times the process has mapped this file.
fn mappings(path: &str) -> usize {
    fs::read_to_string("/proc/self/maps").unwrap().lines().filter(|line| line.ends_with(path)).count()
}

#[test]
fn three_hundred_handles_of_one_process_are_one_participant_with_one_mapping() {
    let name = Name::new();
    let first = name.create(&options());
    let path = name.path();
    let (open, mapped) = (descriptors(&path), mappings(&path));
    let me = first.participant();
    let mut handles = vec![first];
    for number in 0..300 {
        let store = match number % 3 {
            0 => Store::open(&name),
            1 => Store::open_or_create(&name),
            _ => Store::create_or_open(&name),
        };
        handles.push(store.unwrap());
    }
    assert!(handles.iter().all(|handle| handle.participant() == me));
    assert_eq!(handles[150].participants().unwrap(), [me]);
    assert_eq!((descriptors(&path), mappings(&path)), (open, mapped));
    // All of them publish, and all see it.
    for (version, store) in (1..).zip(&handles) {
        assert_eq!(store.set("k", b"v").unwrap(), version);
    }

    let observer = Store::open_unshared(&name).unwrap();
    let last = handles.swap_remove(77);
    drop(handles);
    assert_eq!(observer.participants().unwrap(), [me, observer.participant()]);
    assert_eq!(last.get("k").unwrap().as_deref(), Some(&b"v"[..]));
    drop(last);
    assert_eq!(observer.participants().unwrap(), [observer.participant()]);
    assert!(!observer.is_alive(me).unwrap());

    let again = Store::open(&name).unwrap();
    assert_ne!(again.participant(), me);
    assert_eq!(again.participants().unwrap().len(), 2);
}

#[test]
fn a_process_uses_two_hundred_stores_of_the_default_size_at_once() {
    let names: Vec<Name> = (0..200).map(|_| Name::new()).collect();
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    Actor::spawn("many stores", &names).finish();
}

fn use_many_stores(names: &[String]) {
    let (limit, wanted) = (rustix::process::getrlimit(rustix::process::Resource::Nofile), 3 * names.len() as u64);
    if limit.current.is_some_and(|current| current < wanted) {
        println!("not run: this process may open too few files (`ulimit -n`)");
        return;
    }
    let count = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        let mappings = fs::read_to_string("/proc/self/maps").unwrap().lines().count();
        (fs::read_dir("/proc/self/fd").unwrap().count(), mappings, kib >> 20)
    };
    let lens = [100, 3000, 100_000];
    let before = count();
    let stores: Vec<Store> = names.iter().map(|name| Store::create(name).unwrap()).collect();
    for (number, store) in stores.iter().enumerate() {
        for len in lens {
            store.set(&format!("key {len}"), &vec![number as u8; len]).unwrap();
        }
        store.slot("key 3000").unwrap().loan(3000).unwrap().send().unwrap();
    }
    for (number, store) in stores.iter().enumerate() {
        assert_eq!(store.get("key 100").unwrap(), Some(vec![number as u8; 100]));
        assert_eq!(*store.slot("key 100000").unwrap().pin().unwrap().unwrap(), vec![number as u8; 100_000]);
        assert_eq!(store.slot("key 3000").unwrap().size().unwrap(), Some(3000));
    }
    let after = count();
    eprintln!("{} stores: descriptors, mappings and GiB of addresses from {before:?} to {after:?}", names.len());
    // Of each store: two descriptors; one mapping of all that is before the extents, one of each key
    // with longer values, and one more of the key that lent.
    assert_eq!(after.0 - before.0, 2 * names.len());
    assert!(after.1 - before.1 <= 4 * names.len() + 50, "{before:?} {after:?}");
    drop(stores);
    let closed = count();
    assert_eq!(closed.0, before.0);
    assert!(closed.1 <= before.1 + 50 && closed.2 <= before.2 + 1, "{before:?} {closed:?}");
}

#[test]
fn a_slot_a_bus_or_a_pin_keeps_the_participant_and_new_handles_share_it() {
    let name = Name::new();
    let store = name.create(&options());
    let me = store.participant();
    let slot = store.slot("k").unwrap();
    slot.set(b"v").unwrap();
    let bus = Bus::<Vec<u8>>::on(store.clone());
    drop(store);
    assert_eq!(Store::open(&name).unwrap().participant(), me);
    drop(bus);
    assert_eq!(Store::open(&name).unwrap().participant(), me);
    let pin = slot.pin().unwrap().unwrap();
    drop(slot);
    assert_eq!(Store::open(&name).unwrap().participant(), me);
    drop(pin);
    assert_ne!(Store::open(&name).unwrap().participant(), me);
}

#[test]
fn a_store_that_was_removed_and_created_again_is_another_one_while_the_old_one_still_works() {
    let name = Name::new();
    let old = name.create(&options());
    old.set("k", b"old").unwrap();
    Store::remove(&name).unwrap();
    assert!(matches!(Store::open(&name), Err(OpenError::NotFound { .. })));
    let new = name.create(&options().slots(8));
    let (opened, of_old) = (Store::open(&name).unwrap(), old.clone());
    assert_eq!(opened.snapshot().id, new.snapshot().id);
    assert_eq!(opened.dimensions().slots, 8);
    assert_eq!(opened.get("k").unwrap(), None);
    opened.set("k", b"new").unwrap();
    assert_eq!(of_old.get("k").unwrap().as_deref(), Some(&b"old"[..]));
    assert_eq!(old.participants().unwrap(), [old.participant()]);
    drop((new, opened));
    assert_eq!(Store::open(&name).unwrap().get("k").unwrap().as_deref(), Some(&b"new"[..]));
    assert_eq!(old.set("k", b"older").unwrap(), 2);
}

#[test]
fn all_names_of_a_file_lead_to_the_same_session_and_each_handle_has_its_own_location() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let store = options().create(path("store")).unwrap();
    symlink(path("store"), path("link")).unwrap();
    fs::hard_link(path("store"), path("hard link")).unwrap();
    fs::create_dir(path("inner")).unwrap();
    for name in ["store", "link", "hard link", "inner/../store"] {
        let other = Store::open(path(name)).unwrap();
        assert_eq!(other.participant(), store.participant(), "{name}");
        assert_eq!(other.location(), &Location::File(path(name)));
        assert_eq!(other.clone().location(), other.location());
    }
    assert_eq!(store.location(), &Location::File(path("store")));
    assert_eq!(store.participants().unwrap(), [store.participant()]);
    // A copy is another file.
    fs::copy(path("store"), path("copy")).unwrap();
    let copy = Store::open(path("copy")).unwrap();
    assert!(copy.recovery().is_some());
    copy.set("k", b"v").unwrap();
    assert_eq!(store.get("k").unwrap(), None);
}

#[test]
fn a_file_that_has_become_something_else_is_not_shared() {
    let name = Name::new();
    let store = name.create(&options());
    let file = File::options().write(true).open(name.path()).unwrap();
    let magic = 0x534C_4E54_u32.to_ne_bytes();
    file.write_all_at(b"GIF8", 0).unwrap();
    assert!(matches!(Store::open(&name), Err(OpenError::NotAStore { .. })));
    file.write_all_at(&magic, 0).unwrap();
    assert_eq!(Store::open(&name).unwrap().participant(), store.participant());
    // Another store, written over this one in place.
    file.write_all_at(&7u64.to_ne_bytes(), 40).unwrap();
    let other = Store::open(&name).unwrap();
    assert_ne!(other.participant(), store.participant());
    assert_eq!(Store::open(&name).unwrap().participant(), other.participant());
    file.set_len(100).unwrap();
    assert!(matches!(Store::open(&name), Err(OpenError::Damaged { .. })));
    // Dropping them would access the missing part.
    std::mem::forget((store, other));
}

#[test]
fn threads_that_open_a_store_at_once_get_one_session() {
    for round in 0..100 {
        let name = Name::new();
        let location = if round % 2 == 0 { Location::from(&name) } else { Location::from(name.path()) };
        drop(options().create(&location).unwrap());
        let barrier = Barrier::new(8);
        let stores: Vec<Store> = thread::scope(|scope| {
            let open = || {
                barrier.wait();
                Store::open(&location).unwrap()
            };
            let openers: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            openers.into_iter().map(|opener| opener.join().unwrap()).collect()
        });
        let participants: HashSet<Participant> = stores.iter().map(Store::participant).collect();
        assert_eq!(participants.len(), 1);
        assert_eq!(stores[0].participants().unwrap().len(), 1);
    }
}

/// Threads open and drop the store all the time. Nobody is refused, and nothing is left.
fn open_and_drop_in_many_threads(location: &Location, others: &[Store], rounds: usize) {
    let path = location.path();
    let path = path.to_str().unwrap();
    let before = (descriptors(path), mappings(path));
    thread::scope(|scope| {
        for number in 0..16 {
            scope.spawn(move || {
                let mut first = None;
                for round in 0..rounds {
                    let store = Store::open(location).unwrap();
                    if round % 50 == 0 {
                        store.set("k", format!("{number}").as_bytes()).unwrap();
                    }
                    // Some handles live longer than others.
                    if round % 7 == number % 7 {
                        first = Some(store);
                    } else if round % 7 == 6 {
                        first = None;
                    }
                }
                drop(first);
            });
        }
    });
    assert_eq!((descriptors(path), mappings(path)), before);
    let left = others[0].participants().unwrap();
    assert!(left.iter().copied().eq(others.iter().map(Store::participant)), "a participant is left");
    let cells = others[0].cells();
    assert_eq!((cells.pinned, cells.in_flight), (0, 0));
}

#[test]
fn sixteen_threads_that_open_and_drop_a_store_leave_nothing() {
    let name = Name::new();
    drop(name.create(&options()));
    // As a segment and as a file.
    for location in [Location::from(&name), Location::from(format!("{}-file", name.path()))] {
        let others = [match Store::open_unshared(&location) {
            Err(OpenError::NotFound { .. }) => {
                drop(options().create(&location).unwrap());
                Store::open_unshared(&location).unwrap()
            }
            store => store.unwrap(),
        }];
        open_and_drop_in_many_threads(&location, &others, 1000);
        Store::remove(&location).unwrap();
    }
}

#[test]
fn a_process_needs_one_entry_of_the_table_however_many_of_its_threads_open_and_drop_the_store() {
    let name = Name::new();
    drop(name.create(&options()));
    let location = Location::from(&name);
    let mut others: Vec<Store> = (1..PARTICIPANTS).map(|_| Store::open_unshared(&location).unwrap()).collect();
    open_and_drop_in_many_threads(&location, &others, 200);
    others.push(Store::open(&location).unwrap());
    assert!(matches!(Store::open_unshared(&location), Err(OpenError::TooManyParticipants { max: 254, .. })));
    assert_eq!(Store::open(&location).unwrap().participants().unwrap().len(), PARTICIPANTS);
}

#[test]
fn a_store_is_open_in_254_processes_at_most_and_the_next_is_refused_with_what_to_do() {
    let name = Name::new();
    let store = name.create(&options());
    let actors: Vec<_> = (1..PARTICIPANTS).map(|_| Actor::spawn("stay", &[&name])).collect();
    for actor in &actors {
        assert!(actor.has_stopped());
    }
    assert_eq!(store.participants().unwrap().len(), PARTICIPANTS);
    // This process has it open already.
    Store::open(&name).unwrap();
    let error = Store::open_unshared(&name).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{:?} is open in 254 processes, which is the maximum: close it in one of them first", &*name)
    );
    drop(actors);
    wait_until("all have ended", || store.participants().unwrap().len() == 1);
    Store::open_unshared(&name).unwrap();
}

#[test]
fn what_is_forgotten_stays_until_the_process_ends() {
    let name = Name::new();
    let store = name.create(&options());
    store.set("k", b"v").unwrap();
    Actor::spawn("forget", &[&name]).finish();
    assert_eq!(store.participants().unwrap(), [store.participant()]);
    drop(Store::open_unshared(&name).unwrap());
    assert_eq!(store.cells().pinned, 0);
}

fn forget_a_pin(name: &str) {
    let observer = Store::open_unshared(name).unwrap();
    let store = Store::open(name).unwrap();
    let me = store.participant();
    std::mem::forget(store.slot("k").unwrap().pin().unwrap());
    drop(store);
    assert!(observer.is_alive(me).unwrap());
    assert_eq!(observer.cells().pinned, 1);
    // The session goes on.
    assert_eq!(Store::open(name).unwrap().participant(), me);
}

#[test]
fn pins_of_one_value_through_several_handles_hold_it_until_the_last_is_dropped() {
    let name = Name::new();
    let (one, other) = (name.create(&options()), Store::open(&name).unwrap());
    one.set("k", b"pinned").unwrap();
    let first = one.slot("k").unwrap().pin().unwrap().unwrap();
    let second = other.slot("k").unwrap().pin_version(1).unwrap().unwrap();
    drop((one, first));
    let theirs = Store::open_unshared(&name).unwrap();
    for _ in 0..20 {
        theirs.set("k", b"newer!").unwrap();
    }
    assert_eq!(*second, *b"pinned");
    assert_eq!(theirs.cells().pinned, 1);
    assert_eq!(theirs.purge().unwrap(), 1);
    assert_eq!(*second, *b"pinned");
    drop(second);
    assert_eq!(theirs.cells().pinned, 0);
}

#[test]
fn evicting_a_participant_evicts_the_subscribers_of_all_its_handles() {
    let name = Name::new();
    let store = name.create(&options());
    let (one, other) = (Bus::<Vec<u8>>::on(store), Bus::<Vec<u8>>::open(&name).unwrap());
    let lossless = SubscribeOptions::new().lossless();
    let mut first = one.subscribe_with("k", &lossless).unwrap();
    let mut second = other.subscribe_with("k", &lossless).unwrap();
    let theirs = Bus::<Vec<u8>>::on(Store::open_unshared(&name).unwrap());
    let mut third = theirs.subscribe_with("k", &lossless).unwrap();
    one.publish("k", &vec![0]).unwrap();
    let lossless = one.store().slot_snapshot("k").unwrap().unwrap().lossless;
    let of_this_process = lossless.iter().filter(|one| one.participant == other.store().participant().id);
    assert_eq!((lossless.len(), of_this_process.count()), (3, 2));
    let evicted = theirs.store().evict("k", one.store().participant()).unwrap();
    assert_eq!(evicted.subscribers, 2);
    for evicted in [&mut first, &mut second] {
        assert_eq!(**evicted.recv().unwrap(), [0]);
        assert!(matches!(evicted.try_recv(), Err(RecvError::Evicted { .. })));
    }
    assert_eq!(**third.recv().unwrap(), [0]);
    assert!(third.is_lossless());
}
