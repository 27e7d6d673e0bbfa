//! Subscribers that receive only what is addressed to them or to all.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use splinter_bus::bus::{WaitSet, Waited};
use splinter_bus::message::Fault;
use splinter_bus::store::{KeyOptions, SetError, StoreOptions};
use splinter_bus::{Bus, Message, PublishError, Publisher, RecvError, Start, SubscribeOptions, Subscriber};
use support::{DEADLINE, Name, this_thread, wait_until_asleep};
use uuid::Uuid;

type Bytes = Vec<u8>;

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Text(String);

fn bus(name: &Name) -> Bus<Bytes> {
    Bus::on(name.create(&StoreOptions::new().slots(4).key_options(KeyOptions::new().history(8).spare(4))))
}

fn for_me() -> SubscribeOptions {
    SubscribeOptions::new().addressed_to("me")
}

fn send(publisher: &mut Publisher<Bytes>, to: &str, number: u8) {
    publisher.message(&vec![number]).to(to).send_timeout(DEADLINE).unwrap();
}

/// All messages that are there.
fn received(subscriber: &mut Subscriber<Bytes>) -> Vec<u8> {
    std::iter::from_fn(|| subscriber.try_recv().unwrap()).map(|message| message[0]).collect()
}

#[test]
fn a_subscriber_receives_what_is_addressed_to_it_or_to_all() {
    let name = Name::new();
    let bus = bus(&name);
    let mut mine = bus.subscribe_with("k", &for_me()).unwrap();
    let mut of_all = ["", "*"].map(|id| bus.subscribe_with("k", &SubscribeOptions::new().addressed_to(id)).unwrap());
    let mut unfiltered = bus.subscribe("k").unwrap();
    let mut publisher = bus.publisher("k").unwrap();
    for (number, to) in ["me", "you", "*", "", "me too", "m", "you", "me"].into_iter().enumerate() {
        send(&mut publisher, to, number as u8);
    }
    assert_eq!(received(&mut mine), [0, 2, 3, 7]);
    for subscriber in &mut of_all {
        assert_eq!(received(subscriber), [2, 3]);
    }
    assert_eq!(received(&mut unfiltered), [0, 1, 2, 3, 4, 5, 6, 7]);
    // The last one was for another, and is skipped all the same.
    assert!(!of_all[0].is_behind());
    assert_eq!(of_all[0].next_version(), 9);
}

#[test]
fn samples_are_skipped_in_the_same_way_and_pin_nothing() {
    let name = Name::new();
    let bus = bus(&name);
    let mut mine = bus.subscribe_with("k", &for_me()).unwrap();
    let mut publisher = bus.publisher("k").unwrap();
    for (number, to) in ["you", "me", "you", "*", "you"].into_iter().enumerate() {
        send(&mut publisher, to, number as u8);
    }
    assert_eq!(mine.recv_sample().unwrap().payload(), [1]);
    let sample = mine.recv_sample_timeout(DEADLINE).unwrap().unwrap();
    assert_eq!((sample.payload(), sample.is_in_place()), (&[3][..], true));
    drop(sample);
    assert!(mine.try_recv_sample().unwrap().is_none());
    assert!(!mine.is_behind());
    assert_eq!(bus.store().cells().pinned, 0);
}

#[test]
fn what_is_for_others_is_neither_decoded_nor_reported_but_damage_is() {
    let name = Name::new();
    let bus = bus(&name);
    let texts: Bus<Text> = Bus::on(bus.store().clone());
    let mut mine = bus.subscribe_with("k", &for_me()).unwrap();
    let mut publisher = bus.publisher("k").unwrap().to("you");
    // Of another type, expired, and a fault.
    texts.publisher("k").unwrap().to("you").publish(&Text("text".to_owned())).unwrap();
    publisher.message(&vec![1]).ttl(Duration::from_millis(1)).send().unwrap();
    let sent = Instant::now();
    support::wait_until("the message has expired", || sent.elapsed() > Duration::from_millis(3));
    publisher.fault(Uuid::nil(), &Fault::new(splinter_bus::frame::FaultCode::InternalError, "failed")).unwrap();
    assert!(mine.try_recv().unwrap().is_none());
    assert_eq!(bus.store().diagnostics().parse_failures, 0);

    // The same, addressed to it.
    texts.publisher("k").unwrap().to("me").publish(&Text("text".to_owned())).unwrap();
    assert!(matches!(mine.try_recv(), Err(RecvError::OtherType { .. })));
    publisher.message(&vec![1]).to("me").ttl(Duration::from_millis(1)).send().unwrap();
    let sent = Instant::now();
    support::wait_until("the message has expired", || sent.elapsed() > Duration::from_millis(3));
    assert!(matches!(mine.try_recv_sample(), Err(RecvError::Expired { .. })));
    assert_eq!(bus.store().diagnostics().parse_failures, 1);

    // What is damaged has no recipient that could be trusted.
    publisher.publish(&vec![2]).unwrap();
    let mut frame = bus.store().get("k").unwrap().unwrap();
    *frame.last_mut().unwrap() ^= 1;
    for _ in 0..2 {
        bus.store().set("k", &frame).unwrap();
    }
    bus.store().set("k", b"no frame").unwrap();
    assert!(matches!(mine.try_recv(), Err(RecvError::Frame { .. })));
    assert!(matches!(mine.try_recv_sample(), Err(RecvError::Frame { .. })));
    assert!(matches!(mine.try_recv(), Err(RecvError::Frame { .. })));
    assert!(mine.try_recv().unwrap().is_none());
    assert_eq!(bus.store().diagnostics().parse_failures, 4);
}

#[test]
fn a_waiting_receive_goes_on_after_messages_for_others() {
    let name = Name::new();
    let bus = bus(&name);
    let mut mine = bus.subscribe_with("k", &for_me().lossless()).unwrap();
    let mut publisher = bus.publisher("k").unwrap();
    let (thread_id, thread_ids) = mpsc::channel();
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            thread_id.send(this_thread()).unwrap();
            let first = mine.recv().unwrap()[0];
            let second = mine.recv_sample().unwrap().payload()[0];
            (first, second, mine.recv_timeout(DEADLINE).unwrap().unwrap()[0])
        });
        let receiving = thread_ids.recv().unwrap();
        for number in 0..90 {
            if number % 10 == 0 {
                wait_until_asleep(receiving);
            }
            send(&mut publisher, if number % 30 == 29 { "me" } else { "you" }, number);
        }
        assert_eq!(receiver.join().unwrap(), (29, 59, 89));
    });
    send(&mut publisher, "you", 1);
    let start = Instant::now();
    assert!(mine.recv_timeout(Duration::from_millis(20)).unwrap().is_none());
    assert!(start.elapsed() >= Duration::from_millis(20), "a message for others ended the wait");
}

#[test]
fn a_receive_with_a_timeout_ends_while_others_are_sent_messages_without_end() {
    let name = Name::new();
    let bus = bus(&name);
    let mut mine = bus.subscribe_with("k", &for_me().lossless()).unwrap();
    let (mut publisher, ended) = (bus.publisher("k").unwrap(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                _ = publisher.message(&vec![1]).to("you").send_timeout(Duration::from_millis(10));
            }
        });
        support::wait_until("messages come", || mine.is_behind());
        for _ in 0..20 {
            assert!(mine.try_recv().unwrap().is_none());
            assert!(mine.try_recv_sample().unwrap().is_none());
            assert!(mine.recv_timeout(Duration::from_millis(2)).unwrap().is_none());
            assert!(mine.recv_sample_timeout(Duration::from_millis(2)).unwrap().is_none());
        }
        ended.store(true, Ordering::Relaxed);
    });
}

#[test]
fn messages_for_others_count_as_missed_and_are_retained_until_they_are_skipped() {
    let name = Name::new();
    let bus = bus(&name);
    let mut lagging = bus.subscribe_with("k", &for_me()).unwrap();
    let mut publisher = bus.publisher("k").unwrap();
    for number in 0..20 {
        send(&mut publisher, "you", number);
    }
    assert!(matches!(lagging.recv(), Err(RecvError::Lagged(missed)) if missed >= 8));
    assert!(lagging.try_recv().unwrap().is_none());

    let mut lossless = bus.subscribe_with("k", &for_me().lossless().start(Start::Next)).unwrap();
    let refused = loop {
        if let Err(error) = publisher.message(&vec![1]).to("you").send() {
            break error;
        }
    };
    assert!(matches!(refused, PublishError::Set(SetError::Backpressure(_))));
    assert!(lossless.is_lossless() && lossless.try_recv().unwrap().is_none());
    send(&mut publisher, "me", 7);
    assert_eq!(received(&mut lossless), [7]);
}

#[test]
fn an_eviction_is_reported_among_messages_for_others() {
    let name = Name::new();
    let bus = bus(&name);
    let mut lossless = bus.subscribe_with("k", &for_me().lossless()).unwrap();
    let mut publisher = bus.publisher("k").unwrap();
    send(&mut publisher, "you", 1);
    send(&mut publisher, "me", 2);
    assert_eq!(bus.store().evict("k", bus.store().participant()).unwrap().subscribers, 1);
    assert!(matches!(lossless.recv(), Err(RecvError::Evicted { .. })));
    assert_eq!(**lossless.recv().unwrap(), [2]);
    assert!(!lossless.is_lossless());
}

#[test]
fn a_message_for_others_makes_a_source_ready_and_then_there_is_none() {
    let name = Name::new();
    let bus = bus(&name);
    let mut mine = bus.subscribe_with("k", &for_me()).unwrap();
    let (mut set, mut publisher) = (WaitSet::new(), bus.publisher("k").unwrap());
    send(&mut publisher, "you", 1);
    assert_eq!(set.wait(&[&mine], Some(DEADLINE)).unwrap(), Waited::Ready(vec![0]));
    assert!(mine.try_recv().unwrap().is_none());
    assert_eq!(set.wait(&[&mine], Some(Duration::ZERO)).unwrap(), Waited::TimedOut);
    send(&mut publisher, "me", 2);
    assert_eq!(set.wait(&[&mine], Some(DEADLINE)).unwrap(), Waited::Ready(vec![0]));
    assert_eq!(received(&mut mine), [2]);
}

#[test]
fn the_recipient_matters_after_the_key_was_created_again() {
    let name = Name::new();
    let bus = bus(&name);
    let mut mine = bus.subscribe_with("k", &for_me()).unwrap();
    let mut publisher = bus.publisher("k").unwrap();
    bus.store().unset("k").unwrap();
    assert!(matches!(mine.recv(), Err(RecvError::Removed { .. })));
    assert!(mine.try_recv().unwrap().is_none());
    send(&mut publisher, "you", 1);
    send(&mut publisher, "me", 2);
    assert_eq!(received(&mut mine), [2]);
}

#[cfg(feature = "async")]
#[test]
fn a_task_waits_on_after_messages_for_others() {
    let name = Name::new();
    let bus = bus(&name);
    let mine = bus.subscribe_with("k", &for_me().lossless()).unwrap().into_async().unwrap();
    let mut publisher = bus.publisher("k").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let task = runtime.spawn(async move { mine.recv().await.unwrap()[0] });
    for number in 0..50 {
        send(&mut publisher, "you", number);
    }
    assert!(!task.is_finished());
    send(&mut publisher, "me", 50);
    assert_eq!(runtime.block_on(task).unwrap(), 50);
}
