//! Frames whose checksum is right and whose payload is not: they come from programs with a hand-written
//! encoder, or from somebody who wants to harm. Receivers get errors, and go on.

mod support;

use serde::{Deserialize, Serialize};
use splinter_bus::frame::{self, Encoding, FrameError, Outgoing};
use splinter_bus::message::DecodeError;
use splinter_bus::schema::ReadReason;
use splinter_bus::{Bus, Message, RecvError, Schema, StoreOptions};
use support::Name;
use uuid::Uuid;

/// Puts a frame with this payload under the key, as a message of the bus's type.
fn publish<T: Message>(bus: &Bus<T>, key: &str, payload: &[u8]) {
    let envelope = Outgoing {
        kind: T::KIND,
        encoding: Encoding::Postcard,
        fingerprint: T::message_type().fingerprint(),
        id: Uuid::nil(),
        ts: 0,
        sent_boot: 0,
        ttl: None,
        seq: 0,
        eof: true,
        attempt: 1,
        checksum: true,
        payload_align: T::PAYLOAD_ALIGN,
        from: "somebody",
        to: "",
        trace: "",
        reply_to: "",
    };
    let mut bytes = Vec::new();
    frame::write::<FrameError>(&mut bytes, &envelope, |out| {
        out.extend_from_slice(payload);
        Ok(())
    })
    .unwrap();
    bus.store().set(key, &bytes).unwrap();
}

fn decode_error(error: RecvError) -> DecodeError {
    match error {
        RecvError::Decode { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

fn reason(error: RecvError) -> ReadReason {
    match decode_error(error) {
        DecodeError::Schema(error) => error.reason,
        other => panic!("{other:?}"),
    }
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
struct List {
    next: Option<Box<List>>,
}

fn list(len: usize) -> List {
    (0..len).fold(List { next: None }, |next, _| List { next: Some(Box::new(next)) })
}

#[test]
fn a_message_that_is_too_deep_is_an_error_and_not_the_end_of_the_process() {
    let name = Name::new();
    let bus: Bus<List> = Bus::on(name.create(&StoreOptions::new()));
    bus.publish("k", &list(60)).unwrap();
    assert_eq!(*bus.get("k").unwrap().unwrap(), list(60));
    assert_eq!(bus.sample("k").unwrap().unwrap().view().unwrap(), list(60));
    let mut subscriber = bus.subscribe("k").unwrap();
    for depth in [200, 2 << 20] {
        publish(&bus, "k", &[vec![1; depth], vec![0]].concat());
        assert_eq!(reason(bus.get("k").unwrap_err()), ReadReason::TooDeep);
        let sample = bus.sample("k").unwrap().unwrap();
        assert!(matches!(sample.view(), Err(DecodeError::Schema(error)) if error.reason == ReadReason::TooDeep));
    }
    assert_eq!(reason(subscriber.recv().unwrap_err()), ReadReason::TooDeep);
    assert_eq!(reason(subscriber.recv().unwrap_err()), ReadReason::TooDeep);
    assert!(subscriber.try_recv().unwrap().is_none());
    assert!(bus.store().diagnostics().parse_failures >= 4);
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
struct Nothings {
    nothings: Vec<Nothing>,
}

#[derive(Schema, Serialize, Deserialize, PartialEq, Debug)]
struct Nothing;

#[test]
fn a_message_that_claims_billions_of_values_that_take_nothing_is_an_error_at_once() {
    let name = Name::new();
    let bus: Bus<Nothings> = Bus::on(name.create(&StoreOptions::new()));
    bus.publish("k", &Nothings { nothings: vec![Nothing, Nothing] }).unwrap();
    assert_eq!(bus.get("k").unwrap().unwrap().nothings.len(), 2);
    // 3,000,000,000 in five bytes.
    publish(&bus, "k", &[0x80, 0xbc, 0xc1, 0x96, 0x0b]);
    assert_eq!(reason(bus.get("k").unwrap_err()), ReadReason::TooMuch);
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
struct Texts {
    texts: Vec<String>,
}

#[test]
fn a_payload_that_ends_early_or_late_is_an_error() {
    let name = Name::new();
    let texts: Bus<Texts> = Bus::on(name.create(&StoreOptions::new()));
    let lists: Bus<List> = Bus::on(texts.store().clone());
    let message = Texts { texts: vec!["one".into(), "two".into()] };
    let mut payload = Vec::new();
    message.encode(&mut payload).unwrap();
    for len in 1..payload.len() {
        publish(&texts, "k", &payload[..len]);
        assert!(matches!(decode_error(texts.get("k").unwrap_err()), DecodeError::Postcard(_)), "{len}");
    }
    publish(&texts, "k", &[&payload[..], &[0]].concat());
    assert!(matches!(decode_error(texts.get("k").unwrap_err()), DecodeError::TrailingBytes { left: 1 }));
    // Five bytes that claim to be followed by three thousand million strings.
    publish(&texts, "k", &[0x80, 0xbc, 0xc1, 0x96, 0x0b]);
    assert!(matches!(decode_error(texts.get("k").unwrap_err()), DecodeError::Postcard(_)));
    publish(&lists, "l", &[1, 1]);
    assert!(matches!(reason(lists.get("l").unwrap_err()), ReadReason::Ended { needed: 1, left: 0 }));
    publish(&lists, "l", &[1, 0, 7]);
    assert!(matches!(reason(lists.get("l").unwrap_err()), ReadReason::Trailing { left: 1 }));
    publish(&lists, "l", &[2]);
    let error = lists.get("l").unwrap_err();
    assert!(error.to_string().contains("at `next`, a bool or an option is neither 0 nor 1"), "{error}");
}
