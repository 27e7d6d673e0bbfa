//! Messages that are larger than a cell: they are in places of their own. They are received complete
//! and in place, whatever happens to their publishers.

mod support;

use std::collections::HashMap;

use splinter_bus::store::{DirectoryError, KeyOptions, SetError, StoreOptions};
use splinter_bus::{Bus, Message, PublishError, Start, SubscribeError, SubscribeOptions};
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

/// A tensor of 4 MiB.
#[derive(Message, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)]
#[message(encoding = "zerocopy", checksum = false)]
#[repr(C)]
struct Tensor([f32; 1 << 20]);

#[test]
fn a_default_store_takes_messages_of_40_mib_and_a_queue_jobs_of_almost_4() {
    let name = Name::new();
    let bus: Bus<Vec<u8>> = Bus::create(&*name).unwrap();
    let documents = Bus::<Document>::on(bus.store().clone());
    let (mut bytes, mut texts) = (bus.subscribe("bytes").unwrap(), documents.subscribe("texts").unwrap());
    for len in [100_000, 1 << 20, 40 << 20] {
        bus.publish("bytes", &vec![7; len]).unwrap();
        assert_eq!(*bytes.recv().unwrap(), vec![7; len]);
        documents.publish("texts", &document(len)).unwrap();
        let sample = texts.recv_sample().unwrap();
        assert!(sample.is_in_place());
        assert_eq!(sample.view().unwrap().text, "x".repeat(len));
    }
    let mut worker = bus.work_queue("jobs").unwrap();
    for len in [100_000, 1 << 20, 3_900_000] {
        bus.publish("jobs", &vec![8; len]).unwrap();
        let job = worker.recv().unwrap();
        assert_eq!(*job, vec![8; len]);
        job.acknowledge().unwrap();
    }
    // A queue holds many jobs that nobody has taken yet.
    for number in 0..250u8 {
        bus.publish("jobs", &vec![number; 1000]).unwrap();
    }
    for number in 0..250 {
        let job = worker.recv().unwrap();
        assert_eq!(*job, vec![number; 1000]);
        job.acknowledge().unwrap();
    }
}

#[test]
fn a_tensor_is_written_and_read_in_place() {
    let name = Name::new();
    let bus: Bus<Tensor> = Bus::create(&*name).unwrap();
    let mut subscriber = bus.subscribe("tensor").unwrap();
    let mut publisher = bus.publisher("tensor").unwrap();
    for round in 0..3 {
        let mut loan = publisher.loan_zeroed().unwrap();
        assert!(loan.0.iter().all(|&number| number == 0.0));
        loan.0.iter_mut().zip(round..).for_each(|(number, at)| *number = at as f32);
        let address = std::ptr::from_ref(&*loan).addr();
        assert_eq!(address % align_of::<Tensor>(), 0);
        loan.send().unwrap();
        let sample = subscriber.recv_sample().unwrap();
        assert!(sample.is_in_place());
        assert!(sample.0.iter().zip(round..).all(|(&number, at)| number == at as f32));
        assert!(sample.payload().as_ptr().addr().is_multiple_of(16));
    }
}

#[test]
fn a_message_that_is_longer_than_its_key_allows_is_refused_with_the_numbers() {
    let name = Name::new();
    let bus: Bus<Vec<u8>> = Bus::create(&*name).unwrap();
    // The longest value of a key with this many cells has 65,536 bytes.
    let mut publisher = bus.publisher_with("k", &KeyOptions::new().history(4096).spare(4096)).unwrap();
    let error = publisher.publish(&vec![7; 65_536]).unwrap_err();
    assert!(matches!(error, PublishError::Set(SetError::TooLarge { len, max: 65_536 }) if len > 65_536), "{error}");
    assert!(error.to_string().contains("create it with fewer cells"), "{error}");
    assert!(publisher.loan_bytes(65_536).is_err());
    assert!(bus.get("k").unwrap().is_none());
    publisher.publish(&vec![7; 65_000]).unwrap();
    assert_eq!(bus.get("k").unwrap().unwrap().len(), 65_000);
}

#[test]
fn publishers_subscribers_and_workers_create_keys_with_options_also_after_a_removal() {
    let name = Name::new();
    let bus: Bus<Vec<u8>> = Bus::create(&*name).unwrap();
    let history = |key: &str| bus.store().existing_slot(key).unwrap().unwrap().shape().history;
    let options = KeyOptions::new().history(100);
    let mut publisher = bus.publisher_with("published", &options).unwrap();
    let mut subscriber = bus.subscribe_with("subscribed", &SubscribeOptions::new().key_options(options)).unwrap();
    let mut worker = bus.work_queue_with("queued", &options).unwrap();
    let _queue = bus.work_queue("plain queue").unwrap();
    let keys = ["published", "subscribed", "queued"];
    assert_eq!(keys.map(history), [100; 3]);
    assert_eq!(history("plain queue"), 240);
    for key in keys {
        assert!(bus.store().unset(key).unwrap().is_some());
    }
    publisher.publish(&vec![1]).unwrap();
    assert!(subscriber.try_recv().is_err() && worker.try_recv().is_err());
    assert!(subscriber.try_recv().unwrap().is_none() && worker.try_recv().unwrap().is_none());
    assert_eq!(keys.map(history), [100; 3]);
    let more = options.history(101);
    assert!(matches!(
        bus.subscribe_with("published", &SubscribeOptions::new().key_options(more)),
        Err(SubscribeError::Directory(DirectoryError::Shape(_)))
    ));
    let error = bus.work_queue_with("queued", &more).unwrap_err();
    assert!(error.to_string().contains("history 101, it has 100"), "{error}");
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
    // What stays: the cells of both keys, their side records and pages.
    for len in [3000, 30_000].into_iter().flat_map(|len| [len; 100]) {
        bus.publish("k", &document(len)).unwrap();
        bus.publish("calm", &document(3000)).unwrap();
    }
    assert!(bus.store().unset("k").unwrap().is_some());
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
        assert!(bus.store().unset("k").unwrap().is_some());
        let after = space(&name);
        assert!(after <= before, "in round {round}: {before} bytes were taken, {after} are");
    }
    println!("{complete} messages were complete, {in_flight} publishes were killed");
    assert!(complete > 300);
}
