//! Receiving earlier messages: from the oldest retained one, from a version, from a time.

mod support;

use std::time::{Duration, SystemTime};

use splinter_bus::frame::{self, Encoding, FrameError, Kind, Outgoing};
use splinter_bus::message::Message;
use splinter_bus::store::{KeyOptions, StoreOptions};
use splinter_bus::{Bus, RecvError, Start, SubscribeOptions};
use support::Name;
use uuid::Uuid;

fn bus(name: &Name) -> Bus<Vec<u8>> {
    Bus::on(name.create(&StoreOptions::new().slots(4).key_options(KeyOptions::new().history(8).spare(2))))
}

/// Publishes a message as if it had been sent at this second.
fn publish_at(bus: &Bus<Vec<u8>>, second: u64) {
    let mut bytes = Vec::new();
    let envelope = Outgoing {
        kind: Kind::Event,
        encoding: Encoding::Raw,
        fingerprint: bus.message_type().fingerprint(),
        id: Uuid::now_v7(),
        ts: second * 1_000_000_000,
        sent_boot: 0,
        ttl: None,
        seq: 0,
        eof: true,
        attempt: 1,
        checksum: true,
        payload_align: 16,
        from: "past",
        to: "",
        trace: "",
        reply_to: "",
    };
    frame::write(&mut bytes, &envelope, |payload| -> Result<(), frame::FrameError> {
        vec![second as u8].encode(payload).expect("bytes");
        Ok(())
    })
    .unwrap();
    bus.store().set("k", &bytes).unwrap();
}

fn second(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second)
}

#[test]
fn a_subscriber_starts_at_a_version() {
    let name = Name::new();
    let bus = bus(&name);
    for number in 1..=20 {
        bus.publish("k", &vec![number]).unwrap();
    }
    for start in [13, 17, 20] {
        let mut subscriber = bus.subscribe_from("k", Start::Version(start)).unwrap();
        for version in start..=20 {
            assert_eq!(subscriber.try_recv().unwrap().unwrap().version(), version);
        }
        assert!(subscriber.try_recv().unwrap().is_none());
    }
    let mut late = bus.subscribe_from("k", Start::Version(1)).unwrap();
    let Err(RecvError::Lagged(missed)) = late.recv() else { panic!("version 1 is no longer retained") };
    assert_eq!(late.recv().unwrap().version(), 1 + missed);
    let mut early = bus.subscribe_from("k", Start::Version(22)).unwrap();
    assert!(early.try_recv().unwrap().is_none() && !early.is_behind());
    bus.publish("k", &vec![21]).unwrap();
    assert!(early.try_recv().unwrap().is_none());
    bus.publish("k", &vec![22]).unwrap();
    assert_eq!(**early.recv().unwrap(), [22]);
    for version in [0, u64::MAX] {
        bus.subscribe_from("k", Start::Version(version)).unwrap().try_recv().ok();
    }
}

#[test]
fn a_subscriber_starts_at_a_time() {
    let name = Name::new();
    let bus = bus(&name);
    for at in [10, 20, 20, 30] {
        publish_at(&bus, at);
    }
    for lossless in [false, true] {
        let options = if lossless { SubscribeOptions::new().lossless() } else { SubscribeOptions::new() };
        for (at, first) in [(0, 1), (10, 1), (11, 2), (20, 2), (21, 4), (30, 4), (31, 5)] {
            let options = options.clone().start(Start::Time(second(at)));
            let subscriber = bus.subscribe_with("k", &options).unwrap();
            assert_eq!(subscriber.next_version(), first, "from second {at}");
        }
    }
    let before_all = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(bus.subscribe_from("k", Start::Time(before_all)).unwrap().next_version(), 1);
    let mut never = bus.subscribe_from("k", Start::Time(second(40))).unwrap();
    assert!(never.try_recv().unwrap().is_none());
    // Messages that are published from now on are received, whatever their time.
    publish_at(&bus, 15);
    assert_eq!(**never.recv().unwrap(), [15]);
    // A key without messages.
    assert_eq!(bus.subscribe_from("other", Start::Time(second(0))).unwrap().next_version(), 1);
}

#[test]
fn a_value_without_a_time_is_received_as_an_error() {
    let name = Name::new();
    let bus = bus(&name);
    publish_at(&bus, 10);
    bus.store().set("k", b"garbage").unwrap();
    publish_at(&bus, 30);
    let mut subscriber = bus.subscribe_from("k", Start::Time(second(30))).unwrap();
    assert!(matches!(subscriber.recv(), Err(RecvError::Frame { source: FrameError::TooShort { .. }, .. })));
    assert_eq!(**subscriber.recv().unwrap(), [30]);
}
