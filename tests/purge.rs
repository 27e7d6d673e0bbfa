//! What a purge keeps for receivers, and what it erases.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use splinter_bus::bus::SubscribeOptions;
use splinter_bus::store::{KeyOptions, Lookup, Store, StoreOptions};
use splinter_bus::{Bus, Start};
use support::Name;

fn options() -> StoreOptions {
    StoreOptions::new().slots(4).key_options(KeyOptions::new().history(8).spare(8))
}

fn bus(name: &Name) -> Bus<Vec<u8>> {
    Bus::on(name.create(&options()))
}

fn lossless() -> SubscribeOptions {
    SubscribeOptions::new().lossless().start(Start::Oldest)
}

/// Purges through another handle, as another process would, while `rounds` runs.
fn beside_purges(name: &Name, rounds: impl FnOnce()) {
    let other = Store::open_unshared(&**name).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                other.purge().unwrap();
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(rounds));
        done.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn a_lossless_subscriber_receives_all_from_its_start_during_purges() {
    let name = Name::new();
    let bus = bus(&name);
    let mut publisher = bus.publisher("k").unwrap();
    beside_purges(&name, || {
        for _ in 0..4_000 {
            for _ in 0..4 {
                publisher.publish(&vec![1; 8]).unwrap();
            }
            let mut subscriber = bus.subscribe_with("k", &lossless()).unwrap();
            let newest = bus.store().slot("k").unwrap().version();
            for version in subscriber.next_version()..=newest {
                let received = subscriber.try_recv().expect("no message is lost").expect("a published message");
                assert_eq!(received.version(), version);
            }
        }
    });
}

#[test]
fn a_queue_delivers_all_jobs_from_its_start_during_purges() {
    let name = Name::new();
    let bus = bus(&name);
    beside_purges(&name, || {
        for _ in 0..1_000 {
            for job in 0..4 {
                bus.publish("q", &vec![job]).unwrap();
            }
            let mut queue = bus.work_queue("q").unwrap();
            let waiting = bus.store().slot_snapshot("q").unwrap().unwrap().queue.unwrap().waiting;
            let mut done = 0;
            while let Some(job) = queue.try_recv().unwrap() {
                job.acknowledge().unwrap();
                done += 1;
            }
            assert_eq!(done, waiting, "waiting jobs were not delivered");
            bus.store().unset("q").unwrap();
        }
    });
}

#[test]
fn messages_that_a_purge_keeps_count_as_busy_until_they_are_received() {
    let name = Name::new();
    let bus = bus(&name);
    for job in 0..3 {
        bus.publish("k", &vec![job]).unwrap();
    }
    let mut subscriber = bus.subscribe_with("k", &lossless()).unwrap();
    let store = bus.store();
    // The newest version is never purged.
    assert_eq!(store.purge().unwrap(), 2);
    assert_eq!(subscriber.try_recv().unwrap().unwrap().version(), 1);
    assert_eq!(store.purge().unwrap(), 1);
    while subscriber.try_recv().unwrap().is_some() {}
    assert_eq!(store.purge().unwrap(), 0);
}

#[test]
fn a_subscriber_after_a_purge_starts_above_the_messages_that_the_purge_kept() {
    let name = Name::new();
    let bus = bus(&name);
    for job in 0..3 {
        bus.publish("k", &vec![job]).unwrap();
    }
    let first = bus.subscribe_with("k", &lossless()).unwrap();
    assert_eq!(bus.store().purge().unwrap(), 2);
    let second = bus.subscribe_with("k", &lossless()).unwrap();
    assert_eq!((first.next_version(), second.next_version()), (1, 3));
    // When the next subscriber starts, the versions that were retained for the first one are
    // erased, too.
    drop(first);
    let _third = bus.subscribe_with("k", &lossless()).unwrap();
    let slot = bus.store().slot("k").unwrap();
    assert_eq!(slot.get_version_into(2, &mut Vec::new()).unwrap(), Lookup::Gone);
    assert_eq!(slot.cells().readable, 1);
}

#[test]
fn messages_that_a_crashed_subscriber_has_not_received_are_purged() {
    let name = Name::new();
    let bus = bus(&name);
    for job in 0..3 {
        bus.publish("k", &vec![job]).unwrap();
    }
    support::Actor::spawn("subscriber", &[&name]).finish();
    assert!(bus.store().slot_snapshot("k").unwrap().unwrap().lossless.len() == 1);
    assert_eq!(bus.store().purge().unwrap(), 0);
    assert_eq!(bus.store().slot("k").unwrap().cells().readable, 1);
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    assert_eq!(role, "subscriber");
    let bus = Bus::<Vec<u8>>::on(Store::open(&*arguments[0]).unwrap());
    let subscriber = bus.subscribe_with("k", &lossless()).unwrap();
    // Ends without closing anything, like a crash.
    std::mem::forget((subscriber, bus));
}
