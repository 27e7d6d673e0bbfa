//! Typed messages between publishers and subscribers: delivery, order, and errors.

mod support;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use splinter_bus::frame::{FaultCode, Frame, FrameError, Kind};
use splinter_bus::message::Fault;
use splinter_bus::store::{DirectoryError, SetError};
use splinter_bus::{
    Bus, Job, KeyOptions, Message, PublishError, Received, RecvError, Start, Store, StoreOptions, SubscribeError,
};
use support::Name;
use uuid::Uuid;

#[derive(Message, Serialize, Deserialize, PartialEq, Debug, Clone)]
#[message(kind = "query")]
struct Prompt {
    text: String,
    max_tokens: u32,
}

fn prompt(text: &str) -> Prompt {
    Prompt { text: text.to_owned(), max_tokens: 64 }
}

fn bus<T: Message>(name: &Name) -> Bus<T> {
    Bus::on(name.create(&StoreOptions::new().slots(8).key_options(KeyOptions::new().history(4).spare(2))))
}

#[test]
fn a_message_arrives_with_its_envelope() {
    let name = Name::new();
    let bus = bus::<Prompt>(&name);
    let mut prompts = bus.subscribe("llm:prompt").unwrap();
    let mut publisher = bus.publisher("llm:prompt").unwrap().from("client").to("worker").trace("t-1");
    let sent = publisher.publish(&prompt("Why is the sky blue?")).unwrap();
    let received = prompts.recv().unwrap();
    assert_eq!(*received, prompt("Why is the sky blue?"));
    assert_eq!((received.envelope().id(), received.version()), (sent.id, sent.version));
    assert_eq!(
        (received.envelope().from(), received.envelope().to(), received.envelope().trace()),
        ("client", "worker", "t-1")
    );
    assert_eq!((received.envelope().seq(), received.envelope().eof()), (0, true));
    assert_eq!(received.envelope().kind(), splinter_bus::frame::Kind::Query);
    assert!(received.envelope().sent_at().elapsed().unwrap() < support::DEADLINE);
}

/// A message whose methods have the same names as those of its envelope.
#[derive(Message, Serialize, Deserialize, Clone, Copy)]
struct Letter {
    id: u32,
}

impl Letter {
    fn id(&self) -> u32 {
        self.id
    }

    fn from(&self) -> &'static str {
        "me"
    }

    fn to(&self) -> &'static str {
        "you"
    }

    fn kind(&self) -> u32 {
        self.id + 1
    }

    fn received(&self) -> u32 {
        self.id + 2
    }

    fn into_inner(self) -> u32 {
        self.id + 3
    }
}

#[test]
fn methods_of_a_message_are_not_hidden_by_its_envelope() {
    let name = Name::new();
    let bus = bus::<Letter>(&name);
    let mut letters = bus.work_queue("k").unwrap();
    bus.publish("k", &Letter { id: 7 }).unwrap();
    let received = bus.get("k").unwrap().unwrap();
    assert_eq!((received.id(), received.from(), received.to(), received.kind()), (7, "me", "you", 8));
    assert_eq!((received.received(), received.into_inner()), (9, 10));
    let job = letters.recv().unwrap();
    assert_eq!((job.id(), job.from(), job.to(), job.kind()), (7, "me", "you", 8));
    assert_eq!((job.received(), job.into_inner()), (9, 10));
    assert_eq!((job.version(), Job::received(&job).version()), (1, received.version()));
    assert_eq!(job.envelope(), received.envelope());
    assert_eq!(Received::into_inner(received).id, 7);
    job.acknowledge().unwrap();
}

#[test]
fn an_unnamed_sender_is_named_after_its_program_and_a_number_of_the_process() {
    let name = Name::new();
    let bus = bus::<Prompt>(&name);
    bus.publish("k", &prompt("")).unwrap();
    let received = bus.get("k").unwrap().unwrap();
    assert!(received.envelope().from().starts_with("bus-"), "{}", received.envelope().from());
    let (_, number) = received.envelope().from().rsplit_once('-').unwrap();
    assert!(number.len() == 8 && u32::from_str_radix(number, 16).is_ok(), "{number}");
    let other: Bus<Prompt> = Bus::on(bus.store().clone());
    other.publisher("k").unwrap().publish(&prompt("")).unwrap();
    assert_eq!(other.get("k").unwrap().unwrap().envelope().from(), received.envelope().from());
    assert_eq!(received.envelope().to(), "*");
}

#[test]
fn subscribers_start_at_the_oldest_the_next_or_a_given_version() {
    let name = Name::new();
    let bus = bus::<Prompt>(&name);
    // A subscriber may come before the first message.
    let mut early = [Start::Next, Start::Newest, Start::Oldest].map(|start| bus.subscribe_from("k", start).unwrap());
    for text in ["1", "2", "3", "4", "5", "6", "7"] {
        bus.publish("k", &prompt(text)).unwrap();
        for subscriber in &mut early {
            assert_eq!(subscriber.recv().unwrap().text, text);
        }
    }
    let first = |start| bus.subscribe_from("k", start).unwrap().try_recv().unwrap().map(|prompt| prompt.text.clone());
    assert_eq!(first(Start::Next), None);
    assert_eq!(first(Start::Newest).as_deref(), Some("7"));
    // There are six cells: history and spare cells hold the six newest messages.
    assert_eq!(first(Start::Oldest).as_deref(), Some("2"));
    assert_eq!(bus.get("k").unwrap().unwrap().text, "7");
    assert_eq!(bus.get("nothing").unwrap(), None);
}

#[test]
fn a_slow_subscriber_gets_the_number_of_missed_messages_and_continues() {
    let name = Name::new();
    let bus = bus::<Prompt>(&name);
    let mut prompts = bus.subscribe("k").unwrap();
    for number in 1..=20 {
        bus.publish("k", &prompt(&number.to_string())).unwrap();
    }
    assert!(matches!(prompts.recv(), Err(RecvError::Lagged(14))));
    let rest: Vec<_> = std::iter::from_fn(|| prompts.try_recv().unwrap().map(|prompt| prompt.text.clone())).collect();
    assert_eq!(rest, ["15", "16", "17", "18", "19", "20"]);
}

#[test]
fn recv_timeout_returns_at_the_timeout_and_recv_wakes_at_a_message() {
    let name = Name::new();
    let bus = bus::<Prompt>(&name);
    let mut prompts = bus.subscribe("k").unwrap();
    assert_eq!(prompts.try_recv().unwrap(), None);
    assert_eq!(prompts.recv_timeout(Duration::from_millis(5)).unwrap(), None);
    let waiting = std::thread::spawn(move || prompts.recv().unwrap().text.clone());
    bus.publish("k", &prompt("wake up")).unwrap();
    assert_eq!(waiting.join().unwrap(), "wake up");
}

#[test]
fn an_expired_message_is_not_delivered_as_valid() {
    let name = Name::new();
    let bus = bus::<Prompt>(&name);
    let mut prompts = bus.subscribe("k").unwrap();
    let mut brief = bus.publisher("k").unwrap().from("hurry").ttl(Duration::from_millis(1));
    brief.publish(&prompt("too late")).unwrap();
    let sent_at = std::time::Instant::now();
    support::wait_until("the clock moves on", || sent_at.elapsed() > Duration::from_millis(2));
    let error = prompts.recv().unwrap_err();
    assert!(matches!(&error, RecvError::Expired { from, .. } if from == "hurry"), "{error}");
    assert_eq!(error.fault(), Some(FaultCode::TtlExpired));
    assert!(matches!(bus.get("k"), Err(RecvError::Expired { .. })));
    // The frame itself is valid.
    assert_eq!(bus.store().diagnostics().parse_failures, 0);
    let mut long = bus.publisher("k").unwrap().ttl(Duration::from_secs(3600));
    long.publish(&prompt("in time")).unwrap();
    assert_eq!(prompts.recv().unwrap().envelope().ttl(), Some(Duration::from_secs(3600)));
}

#[test]
fn a_ttl_outside_of_the_range_of_milliseconds_is_refused_and_none_is_shortened() {
    let name = Name::new();
    let bus = bus::<Prompt>(&name);
    let ms = Duration::from_millis;
    let sent = |ttl: Duration| {
        bus.publisher("k").unwrap().ttl(ttl).publish(&prompt("p")).unwrap();
        let bytes = bus.store().get("k").unwrap().unwrap();
        // A short time to live may have expired by now, so this reads the frame and not the bus.
        Frame::parse(&bytes).unwrap().ttl().map(|ttl| ms(ttl.into()))
    };
    let longest = ms((u32::MAX / 2).into());
    for (ttl, expected) in [
        (ms(1), ms(1)),
        (Duration::from_nanos(1_000_001), ms(2)),
        (Duration::from_micros(1500), ms(2)),
        (Duration::from_secs(5), ms(5000)),
        (longest, longest),
    ] {
        assert_eq!(sent(ttl), Some(expected));
    }
    for ttl in [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_nanos(999_999),
        longest + Duration::from_nanos(1),
        Duration::from_secs(25 * 24 * 3600),
        Duration::MAX,
    ] {
        let mut publisher = bus.publisher("k").unwrap().ttl(ttl);
        let error = publisher.publish(&prompt("p")).unwrap_err();
        assert!(matches!(error, PublishError::Ttl { ttl: refused } if refused == ttl), "{error}");
        assert!(
            error.to_string().starts_with(&format!(
                "a ttl of {ttl:?} is out of range: it must be 1 ms to 24.8 days (2147483647 ms)"
            ))
        );
        assert!(matches!(publisher.stream(Uuid::nil()).send(&prompt("p")), Err(PublishError::Ttl { .. })));
        // With a valid time to live, the publisher continues.
        publisher.ttl(ms(1000)).publish(&prompt("p")).unwrap();
    }
    let bytes: Bus<Vec<u8>> = Bus::on(bus.store().clone());
    let mut publisher = bytes.publisher("bytes").unwrap().ttl(Duration::ZERO);
    assert!(matches!(publisher.loan_bytes(1), Err(PublishError::Ttl { .. })));
}

#[test]
fn errors_name_the_kind_of_the_message() {
    for kind in [Kind::Query, Kind::Response, Kind::Event, Kind::Error, Kind::Heartbeat] {
        let error = FrameError::Payload { kind, len: 0 };
        assert!(error.to_string().starts_with(&format!("a frame of kind {kind} with a payload of 0 bytes: ")));
        let error = FrameError::Payload { kind, len: 0 };
        assert!(error.to_string().starts_with(&format!("a frame of kind {kind} with a payload of 0 bytes: ")));
    }
}

#[test]
fn a_value_that_is_not_a_frame_is_an_error_and_is_counted() {
    let name = Name::new();
    let bus = bus::<Prompt>(&name);
    let mut prompts = bus.subscribe("k").unwrap();
    bus.store().set("k", b"not a frame").unwrap();
    bus.publish("k", &prompt("good")).unwrap();
    let mut damaged = bus.store().get("k").unwrap().unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    bus.store().set("k", &damaged).unwrap();
    bus.store().set("k", b"").unwrap();

    assert!(matches!(
        prompts.recv(),
        Err(RecvError::Frame { version: 1, source: FrameError::TooShort { len: 11, header: 64 }, .. })
    ));
    assert_eq!(prompts.recv().unwrap().text, "good");
    let error = prompts.recv().unwrap_err();
    assert!(matches!(&error, RecvError::Frame { version: 3, source: FrameError::Checksum { .. }, .. }), "{error}");
    assert_eq!(error.fault(), Some(FaultCode::BadSchema));
    assert!(matches!(prompts.recv(), Err(RecvError::Frame { version: 4, .. })));
    let diagnostics = bus.store().diagnostics();
    assert_eq!(diagnostics.parse_failures, 3);
    assert!(diagnostics.last_failure_epoch > 1_700_000_000_000_000_000);
}

mod elsewhere {
    use splinter_bus::Message;

    /// A type that cannot be read as the original.
    #[derive(Message, serde::Serialize, serde::Deserialize)]
    #[message(kind = "query")]
    pub(crate) struct Prompt {
        pub(crate) max_tokens: u32,
        pub(crate) text: Vec<u8>,
    }
}

#[test]
fn a_message_of_another_type_is_an_error_that_names_both() {
    let name = Name::new();
    let bus = bus::<Prompt>(&name);
    let other: Bus<elsewhere::Prompt> = Bus::on(bus.store().clone());
    let mut prompts = bus.subscribe("k").unwrap();
    other.publish("k", &elsewhere::Prompt { max_tokens: 1, text: vec![1] }).unwrap();
    let error = prompts.recv().unwrap_err().to_string();
    assert!(error.contains("Prompt{text:String,max_tokens:u32}"), "{error}");
    assert!(error.contains("Prompt{max_tokens:u32,text:[u8]}"), "{error}");
    assert_eq!(bus.store().diagnostics().parse_failures, 1);
}

#[test]
fn a_stream_that_is_dropped_before_its_end_publishes_a_fault() {
    let name = Name::new();
    let bus = bus::<Prompt>(&name);
    let mut received = bus.subscribe("k").unwrap();
    let mut publisher = bus.publisher("k").unwrap();
    let (dropped, panicked) = (Uuid::now_v7(), Uuid::now_v7());
    let mut stream = publisher.stream(dropped).attempt(2);
    stream.send(&prompt("a")).unwrap();
    drop(stream);
    assert_eq!(received.recv().unwrap().text, "a");
    let Err(RecvError::Fault(fault)) = received.recv() else { panic!("no fault") };
    let envelope = fault.envelope();
    assert_eq!((envelope.id(), envelope.seq(), envelope.eof(), envelope.attempt()), (dropped, 1, true, 2));
    assert_eq!(fault.code, FaultCode::InternalError.code());
    let panics = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let _stream = publisher.stream(panicked);
                panic!("the model");
            })
            .join()
    });
    assert!(panics.is_err());
    let Err(RecvError::Fault(fault)) = received.recv() else { panic!("no fault") };
    assert_eq!((fault.envelope().id(), fault.envelope().seq()), (panicked, 0));
    // Once each, and not where the key was removed.
    publisher.stream(dropped).fault(&Fault::new(FaultCode::InternalError, "failed")).unwrap();
    assert!(matches!(received.recv(), Err(RecvError::Fault(_))));
    publisher.stream(dropped).finish(&prompt("b")).unwrap();
    assert_eq!(received.recv().unwrap().text, "b");
    assert!(received.try_recv().unwrap().is_none());
    let stream = publisher.stream(dropped);
    bus.store().unset("k").unwrap();
    drop(stream);
    assert_eq!(bus.store().keys(), [""; 0]);
}

#[test]
fn a_stream_is_numbered_and_ends_and_its_receivers_get_a_fault_as_an_error() {
    let name = Name::new();
    let bus = bus::<Prompt>(&name);
    let mut received = bus.subscribe("k").unwrap();
    let mut publisher = bus.publisher("k").unwrap();
    let query = publisher.publish(&prompt("question")).unwrap();
    let mut stream = publisher.stream(query.id);
    stream.send(&prompt("a")).unwrap();
    stream.finish(&prompt("b")).unwrap();
    publisher.fault(query.id, &Fault::new(FaultCode::InternalError, "the model has gone")).unwrap();
    let chunks: Vec<_> = received.by_ref().take(3).map(Result::unwrap).collect();
    assert!(chunks.iter().all(|chunk| chunk.envelope().id() == query.id));
    let positions: Vec<_> = chunks.iter().map(|chunk| (chunk.envelope().seq(), chunk.envelope().eof())).collect();
    assert_eq!(positions, [(0, true), (0, false), (1, true)]);
    let error = received.recv().unwrap_err();
    assert!(error.to_string().ends_with("5000 INTERNAL_ERROR: the model has gone"), "{error}");
    assert_eq!(error.fault(), Some(FaultCode::InternalError));
    assert_eq!(bus.store().diagnostics().parse_failures, 0);
}

#[test]
fn the_removal_of_a_key_is_reported_and_a_key_created_again_is_received() {
    let name = Name::new();
    let bus = bus::<Prompt>(&name);
    let mut prompts = bus.subscribe("k").unwrap();
    let mut publisher = bus.publisher("k").unwrap();
    publisher.publish(&prompt("lost")).unwrap();
    assert!(bus.store().unset("k").unwrap().is_some());
    // Another key takes the slot. The subscriber must receive nothing of it.
    bus.publish("other", &prompt("foreign")).unwrap();
    assert!(matches!(prompts.recv(), Err(RecvError::Removed { .. })));
    assert_eq!(prompts.try_recv().unwrap(), None);
    publisher.publish(&prompt("again")).unwrap();
    assert_eq!(prompts.recv().unwrap().text, "again");
}

#[test]
fn a_sleeping_subscriber_is_woken_by_the_removal_of_its_key() {
    let name = Name::new();
    let bus = bus::<Prompt>(&name);
    let mut prompts = bus.subscribe("k").unwrap();
    let waiting = std::thread::spawn(move || prompts.recv().map(|_| ()));
    bus.store().unset("k").unwrap();
    assert!(matches!(waiting.join().unwrap(), Err(RecvError::Removed { .. })));
}

#[test]
fn a_message_that_cannot_be_published_is_refused_with_the_numbers() {
    let name = Name::new();
    let bus = Bus::<Prompt>::on(name.create(&StoreOptions::new().slots(8).span(2 << 20)));
    let text = "x".repeat(5_000_000);
    let error = bus.publish("k", &prompt(&text)).unwrap_err();
    assert!(
        matches!(error, PublishError::Set(SetError::TooLarge { len: 5_000_000..5_001_000, max: 65_536 })),
        "{error}"
    );
    assert!(error.to_string().contains("a message counts with its envelope"), "{error}");
    let bytes = Bus::<Vec<u8>>::on(bus.store().clone());
    let error = bytes.publisher("k").unwrap().loan_bytes(text.len()).map(drop).unwrap_err();
    assert!(matches!(error, PublishError::Set(SetError::TooLarge { len: 5_000_000.., max: 65_536 })), "{error}");
    assert!(error.to_string().contains("maximum 65536; "), "{error}");
    assert_eq!(bus.get("k").unwrap(), None, "nothing was published");
    assert!(matches!(bus.publish("", &prompt("x")), Err(PublishError::Set(SetError::Key(_)))));
    assert!(matches!(bus.subscribe(&"k".repeat(64)), Err(SubscribeError::Key(_))));
    let long = bus.publisher("k").unwrap().from("n".repeat(256)).publish(&prompt("x"));
    assert!(matches!(long, Err(PublishError::Frame(_))));
    for number in 0..7 {
        bus.subscribe(&format!("key {number}")).unwrap();
    }
    assert!(matches!(
        bus.publish("one too many", &prompt("x")),
        Err(PublishError::Set(SetError::Directory(DirectoryError::Full { slots: 8 })))
    ));
}

#[test]
fn a_received_message_renders_as_the_json_of_its_frame() {
    let name = Name::new();
    let bus = bus::<Prompt>(&name);
    let sent = bus.publish("k", &prompt("hi")).unwrap();
    let received = bus.get("k").unwrap().unwrap();
    let json = serde_json::to_value(&received).unwrap();
    assert_eq!(json["id"], sent.id.to_string());
    assert_eq!(json["type"], "query");
    assert_eq!(json["payload"], serde_json::json!({ "text": "hi", "max_tokens": 64 }));
    assert_eq!((&json["to"], &json["seq"], &json["eof"]), (&"*".into(), &0.into(), &true.into()));
    let ts = json["ts"].as_str().unwrap();
    assert!(ts.len() == 24 && ts.ends_with('Z') && ts.as_bytes()[19] == b'.', "{ts}");
    assert!(json.get("ttl_ms").is_none() && json.get("trace").is_none());
}

#[test]
fn one_store_carries_many_types() {
    let name = Name::new();
    let prompts = bus::<Prompt>(&name);
    let store: Store = prompts.store().clone();
    let faults: Bus<Fault> = Bus::on(store);
    prompts.publish("prompts", &prompt("x")).unwrap();
    faults.publish("faults", &Fault::new(FaultCode::InternalError, "slow down")).unwrap();
    assert_eq!(prompts.get("prompts").unwrap().unwrap().text, "x");
    assert_eq!(faults.get("faults").unwrap().unwrap().symbol, "INTERNAL_ERROR");
}
