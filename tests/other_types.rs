//! Receiving messages of an older or newer version of a type, on a bus.

mod support;

use std::fmt::Debug;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use splinter_bus::bus::{Sample, Start, TypeMismatch, Waited};
use splinter_bus::message::{Decode, DecodeError, EncodeError, Message};
use splinter_bus::{Bus, RecvError, Store, SubscribeError, SubscribeOptions, WaitSet};
use support::Name;

/// Versions of a type, each in a module of its own, so that they have one name.
macro_rules! version {
    ($module:ident { $($item:item)* }) => {
        mod $module {
            #![allow(unused_imports, dead_code)]
            use super::*;
            $(
                #[derive(splinter_bus::Message, Serialize, Deserialize, Debug, PartialEq, Clone)]
                $item
            )*
        }
    };
}

version!(v1 {
    pub(crate) struct Prompt { pub(crate) text: String, pub(crate) max_tokens: u16 }
});
version!(v2 {
    pub(crate) struct Prompt {
        pub(crate) max_tokens: u32,
        pub(crate) text: String,
        pub(crate) stop: Option<char>,
        #[serde(default)]
        pub(crate) tags: Vec<String>,
    }
});
version!(v3 {
    pub(crate) struct Prompt { pub(crate) text: Vec<u8>, pub(crate) max_tokens: u32 }
});

mod borrowed {
    #[derive(splinter_bus::Message, serde::Serialize, serde::Deserialize, Debug, PartialEq)]
    pub(crate) struct Prompt<'a> {
        pub(crate) stop: Option<char>,
        pub(crate) text: &'a str,
    }
}

fn old(text: &str) -> v1::Prompt {
    v1::Prompt { text: text.to_owned(), max_tokens: 7 }
}

fn new(text: &str, max_tokens: u32) -> v2::Prompt {
    v2::Prompt { max_tokens, text: text.to_owned(), stop: Some('.'), tags: vec!["a".to_owned()] }
}

/// Two buses on one store, each with its version of the type.
fn two<Old: Message, New: Message>(name: &Name) -> (Bus<Old>, Bus<New>) {
    let store = Store::create(name).unwrap();
    (Bus::on(store.clone()), Bus::on(store))
}

/// A frame of a type that no publisher has left in the store of the test.
fn frame_from_elsewhere() -> Vec<u8> {
    let elsewhere = Name::new();
    let bus: Bus<v1::Prompt> = Bus::create(&elsewhere).unwrap();
    bus.publish("k", &old("from elsewhere")).unwrap();
    bus.store().get("k").unwrap().unwrap()
}

#[test]
fn both_versions_receive_what_the_other_one_publishes() {
    let name = Name::new();
    let (v1, v2) = two::<v1::Prompt, v2::Prompt>(&name);
    let (mut by_v1, mut by_v2) = (v1.subscribe("k").unwrap(), v2.subscribe("k").unwrap());
    v1.publish("k", &old("one")).unwrap();
    v2.publish("k", &new("two", 8)).unwrap();
    assert_eq!(*by_v1.recv().unwrap(), old("one"));
    assert_eq!(*by_v1.recv().unwrap(), v1::Prompt { text: "two".to_owned(), max_tokens: 8 });
    let defaults = |text: &str| v2::Prompt { max_tokens: 7, text: text.to_owned(), stop: None, tags: Vec::new() };
    assert_eq!(*by_v2.recv().unwrap(), defaults("one"));
    assert_eq!(*by_v2.recv().unwrap(), new("two", 8));
    assert_eq!(v1.store().diagnostics().parse_failures, 0);
    // Newest, samples, and queues.
    v1.publish("k", &old("three")).unwrap();
    assert_eq!(*v2.get("k").unwrap().unwrap(), defaults("three"));
    assert_eq!(v2.sample("k").unwrap().unwrap().view().unwrap(), defaults("three"));
    let version = v1.publish("k", &old("four")).unwrap().version;
    assert_eq!(v2.sample_version("k", version).unwrap().unwrap().view().unwrap(), defaults("four"));
    let mut jobs = v2.work_queue("k").unwrap();
    v1.publish("k", &old("job")).unwrap();
    let texts: Vec<_> = std::iter::from_fn(|| jobs.try_recv().unwrap())
        .map(|job| {
            let text = job.text.clone();
            job.acknowledge().unwrap();
            text
        })
        .collect();
    assert_eq!(texts.last().unwrap(), "job");
}

#[test]
fn a_job_that_a_worker_cannot_read_stays_for_one_that_can() {
    let name = Name::new();
    let (v1, v3) = two::<v1::Prompt, v3::Prompt>(&name);
    let mut unable = v3.work_queue("k").unwrap();
    for text in ["one", "two"] {
        v1.publish("k", &old(text)).unwrap();
    }
    v3.publish("k", &v3::Prompt { text: vec![3], max_tokens: 3 }).unwrap();
    for _ in 0..2 {
        assert!(matches!(unable.recv(), Err(RecvError::OtherType { .. })));
    }
    let own = unable.recv().unwrap();
    assert_eq!(own.text, [3]);
    own.acknowledge().unwrap();
    assert!(unable.try_recv().unwrap().is_none());
    assert!(unable.recv_timeout(Duration::from_millis(20)).unwrap().is_none());
    let waited = WaitSet::new().wait(&[&unable], Some(Duration::from_millis(20))).unwrap();
    assert_eq!(waited, Waited::TimedOut, "work that it cannot do does not wake it");
    let queue = || v1.store().slot_snapshot("k").unwrap().unwrap().queue.unwrap();
    assert_eq!((queue().waiting, queue().taken), (2, 0));
    let mut able = v1.work_queue("k").unwrap();
    for text in ["one", "two"] {
        let job = able.recv().unwrap();
        assert_eq!(job.text, text);
        job.acknowledge().unwrap();
    }
    assert_eq!((queue().waiting, queue().taken), (0, 0));
    v3.publish("k", &v3::Prompt { text: vec![4], max_tokens: 3 }).unwrap();
    assert_eq!(unable.recv().unwrap().text, [4]);
}

#[test]
fn a_refused_job_is_reported_once_also_while_another_worker_has_it_and_again_when_it_expires() {
    let name = Name::new();
    let (v1, v3) = two::<v1::Prompt, v3::Prompt>(&name);
    let (mut unable, mut able) = (v3.work_queue("k").unwrap(), v1.work_queue("k").unwrap());
    v1.publisher("k").unwrap().ttl(Duration::from_secs(2)).publish(&old("one")).unwrap();
    assert!(matches!(unable.recv(), Err(RecvError::OtherType { .. })));
    for _ in 0..3 {
        let job = able.recv().unwrap();
        assert!(unable.try_recv().unwrap().is_none());
        drop(job);
        assert!(unable.try_recv().unwrap().is_none());
    }
    let snapshot = || v1.store().slot_snapshot("k").unwrap().unwrap().queue.unwrap();
    assert_eq!(snapshot().waiting, 1);
    // Nobody else is there to see that it has expired.
    assert!(matches!(unable.recv(), Err(RecvError::Expired { .. })));
    assert_eq!(snapshot().waiting, 0);
}

#[test]
fn a_job_whose_type_becomes_known_is_done() {
    let name = Name::new();
    let (v1, v2) = two::<v1::Prompt, v2::Prompt>(&name);
    let mut jobs = v2.work_queue("k").unwrap();
    v2.store().set("k", &frame_from_elsewhere()).unwrap();
    assert!(matches!(jobs.recv(), Err(RecvError::OtherType { .. })));
    // It is looked at again after a second, and not reported again.
    assert!(jobs.recv_timeout(Duration::from_millis(1200)).unwrap().is_none());
    let _publisher = v1.publisher("other").unwrap();
    assert_eq!(jobs.recv().unwrap().text, "from elsewhere");
}

#[cfg(feature = "async")]
#[test]
fn a_task_with_a_job_that_it_cannot_read_sleeps_until_another_one_comes() {
    use std::future::Future;
    use std::sync::atomic::{AtomicU32, Ordering};

    let name = Name::new();
    let (v1, v3) = two::<v1::Prompt, v3::Prompt>(&name);
    let queue = v3.work_queue("k").unwrap().into_async().unwrap();
    v1.publish("k", &old("one")).unwrap();
    let polls = AtomicU32::new(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        assert!(matches!(queue.recv().await, Err(RecvError::OtherType { .. })));
        let mut receive = Box::pin(queue.recv());
        let counted = std::future::poll_fn(|context| {
            polls.fetch_add(1, Ordering::Relaxed);
            receive.as_mut().poll(context)
        });
        let mut counted = Box::pin(counted);
        let waited = tokio::time::timeout(Duration::from_millis(350), counted.as_mut()).await;
        assert!(waited.is_err());
        assert!(polls.load(Ordering::Relaxed) < 50, "{polls:?} polls");
        v3.publish("k", &v3::Prompt { text: vec![3], max_tokens: 3 }).unwrap();
        let job = counted.await.unwrap();
        assert_eq!(job.text, [3]);
        job.acknowledge().unwrap();
    });
}

#[test]
fn a_sample_of_another_version_still_borrows_from_the_store() {
    let name = Name::new();
    let (v1, bus) = two::<v1::Prompt, borrowed::Prompt<'static>>(&name);
    let mut subscriber = bus.subscribe("k").unwrap();
    v1.publish("k", &old("in place")).unwrap();
    let sample: Sample<borrowed::Prompt<'_>> = subscriber.recv_sample().unwrap();
    let view = sample.view().unwrap();
    assert_eq!(view, borrowed::Prompt { stop: None, text: "in place" });
    let payload = sample.payload().as_ptr_range();
    assert!(payload.contains(&view.text.as_ptr()) && sample.is_in_place());
}

#[test]
fn a_value_that_does_not_fit_is_an_error_that_names_both_types_and_the_field_and_the_next_one_is_received() {
    let name = Name::new();
    let (v1, v2) = two::<v1::Prompt, v2::Prompt>(&name);
    let mut prompts = v1.subscribe("k").unwrap();
    v2.publish("k", &new("too many", 70_000)).unwrap();
    v2.publish("k", &new("few", 3)).unwrap();
    let error = prompts.recv().unwrap_err();
    println!("{error}");
    let RecvError::OtherType { key, version, source } = &error else { panic!("{error}") };
    let TypeMismatch { expected, found, reason, is_known, .. } = &**source;
    assert!(is_known);
    assert_eq!((key.as_str(), *version), ("k", 1));
    assert!(expected.contains("max_tokens:u16") && found.contains("max_tokens:u32"), "{error}");
    assert!(reason.contains("max_tokens"), "{reason}");
    assert_eq!(v1.store().diagnostics().parse_failures, 1);
    assert_eq!(prompts.recv().unwrap().text, "few");
}

#[test]
fn a_type_that_cannot_be_read_is_said_at_the_subscription_with_the_field() {
    let name = Name::new();
    let (v1, v3) = two::<v1::Prompt, v3::Prompt>(&name);
    let mut early = v3.subscribe("k").unwrap();
    v1.publish("k", &old("text")).unwrap();
    for result in [v3.subscribe("k").map(drop), v3.work_queue("k").map(drop)] {
        let error = result.unwrap_err();
        println!("{error}");
        let SubscribeError::OtherType { key, source, .. } = &error else { panic!("{error}") };
        assert!(key == "k" && source.reason.contains("`text`"), "{error}");
    }
    let error = early.recv().unwrap_err().to_string();
    assert!(error.contains("`text`") && error.contains("text:String") && error.contains("text:[u8]"), "{error}");
    // A message of its own makes the key usable again.
    v3.publish("k", &v3::Prompt { text: vec![1], max_tokens: 1 }).unwrap();
    assert_eq!(v3.subscribe_from("k", Start::Newest).unwrap().recv().unwrap().text, [1]);
}

#[test]
fn an_exact_subscriber_reads_its_own_type_only() {
    let name = Name::new();
    let (v1, v2) = two::<v1::Prompt, v2::Prompt>(&name);
    let exact = SubscribeOptions::new().exact();
    let mut prompts = v2.subscribe_with("k", &exact).unwrap();
    v1.publish("k", &old("other")).unwrap();
    let error = prompts.recv().unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains("exact"), "{error}");
    assert!(matches!(v2.subscribe_with("k", &exact), Err(SubscribeError::OtherType { .. })));
    v2.publish("k", &new("own", 1)).unwrap();
    assert_eq!(prompts.recv().unwrap().text, "own");
}

#[test]
fn a_message_whose_type_the_store_does_not_know_is_an_error_and_no_other_message() {
    let name = Name::new();
    let (v1, v2) = two::<v1::Prompt, v2::Prompt>(&name);
    let mut prompts = v2.subscribe("k").unwrap();
    v2.store().set("k", &frame_from_elsewhere()).unwrap();
    let error = prompts.recv().unwrap_err().to_string();
    println!("{error}");
    assert!(error.contains("its schema is not in the store") && error.contains("max_tokens:u32"), "{error}");
    // Nothing is known about it, so a subscription is not refused; and it is read once its publisher came.
    let mut again = v2.subscribe_from("k", Start::Newest).unwrap();
    let _publisher = v1.publisher("other").unwrap();
    assert_eq!(again.recv().unwrap().text, "from elsewhere");
}

/// A message that implements the traits by hand, in an encoding of its own.
#[derive(Debug, PartialEq)]
struct ByHand(u8);

impl splinter_bus::schema::Schema for ByHand {
    fn describe(writer: &mut splinter_bus::schema::SchemaWriter) -> splinter_bus::schema::TypeRef {
        v1::Prompt::describe(writer)
    }
}

impl Message for ByHand {
    const NAME: &'static str = "Prompt";
    const VERSION: u32 = 1;
    const KIND: splinter_bus::frame::Kind = splinter_bus::frame::Kind::Query;
    const ENCODING: splinter_bus::frame::Encoding = splinter_bus::frame::Encoding::Postcard;

    fn encode(&self, payload: &mut Vec<u8>) -> Result<(), EncodeError> {
        payload.push(self.0);
        Ok(())
    }
}

impl<'de> Decode<'de> for ByHand {
    fn decode(payload: &'de [u8]) -> Result<Self, DecodeError> {
        Ok(Self(payload[0]))
    }
}

impl splinter_bus::message::DecodeOwned for ByHand {}

#[test]
fn a_message_that_is_implemented_by_hand_is_read_by_its_own_type_only() {
    let name = Name::new();
    let (v2, by_hand) = two::<v2::Prompt, ByHand>(&name);
    let mut subscriber = by_hand.subscribe("k").unwrap();
    v2.publish("k", &new("text", 1)).unwrap();
    by_hand.publish("k", &ByHand(9)).unwrap();
    let error = subscriber.recv().unwrap_err().to_string();
    assert!(error.contains("by hand"), "{error}");
    assert_eq!(*subscriber.recv().unwrap(), ByHand(9));
}

/// Types that are no postcard, and their former names.
mod encodings {
    use super::{Deserialize, Serialize};
    use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

    pub(crate) mod old {
        use super::{Deserialize, Immutable, IntoBytes, KnownLayout, Serialize, TryFromBytes};

        #[derive(splinter_bus::Message, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
        #[message(encoding = "zerocopy")]
        #[repr(C)]
        pub(crate) struct Point(pub(crate) u64);

        #[derive(splinter_bus::Message, Serialize, Deserialize)]
        #[message(encoding = "json")]
        pub(crate) struct Text(pub(crate) String);
    }

    #[derive(splinter_bus::Message, TryFromBytes, IntoBytes, Immutable, KnownLayout, Debug, PartialEq)]
    #[message(encoding = "zerocopy", alias = "Point")]
    #[repr(C)]
    pub(crate) struct Place(pub(crate) u64);

    #[derive(splinter_bus::Message, Serialize, Deserialize, Debug, PartialEq)]
    #[message(encoding = "json", alias = "Text")]
    pub(crate) struct Line(pub(crate) String);
}

#[test]
fn types_of_every_encoding_can_be_renamed() {
    use encodings::{Line, Place, old};
    let name = Name::new();
    let (points, places) = two::<old::Point, Place>(&name);
    let mut subscriber = places.subscribe("place").unwrap();
    points.publish("place", &old::Point(7)).unwrap();
    assert_eq!(*places.sample("place").unwrap().unwrap(), Place(7));
    assert_eq!(*subscriber.recv().unwrap(), Place(7));
    let (texts, lines) = (Bus::on(places.store().clone()), Bus::<Line>::on(places.store().clone()));
    texts.publish("line", &old::Text("a".to_owned())).unwrap();
    assert_eq!(*lines.get("line").unwrap().unwrap(), Line("a".to_owned()));
    assert!(matches!(Bus::<old::Point>::on(points.store().clone()).get("line"), Err(RecvError::OtherType { .. })));
}

#[test]
fn a_wait_set_and_timeouts_return_messages_of_other_versions() {
    let name = Name::new();
    let (v1, v2) = two::<v1::Prompt, v2::Prompt>(&name);
    let mut prompts = v2.subscribe("k").unwrap();
    v1.publish("k", &old("one")).unwrap();
    let waited = WaitSet::new().wait(&[&prompts], Some(Duration::from_secs(5))).unwrap();
    assert!(matches!(waited, Waited::Ready(ready) if ready == [0]));
    assert_eq!(prompts.recv_timeout(Duration::from_secs(5)).unwrap().unwrap().text, "one");
    v1.publish("k", &old("two")).unwrap();
    assert_eq!(prompts.try_recv_sample().unwrap().unwrap().view().unwrap().text, "two");
}

fn is_debug<T: Debug>() {}

#[test]
fn errors_are_of_the_umbrella() {
    is_debug::<splinter_bus::Error>();
    let name = Name::new();
    let (v1, v3) = two::<v1::Prompt, v3::Prompt>(&name);
    v1.publish("k", &old("text")).unwrap();
    let error: splinter_bus::Error = v3.subscribe("k").map(drop).unwrap_err().into();
    assert!(error.to_string().contains("`text`"), "{error}");
    let error: splinter_bus::Error = v3.get("k").map(drop).unwrap_err().into();
    assert!(error.to_string().contains("`text`"), "{error}");
}
