//! Operations on single keys and on the whole store, in one process and in several.

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use splinter_bus::store::{
    CellCounts, DirectoryError, Flags, KeyError, KeyOptions, Lookup, SetError, Store, StoreOptions, UpdateError,
};
use splinter_bus::{Bus, Message};
use support::image::Image;
use support::{Actor, DEADLINE, ForeignLock, Name, proof};

fn options() -> StoreOptions {
    StoreOptions::new().slots(16).key_options(KeyOptions::new().history(4).spare(4))
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    if role == "toucher" {
        let store = Store::open(&*arguments[0]).unwrap();
        let faults = touch(&store, arguments[1] == "prefaulted");
        store.integer("faults").unwrap().set(faults).unwrap();
        return;
    }
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
            // The log begins inline, and continues in medium places.
            for number in 0..1000u32 {
                store.append("log", &[arguments[1].as_bytes()[0], number as u8]).unwrap();
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
    // Every change published a version.
    assert_eq!(store.slot("n").unwrap().version(), 60_000);
}

#[test]
fn integers_wrap_around_and_other_values_are_refused_and_not_changed() {
    let name = Name::new();
    let store = name.create(&options());
    let n = store.integer("n").unwrap();
    assert_eq!((n.fetch_sub(1).unwrap(), n.get().unwrap()), (0, Some(u64::MAX)));
    assert_eq!((n.fetch_add(2).unwrap(), n.get().unwrap()), (u64::MAX, Some(1)));
    assert_eq!((n.fetch_not().unwrap(), n.fetch_and(0xff).unwrap()), (1, !1));
    assert_eq!(n.fetch_or(1).unwrap(), 0xfe);
    // Also a medium and a large value: neither is in its cell.
    for value in [&b""[..], b"seven..", b"nine bytes", &[8; 2000], &[8; 100_000]] {
        store.set("text", value).unwrap();
        let text = store.integer("text").unwrap();
        assert!(matches!(text.get(), Err(UpdateError::NotAnInteger { len }) if len == value.len()));
        assert!(matches!(text.fetch_add(1), Err(UpdateError::NotAnInteger { .. })));
        assert!(matches!(text.compare_exchange(0, 1), Err(UpdateError::NotAnInteger { .. })));
        assert_eq!(store.get("text").unwrap().as_deref(), Some(value));
    }
    store.unset("n").unwrap();
    assert!(matches!(n.fetch_add(1), Err(UpdateError::Key(KeyError::Removed))));
}

#[test]
fn bytes_that_several_processes_append_are_complete_and_not_interleaved() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new().slots(16).span(2 << 20));
    let actors = ["a", "b", "c"].map(|who| Actor::spawn("appender", &[&name, who]));
    actors.into_iter().for_each(Actor::finish);
    let log = store.get("log").unwrap().unwrap();
    assert_eq!(log.len(), 3 * 1000 * 2);
    for who in [b'a', b'b', b'c'] {
        let numbers: Vec<u8> = log.chunks(2).filter(|entry| entry[0] == who).map(|entry| entry[1]).collect();
        assert_eq!(numbers, (0..1000).map(|number| number as u8).collect::<Vec<u8>>());
    }
    let max = store.slot("full").unwrap().max_len();
    assert_eq!(max, 65_536);
    store.set("full", &vec![1; max - 6]).unwrap();
    let error = store.append("full", &[2; 7]).unwrap_err();
    assert!(matches!(error, UpdateError::Set(SetError::TooLarge { len: 65_537, max: 65_536 })), "{error}");
    assert_eq!(store.get("full").unwrap(), Some(vec![1; max - 6]));
    store.append("full", &[2; 6]).unwrap();
    assert_eq!(store.size("full").unwrap(), Some(max));
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
    assert_eq!(
        (store.keys, store.dimensions.slots, store.flags, store.layout),
        (1, 16, Flags::AUTO_VACUUM, 0x5242_000A)
    );
    assert!(store.created > 0 && store.id != 0 && !store.persistent);
}

#[test]
fn flags_are_shared_and_changed_one_by_one() {
    let name = Name::new();
    let store = name.create(&options());
    let other = Store::open_unshared(&name).unwrap();
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
    // Unassigned bits of the system do not change.
    store.set_flags(Flags::from_bits_retain(1 << 5));
    store.clear_flags(Flags::all());
    assert_eq!(store.flags(), Flags::empty());
    assert!(!other.auto_vacuum());
}

#[test]
fn a_reader_that_waits_for_a_key_gets_the_first_version_after_its_removal() {
    let name = Name::new();
    let store = name.create(&options());
    for _ in 0..10 {
        store.set("key", b"v").unwrap();
    }
    let seen = store.slot("key").unwrap().version();
    store.unset("key").unwrap();
    // Another key takes its slot. The key gets a different, new slot.
    store.set("other", b"v").unwrap();
    assert_eq!(store.poll_after("key", seen, Some(Duration::from_millis(5))).unwrap(), None);
    let version = store.set("key", b"v").unwrap();
    assert!(version > seen, "a version was given twice");
    assert_eq!(store.poll_after("key", seen, Some(DEADLINE)).unwrap(), Some(version));
    // The key is removed and set again at random moments of the wait.
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
fn waiting_returns_at_the_timeout_and_accepts_the_longest_one() {
    let name = Name::new();
    let store = name.create(&options());
    assert_eq!(store.poll("key", Some(Duration::ZERO)).unwrap(), None);
    assert_eq!(store.poll("key", Some(Duration::from_millis(150))).unwrap(), None);
    assert_eq!(store.watch().poll(Some(Duration::from_millis(150))).unwrap(), []);
    store.set("key", b"v").unwrap();
    assert_eq!(store.poll_after("key", 0, Some(Duration::MAX)).unwrap(), Some(1));
}

#[test]
fn a_watch_reports_every_key_that_was_set() {
    let name = Name::new();
    let store = name.create(&options());
    store.set("before", b"").unwrap();
    let mut watch = store.watch();
    assert_eq!(watch.poll(Some(Duration::ZERO)).unwrap(), []);
    let reported = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..200u64 {
                store.set(&format!("key {}", round % 8), b"v").unwrap();
                if round % 50 == 49 {
                    // The watcher has received all changes, so it waits.
                    support::wait_until("the watcher has caught up", || reported.load(Ordering::Relaxed) == round + 1);
                }
            }
        });
        let mut newest = [0; 8];
        while newest.iter().sum::<u64>() < 200 {
            let changes = watch.poll(Some(DEADLINE)).unwrap();
            assert!(!changes.is_empty(), "no change in time: {newest:?}");
            for change in changes {
                let number: usize = change.key.strip_prefix("key ").unwrap().parse().unwrap();
                assert!(change.version > newest[number], "a change was reported twice");
                newest[number] = change.version;
            }
            reported.store(newest.iter().sum(), Ordering::Relaxed);
        }
    });
    // The key is in a slot that belonged to another key.
    store.unset("before").unwrap();
    store.set("after", b"").unwrap();
    assert_eq!(watch.poll(Some(DEADLINE)).unwrap()[0].key, "after");
}

#[test]
fn a_watch_reports_what_another_process_publishes() {
    let name = Name::new();
    let store = name.create(&options());
    let mut watch = store.watch();
    let publisher = Actor::spawn("publisher", &[&name]);
    let mut newest = 0;
    while newest < 20_000 {
        newest = watch.poll(Some(DEADLINE)).unwrap().first().expect("a change in time").version;
    }
    publisher.finish();
}

/// Returns whether these bytes exist anywhere in the store's memory.
fn is_left(name: &Name, bytes: &[u8]) -> bool {
    Image::read(name.path()).contains(bytes)
}

const SECRET: &[u8] = b"a secret that is long enough to show";

#[test]
fn auto_vacuum_erases_the_rest_of_a_longer_value_after_a_shorter_one() {
    let name = Name::new();
    let store = name.create(&options().key_options(KeyOptions::new().history(1).spare(1)));
    // In a cell, in a medium place, and in a large one.
    for repeated in [7, 100, 5000] {
        store.set("key", &SECRET.repeat(repeated)).unwrap();
        assert!(is_left(&name, &SECRET[6..]));
        for _ in 0..2 {
            store.set("key", b"short").unwrap();
        }
        assert!(!is_left(&name, &SECRET[6..]), "{repeated}");
        // A shorter value in the same place.
        store.set("key", &SECRET.repeat(repeated)).unwrap();
        for _ in 0..2 {
            store.set("key", &vec![1; SECRET.len() * repeated / 2]).unwrap();
        }
        assert!(!is_left(&name, &SECRET[6..]), "{repeated}");
    }
}

#[test]
fn auto_vacuum_erases_the_values_and_the_name_of_a_removed_key() {
    let name = Name::new();
    let store = name.create(&options());
    for repeated in [1, 100, 5000].repeat(20) {
        store.set("a telling name", &SECRET.repeat(repeated)).unwrap();
    }
    assert!(is_left(&name, SECRET) && is_left(&name, b"a telling name"));
    store.unset("a telling name").unwrap();
    assert!(!is_left(&name, SECRET) && !is_left(&name, b"a telling name"));
}

#[test]
fn a_value_that_was_pinned_while_its_key_was_removed_is_zeroed_when_the_pin_is_dropped() {
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
fn without_auto_vacuum_old_values_stay_until_a_purge() {
    let name = Name::new();
    let store = name.create(&options().auto_vacuum(false));
    store.set("removed", SECRET).unwrap();
    store.unset("removed").unwrap();
    assert_eq!(store.get("removed").unwrap(), None);
    store.set("key", &SECRET.repeat(2)).unwrap();
    for _ in 0..10 {
        store.set("key", b"newest").unwrap();
    }
    assert!(is_left(&name, SECRET), "the value was zeroed although auto-vacuum is off");
    let slot = store.slot("key").unwrap();
    let pinned = slot.pin().unwrap().unwrap();
    assert_eq!(store.purge().unwrap(), 0, "the newest value may be pinned");
    assert!(!is_left(&name, SECRET));
    assert_eq!(store.get("key").unwrap().as_deref(), Some(&b"newest"[..]));
    drop(pinned);
    assert_eq!((slot.first_version(), slot.oldest_from(0).unwrap()), (slot.version(), Some(slot.version())));
    assert_eq!(slot.get_version_into(slot.version() - 1, &mut Vec::new()).unwrap(), Lookup::Gone);
}

#[test]
fn a_purge_skips_cells_in_use_and_returns_their_number() {
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
    assert!(!is_left(&name, SECRET), "the value was not zeroed when its pin was dropped");
    let CellCounts { readable, free, .. } = slot.cells();
    assert_eq!((readable, free), (1, 7));
}

#[test]
fn a_purge_never_removes_the_newest_value_while_others_publish_and_read() {
    let name = Name::new();
    let store = name.create(&options());
    store.set("key", &[0; 12]).unwrap();
    let publisher = Actor::spawn("publisher", &[&name]);
    let mut value = Vec::new();
    let slot = store.slot("key").unwrap();
    while slot.version() < 20_001 {
        store.purge().unwrap();
        let newest = slot.get_into(&mut value).unwrap().expect("the newest version is never purged");
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

/// The offset of the directory's lock.
const DIRECTORY: i64 = (1 << 62) + 1024;

#[test]
fn a_process_that_stops_while_it_creates_a_key_delays_only_other_creators_until_a_timeout() {
    let name = Name::new();
    let store = name.create(&options());
    let bus: Bus<Note> = Bus::on(store.clone());
    store.set("key", b"v").unwrap();
    let mut subscriber = bus.subscribe("removed").unwrap();
    store.unset("removed").unwrap();
    assert!(subscriber.try_recv().is_err(), "the removal is reported");
    let holder = ForeignLock::new(&name.path(), DIRECTORY, 1);
    store.set("key", b"w").unwrap();
    assert_eq!(store.get("key").unwrap().as_deref(), Some(&b"w"[..]));
    assert_eq!(store.keys(), ["key"]);
    // Neither operation blocks on the directory's lock.
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
fn a_forked_child_that_drops_the_handle_does_not_affect_its_parent() {
    let name = Name::new();
    let _store = name.create(&options());
    Actor::spawn("forker", &[&name]).finish();
}

fn fork_and_drop(store: &Store) {
    let mine = Store::open_unshared(store.location()).unwrap();
    // SAFETY: the child only drops a handle and ends at once.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(mine);
        // SAFETY: `_exit` has no preconditions.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: the child belongs to this process, and `status` is writable.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    assert!(store.is_alive(mine.participant()).unwrap());
    let next = Store::open_unshared(store.location()).unwrap();
    assert_ne!(next.participant().id, mine.participant().id);
}

/// Returns how many page faults this thread had.
fn faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    // The eighth field after the name, which may contain spaces; see proc_pid_stat(5).
    stat.rsplit(')').next().unwrap().split_whitespace().nth(7).unwrap().parse().unwrap()
}

const PREFAULTED: u32 = 100;

/// Sets keys that another process has created, and returns the page faults of that.
fn touch(store: &Store, prefaulted: bool) -> u64 {
    if prefaulted {
        store.prefault().unwrap();
    }
    let slots: Vec<_> = (0..PREFAULTED).map(|key| store.slot(&key.to_string()).unwrap()).collect();
    let before = faults();
    for slot in slots {
        for number in 0..8 {
            slot.set(&[number; 1000]).unwrap();
        }
    }
    faults() - before
}

#[test]
fn a_prefaulted_store_is_used_without_page_faults() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    for key in 0..PREFAULTED {
        for number in 0..24 {
            store.set(&key.to_string(), &[number; 1000]).unwrap();
        }
    }
    let [plainly, prefaulted] = ["plainly", "prefaulted"].map(|how| {
        // A process whose mapping is new.
        Actor::spawn("toucher", &[&name, how]).finish();
        store.integer("faults").unwrap().get().unwrap().unwrap()
    });
    // With huge pages, there are few page faults.
    assert!(
        prefaulted <= plainly && prefaulted < u64::from(PREFAULTED) / 4,
        "{prefaulted} faults, and {plainly} without"
    );
}

/// Returns the processor time that this thread has used.
fn busy() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

#[test]
fn a_publisher_that_waits_for_pinned_cells_sleeps() {
    let name = Name::new();
    let slot = name.create(&options().key_options(KeyOptions::new().history(1).spare(1))).slot("key").unwrap();
    slot.set(b"first").unwrap();
    let pinned = slot.pin().unwrap();
    slot.set(b"second").unwrap();
    let (timeout, before) = (Duration::from_millis(500), busy());
    assert!(matches!(slot.set_timeout(b"third", timeout), Err(SetError::Backpressure(_))));
    assert!(busy() - before < timeout / 4, "busy for {:?}", busy() - before);
    drop(pinned);
    slot.set_timeout(b"third", timeout).unwrap();
}
