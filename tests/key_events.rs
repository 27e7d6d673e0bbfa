//! Keys as a descriptor that becomes readable when one of them changes.

#![cfg(feature = "eventfd")]

mod support;

use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use splinter_bus::store::{KeyEvents, StoreOptions};
use support::{Actor, Name};

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    assert_eq!(role, "publisher");
    let store = support::open_soon(&arguments[0]);
    store.set("from another process", b"v").unwrap();
}

fn is_readable(events: &KeyEvents, timeout: Duration) -> bool {
    let timeout = Timespec::try_from(timeout).unwrap();
    poll(&mut [PollFd::new(events, PollFlags::IN)], Some(&timeout)).unwrap() == 1
}

fn taken(events: &mut KeyEvents) -> Vec<(usize, u64)> {
    let mut taken = Vec::new();
    events.take(|index, slot| taken.push((index, slot.version()))).unwrap();
    taken
}

/// Waits for the descriptor until something has changed.
fn wait(events: &mut KeyEvents) -> Vec<(usize, u64)> {
    loop {
        assert!(is_readable(events, support::DEADLINE));
        let taken = taken(events);
        if !taken.is_empty() {
            return taken;
        }
    }
}

#[test]
fn each_change_of_a_chosen_key_makes_the_descriptor_readable() {
    let (name, other) = (Name::new(), Name::new());
    let (store, second) = (name.create(&StoreOptions::new()), other.create(&StoreOptions::new()));
    store.set("b", b"before").unwrap();
    let mut events = KeyEvents::new().unwrap();
    for (index, slot) in ["a", "b"].map(|key| store.slot(key).unwrap()).into_iter().enumerate() {
        assert_eq!(events.add(slot).unwrap(), index);
    }
    let removed = events.add(second.slot("removed").unwrap()).unwrap();
    assert_eq!(taken(&mut events), []);
    store.set("another", b"v").unwrap();
    assert!(!is_readable(&events, Duration::from_millis(50)));

    for round in 1..100 {
        store.set("a", b"v").unwrap();
        assert_eq!(wait(&mut events), [(0, round)]);
    }
    store.set("b", b"w").unwrap();
    assert_eq!(wait(&mut events), [(1, 2)]);
    second.unset("removed").unwrap();
    assert_eq!(wait(&mut events)[0].0, removed);
    second.set("removed", b"v").unwrap();
    store.set("a", b"v").unwrap();
    assert_eq!(wait(&mut events), [(0, 100)], "a key that was removed is reported once");
    assert_eq!(taken(&mut events), []);
}

#[test]
fn no_change_is_missed_by_a_loop_that_takes_and_waits() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    let mut events = KeyEvents::new().unwrap();
    let slots = ["a", "b", "c"].map(|key| store.slot(key).unwrap());
    for slot in &slots {
        events.add(slot.clone()).unwrap();
    }
    thread::scope(|scope| {
        for slot in &slots {
            scope.spawn(|| {
                for number in 0..2000 {
                    slot.set(b"v").unwrap();
                    if number % 7 == 0 {
                        thread::sleep(Duration::from_micros(50));
                    }
                }
            });
        }
        let mut newest = [0; 3];
        while newest != [2000; 3] {
            for (index, version) in wait(&mut events) {
                assert!(version >= newest[index]);
                newest[index] = version;
            }
        }
    });
}

#[test]
fn a_change_by_another_process_is_seen() {
    let name = Name::new();
    let store = name.create(&StoreOptions::new());
    let mut events = KeyEvents::new().unwrap();
    events.add(store.slot("from another process").unwrap()).unwrap();
    let publisher = Actor::spawn("publisher", &[&name]);
    assert_eq!(wait(&mut events), [(0, 1)]);
    publisher.finish();
    assert!(format!("{events:?}").contains("keys: 1") && rustix::io::fcntl_getfd(events.as_fd()).unwrap().bits() == 1);
}
