//! Messages that are larger than a cell: they are in places of their own. They are received complete
//! and in place, whatever happens to their publishers.

mod support;

use std::collections::HashMap;

use splinter_bus::store::{KeyOptions, StoreOptions};
use splinter_bus::{Bus, Message, Start, SubscribeOptions};
use support::image::space_of;
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
        // In cells, in medium places and in large ones.
        let len = random.below([600, 6000, 150_000][number as usize % 3]) as usize;
        let text = (0..len).map(|_| char::from(b'a' + random.below(26) as u8)).collect();
        Self { author, number, text }
    }
}

fn options() -> StoreOptions {
    StoreOptions::new().slots(4).key_options(KeyOptions::new().history(64).spare(8))
}

/// How much of the store's file is taken.
fn space(name: &Name) -> u64 {
    space_of(name.path())
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
    let bus = Bus::<Document>::on(support::open_soon_with(&options(), &arguments[0]));
    let mut publisher = bus.publisher("k").unwrap();
    match role.as_str() {
        "author" => {
            let (author, count) = (arguments[1].parse().unwrap(), arguments[2].parse().unwrap());
            for number in 0..count {
                publisher.publish_timeout(&Document::new(author, number), DEADLINE).unwrap();
            }
        }
        "endless author" => {
            for number in 0.. {
                publisher.publish(&Document::new(7, number)).unwrap();
            }
        }
        _ => panic!("no such role: {role}"),
    }
}

#[test]
fn messages_of_every_length_are_received() {
    let name = Name::new();
    let bus = bus(&name);
    let (mut copied, mut sampled) = (bus.subscribe("k").unwrap(), bus.subscribe("k").unwrap());
    for len in (0..1500).chain(65_400..65_600).chain([5000, 20_000, 100_000, 5_000_000]) {
        let sent = bus.publish("k", &document(len)).unwrap();
        let received = copied.recv().unwrap();
        assert_eq!((received.text.len(), received.envelope().id(), received.version()), (len, sent.id, sent.version));
        assert_eq!((received.envelope().seq(), received.envelope().eof()), (0, true));
        let sample = sampled.recv_sample().unwrap();
        assert_eq!(sample.view().unwrap().text.len(), len);
        assert!(sample.is_in_place(), "{len}");
        assert_eq!(bus.get("k").unwrap().unwrap().text.len(), len);
        assert_eq!(bus.sample("k").unwrap().unwrap().view().unwrap().text.len(), len);
    }
    assert!(copied.try_recv().unwrap().is_none() && sampled.try_recv_sample().unwrap().is_none());
    assert_eq!(bus.store().diagnostics().parse_failures, 0);
}

#[test]
fn messages_of_several_publishers_are_complete() {
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
    first.send(&document(200_000)).unwrap();
    second.send(&document(3000)).unwrap();
    second.finish(&document(10)).unwrap();
    first.finish(&document(4000)).unwrap();
    for (len, seq, eof) in [(200_000, 0, false), (3000, 0, false), (10, 1, true), (4000, 1, true)] {
        let received = subscriber.recv().unwrap();
        assert_eq!(
            (received.text.len(), received.envelope().seq(), received.envelope().eof(), received.envelope().id()),
            (len, seq, eof, id)
        );
    }
}

#[test]
fn a_publisher_that_is_killed_leaves_complete_messages_and_no_space() {
    let name = Name::new();
    let bus = bus(&name);
    // The cells of both keys are reserved.
    for _ in 0..100 {
        bus.publish("k", &document(1)).unwrap();
        bus.publish("calm", &document(1)).unwrap();
    }
    assert!(bus.store().unset("k").unwrap());
    let before = space(&name);
    let mut random = Random::new(3);
    let (mut complete, mut in_flight) = (0, 0);
    for round in 0..30 {
        let mut author = Actor::spawn("endless author", &[&name]);
        let enough = bus.store().slot("k").unwrap().version() + 1 + random.below(300);
        support::wait_until("it has published", || bus.store().slot("k").unwrap().version() > enough);
        author.kill();
        in_flight += bus.store().slot("k").unwrap().cells().in_flight;
        let mut subscriber = bus.subscribe_from("k", Start::Oldest).unwrap();
        while let Some(document) = subscriber.try_recv().unwrap() {
            if document.author == 7 {
                assert_eq!(*document, Document::new(7, document.number), "in round {round}");
                complete += 1;
            }
        }
        // The next message is received, and all cells can be used.
        bus.publish("k", &document(100_000)).unwrap();
        assert_eq!(subscriber.recv().unwrap().text.len(), 100_000);
        let mut publisher = Bus::<Vec<u8>>::on(bus.store().clone()).publisher("k").unwrap();
        drop((1..72).map(|_| publisher.loan_bytes(1).unwrap()).collect::<Vec<_>>());
        drop(subscriber);
        assert!(bus.store().unset("k").unwrap());
        let after = space(&name);
        // Side records are reserved with the first long value.
        assert!(after <= before + (16 << 10), "in round {round}: {before} bytes were taken, {after} are");
    }
    println!("{complete} messages were complete, {in_flight} publishes were killed");
    assert!(complete > 300);
}
