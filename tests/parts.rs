//! Messages that are longer than the longest value of their key. They are received complete, or their
//! loss is reported, and receivers do not hang.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use splinter_bus::bus::WaitSet;
use splinter_bus::frame::FaultCode;
use splinter_bus::store::{KeyOptions, SetError, StoreOptions};
use splinter_bus::{Bus, Message, PublishError, RecvError, Start, SubscribeOptions};
use support::{Actor, DEADLINE, Name};

#[derive(Message, serde::Serialize, serde::Deserialize, PartialEq, Debug, Clone)]
struct Document {
    text: String,
}

/// The longest value of a key has 65,536 bytes.
fn options() -> StoreOptions {
    StoreOptions::new().slots(4).span(6 << 20).key_options(KeyOptions::new().history(64).spare(8))
}

fn bus(name: &Name) -> Bus<Document> {
    Bus::on(name.create(&options()))
}

fn document(len: usize) -> Document {
    Document { text: "x".repeat(len) }
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    let bus = Bus::<Document>::on(support::open_soon_with(&options(), &arguments[0]));
    let mut publisher = bus.publisher("k").unwrap();
    assert_eq!(role, "endless author");
    // The second message does not fit beside the first, so the process is killed in the middle of it.
    loop {
        publisher.publish_timeout(&document(3_000_000), DEADLINE).unwrap();
    }
}

#[test]
fn a_missing_part_is_an_error_and_not_a_hang() {
    let name = Name::new();
    let bus = bus(&name);
    let options = SubscribeOptions::new().part_timeout(Duration::from_millis(30));
    let mut subscriber = bus.subscribe_with("k", &options).unwrap();
    bus.publisher("k").unwrap().publish(&document(400_000)).unwrap();
    // All parts except the last are published, as by a publisher that is killed.
    let slot = bus.store().slot("k").unwrap();
    let (newest, mut parts) = (slot.version(), Vec::new());
    for version in 1..newest {
        let mut part = Vec::new();
        slot.get_version_into(version, &mut part).unwrap();
        parts.push(part);
    }
    assert_eq!(subscriber.recv().unwrap().text.len(), 400_000);
    for part in &parts {
        slot.set(part).unwrap();
    }
    let start = Instant::now();
    let error = subscriber.recv().unwrap_err();
    assert!(matches!(error, RecvError::Incomplete { received: 65_000.., total: 400_000.., .. }), "{error}");
    assert_eq!(error.fault(), Some(FaultCode::StreamTimeout));
    assert!(start.elapsed() >= Duration::from_millis(30));
    // A part in the middle is missing. The receiver knows that at once.
    for part in parts.iter().take(2).chain(&parts[3..]) {
        slot.set(part).unwrap();
    }
    bus.publisher("k").unwrap().publish(&document(5)).unwrap();
    assert!(matches!(subscriber.recv(), Err(RecvError::Incomplete { .. })));
    assert_eq!(subscriber.recv().unwrap().text.len(), 5);
    // A wait set with several sources reports it, too.
    slot.set(&parts[0]).unwrap();
    assert!(subscriber.try_recv().unwrap().is_none());
    WaitSet::new().wait(&[&subscriber], Some(DEADLINE)).unwrap();
    assert!(matches!(subscriber.try_recv(), Err(RecvError::Incomplete { .. })));
}

#[test]
fn a_message_whose_publisher_was_killed_is_an_error_and_the_next_one_is_received() {
    let name = Name::new();
    let bus = bus(&name);
    let options = SubscribeOptions::new().lossless().part_timeout(Duration::from_millis(50));
    for _ in 0..20 {
        let mut subscriber = bus.subscribe_with("k", &options).unwrap();
        let mut author = Actor::spawn("endless author", &[&name]);
        support::wait_until("the second has begun", || bus.store().slot("k").unwrap().cells().retained > 60);
        author.kill();
        assert_eq!(subscriber.recv_timeout(DEADLINE).unwrap().expect("the first").text.len(), 3_000_000);
        let error = subscriber.recv_timeout(DEADLINE).unwrap_err();
        assert!(matches!(error, RecvError::Incomplete { received: 1.., total: 3_000_000.., .. }), "{error}");
        bus.publisher("k").unwrap().publish(&document(1)).unwrap();
        assert_eq!(subscriber.recv_timeout(DEADLINE).unwrap().expect("the next message").text.len(), 1);
    }
}

#[test]
fn parts_of_a_message_that_began_before_the_subscription_are_skipped() {
    let name = Name::new();
    let bus = bus(&name);
    bus.publisher("k").unwrap().publish(&document(400_000)).unwrap();
    let mut late = bus.subscribe_from("k", Start::Version(3)).unwrap();
    bus.publisher("k").unwrap().publish(&document(1)).unwrap();
    assert_eq!(late.recv().unwrap().text.len(), 1);
}

#[test]
fn a_message_with_too_many_parts_is_refused_unless_the_key_is_lossless() {
    let name = Name::new();
    let bus = bus(&name);
    let error = bus.publisher("k").unwrap().publish(&document(6_000_000)).unwrap_err();
    assert!(matches!(error, PublishError::TooManyParts { history: 64, parts: 90.., .. }), "{error}");
    assert!(error.to_string().contains("more history"), "{error}");
    let mut publisher = bus.publisher("k").unwrap();
    let error = publisher.publish_timeout(&document(6_000_000), DEADLINE).unwrap_err();
    assert!(matches!(error, PublishError::TooManyParts { .. }));
    let mut subscriber = bus.subscribe_with("k", &SubscribeOptions::new().lossless()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| publisher.publish_timeout(&document(20_000_000), DEADLINE).unwrap());
        assert_eq!(subscriber.recv().unwrap().text.len(), 20_000_000);
    });
    // Without waiting, all parts are published or none.
    bus.publisher("k").unwrap().publish(&document(3_000_000)).unwrap();
    let before = bus.store().slot("k").unwrap().version();
    assert!(matches!(
        bus.publisher("k").unwrap().publish(&document(3_000_000)),
        Err(PublishError::Set(SetError::Backpressure(_)))
    ));
    assert_eq!(bus.store().slot("k").unwrap().version(), before);
    assert_eq!(subscriber.recv().unwrap().text.len(), 3_000_000);
}

#[test]
fn a_part_is_never_received_as_a_message() {
    let name = Name::new();
    let bytes = Bus::<Vec<u8>>::on(name.create(&options()));
    bytes.publisher("k").unwrap().publish(&vec![7; 400_000]).unwrap();
    let error = bytes.sample_version("k", 1).unwrap_err();
    assert!(matches!(error, RecvError::Incomplete { total: 400_000.., .. }), "{error}");
    // The key becomes a queue after the parts were published.
    let mut queue = bytes.work_queue("k").unwrap();
    let parts = bytes.store().slot("k").unwrap().version();
    for _ in 0..parts {
        assert!(matches!(queue.recv(), Err(RecvError::Incomplete { .. })));
    }
    assert!(queue.try_recv().unwrap().is_none());
}
