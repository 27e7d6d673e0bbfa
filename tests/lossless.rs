//! Lossless subscribers: no message is overwritten before they have received it. Publishers are
//! refused, or wait.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use splinter_bus::bus::{WaitSet, Waited};
use splinter_bus::store::{EvictError, KeyOptions, SetError, Store, StoreOptions};
use splinter_bus::{Bus, PublishError, RecvError, Start, SubscribeError, SubscribeOptions, Subscriber};
use support::{Actor, DEADLINE, Name, proof};

fn options() -> StoreOptions {
    StoreOptions::new().slots(4).key_options(KeyOptions::new().history(4).spare(4).lossless(2))
}

fn bus(name: &Name) -> Bus<Vec<u8>> {
    Bus::on(name.create(&options()))
}

fn lossless(bus: &Bus<Vec<u8>>) -> Subscriber<Vec<u8>> {
    bus.subscribe_with("k", &SubscribeOptions::new().lossless()).unwrap()
}

/// Publishes until a message is refused. Returns the number of published messages.
fn fill(bus: &Bus<Vec<u8>>) -> u64 {
    let mut publisher = bus.publisher("k").unwrap();
    (1..).find(|number: &u64| publisher.publish(&number.to_le_bytes().to_vec()).is_err()).unwrap() - 1
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    let bus = Bus::<Vec<u8>>::on(support::open_soon_with(&options(), &arguments[0]));
    match role.as_str() {
        "publisher" => {
            let (writer, count) = (arguments[1].parse().unwrap(), arguments[2].parse().unwrap());
            let mut publisher = bus.publisher("k").unwrap();
            let mut value = Vec::new();
            for number in 0..count {
                proof::write(&mut value, writer, number);
                publisher.publish_timeout(&value, DEADLINE).unwrap();
            }
        }
        "subscriber" => {
            let _subscriber = lossless(&bus);
            bus.store().set("subscribed", b"yes").unwrap();
            loop {
                thread::park();
            }
        }
        "stopped subscriber" => {
            let mut subscriber = lossless(&bus);
            bus.store().set("subscribed", b"yes").unwrap();
            bus.store().poll_after("go on", 0, Some(DEADLINE)).unwrap().expect("the signal to continue");
            // Its next message is overwritten. It gets the error, then the number of missed
            // messages, then the retained messages.
            let error = subscriber.recv().unwrap_err();
            assert!(matches!(&error, RecvError::Evicted { key, next: 1 } if key == "k"), "{error}");
            assert!(!subscriber.is_lossless());
            let missed = match subscriber.recv() {
                Err(RecvError::Lagged(missed)) => missed,
                other => panic!("{other:?}"),
            };
            for version in missed + 1..=108 {
                assert_eq!(subscriber.recv().unwrap().version(), version);
            }
            assert!(subscriber.try_recv().unwrap().is_none());
            // Its cursor is free again, so two subscribers can exist.
            let _both = (lossless(&bus), lossless(&bus));
        }
        _ => panic!("no such role: {role}"),
    }
}

/// Spawns a process with a lossless subscriber that receives nothing.
fn idle_subscriber(name: &Name, store: &Store) -> Actor {
    let actor = Actor::spawn("subscriber", &[name]);
    store.poll_after("subscribed", 0, Some(DEADLINE)).unwrap().expect("a subscriber");
    actor
}

/// Returns the number of messages, which the environment may set.
fn messages() -> u64 {
    std::env::var("SPLINTER_TEST_MESSAGES").map_or(100_000, |count| count.parse().expect("a number"))
}

#[test]
fn everything_from_four_publishers_arrives_once_in_order_and_intact() {
    let name = Name::new();
    let bus = bus(&name);
    let mut subscriber = lossless(&bus);
    let each = messages() / 4;
    let publishers =
        [1, 2, 3, 4].map(|writer: u32| Actor::spawn("publisher", &[&name, &writer.to_string(), &each.to_string()]));
    let start = Instant::now();
    let mut next = [0; 5];
    for version in 1..=4 * each {
        let received = subscriber.recv_timeout(DEADLINE).unwrap().expect("another message");
        assert_eq!(received.version(), version);
        let (writer, number) = proof::read(&received);
        assert_eq!(number, next[writer as usize], "of writer {writer}");
        next[writer as usize] += 1;
    }
    println!("{} messages in {:?}", 4 * each, start.elapsed());
    assert_eq!(next[1..], [each; 4]);
    publishers.into_iter().for_each(Actor::finish);
    assert!(subscriber.try_recv().unwrap().is_none());
}

#[test]
fn publish_is_refused_at_once_while_there_is_no_free_space() {
    let name = Name::new();
    let bus = bus(&name);
    let mut subscriber = lossless(&bus);
    // The messages fill all cells.
    assert_eq!(fill(&bus), 8);
    let error = bus.publish("k", &vec![1]).unwrap_err();
    let PublishError::Set(SetError::Backpressure(cells)) = &error else { panic!("{error}") };
    assert_eq!((cells.total(), cells.retained), (8, 8));
    assert!(error.to_string().contains("of 8, 8 hold what a lossless subscriber"), "{error}");
    for number in 1..=3u64 {
        assert_eq!(**subscriber.recv().unwrap(), number.to_le_bytes());
    }
    assert_eq!(fill(&bus), 3);
    for number in [4, 5, 6, 7, 8, 1, 2, 3u64] {
        assert_eq!(**subscriber.recv().unwrap(), number.to_le_bytes());
    }
    assert!(subscriber.try_recv().unwrap().is_none());
}

#[test]
fn without_lossless_subscribers_no_publisher_is_refused() {
    let name = Name::new();
    let bus = bus(&name);
    let (one, other) = (lossless(&bus), lossless(&bus));
    fill(&bus);
    drop(one);
    assert!(matches!(bus.publish("k", &vec![1]), Err(PublishError::Set(SetError::Backpressure(_)))));
    drop(other);
    for number in 0..100 {
        bus.publish("k", &vec![number]).unwrap();
    }
    assert!(bus.store().slot_snapshot("k").unwrap().unwrap().lossless.is_empty());
}

#[test]
fn the_slowest_subscriber_limits_publishers_and_the_snapshot_names_it() {
    let name = Name::new();
    let bus = bus(&name);
    let other = Bus::<Vec<u8>>::on(Store::open(&name).unwrap());
    let (mut slow, mut quick) = (lossless(&other), lossless(&bus));
    for number in 0..5 {
        bus.publish("k", &vec![number]).unwrap();
        quick.recv().unwrap();
    }
    slow.recv().unwrap();
    let snapshot = bus.store().slot_snapshot("k").unwrap().unwrap();
    let seen: Vec<_> = snapshot.lossless.iter().map(|one| (one.participant, one.pid, one.next, one.behind)).collect();
    let pid = std::process::id();
    assert_eq!(seen, [(other.store().participant().id, pid, 2, 4), (bus.store().participant().id, pid, 6, 0)]);
    assert_eq!(bus.store().slot("k").unwrap().cells().retained, 4);
}

#[test]
fn a_publisher_that_waits_is_woken_when_there_is_free_space() {
    let name = Name::new();
    let bus = bus(&name);
    let mut subscriber = lossless(&bus);
    let full = fill(&bus);
    let mut publisher = bus.publisher("k").unwrap();
    let waiting = support::this_thread();
    thread::scope(|scope| {
        scope.spawn(|| {
            support::wait_until_asleep(waiting);
            subscriber.recv().unwrap();
        });
        let sent = publisher.publish_timeout(&b"waited".to_vec(), DEADLINE).unwrap();
        assert_eq!(sent.version, full + 1);
    });
    let start = Instant::now();
    let timed_out = publisher.publish_timeout(&vec![1], Duration::from_millis(30));
    assert!(matches!(timed_out, Err(PublishError::Set(SetError::Backpressure(_)))));
    assert!(start.elapsed() >= Duration::from_millis(30));
}

#[test]
fn a_killed_subscriber_limits_publishers_no_longer() {
    let name = Name::new();
    let bus = bus(&name);
    let mut dead = idle_subscriber(&name, bus.store());
    fill(&bus);
    dead.kill();
    for number in 0..100 {
        bus.publish("k", &vec![number]).unwrap();
    }
    // Its cursor is free, too.
    let _both = (lossless(&bus), lossless(&bus));
}

#[test]
fn a_stopped_subscriber_delays_publishers_until_their_timeouts_and_misses_nothing() {
    let name = Name::new();
    let bus = bus(&name);
    let stopped = idle_subscriber(&name, bus.store());
    stopped.stop();
    fill(&bus);
    let mut publisher = bus.publisher("k").unwrap();
    for _ in 0..3 {
        let refused = publisher.publish_timeout(&vec![1], Duration::from_millis(10));
        assert!(matches!(refused, Err(PublishError::Set(SetError::Backpressure(_)))));
    }
    let snapshot = bus.store().slot_snapshot("k").unwrap().unwrap();
    assert_eq!((snapshot.lossless.len(), snapshot.lossless[0].behind), (1, 8));
    // Other keys are not affected.
    bus.publish("other", &vec![1]).unwrap();
}

#[test]
fn a_stopped_subscriber_can_be_evicted_and_gets_an_error_when_it_continues() {
    let name = Name::new();
    let bus = bus(&name);
    let store = bus.store();
    let stopped = Actor::spawn("stopped subscriber", &[&name]);
    store.poll_after("subscribed", 0, Some(DEADLINE)).unwrap().expect("a subscriber");
    stopped.stop();
    assert_eq!(fill(&bus), 8);
    let slowest = store.slot_snapshot("k").unwrap().unwrap().lossless[0];
    let participant = store.participants().unwrap().into_iter().find(|one| one.id == slowest.participant).unwrap();
    assert_eq!(participant.pid, stopped.0.id());
    thread::scope(|scope| {
        // A publisher that waits for free space continues, too.
        let waiting = scope.spawn(|| bus.publisher("k").unwrap().publish_timeout(&vec![9], DEADLINE));
        let evicted = store.evict("k", participant).unwrap();
        assert_eq!((evicted.subscribers, evicted.next, evicted.behind), (1, 1, 8));
        waiting.join().unwrap().unwrap();
    });
    for number in 10..=108 {
        bus.publish("k", &vec![number]).unwrap();
    }
    assert!(store.slot_snapshot("k").unwrap().unwrap().lossless.is_empty());
    let error = store.evict("k", participant).unwrap_err();
    assert!(matches!(error, EvictError::NotSubscribed { .. }), "{error}");
    stopped.signal(Signal::CONT);
    store.set("go on", b"yes").unwrap();
    stopped.finish();
}

#[test]
fn an_evicted_subscriber_gets_an_error_before_it_misses_anything() {
    let name = Name::new();
    let bus = bus(&name);
    let (mut evicted, mut other) = (lossless(&bus), lossless(&Bus::on(Store::open(&name).unwrap())));
    for number in 0..4 {
        bus.publish("k", &vec![number]).unwrap();
    }
    assert_eq!(**evicted.recv().unwrap(), [0]);
    assert!(evicted.is_lossless());
    let counts = bus.store().evict("k", bus.store().participant()).unwrap();
    assert_eq!((counts.subscribers, counts.next, counts.behind), (1, 2, 3));
    // The message that it finds is intact, evicted or not. The next call reports the eviction.
    assert_eq!(**evicted.recv().unwrap(), [1]);
    assert!(matches!(evicted.recv(), Err(RecvError::Evicted { next: 3, .. })));
    assert_eq!(**evicted.recv().unwrap(), [2]);
    // No other subscriber was evicted.
    assert_eq!(fill(&bus), 4);
    for version in 1..=8 {
        assert_eq!(other.recv().unwrap().version(), version);
    }
    // The same happens without a message, in place, and in a wait set.
    let mut evicted = lossless(&bus);
    bus.store().evict("k", bus.store().participant()).unwrap();
    let ready = WaitSet::new().wait(&[&evicted], Some(DEADLINE)).unwrap();
    assert_eq!(ready, Waited::Ready(vec![0]));
    assert!(matches!(evicted.try_recv_sample(), Err(RecvError::Evicted { next: 9, .. })));
    assert!(evicted.try_recv_sample().unwrap().is_none());
}

#[test]
fn a_later_participant_with_the_same_index_is_not_evicted() {
    let name = Name::new();
    let bus = bus(&name);
    let first = Store::open(&name).unwrap();
    let meant = first.participant();
    drop(first);
    let second = Store::open(&name).unwrap();
    assert_eq!(second.participant().id, meant.id);
    let subscriber = lossless(&Bus::on(second));
    assert!(matches!(bus.store().evict("k", meant), Err(EvictError::NotSubscribed { .. })));
    assert!(matches!(bus.store().evict("nothing", meant), Err(EvictError::NoSuchKey { .. })));
    assert!(subscriber.is_lossless());
}

#[test]
fn too_many_lossless_subscribers_are_refused_with_the_option_to_change() {
    let name = Name::new();
    let bus = bus(&name);
    // Every key has room for eight. More are asked for when it is created.
    bus.store().slot_with("many", &KeyOptions::new().lossless(20)).unwrap();
    for (key, max) in [("k", 8), ("many", 20)] {
        let subscribe = || bus.subscribe_with(key, &SubscribeOptions::new().lossless());
        let all: Vec<_> = (0..max).map(|_| subscribe().unwrap()).collect();
        let error = subscribe().unwrap_err();
        assert!(matches!(error, SubscribeError::TooManyLossless { max: has } if has == max), "{error}");
        assert!(error.to_string().contains("create the key with more `lossless`"), "{error}");
        // Another key has cursors of its own.
        bus.subscribe_with("other", &SubscribeOptions::new().lossless()).unwrap();
        drop(all);
        subscribe().unwrap();
    }
}

#[test]
fn a_subscriber_that_starts_with_the_oldest_misses_nothing() {
    let name = Name::new();
    let bus = bus(&name);
    for number in 0..100u8 {
        bus.publish("k", &vec![number]).unwrap();
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut publisher = bus.publisher("k").unwrap();
            while !stop.load(Ordering::Relaxed) {
                let _ = publisher.publish(&b"more".to_vec());
            }
        });
        let _stop = Stop(&stop);
        for start in [Start::Oldest, Start::Newest, Start::Next].into_iter().cycle().take(300) {
            let options = SubscribeOptions::new().lossless().start(start);
            let mut subscriber = bus.subscribe_with("k", &options).unwrap();
            let first = subscriber.next_version();
            for version in first..first + 12 {
                assert_eq!(subscriber.recv().unwrap().version(), version, "from {start:?}");
            }
        }
    });
}

/// Sets the flag when it is dropped, also if the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_removed_key_is_reported_and_received_again_once_it_is_created_again() {
    let name = Name::new();
    let bus = bus(&name);
    let mut subscriber = lossless(&bus);
    fill(&bus);
    bus.store().unset("k").unwrap();
    // Messages of the removed key that were not received do not limit the new one.
    for number in 0..20 {
        bus.publish("k", &vec![number]).unwrap();
    }
    assert!(matches!(subscriber.recv(), Err(RecvError::Removed { .. })));
    assert!(matches!(subscriber.recv(), Err(RecvError::Lagged(12))));
    for number in 12..20 {
        assert_eq!(**subscriber.recv().unwrap(), [number]);
    }
    assert_eq!(fill(&bus), 8);
}

#[test]
fn a_purge_keeps_messages_that_were_not_received_yet() {
    let name = Name::new();
    let bus = bus(&name);
    for number in 0..4 {
        bus.publish("k", &vec![number]).unwrap();
    }
    let mut subscriber = lossless(&bus);
    for number in 4..7 {
        bus.publish("k", &vec![number]).unwrap();
    }
    bus.store().purge().unwrap();
    assert_eq!(bus.store().slot("k").unwrap().first_version(), 5);
    for number in 4..7 {
        assert_eq!(**subscriber.recv().unwrap(), [number]);
    }
}

#[test]
fn a_lossless_subscriber_receives_all_messages_as_samples() {
    let name = Name::new();
    let bus = bus(&name);
    let mut subscriber = lossless(&bus);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut publisher = bus.publisher("k").unwrap();
            for number in 0..5000u64 {
                publisher.publish_timeout(&number.to_le_bytes().to_vec(), DEADLINE).unwrap();
            }
        });
        for number in 0..5000u64 {
            let sample = subscriber.recv_sample().unwrap();
            assert_eq!(sample.payload(), number.to_le_bytes());
        }
    });
}
