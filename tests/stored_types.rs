//! The message types that publishers leave in the store.

mod support;

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use splinter_bus::bus::StoredTypeError;
use splinter_bus::frame::{Encoding, Frame, Kind};
use splinter_bus::message::{EncodeError, MessageType};
use splinter_bus::schema::{Schema, SchemaWriter, TypeRef};
use splinter_bus::store::{KeyOptions, StoreOptions};
use splinter_bus::{Bus, Message, Publisher, Store};
use support::offsets::{self, Offsets, set_word, word};
use support::{Actor, ForeignLock, Name};

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
struct Prompt {
    text: String,
    seed: u128,
    stop: Option<char>,
}

#[derive(Message, Serialize, Deserialize)]
struct Answer {
    text: String,
}

fn prompt() -> Prompt {
    Prompt { text: "Why?".to_owned(), seed: 7, stop: None }
}

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    let bus: Bus<Answer> = Bus::open(arguments[0].as_str()).unwrap();
    match role.as_str() {
        "publisher" => {
            let _publisher = bus.publisher("k").unwrap();
            loop {
                std::thread::park();
            }
        }
        role => panic!("{role}"),
    }
}

/// A message type of its own for each number.
macro_rules! types {
    ($($name:ident)*) => {
        $(#[derive(Message, Serialize, Deserialize)]
        struct $name(u8);)*
    };
}

types! { A0 A1 A2 A3 }

thread_local! {
    static NUMBER: Cell<u8> = const { Cell::new(0) };
}

/// A type of which each thread can choose one of many.
struct Numbered;

impl Schema for Numbered {
    fn describe(writer: &mut SchemaWriter) -> TypeRef {
        u8::describe(writer)
    }
}

impl Message for Numbered {
    const NAME: &'static str = "Numbered";
    const VERSION: u32 = 1;
    const KIND: Kind = Kind::Event;
    const ENCODING: Encoding = Encoding::Postcard;

    fn encode(&self, payload: &mut Vec<u8>) -> Result<(), EncodeError> {
        payload.push(NUMBER.get());
        Ok(())
    }

    fn message_type() -> MessageType {
        let (mut bytes, number) = (A0::message_type().to_bytes(), NUMBER.get());
        // The format, the length of the name, and the name.
        assert_eq!(bytes[1..4], *b"\x02A0");
        bytes[2..4].copy_from_slice(&[b'A' + number / 16, b'a' + number % 16]);
        MessageType::from_bytes(&bytes).unwrap()
    }
}

fn numbered(store: &Store, number: u8) -> Bus<Numbered> {
    NUMBER.set(number);
    Bus::on(store.clone())
}

#[test]
fn a_program_that_has_none_of_the_types_shows_every_message_and_makes_one() {
    let name = Name::new();
    let bus: Bus<Prompt> = Bus::create(&name).unwrap();
    assert!(bus.store().message_types().is_empty(), "a bus that has not published");
    bus.publish("k", &prompt()).unwrap();
    let store = Store::open(&name).unwrap();
    assert_eq!(store.message_types(), [Prompt::message_type()]);
    let frame = store.get("k").unwrap().unwrap();
    let frame = Frame::parse(&frame).unwrap();
    let found = store.message_type(frame.fingerprint()).unwrap().unwrap();
    assert_eq!(found, Prompt::message_type());
    assert_eq!(found.to_json(frame.payload()).unwrap(), r#"{"text":"Why?","seed":"7","stop":null}"#);
    assert_eq!(store.message_type(1).unwrap(), None);
}

#[test]
fn types_are_in_no_list_of_keys() {
    let name = Name::new();
    let bus: Bus<Prompt> = Bus::create(&name).unwrap();
    let store = bus.store();
    let mut watch = store.watch();
    let _publisher = bus.publisher("k").unwrap();
    assert_eq!(store.message_types().len(), 1);
    assert_eq!(store.keys(), ["k"]);
    assert_eq!(store.keys_matching("*").unwrap(), ["k"]);
    assert_eq!(store.snapshot().keys, 1);
    assert_eq!(store.memory().unwrap().keys.len(), 1);
    assert_eq!((store.cells().pinned, store.cells().readable), (0, 0));
    assert_eq!(watch.poll(Some(Duration::ZERO)).unwrap(), []);
    let key = format!("\0type:{:016x}", Prompt::message_type().fingerprint());
    assert!(store.get(&key).is_err() && store.set(&key, b"").is_err() && store.unset(&key).is_err());
    assert_eq!(store.message_types().len(), 1);
}

#[test]
fn types_take_no_slot_from_keys_of_users_and_these_none_from_types() {
    let name = Name::new();
    let store = StoreOptions::new().slots(3).create(&name).unwrap();
    let bus: Bus<Prompt> = Bus::on(store.clone());
    for key in ["a", "b", "c"] {
        bus.publish(key, &prompt()).unwrap();
    }
    let full = store.set("d", b"").unwrap_err().to_string();
    assert!(full.contains('3'), "{full}");
    Bus::<Answer>::on(store.clone()).publish("a", &Answer { text: String::new() }).unwrap();
    assert_eq!(store.message_types().len(), 2);
    assert_eq!(store.snapshot().keys, 3);
    store.unset("b").unwrap();
    store.set("d", b"").unwrap();
    assert!(store.set("e", b"").is_err());
}

#[test]
fn trim_removes_the_types_that_no_bus_publishes_and_no_message_names() {
    let name = Name::new();
    let store = StoreOptions::new().key_options(KeyOptions::new().history(2).spare(2)).create(&name).unwrap();
    let names = || store.message_types().iter().map(|one| one.name().to_owned()).collect::<Vec<_>>();
    let publisher: Publisher<A0> = Bus::on(store.clone()).publisher("a0").unwrap();
    let (a1, a2): (Bus<A1>, Bus<A2>) = (Bus::on(store.clone()), Bus::on(store.clone()));
    a1.publish("k", &A1(1)).unwrap();
    a2.publish("k", &A2(2)).unwrap();
    Bus::<A3>::on(store.clone()).publisher("k").unwrap();
    assert_eq!(names(), ["A0", "A1", "A2", "A3"]);
    drop((a1, a2));
    store.trim().unwrap();
    assert_eq!(names(), ["A0", "A1", "A2"], "the history has A1, and no bus is there for A3");
    for _ in 0..2 {
        store.set("k", b"no frame").unwrap();
    }
    store.purge().unwrap();
    store.trim().unwrap();
    assert_eq!(names(), ["A0"]);
    drop(publisher);
    store.trim().unwrap();
    assert!(names().is_empty());
    // It comes again with the next publisher.
    Bus::<A0>::on(store.clone()).publish("k", &A0(1)).unwrap();
    store.trim().unwrap();
    assert_eq!(names(), ["A0"]);
}

#[test]
fn a_type_stays_while_another_process_publishes_it_and_not_when_that_was_killed() {
    let name = Name::new();
    let store = Store::create(&name).unwrap();
    let mut actor = Actor::spawn("publisher", &[name.as_ref()]);
    support::wait_until("the type is there", || !store.message_types().is_empty() && is_pinned(&name));
    store.trim().unwrap();
    assert_eq!(store.message_types(), [Answer::message_type()]);
    actor.kill();
    store.trim().unwrap();
    assert_eq!(store.message_types(), []);
}

/// Whether a participant other than this process has a pin on the first cell of the type's slot.
fn is_pinned(name: &Name) -> bool {
    let file = File::open(name.path()).unwrap();
    let offsets = Offsets::of(&file);
    let slot = slot_of_type(&file, offsets, Answer::message_type().fingerprint());
    (0..2).any(|cell| (0..4).any(|at| word(&file, offsets.cell(slot, cell) + offsets::PINS + at * 8) != 0))
}

fn slot_of_type(file: &File, offsets: Offsets, fingerprint: u64) -> u64 {
    offsets.slot_of(file, &format!("\0type:{fingerprint:016x}"))
}

#[test]
fn a_store_full_of_types_forgets_those_that_nothing_uses_and_publishes_without_the_others() {
    let name = Name::new();
    let store = Store::create(&name).unwrap();
    let publishers: Vec<_> = (0..255).map(|number| numbered(&store, number).publisher("k").unwrap()).collect();
    assert_eq!(store.message_types().len(), 255);
    // One is left, and unused again at once.
    drop(numbered(&store, 255).publisher("k").unwrap());
    Bus::<A1>::on(store.clone()).publish("k", &A1(1)).unwrap();
    assert_eq!(store.message_types().len(), 256);
    let bus: Bus<A2> = Bus::on(store.clone());
    let mut subscriber = bus.subscribe("other").unwrap();
    bus.publish("other", &A2(2)).unwrap();
    assert_eq!(subscriber.recv().unwrap().0, 2);
    assert_eq!(store.message_type(A2::message_type().fingerprint()).unwrap(), None, "each type is in use");
    drop(publishers);
    Bus::<A3>::on(store.clone()).publish("k", &A3(3)).unwrap();
    let names: Vec<_> = store.message_types().iter().map(|one| one.name().to_owned()).collect();
    assert_eq!(names, ["A1", "A3"]);
}

#[test]
fn a_message_that_is_kept_never_lacks_its_type_while_others_trim_and_publish() {
    let name = Name::new();
    let store = StoreOptions::new().key_options(KeyOptions::new().history(1).spare(1)).create(&name).unwrap();
    let ends = AtomicBool::new(false);
    let (ends, store) = (&ends, &store);
    let entered = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                store.trim().unwrap();
            }
        });
        let publish = |thread: u8| {
            let (key, mut entered, start) = (format!("k{thread}"), 0, Instant::now());
            for round in (0_u64..).map(|round| (round % 7) as u8) {
                let bus = numbered(store, thread * 8 + round);
                let fingerprint = bus.message_type().fingerprint();
                entered += u32::from(store.message_type(fingerprint).unwrap().is_none());
                // It waits as long as it takes to leave the type.
                let mut publisher = bus.publisher(&key).unwrap();
                publisher.publish(&Numbered).unwrap();
                drop((publisher, bus));
                assert!(store.message_type(fingerprint).unwrap().is_some(), "round {round}");
                if entered > 100 || start.elapsed() > support::DEADLINE {
                    break;
                }
            }
            entered
        };
        let threads = [0, 1].map(|thread| scope.spawn(move || publish(thread)));
        let entered = threads.map(|thread| thread.join());
        ends.store(true, Ordering::Relaxed);
        entered.map(|entered| entered.unwrap())
    });
    println!("{entered:?} times, a type was entered again");
    assert!(entered.iter().all(|&entered| entered > 100));
}

#[test]
fn a_damaged_type_is_an_error_and_the_next_publisher_repairs_it() {
    let name = Name::new();
    let store = Store::create(&name).unwrap();
    Bus::<Answer>::on(store.clone()).publish("k", &Answer { text: "42".to_owned() }).unwrap();
    let (ours, other) = (Answer::message_type(), Prompt::message_type());
    let fingerprint = ours.fingerprint();
    let file = File::options().read(true).write(true).open(name.path()).unwrap();
    let offsets = Offsets::of(&file);
    let slot = slot_of_type(&file, offsets, fingerprint);
    let cell = (0..2).find(|&cell| word(&file, offsets.cell(slot, cell) + offsets::VALUE) != 0).unwrap();
    let value = offsets.cell(slot, cell) + offsets::VALUE;
    let mut newer = ours.to_bytes();
    newer[0] = 200;
    for bytes in [vec![0xff; ours.to_bytes().len()], newer, other.to_bytes()[..ours.to_bytes().len()].to_vec()] {
        file.write_all_at(&bytes, value).unwrap();
        let error = store.message_type(fingerprint).unwrap_err();
        assert!(matches!(error, StoredTypeError::Schema { .. }), "{error}");
        println!("{error}");
        assert_eq!(store.message_types(), []);
    }
    let smaller = A0::message_type().to_bytes();
    file.write_all_at(&smaller, value).unwrap();
    let len = word(&file, offsets.cell(slot, cell) + offsets::LEN);
    set_word(&file, offsets.cell(slot, cell) + offsets::LEN, len >> 32 << 32 | smaller.len() as u64);
    let error = store.message_type(fingerprint).unwrap_err();
    assert!(matches!(error, StoredTypeError::Other { .. }), "{error}");
    println!("{error}");
    let _publisher = Bus::<Answer>::on(store.clone()).publisher("k").unwrap();
    assert_eq!(store.message_type(fingerprint).unwrap(), Some(ours));
}

#[test]
fn types_are_in_copies_and_survive_a_recovery() {
    let directory = tempfile::tempdir().unwrap();
    let (path, copy) = (directory.path().join("store"), directory.path().join("copy"));
    let bus: Bus<Prompt> = Bus::create(&path).unwrap();
    bus.publish("k", &prompt()).unwrap();
    bus.store().copy_to(&copy).unwrap();
    drop(bus);
    let file = File::options().read(true).write(true).open(&path).unwrap();
    set_word(&file, offsets::CLEAN_EPOCH, 1);
    for path in [&path, &copy] {
        let store = Store::open(path).unwrap();
        assert_eq!(store.message_types(), [Prompt::message_type()]);
        assert_eq!(store.keys(), ["k"]);
    }
    assert_eq!(Store::open(&path).unwrap().recovery(), None, "it was recovered before");
}

#[test]
fn a_frame_is_one_line_of_json_without_its_type_too() {
    let name = Name::new();
    let bus: Bus<Prompt> = Bus::create(&name).unwrap();
    let mut publisher = bus.publisher("k").unwrap().from("gateway").trace("t");
    let sent = publisher.message(&prompt()).to("worker").reply_to("a#3").attempt(2).send().unwrap();
    let frame = bus.store().get("k").unwrap().unwrap();
    let frame = Frame::parse(&frame).unwrap();
    let message_type = bus.store().message_type(frame.fingerprint()).unwrap().unwrap();
    let json = message_type.frame_to_json(&frame).unwrap();
    let typed = bus.get("k").unwrap().unwrap();
    let ts = humantime::format_rfc3339_millis(typed.envelope().sent_at());
    assert_eq!(
        json,
        format!(
            r#"{{"id":"{}","ts":"{ts}","from":"gateway","type":"event","payload":{{"text":"Why?","seed":"7","stop":null}},"to":"worker","reply_to":"a#3","trace":"t","seq":0,"eof":true,"attempt":2}}"#,
            sent.id
        )
    );
    // The type itself writes its number as a number.
    assert_eq!(serde_json::to_string(&typed).unwrap(), json.replace("\"7\"", "7"));
}

#[test]
fn a_type_that_could_not_be_left_because_another_process_creates_keys_is_left_later() {
    let name = Name::new();
    let store = Store::create(&name).unwrap();
    store.set("k", b"").unwrap();
    let bus: Bus<Answer> = Bus::on(store.clone());
    let answer = Answer { text: "42".to_owned() };
    {
        // The lock of the directory.
        let _stopped = ForeignLock::new(&name.path(), (1 << 62) + 1024, 1);
        let start = Instant::now();
        bus.publish("k", &answer).unwrap();
        assert!(start.elapsed() < Duration::from_secs(5), "a publish under an existing key");
        assert_eq!(store.message_types(), []);
    }
    support::wait_until("the next attempt", || {
        bus.publish("k", &answer).unwrap();
        !store.message_types().is_empty()
    });
    let _publisher = bus.publisher("k").unwrap();
    assert_eq!(store.message_types(), [Answer::message_type()]);
}
