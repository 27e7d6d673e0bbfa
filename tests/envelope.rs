//! The envelope: the fields that one message has of its own, and how they are received.

mod support;

use std::time::Duration;

use splinter_bus::store::{KeyOptions, SetError, StoreOptions};
use splinter_bus::{Bus, Envelope, Message, PublishError, SubscribeOptions, Subscriber};
use support::Name;
use uuid::Uuid;

#[derive(Message, serde::Serialize, serde::Deserialize, PartialEq, Debug)]
#[message(kind = "query")]
struct Prompt {
    text: String,
}

fn prompt(text: &str) -> Prompt {
    Prompt { text: text.to_owned() }
}

fn bus(name: &Name) -> Bus<Prompt> {
    Bus::on(name.create(&StoreOptions::new().slots(8).key_options(KeyOptions::new().history(4).spare(2))))
}

fn next(subscriber: &mut Subscriber<Prompt>) -> Envelope {
    subscriber.try_recv().unwrap().expect("a message").envelope().clone()
}

/// Sender, recipient, trace, where answers are expected, ttl in seconds, attempt.
fn fields(envelope: &Envelope) -> (&str, &str, &str, &str, Option<u64>, u8) {
    let ttl = envelope.ttl().map(|ttl| ttl.as_secs());
    (envelope.from(), envelope.to(), envelope.trace(), envelope.reply_to(), ttl, envelope.attempt())
}

#[test]
fn a_message_has_the_fields_that_it_was_given_and_otherwise_those_of_its_publisher() {
    let name = Name::new();
    let bus = bus(&name);
    let mut prompts = bus.subscribe("k").unwrap();
    let seconds = Duration::from_secs;
    let publisher = bus.publisher("k").unwrap().from("gateway").to("all workers").trace("t-1");
    let mut publisher = publisher.reply_to("answers").ttl(seconds(60));
    let of_publisher = ("gateway", "all workers", "t-1", "answers", Some(60), 1);
    let text = prompt("Why is the sky blue?");
    let id = Uuid::from_u128(7);

    let message = publisher.message(&text).id(id).from("client").to("worker-2").trace("t-2");
    let sent = message.reply_to("inbox#7").ttl(seconds(5)).attempt(2).send().unwrap();
    let received = next(&mut prompts);
    assert_eq!((sent.id, received.id(), received.version()), (id, id, sent.version));
    assert_eq!(fields(&received), ("client", "worker-2", "t-2", "inbox#7", Some(5), 2));

    // They hold for that message alone.
    let sent = publisher.publish(&text).unwrap();
    let received = next(&mut prompts);
    assert_eq!((received.id(), fields(&received)), (sent.id, of_publisher));
    assert_ne!(sent.id, id);

    // One that sets nothing is like any other.
    let other = publisher.message(&text).send().unwrap();
    let received = next(&mut prompts);
    assert_eq!((received.id(), fields(&received)), (other.id, of_publisher));
    assert!(other.id > sent.id);

    // Empty names take the place of those of the publisher.
    publisher.message(&text).from("").to("").trace("").reply_to("").attempt(0).send().unwrap();
    let received = next(&mut prompts);
    let unnamed = received.from().to_owned();
    assert_eq!(fields(&received), (&*unnamed, "*", "", "", Some(60), 1));
    assert!(unnamed.starts_with("envelope-"), "{unnamed}");

    publisher.message(&text).to("*").attempt(u8::MAX).send_timeout(seconds(1)).unwrap();
    let received = next(&mut prompts);
    assert_eq!((received.to(), received.attempt()), ("*", 255));
}

#[test]
fn a_message_with_a_field_out_of_range_is_not_sent() {
    let name = Name::new();
    let bus = bus(&name);
    let long = "n".repeat(256);
    let mut publisher = bus.publisher("k").unwrap();
    for message in 0..4 {
        let text = prompt("p");
        let outgoing = publisher.message(&text);
        let outgoing = match message {
            0 => outgoing.from(&long),
            1 => outgoing.to(&long),
            2 => outgoing.trace(&long),
            _ => outgoing.reply_to(&long),
        };
        assert!(matches!(outgoing.send(), Err(PublishError::Frame(_))));
    }
    let refused = publisher.message(&prompt("p")).ttl(Duration::from_micros(1)).send();
    assert!(matches!(refused, Err(PublishError::Ttl { ttl }) if ttl == Duration::from_micros(1)));
    assert_eq!(bus.get("k").unwrap(), None);
    // A valid one takes the place of one of the publisher that is not.
    let mut publisher = publisher.ttl(Duration::ZERO);
    assert!(matches!(publisher.publish(&prompt("p")), Err(PublishError::Ttl { .. })));
    publisher.message(&prompt("p")).ttl(Duration::from_secs(9)).send().unwrap();
    assert_eq!(bus.get("k").unwrap().unwrap().envelope().ttl(), Some(Duration::from_secs(9)));
}

#[test]
fn a_message_with_fields_of_its_own_waits_for_a_free_cell_if_it_is_told_to() {
    let name = Name::new();
    let bus = bus(&name);
    let mut slow = bus.subscribe_with("k", &SubscribeOptions::new().lossless()).unwrap();
    let (mut publisher, text) = (bus.publisher("k").unwrap(), prompt("p"));
    while publisher.message(&text).to("me").send().is_ok() {}
    let waited = publisher.message(&text).to("me").send_timeout(Duration::from_millis(5));
    assert!(matches!(waited, Err(PublishError::Set(SetError::Backpressure(_)))));
    slow.recv().unwrap();
    publisher.message(&text).to("me").send_timeout(Duration::from_millis(5)).unwrap();
}

#[test]
fn all_messages_of_a_stream_have_its_attempt() {
    let name = Name::new();
    let bus = bus(&name);
    let mut prompts = bus.subscribe("k").unwrap();
    let mut publisher = bus.publisher("k").unwrap();
    let mut stream = publisher.stream(Uuid::nil()).attempt(2);
    stream.send(&prompt("one")).unwrap();
    stream.finish(&prompt("two")).unwrap();
    let attempts = [next(&mut prompts), next(&mut prompts)].map(|envelope| (envelope.seq(), envelope.attempt()));
    assert_eq!(attempts, [(0, 2), (1, 2)]);
    publisher.stream(Uuid::nil()).finish(&prompt("three")).unwrap();
    assert_eq!(next(&mut prompts).attempt(), 1);
}

#[test]
fn a_loan_has_the_fields_of_its_publisher() {
    let name = Name::new();
    let bus: Bus<Vec<u8>> = Bus::on(bus(&name).store().clone());
    let mut publisher = bus.publisher("bytes").unwrap().reply_to("answers").to("me");
    publisher.loan_bytes(3).unwrap().send().unwrap();
    let sample = bus.sample("bytes").unwrap().unwrap();
    let envelope = sample.envelope();
    assert_eq!((envelope.reply_to(), envelope.to(), envelope.attempt()), ("answers", "me", 1));
}

#[test]
fn optional_fields_are_in_the_json_form_only_if_they_are_set() {
    let name = Name::new();
    let bus = bus(&name);
    let json = || serde_json::to_value(bus.get("k").unwrap().unwrap()).unwrap();
    let mut publisher = bus.publisher("k").unwrap();
    publisher.message(&prompt("p")).send().unwrap();
    for field in ["reply_to", "attempt", "ttl_ms", "trace"] {
        assert_eq!(json().get(field), None);
    }
    let message = prompt("p");
    let message = publisher.message(&message).reply_to("inbox#7").attempt(3).ttl(Duration::from_secs(60)).trace("t");
    message.send().unwrap();
    let json = json();
    assert_eq!((&json["reply_to"], &json["attempt"]), (&"inbox#7".into(), &3.into()));
    assert_eq!((&json["ttl_ms"], &json["trace"]), (&60_000.into(), &"t".into()));
}

#[test]
fn a_long_name_is_received_whole() {
    let name = Name::new();
    let bus = bus(&name);
    let long = ["from", "to", "trace", "reply"].map(|name| name.repeat(51));
    let (mut publisher, text) = (bus.publisher("k").unwrap(), prompt("p"));
    publisher.message(&text).from(&long[0]).to(&long[1]).trace(&long[2]).reply_to(&long[3]).send().unwrap();
    let received = bus.get("k").unwrap().unwrap();
    assert_eq!(fields(received.envelope()), (&*long[0], &*long[1], &*long[2], &*long[3], None, 1));
    let sample = bus.subscribe_from("k", splinter_bus::Start::Newest).unwrap().recv_sample().unwrap();
    assert_eq!(sample.envelope(), received.envelope());
}
