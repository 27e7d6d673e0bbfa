//! Messages that are larger than a cell. They are received complete, or their loss is reported, and
//! receivers do not hang.

mod support;

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use splinter_bus::bus::WaitSet;
use splinter_bus::frame::FaultCode;
use splinter_bus::store::{KeyOptions, SetError, StoreOptions};
use splinter_bus::{Bus, Message, PublishError, RecvError, Start, SubscribeOptions};
use support::{Actor, DEADLINE, Name, Random};

#[derive(Message, serde::Serialize, serde::Deserialize, PartialEq, Debug, Clone)]
struct Document {
    author: u32,
    number: u32,
    text: String,
}

impl Document {
    /// All fields follow from author and number.
    fn new(author: u32, number: u32) -> Self {
        let mut random = Random::new(u64::from(author) << 32 | u64::from(number));
        let len = random.below(6000) as usize;
        let text = (0..len).map(|_| char::from(b'a' + random.below(26) as u8)).collect();
        Self { author, number, text }
    }
}

fn options() -> StoreOptions {
    StoreOptions::new().slots(4).key_options(KeyOptions::new().history(64).spare(8))
}

fn bus(name: &Name) -> Bus<Document> {
    Bus::on(name.create(&options()))
}

fn document(len: usize) -> Document {
    Document { author: 0, number: 0, text: "x".repeat(len) }
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    let bus = Bus::<Document>::on(support::open_soon(&arguments[0]));
    let mut publisher = bus.publisher("k").unwrap();
    match role.as_str() {
        "author" => {
            let (author, count) = (arguments[1].parse().unwrap(), arguments[2].parse().unwrap());
            for number in 0..count {
                publisher.publish_timeout(&Document::new(author, number), DEADLINE).unwrap();
            }
        }
        // The second message does not fit beside the first, so the process is killed in the middle
        // of it.
        "endless author" => loop {
            publisher.publish_timeout(&document(20_000), DEADLINE).unwrap();
        },
        _ => panic!("no such role: {role}"),
    }
}

#[test]
fn messages_of_every_length_are_received() {
    let name = Name::new();
    let bus = bus(&name);
    let (mut copied, mut sampled) = (bus.subscribe("k").unwrap(), bus.subscribe("k").unwrap());
    for len in (0..1500).chain([5000, 20_000]) {
        let sent = bus.publish("k", &document(len)).unwrap();
        let received = copied.recv().unwrap();
        assert_eq!((received.text.len(), received.envelope().id(), received.version()), (len, sent.id, sent.version));
        assert_eq!((received.envelope().seq(), received.envelope().eof()), (0, true));
        let sample = sampled.recv_sample().unwrap();
        assert_eq!(sample.view().unwrap().text.len(), len);
        // Names of senders have different lengths.
        if !(300..500).contains(&len) {
            assert_eq!(sample.is_in_place(), len < 300, "{len}");
        }
        assert_eq!(bus.get("k").unwrap().unwrap().text.len(), len);
        assert_eq!(bus.sample("k").unwrap().unwrap().view().unwrap().text.len(), len);
    }
    assert!(copied.try_recv().unwrap().is_none() && sampled.try_recv_sample().unwrap().is_none());
    assert_eq!(bus.store().diagnostics().parse_failures, 0);
}

#[test]
fn messages_of_several_publishers_are_complete_although_their_parts_are_interleaved() {
    let name = Name::new();
    let bus = bus(&name);
    let mut subscriber = bus.subscribe_with("k", &SubscribeOptions::new().lossless()).unwrap();
    let count = 300;
    let authors =
        [1, 2, 3].map(|author: u32| Actor::spawn("author", &[&name, &author.to_string(), &count.to_string()]));
    let mut next: HashMap<u32, u32> = HashMap::new();
    for _ in 0..3 * count {
        let document = subscriber.recv_timeout(DEADLINE).unwrap().expect("another message");
        let number = next.entry(document.author).or_default();
        assert_eq!(*document, Document::new(document.author, *number));
        *number += 1;
    }
    assert!(next.values().all(|&number| number == count));
    authors.into_iter().for_each(Actor::finish);
}

#[test]
fn streams_of_large_messages_under_one_id_keep_their_numbers() {
    let name = Name::new();
    let bus = bus(&name);
    let mut subscriber = bus.subscribe("k").unwrap();
    let (mut one, mut other) = (bus.publisher("k").unwrap(), bus.publisher("k").unwrap());
    let id = uuid::Uuid::now_v7();
    let (mut first, mut second) = (one.stream(id), other.stream(id));
    first.send(&document(2000)).unwrap();
    second.send(&document(3000)).unwrap();
    second.finish(&document(10)).unwrap();
    first.finish(&document(4000)).unwrap();
    for (len, seq, eof) in [(2000, 0, false), (3000, 0, false), (10, 1, true), (4000, 1, true)] {
        let received = subscriber.recv().unwrap();
        assert_eq!(
            (received.text.len(), received.envelope().seq(), received.envelope().eof(), received.envelope().id()),
            (len, seq, eof, id)
        );
    }
}

#[test]
fn a_missing_part_is_an_error_and_not_a_hang() {
    let name = Name::new();
    let bus = bus(&name);
    let options = SubscribeOptions::new().part_timeout(Duration::from_millis(30));
    let mut subscriber = bus.subscribe_with("k", &options).unwrap();
    bus.publish("k", &document(3000)).unwrap();
    // All parts except the last are published, as by a publisher that is killed.
    let slot = bus.store().slot("k").unwrap();
    let (newest, mut parts) = (slot.version(), Vec::new());
    for version in 1..newest {
        let mut part = Vec::new();
        slot.get_version_into(version, &mut part).unwrap();
        parts.push(part);
    }
    assert_eq!(subscriber.recv().unwrap().text.len(), 3000);
    for part in &parts {
        slot.set(part).unwrap();
    }
    let start = Instant::now();
    let error = subscriber.recv().unwrap_err();
    assert!(matches!(error, RecvError::Incomplete { received: 1000.., total: 3000.., .. }), "{error}");
    assert_eq!(error.fault(), Some(FaultCode::StreamTimeout));
    assert!(start.elapsed() >= Duration::from_millis(30));
    // A part in the middle is missing. The receiver knows that at once.
    for part in parts.iter().take(2).chain(&parts[3..]) {
        slot.set(part).unwrap();
    }
    bus.publish("k", &document(5)).unwrap();
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
        assert_eq!(subscriber.recv_timeout(DEADLINE).unwrap().expect("the first").text.len(), 20_000);
        let error = subscriber.recv_timeout(DEADLINE).unwrap_err();
        assert!(matches!(error, RecvError::Incomplete { received: 1.., total: 20_000.., .. }), "{error}");
        bus.publish("k", &document(1)).unwrap();
        assert_eq!(subscriber.recv_timeout(DEADLINE).unwrap().expect("the next message").text.len(), 1);
    }
}

#[test]
fn parts_of_a_message_that_began_before_the_subscription_are_skipped() {
    let name = Name::new();
    let bus = bus(&name);
    bus.publish("k", &document(3000)).unwrap();
    let mut late = bus.subscribe_from("k", Start::Version(3)).unwrap();
    bus.publish("k", &document(1)).unwrap();
    assert_eq!(late.recv().unwrap().text.len(), 1);
}

#[test]
fn a_message_with_too_many_parts_is_refused_unless_the_key_is_lossless() {
    let name = Name::new();
    let bus = bus(&name);
    let error = bus.publish("k", &document(40_000)).unwrap_err();
    assert!(matches!(error, PublishError::TooManyParts { history: 64, parts: 90.., .. }), "{error}");
    assert!(error.to_string().contains("a larger max_value_size or more history"), "{error}");
    let mut publisher = bus.publisher("k").unwrap();
    let error = publisher.publish_timeout(&document(40_000), DEADLINE).unwrap_err();
    assert!(matches!(error, PublishError::TooManyParts { .. }));
    let mut subscriber = bus.subscribe_with("k", &SubscribeOptions::new().lossless()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| publisher.publish_timeout(&document(1_000_000), DEADLINE).unwrap());
        assert_eq!(subscriber.recv().unwrap().text.len(), 1_000_000);
    });
    // Without waiting, all parts are published or none.
    bus.publish("k", &document(20_000)).unwrap();
    let before = bus.store().slot("k").unwrap().version();
    assert!(matches!(bus.publish("k", &document(20_000)), Err(PublishError::Set(SetError::Backpressure(_)))));
    assert_eq!(bus.store().slot("k").unwrap().version(), before);
    assert_eq!(subscriber.recv().unwrap().text.len(), 20_000);
}

#[test]
fn a_part_is_never_received_as_a_message() {
    let name = Name::new();
    let bytes = Bus::<Vec<u8>>::on(name.create(&options()));
    bytes.publish("k", &vec![7; 3000]).unwrap();
    let error = bytes.sample_version("k", 1).unwrap_err();
    assert!(matches!(error, RecvError::Incomplete { total: 3000.., .. }), "{error}");
    // The key becomes a queue after the parts were published.
    let mut queue = bytes.work_queue("k").unwrap();
    let parts = bytes.store().slot("k").unwrap().version();
    for _ in 0..parts {
        assert!(matches!(queue.recv(), Err(RecvError::Incomplete { .. })));
    }
    assert!(queue.try_recv().unwrap().is_none());
}
