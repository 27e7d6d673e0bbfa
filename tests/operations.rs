//! What the raw store does with single keys and as a whole, from one process and from several.

mod support;

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use splinter_bus::store::{
    CellCounts, DirectoryError, Flags, KeyError, SetError, Store, StoreOptions, UpdateError, Version,
};
use splinter_bus::{Bus, Message};
use support::{Actor, DEADLINE, ForeignLock, Name, proof};

fn options() -> StoreOptions {
    StoreOptions::new().slots(16).max_value_size(256).history(4).spare(4)
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    let store = support::open_soon(&arguments[0]);
    match role.as_str() {
        "counter" => {
            let (n, bits) = (store.integer("n").unwrap(), store.integer("bits").unwrap());
            let own: u64 = 1 << arguments[1].parse::<u32>().unwrap();
            for _ in 0..10_000 {
                n.fetch_add(3).unwrap();
                n.fetch_sub(1).unwrap();
                bits.fetch_xor(own).unwrap();
                let max = store.integer("by exchange").unwrap();
                let mut seen = max.get().unwrap().unwrap_or(0);
                while let Err(now) = max.compare_exchange(seen, seen + 1).unwrap() {
                    seen = now;
                }
            }
            bits.fetch_or(own).unwrap();
        }
        "appender" => {
            for number in 0..20u8 {
                store.append("log", &[arguments[1].as_bytes()[0], number]).unwrap();
            }
        }
        "forker" => fork_and_drop(&store),
        "publisher" => {
            let mut value = Vec::new();
            for number in 0..20_000 {
                proof::write(&mut value, 1, number);
                store.set("key", &value).unwrap();
            }
        }
        _ => panic!("no such role: {role}"),
    }
}

#[test]
fn integers_are_counted_by_several_processes_and_nothing_is_lost() {
    let name = Name::new();
    let store = name.create(&options());
    let actors = [1, 2, 3].map(|bit| Actor::spawn("counter", &[&name, &bit.to_string()]));
    actors.into_iter().for_each(Actor::finish);
    let get = |key| store.integer(key).unwrap().get().unwrap();
    assert_eq!(get("n"), Some(60_000));
    assert_eq!(get("bits"), Some(0b1110));
    assert_eq!(get("by exchange"), Some(30_000));
    // Every change was a version.
    assert_eq!(store.slot("n").unwrap().version(), 60_000);
}

#[test]
fn integers_wrap_around_and_what_is_none_is_left_alone() {
    let name = Name::new();
    let store = name.create(&options());
    let n = store.integer("n").unwrap();
    assert_eq!((n.fetch_sub(1).unwrap(), n.get().unwrap()), (0, Some(u64::MAX)));
    assert_eq!((n.fetch_add(2).unwrap(), n.get().unwrap()), (u64::MAX, Some(1)));
    assert_eq!((n.fetch_not().unwrap(), n.fetch_and(0xff).unwrap()), (1, !1));
    assert_eq!(n.fetch_or(1).unwrap(), 0xfe);
    for value in [&b""[..], b"seven..", b"nine bytes"] {
        store.set("text", value).unwrap();
        let text = store.integer("text").unwrap();
        assert!(matches!(text.get(), Err(UpdateError::NotAnInteger { len }) if len == value.len()));
        assert!(matches!(text.fetch_add(1), Err(UpdateError::NotAnInteger { .. })));
        assert!(matches!(text.compare_exchange(0, 1), Err(UpdateError::NotAnInteger { .. })));
        assert_eq!(store.get("text").unwrap().as_deref(), Some(value));
    }
    store.unset("n").unwrap();
    assert!(matches!(n.fetch_add(1), Err(UpdateError::Key(KeyError::Removed))));
    let too_small = Name::new();
    let store = too_small.create(&options().max_value_size(4));
    assert!(store.integer("n").unwrap().fetch_add(1).is_err());
}

#[test]
fn appended_bytes_of_several_processes_are_all_there_each_in_one_piece() {
    let name = Name::new();
    let store = name.create(&options());
    let actors = ["a", "b", "c"].map(|who| Actor::spawn("appender", &[&name, who]));
    actors.into_iter().for_each(Actor::finish);
    let log = store.get("log").unwrap().unwrap();
    assert_eq!(log.len(), 3 * 20 * 2);
    for who in [b'a', b'b', b'c'] {
        let numbers: Vec<u8> = log.chunks(2).filter(|entry| entry[0] == who).map(|entry| entry[1]).collect();
        assert_eq!(numbers, (0..20).collect::<Vec<u8>>());
    }
    store.set("full", &[1; 250]).unwrap();
    let error = store.append("full", &[2; 7]).unwrap_err();
    assert!(matches!(error, UpdateError::Set(SetError::TooLarge { len: 257, max: 256 })), "{error}");
    assert_eq!(store.get("full").unwrap().as_deref(), Some(&[1; 250][..]));
    store.append("full", &[2; 6]).unwrap();
    assert_eq!(store.size("full").unwrap(), Some(256));
}

#[test]
fn keys_are_found_by_pattern() {
    let name = Name::new();
    let store = name.create(&options());
    for key in ["llm:reply:2", "llm:reply:1", "llm/prompt", "log", "antwort:ü"] {
        store.set(key, b"").unwrap();
    }
    let matching = |pattern| store.keys_matching(pattern).unwrap();
    assert_eq!(matching("*"), store.keys());
    assert_eq!(matching("llm*"), ["llm/prompt", "llm:reply:1", "llm:reply:2"]);
    assert_eq!(matching("llm:reply:[!1]"), ["llm:reply:2"]);
    assert_eq!(matching("antwort:?"), ["antwort:ü"]);
    assert_eq!(matching("lo"), Vec::<String>::new());
    let error = store.keys_matching("a[b").unwrap_err();
    assert!(error.to_string().contains("\"a[b\" is not a pattern"), "{error}");
}

#[test]
fn the_length_and_version_of_a_snapshot_belong_together() {
    let name = Name::new();
    let store = name.create(&options());
    let slot = store.slot("key").unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for version in 1..=50_000usize {
                slot.set(&vec![0; version % 200]).unwrap();
            }
        });
        while !writer.is_finished() {
            let snapshot = slot.snapshot().unwrap();
            assert!(snapshot.first_version <= snapshot.version + 1);
            if let Some(len) = snapshot.len {
                assert_eq!(len as u64, snapshot.version % 200);
            }
        }
    });
    let store = store.snapshot();
    assert_eq!((store.keys, store.geometry.slots, store.flags, store.layout), (1, 16, Flags::AUTO_VACUUM, 0x5242_0005));
    assert!(store.created > 0 && store.id != 0 && !store.persistent);
}

#[test]
fn flags_are_shared_and_changed_one_by_one() {
    let name = Name::new();
    let store = name.create(&options());
    let other = Store::open(&name).unwrap();
    thread::scope(|scope| {
        for flag in [Flags::USR1, Flags::USR2, Flags::USR3] {
            let other = &other;
            scope.spawn(move || {
                for _ in 0..10_001 {
                    if other.has_flags(flag) { other.clear_flags(flag) } else { other.set_flags(flag) }
                }
            });
        }
    });
    assert_eq!(store.flags(), Flags::AUTO_VACUUM | Flags::USR1 | Flags::USR2 | Flags::USR3);
    // Bits of the system that have no name yet are not ours to touch.
    store.set_flags(Flags::from_bits_retain(1 << 5));
    store.clear_flags(Flags::all());
    assert_eq!(store.flags(), Flags::empty());
    assert!(!other.auto_vacuum());
}

#[test]
fn whoever_waits_for_a_key_is_not_misled_by_its_removal() {
    let name = Name::new();
    let store = name.create(&options());
    for _ in 0..10 {
        store.set("key", b"v").unwrap();
    }
    let seen = store.slot("key").unwrap().version();
    store.unset("key").unwrap();
    // Another key takes its slot, and it gets another, fresh one.
    store.set("other", b"v").unwrap();
    assert_eq!(store.poll_after("key", seen, Some(Duration::from_millis(5))).unwrap(), None);
    let version = store.set("key", b"v").unwrap();
    assert!(version > seen, "a version was given twice");
    assert_eq!(store.poll_after("key", seen, Some(DEADLINE)).unwrap(), Some(version));
    // Removed and set again under the one who waits, at whatever moment of its waiting.
    let mut seen = version;
    for _ in 0..300 {
        seen = thread::scope(|scope| {
            let waiter = scope.spawn(|| store.poll_after("key", seen, Some(DEADLINE)).unwrap());
            store.unset("key").unwrap();
            let next = store.set("key", b"w").unwrap();
            assert_eq!(waiter.join().unwrap(), Some(next));
            next
        });
    }
}

#[test]
fn a_timeout_is_kept_and_a_long_one_is_no_error() {
    let name = Name::new();
    let store = name.create(&options());
    assert_eq!(store.poll("key", Some(Duration::ZERO)).unwrap(), None);
    assert_eq!(store.poll("key", Some(Duration::from_millis(150))).unwrap(), None);
    assert_eq!(store.watch().poll(Some(Duration::from_millis(150))).unwrap(), []);
    store.set("key", b"v").unwrap();
    assert_eq!(store.poll_after("key", 0, Some(Duration::MAX)).unwrap(), Some(1));
}

#[test]
fn who_watches_all_keys_is_told_of_every_one_that_was_set() {
    let name = Name::new();
    let store = name.create(&options());
    store.set("before", b"").unwrap();
    let mut watch = store.watch();
    assert_eq!(watch.poll(Some(Duration::ZERO)).unwrap(), []);
    let told = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..200u64 {
                store.set(&format!("key {}", round % 8), b"v").unwrap();
                if round % 50 == 49 {
                    // So that the watcher has nothing more to do than to wait.
                    support::wait_until("the watcher has caught up", || told.load(Ordering::Relaxed) == round + 1);
                }
            }
        });
        let mut newest = [0; 8];
        while newest.iter().sum::<u64>() < 200 {
            let changes = watch.poll(Some(DEADLINE)).unwrap();
            assert!(!changes.is_empty(), "not in time: {newest:?}");
            for change in changes {
                let number: usize = change.key.strip_prefix("key ").unwrap().parse().unwrap();
                assert!(change.version > newest[number], "told twice");
                newest[number] = change.version;
            }
            told.store(newest.iter().sum(), Ordering::Relaxed);
        }
    });
    // A key in a slot that another had.
    store.unset("before").unwrap();
    store.set("after", b"").unwrap();
    assert_eq!(watch.poll(Some(DEADLINE)).unwrap()[0].key, "after");
}

#[test]
fn who_watches_sees_what_another_process_publishes() {
    let name = Name::new();
    let store = name.create(&options());
    let mut watch = store.watch();
    let publisher = Actor::spawn("publisher", &[&name]);
    let mut newest = 0;
    while newest < 20_000 {
        newest = watch.poll(Some(DEADLINE)).unwrap().first().expect("in time").version;
    }
    publisher.finish();
}

/// Whether these bytes are anywhere in the store's memory.
fn is_left(name: &Name, bytes: &[u8]) -> bool {
    fs::read(name.path()).unwrap().windows(bytes.len()).any(|window| window == bytes)
}

const SECRET: &[u8] = b"a secret that is long enough to show";

#[test]
fn with_auto_vacuum_nothing_of_a_longer_value_is_left_behind_a_shorter_one() {
    let name = Name::new();
    let store = name.create(&options().history(1).spare(1));
    store.set("key", &SECRET.repeat(7)).unwrap();
    for _ in 0..2 {
        store.set("key", b"short").unwrap();
    }
    assert!(!is_left(&name, &SECRET[6..]));
}

#[test]
fn with_auto_vacuum_nothing_of_a_removed_key_is_left_not_even_its_name() {
    let name = Name::new();
    let store = name.create(&options());
    for _ in 0..20 {
        store.set("a telling name", SECRET).unwrap();
    }
    assert!(is_left(&name, SECRET) && is_left(&name, b"a telling name"));
    store.unset("a telling name").unwrap();
    assert!(!is_left(&name, SECRET) && !is_left(&name, b"a telling name"));
}

#[test]
fn what_was_pinned_while_its_key_was_removed_is_zeroed_when_it_is_let_go() {
    let name = Name::new();
    let store = name.create(&options());
    let slot = store.slot("key").unwrap();
    slot.set(SECRET).unwrap();
    let (pin, again) = (slot.pin().unwrap().unwrap(), slot.pin().unwrap().unwrap());
    store.unset("key").unwrap();
    drop(pin);
    let mut value = Vec::new();
    again.copy_into(&mut value);
    assert_eq!(value, SECRET);
    drop(again);
    assert!(!is_left(&name, SECRET));
}

#[test]
fn without_auto_vacuum_nothing_is_scrubbed_and_a_purge_makes_up_for_it() {
    let name = Name::new();
    let store = name.create(&options().auto_vacuum(false));
    store.set("removed", SECRET).unwrap();
    store.unset("removed").unwrap();
    assert_eq!(store.get("removed").unwrap(), None);
    store.set("key", &SECRET.repeat(2)).unwrap();
    for _ in 0..10 {
        store.set("key", b"newest").unwrap();
    }
    assert!(is_left(&name, SECRET), "it was scrubbed although that is off");
    let slot = store.slot("key").unwrap();
    let pinned = slot.pin().unwrap().unwrap();
    assert_eq!(store.purge().unwrap(), 0, "the newest may be pinned");
    assert!(!is_left(&name, SECRET));
    assert_eq!(store.get("key").unwrap().as_deref(), Some(&b"newest"[..]));
    drop(pinned);
    assert_eq!((slot.first_version(), slot.oldest_from(0).unwrap()), (slot.version(), Some(slot.version())));
    assert_eq!(slot.get_version_into(slot.version() - 1, &mut Vec::new()).unwrap(), Version::Gone);
}

#[test]
fn a_purge_leaves_alone_what_is_in_use_and_tells_how_much_that_was() {
    let name = Name::new();
    let store = name.create(&options());
    let slot = store.slot("key").unwrap();
    slot.set(SECRET).unwrap();
    let pin = slot.pin().unwrap().unwrap();
    slot.set(b"newest").unwrap();
    assert_eq!(store.purge().unwrap(), 1);
    let mut value = Vec::new();
    pin.copy_into(&mut value);
    assert_eq!(value, SECRET);
    drop(pin);
    assert!(!is_left(&name, SECRET), "it was not zeroed when it was let go");
    let CellCounts { readable, free, .. } = slot.cells();
    assert_eq!((readable, free), (1, 7));
}

#[test]
fn a_purge_while_others_publish_and_read_takes_no_value_from_them() {
    let name = Name::new();
    let store = name.create(&options());
    store.set("key", &[0; 12]).unwrap();
    let publisher = Actor::spawn("publisher", &[&name]);
    let mut value = Vec::new();
    let slot = store.slot("key").unwrap();
    while slot.version() < 20_001 {
        store.purge().unwrap();
        let newest = slot.get_into(&mut value).unwrap().expect("the newest always stays");
        if newest > 1 {
            proof::read(&value);
        }
    }
    publisher.finish();
}

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Note {
    text: String,
}

/// Where the lock of the directory is.
const DIRECTORY: i64 = (1 << 62) + 1024;

#[test]
fn a_process_stopped_while_it_creates_a_key_holds_up_only_who_creates_keys_and_not_for_ever() {
    let name = Name::new();
    let store = name.create(&options());
    let bus: Bus<Note> = Bus::on(store.clone());
    store.set("key", b"v").unwrap();
    let mut subscriber = bus.subscribe("removed").unwrap();
    store.unset("removed").unwrap();
    assert!(subscriber.try_recv().is_err(), "the removal is told");
    let holder = ForeignLock::new(&name.path(), DIRECTORY, 1);
    store.set("key", b"w").unwrap();
    assert_eq!(store.get("key").unwrap().as_deref(), Some(&b"w"[..]));
    assert_eq!(store.keys(), ["key"]);
    // Neither blocks on the lock that it would need.
    assert!(subscriber.try_recv().unwrap().is_none());
    assert!(subscriber.recv_timeout(Duration::from_millis(1)).unwrap().is_none());
    let error = store.slot("new").unwrap_err();
    assert!(matches!(error, DirectoryError::Busy { .. }), "{error}");
    assert!(error.to_string().contains("for more than 10s"), "{error}");
    drop(holder);
    store.set("new", b"v").unwrap();
    assert!(subscriber.try_recv().unwrap().is_none());
    assert_eq!(store.keys(), ["key", "new", "removed"]);
}

#[test]
fn a_forked_child_that_drops_the_handle_takes_nothing_from_its_parent() {
    let name = Name::new();
    let _store = name.create(&options());
    Actor::spawn("forker", &[&name]).finish();
}

fn fork_and_drop(store: &Store) {
    let mine = Store::open(store.location()).unwrap();
    // SAFETY: the child does nothing but drop a handle and leave at once.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(mine);
        // SAFETY: leaving at once is always possible.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: our own child, and a place for its status.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    assert!(store.is_alive(mine.participant()).unwrap());
    let next = Store::open(store.location()).unwrap();
    assert_ne!(next.participant().id, mine.participant().id);
}

/// How often this thread had to ask the kernel for a page so far.
fn faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    // Behind the name, which may have blanks in it: the eighth.
    stat.rsplit(')').next().unwrap().split_whitespace().nth(7).unwrap().parse().unwrap()
}

#[test]
fn a_store_that_was_prefaulted_is_touched_without_faults() {
    const KEYS: u64 = 100;
    let touched = |prefaulted: bool| {
        let name = Name::new();
        let store = name.create(&StoreOptions::new());
        if prefaulted {
            store.prefault().unwrap();
        }
        let before = faults();
        for key in 0..KEYS {
            store.set(&key.to_string(), &[7; 4096]).unwrap();
        }
        faults() - before
    };
    let (plainly, prefaulted) = (touched(false), touched(true));
    // Where pages are huge, there are few to be touched.
    assert!(prefaulted <= plainly && prefaulted < KEYS / 4, "{prefaulted} faults, and {plainly} without");
}

/// For how long this thread had a processor.
fn busy() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

#[test]
fn a_publisher_that_waits_for_readers_to_let_go_is_asleep() {
    let name = Name::new();
    let slot = name.create(&options().history(1).spare(1)).slot("key").unwrap();
    slot.set(b"first").unwrap();
    let pinned = slot.pin().unwrap();
    slot.set(b"second").unwrap();
    let (patience, before) = (Duration::from_millis(500), busy());
    assert!(matches!(slot.set_timeout(b"third", patience), Err(SetError::Backpressure(_))));
    assert!(busy() - before < patience / 4, "busy for {:?}", busy() - before);
    drop(pinned);
    slot.set_timeout(b"third", patience).unwrap();
}
