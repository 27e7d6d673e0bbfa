//! Waiting for any of several sources of different types, stores and processes, and for a waker.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use splinter_bus::bus::{Source, WaitError, WaitSet, Waited};
use splinter_bus::store::{KeyOptions, Store, StoreOptions};
use splinter_bus::{Bus, Message, RecvError, Subscriber};
use support::{Actor, DEADLINE, Name, Random};

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Tick {
    count: u64,
}

fn options() -> StoreOptions {
    StoreOptions::new().slots(128).key_options(KeyOptions::new().history(4).spare(4))
}

fn sources<T>(subscribers: &[Subscriber<T>]) -> Vec<&dyn Source> {
    subscribers.iter().map(|subscriber| subscriber as &dyn Source).collect()
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    assert_eq!(role, "publisher");
    let bus = Bus::<Tick>::on(support::open_soon_with(&options(), &arguments[0]));
    let mut random = Random::new(5);
    for count in 0..2000 {
        bus.publish(&format!("key {}", random.below(100)), &Tick { count }).unwrap();
    }
}

#[test]
fn a_wait_set_returns_the_ready_sources_in_order() {
    let (name, other) = (Name::new(), Name::new());
    let ticks = Bus::<Tick>::on(name.create(&options()));
    let bytes = Bus::<Vec<u8>>::on(other.create(&options()));
    let mut tick = ticks.subscribe("k").unwrap();
    let mut byte = bytes.subscribe("k").unwrap();
    let mut work = bytes.work_queue("work").unwrap();
    let mut set = WaitSet::new();
    assert_eq!(set.wait(&[&tick, &byte, &work], Some(Duration::ZERO)).unwrap(), Waited::TimedOut);
    bytes.publish("work", &vec![1]).unwrap();
    ticks.publish("k", &Tick { count: 1 }).unwrap();
    assert_eq!(set.wait(&[&tick, &byte, &work], None).unwrap(), Waited::Ready(vec![0, 2]));
    assert_eq!(tick.recv().unwrap().count, 1);
    let job = work.recv().unwrap();
    assert_eq!(set.wait(&[&tick, &byte, &work], Some(Duration::from_millis(1))).unwrap(), Waited::TimedOut);
    drop(job);
    assert_eq!(set.wait(&[&tick, &byte, &work], None).unwrap(), Waited::Ready(vec![2]));
    bytes.publish("k", &vec![1]).unwrap();
    assert_eq!(set.wait(&[&byte], None).unwrap(), Waited::Ready(vec![0]));
    assert_eq!(**byte.recv().unwrap(), [1]);
    assert_eq!(work.recv().unwrap().attempt(), 2);
    // A removed key makes a source ready.
    ticks.store().unset("k").unwrap();
    assert_eq!(set.wait(&[&tick], None).unwrap(), Waited::Ready(vec![0]));
    assert!(matches!(tick.recv(), Err(RecvError::Removed { .. })));
    ticks.publish("k", &Tick { count: 2 }).unwrap();
    assert_eq!(set.wait(&[&tick], None).unwrap(), Waited::Ready(vec![0]));
    assert_eq!(tick.recv().unwrap().count, 2);
}

#[test]
fn a_hundred_subscribers_in_one_set_receive_all_messages_of_another_process() {
    let name = Name::new();
    let bus = Bus::<Tick>::on(name.create(&options().key_options(KeyOptions::new().history(64))));
    let mut subscribers: Vec<_> = (0..100).map(|key| bus.subscribe(&format!("key {key}")).unwrap()).collect();
    let publisher = Actor::spawn("publisher", &[&name]);
    let (mut set, mut received) = (WaitSet::new(), 0);
    while received < 2000 {
        let Waited::Ready(ready) = set.wait(&sources(&subscribers), Some(DEADLINE)).unwrap() else {
            panic!("another message");
        };
        for index in ready {
            while let Some(tick) = subscribers[index].try_recv().unwrap() {
                assert!(tick.count < 2000);
                received += 1;
            }
        }
    }
    publisher.finish();
}

#[test]
fn a_sleeping_wait_is_woken_by_a_publisher_and_by_a_waker() {
    let name = Name::new();
    let bus = Bus::<Tick>::on(name.create(&options()));
    let mut set = WaitSet::new();
    let waker = set.waker();
    let subscriber = bus.subscribe("k").unwrap();
    let waiting = support::this_thread();
    thread::scope(|scope| {
        let by_hand = waker.clone();
        scope.spawn(move || {
            support::wait_until_asleep(waiting);
            by_hand.wake();
        });
        assert_eq!(set.wait(&[&subscriber], None).unwrap(), Waited::Woken);
        scope.spawn(|| {
            support::wait_until_asleep(waiting);
            bus.publish("k", &Tick { count: 1 }).unwrap();
        });
        assert_eq!(set.wait(&[&subscriber], None).unwrap(), Waited::Ready(vec![0]));
    });
    // Two calls before the wait wake it once.
    waker.wake();
    waker.wake();
    assert_eq!(set.wait(&[], None).unwrap(), Waited::Woken);
    assert_eq!(set.wait(&[], Some(Duration::from_millis(1))).unwrap(), Waited::TimedOut);
}

#[test]
fn waiting_returns_at_the_timeout_and_too_many_sources_are_refused() {
    let name = Name::new();
    let bus = Bus::<Tick>::on(name.create(&options()));
    let mut subscribers: Vec<_> = (0..127).map(|key| bus.subscribe(&format!("key {key}")).unwrap()).collect();
    let mut set = WaitSet::new();
    let start = Instant::now();
    let waited = set.wait(&sources(&subscribers), Some(Duration::from_millis(150))).unwrap();
    assert_eq!(waited, Waited::TimedOut);
    assert!(start.elapsed() >= Duration::from_millis(150));
    bus.publish("key 126", &Tick { count: 1 }).unwrap();
    assert_eq!(set.wait(&sources(&subscribers), None).unwrap(), Waited::Ready(vec![126]));
    subscribers.push(bus.subscribe("key 0").unwrap());
    let error = set.wait(&sources(&subscribers), None).unwrap_err();
    assert_eq!(error, WaitError::TooMany { given: 128, max: 127 });
    assert!(error.to_string().contains("128, maximum 127"), "{error}");
}

#[test]
fn a_requeued_message_makes_a_queue_ready() {
    let name = Name::new();
    let bus = Bus::<Tick>::on(name.create(&options()));
    let other = Bus::<Tick>::on(Store::open(&name).unwrap());
    bus.publish("work", &Tick { count: 1 }).unwrap();
    let (work, mut dying) = (bus.work_queue("work").unwrap(), other.work_queue("work").unwrap());
    let job = dying.recv().unwrap();
    let mut set = WaitSet::new();
    assert_eq!(set.wait(&[&work], Some(Duration::from_millis(1))).unwrap(), Waited::TimedOut);
    drop(job);
    assert_eq!(set.wait(&[&work], Some(DEADLINE)).unwrap(), Waited::Ready(vec![0]));
}
