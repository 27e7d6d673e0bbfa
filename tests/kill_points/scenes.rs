//! The scenes: what a process does while it is ended. Every protocol once, and again where crashed
//! participants are in its way.

#![allow(unreachable_pub, reason = "a module of a test binary")]

use std::cell::Cell;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use splinter_bus::kill_points::{self, Ending, Step};
use splinter_bus::store::{KeyOptions, Store, StoreOptions};
use splinter_bus::{Bus, Message, RecvError, Start, SubscribeOptions};

use crate::support::Actor;
use crate::support::seccomp::{Call, refuse};

/// The values of the keys that every store has from the start.
pub const BEFORE: [u8; 200] = [b'0'; 200];
/// The value that the process to be ended sets them to.
pub const THEIRS: [u8; 50] = [b'c'; 50];
/// The bytes that it appends.
pub const TAIL: [u8; 9] = [b't'; 9];
/// The lengths of values in a medium place, and in a large one.
pub const LONG: [usize; 3] = [3000, 20_000, 100_000];
/// The messages of the work queue.
pub const JOBS: [u8; 3] = [1, 2, 3];

pub const SLOTS: u32 = 12;
pub const CELLS: u32 = 5;
/// The participants of a store.
const PLACES: usize = 254;

pub fn options() -> StoreOptions {
    StoreOptions::new().slots(SLOTS).key_options(KeyOptions::new().history(2).spare(CELLS - 2).lossless(3))
}

/// What exists when the scene begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A store in shared memory with all its keys, which the observer has open, too.
    Memory,
    /// The same in a file.
    File,
    /// A file whose last user was killed.
    AbandonedFile,
    /// A copy of a file.
    CopiedFile,
    /// No store, and a name for one in shared memory.
    Nothing,
    /// No store, and the path of a file.
    NoFile,
}

pub struct Scene {
    pub name: &'static str,
    pub stage: Stage,
    play: fn(&Act),
    /// A race, which reaches its steps at random times. Only steps that no other scene reaches count.
    pub races_for: Option<Step>,
}

pub const fn scene(name: &'static str, stage: Stage, play: fn(&Act)) -> Scene {
    Scene { name, stage, play, races_for: None }
}

pub const SCENES: &[Scene] = &[
    scene("publish", Stage::Memory, publish),
    scene("publish to a file", Stage::File, publish),
    scene("publish beside a lossless subscriber", Stage::Memory, publish_without_loss),
    scene("publish over a crashed participant", Stage::Memory, publish_over_a_crash),
    scene("publish after a writer that crashed before its commit", Stage::Memory, publish_after_a_crash),
    scene("publish to a new key", Stage::Memory, publish_first),
    scene("publish to a new key in a file", Stage::File, publish_first),
    scene("publish long values", Stage::Memory, publish_long),
    scene("publish long values to a file", Stage::File, publish_long),
    scene("publish long values to a copy", Stage::CopiedFile, publish_long),
    scene("publish long values over a crashed participant", Stage::Memory, publish_long_over_a_crash),
    scene("publish short values after long ones", Stage::Memory, publish_short_again),
    scene("append", Stage::Memory, append),
    scene("append to a long value", Stage::Memory, append_to_long),
    scene("append to a long value in a file", Stage::File, append_to_long),
    scene("count", Stage::Memory, count),
    scene("lend and send", Stage::Memory, lend),
    scene("lend and send long values", Stage::Memory, lend_long),
    Scene {
        name: "publish against pins",
        stage: Stage::Memory,
        play: publish_against_pins,
        races_for: Some(Step::ClaimWithdrawn),
    },
    scene("read in place", Stage::Memory, read_in_place),
    scene("release a removed value", Stage::Memory, release_removed),
    scene("receive without loss", Stage::Memory, receive_without_loss),
    scene("evict a subscriber", Stage::Memory, evict),
    scene("declare a queue", Stage::Memory, declare_queue),
    scene("work", Stage::Memory, work),
    scene("work over a crashed worker", Stage::Memory, work_over_a_crash),
    scene("wait", Stage::Memory, wait),
    scene("create a key", Stage::Memory, create_key),
    scene("create a key in a file", Stage::File, create_key),
    scene("create a key in a used slot", Stage::Memory, create_key_again),
    scene("create a key of another shape in a used slot", Stage::Memory, create_key_of_another_shape),
    scene("create a key of another shape in a file", Stage::File, create_key_of_another_shape),
    scene("create a key over a crashed creator", Stage::Memory, create_key_over_a_crash),
    scene("remove a key", Stage::Memory, remove_key),
    scene("remove a key with long values", Stage::Memory, remove_long),
    scene("remove a key with long values from a file", Stage::File, remove_long),
    scene("remove a key with long values over a crashed publisher", Stage::Memory, remove_long_over_a_crash),
    scene("remove a key over a crashed remover", Stage::Memory, remove_key_over_a_crash),
    scene("purge", Stage::Memory, purge),
    scene("subscribe after a crashed purge", Stage::Memory, subscribe_after_a_crashed_purge),
    scene("declare a queue after a crashed purge", Stage::Memory, declare_queue_after_a_crashed_purge),
    scene("leave a message type", Stage::Memory, leave_type),
    scene("remove a message type", Stage::Memory, remove_type),
    scene("open", Stage::Memory, open),
    scene("open beside a crashed participant", Stage::Memory, open_beside_a_crash),
    scene("open with the index of a crashed participant", Stage::Memory, open_with_a_crashed_index),
    scene("close", Stage::Memory, close),
    scene("open an abandoned file", Stage::AbandonedFile, open),
    scene("open a copy", Stage::CopiedFile, open),
    scene("publish to a copy", Stage::CopiedFile, publish),
    scene("flush", Stage::File, flush),
    scene("create a store", Stage::Nothing, create),
    scene("create a store in a file", Stage::NoFile, create),
    scene("create a store by a link", Stage::Nothing, create_by_link),
    scene("create a store in a file by a link", Stage::NoFile, create_by_link),
];

/// Opens the store, with the options of its creator for keys that are created.
fn open_at(location: &str) -> Store {
    options().open(location).expect("a store")
}

/// The process that plays a scene.
pub struct Act<'a> {
    location: &'a str,
    /// What happens to it after it has begun.
    pub end: Option<(Step, usize, Ending)>,
    begun: Cell<bool>,
}

impl<'a> Act<'a> {
    pub fn new(location: &'a str, end: Option<(Step, usize, Ending)>) -> Self {
        Self { location, end, begun: Cell::new(false) }
    }

    pub fn play(&self, scene: &Scene) {
        (scene.play)(self);
        assert!(self.begun.get());
    }

    pub fn open(&self) -> Store {
        open_at(self.location)
    }

    /// Becomes a participant once more.
    fn open_unshared(&self) -> Store {
        Store::open_unshared(self.location).expect("a store")
    }

    /// Steps count from here on.
    pub fn begin(&self) {
        self.begun.set(true);
        kill_points::count();
        if let Some((step, before, ending)) = self.end {
            kill_points::arm(step, before, ending);
        }
    }

    /// Runs another process in this role, which is killed.
    fn have_die(&self, role: &str) {
        let status = Actor::spawn(role, &[self.location]).0.wait().expect("our own child");
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{role} was not killed: {status}");
    }
}

/// Creates what every stage has.
pub fn set_up(store: &Store) {
    for key in ["k", "calm", "idle"] {
        // As often as it takes for every cell to have held a value.
        for _ in 0..2 * CELLS {
            store.set(key, &BEFORE).unwrap();
        }
    }
    for len in LONG.into_iter().cycle().take(2 * CELLS as usize) {
        store.set("long", &vec![b'0'; len]).unwrap();
    }
    store.integer("count").unwrap().set(0).unwrap();
    let bus = Bus::<Vec<u8>>::on(store.clone());
    for key in ["m", "n"] {
        bus.publish(key, &vec![0]).unwrap();
    }
    let _declared = bus.work_queue("q").unwrap();
    for job in JOBS {
        bus.publish("q", &vec![job]).unwrap();
    }
}

fn publish(act: &Act) {
    let store = act.open();
    let slot = store.slot("k").unwrap();
    // A waiter that gives up leaves the flags of its events set.
    assert_eq!(slot.poll_after(slot.version(), Some(Duration::from_millis(5))).unwrap(), None);
    assert!(store.watch().poll(Some(Duration::from_millis(5))).unwrap().is_empty());
    act.begin();
    slot.set(&THEIRS).unwrap();
}

fn publish_first(act: &Act) {
    let store = act.open();
    act.begin();
    for _ in 0..2 {
        store.set("new", &THEIRS).unwrap();
    }
}

fn publish_long(act: &Act) {
    let slot = act.open().slot("long").unwrap();
    act.begin();
    for len in LONG {
        slot.set(&vec![b'c'; len]).unwrap();
    }
}

fn publish_long_over_a_crash(act: &Act) {
    let slot = act.open().slot("long").unwrap();
    for _ in 0..3 {
        act.have_die("long publisher");
    }
    act.begin();
    for len in LONG.into_iter().cycle().take(2 * CELLS as usize) {
        slot.set(&vec![b'c'; len]).unwrap();
    }
}

pub fn publish_long_and_die(location: &str) {
    let store = open_at(location);
    let slot = store.slot("long").unwrap();
    let _pin = slot.pin().unwrap();
    let _loan = slot.loan(LONG[2]).unwrap();
    kill_points::arm(Step::LengthWritten, 0, Ending::Killed);
    slot.set(&vec![b'c'; LONG[0]]).unwrap();
}

/// Cells that hold short values for long enough give their places back.
fn publish_short_again(act: &Act) {
    let slot = act.open().slot("long").unwrap();
    act.begin();
    for _ in 0..70 * CELLS {
        slot.set(&THEIRS).unwrap();
    }
}

fn publish_without_loss(act: &Act) {
    let bus = Bus::<Vec<u8>>::on(act.open());
    let mut publisher = bus.publisher("m").unwrap();
    act.begin();
    // Until the observer's cursor, which does not move meanwhile, is in the way.
    while publisher.publish(&vec![1; 3]).is_ok() {}
}

fn publish_over_a_crash(act: &Act) {
    let store = act.open();
    let (slot, bus) = (store.slot("k").unwrap(), Bus::<Vec<u8>>::on(store));
    let mut publisher = bus.publisher("n").unwrap();
    act.have_die("holder");
    act.begin();
    for _ in 0..CELLS {
        slot.set(&THEIRS).unwrap();
        publisher.publish(&vec![1; 3]).unwrap();
    }
}

fn publish_after_a_crash(act: &Act) {
    let slot = act.open().slot("k").unwrap();
    act.have_die("publisher");
    act.begin();
    slot.set(&THEIRS).unwrap();
}

pub fn publish_and_die(location: &str) {
    let slot = open_at(location).slot("k").unwrap();
    kill_points::arm(Step::HeadMoved, 0, Ending::Killed);
    slot.set(&THEIRS).unwrap();
}

/// Holds one of everything, and is killed with a claimed cell.
pub fn hold_and_die(location: &str) {
    let store = open_at(location);
    let (slot, bus) = (store.slot("k").unwrap(), Bus::<Vec<u8>>::on(store));
    let _pin = slot.pin().unwrap();
    let _loan = slot.loan(10).unwrap();
    let _cursor = bus.subscribe_with("n", &SubscribeOptions::new().lossless().start(Start::Oldest)).unwrap();
    let _job = bus.work_queue("q").unwrap().recv().unwrap();
    kill_points::arm(Step::CellClaimed, 0, Ending::Killed);
    slot.set(&THEIRS).unwrap();
}

fn append(act: &Act) {
    let slot = act.open().slot("k").unwrap();
    act.begin();
    slot.append(&TAIL).unwrap();
}

fn append_to_long(act: &Act) {
    let slot = act.open().slot("long").unwrap();
    slot.set(&vec![b'c'; LONG[0]]).unwrap();
    act.begin();
    for _ in 0..2 {
        slot.append(&TAIL).unwrap();
    }
    slot.set(&vec![b'c'; LONG[2]]).unwrap();
    slot.append(&TAIL).unwrap();
}

fn count(act: &Act) {
    let count = act.open().integer("count").unwrap();
    act.begin();
    count.fetch_add(1).unwrap();
}

fn lend(act: &Act) {
    let slot = act.open().slot("k").unwrap();
    act.begin();
    drop(slot.loan(300).unwrap());
    slot.loan_uninit(THEIRS.len()).unwrap().write(&THEIRS).send().unwrap();
}

fn lend_long(act: &Act) {
    let slot = act.open().slot("long").unwrap();
    act.begin();
    drop(slot.loan(1 << 20).unwrap());
    for len in LONG {
        slot.loan_uninit(len).unwrap().write(&vec![b'c'; len]).send().unwrap();
    }
}

/// A reader that pins between a writer's two checks makes it withdraw.
fn publish_against_pins(act: &Act) {
    let slot = act.open().slot("k").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while kill_points::passed(Step::ClaimWithdrawn) == 0 {
                let oldest = slot.oldest_from(0).unwrap().unwrap_or(0);
                // A claimed cell is not pinned: the writer may be stopped.
                let _ = slot.pin_version(oldest);
            }
        });
        act.begin();
        while kill_points::passed(Step::ClaimWithdrawn) == 0 {
            slot.set(&THEIRS).unwrap();
        }
    });
}

fn read_in_place(act: &Act) {
    let bus = Bus::<Vec<u8>>::on(act.open());
    act.begin();
    let newest = bus.sample("m").unwrap().unwrap();
    assert!(bus.sample_version("m", newest.version() - 1).unwrap().is_some());
}

fn release_removed(act: &Act) {
    let store = act.open();
    let pin = store.slot("k").unwrap().pin().unwrap();
    act.open().unset("k").unwrap();
    act.begin();
    drop(pin);
}

fn receive_without_loss(act: &Act) {
    let bus = Bus::<Vec<u8>>::on(act.open());
    act.begin();
    let mut subscriber = bus.subscribe_with("n", &SubscribeOptions::new().lossless().start(Start::Oldest)).unwrap();
    subscriber.recv().unwrap();
}

fn evict(act: &Act) {
    let bus = Bus::<Vec<u8>>::on(act.open());
    let mut subscriber = bus.subscribe_with("n", &SubscribeOptions::new().lossless().start(Start::Oldest)).unwrap();
    act.begin();
    bus.store().evict("n", bus.store().participant()).unwrap();
    assert!(matches!(subscriber.recv(), Ok(_) | Err(RecvError::Evicted { .. })));
}

fn declare_queue(act: &Act) {
    let bus = Bus::<Vec<u8>>::on(act.open());
    act.begin();
    bus.work_queue("idle").unwrap();
}

fn work(act: &Act) {
    let bus = Bus::<Vec<u8>>::on(act.open());
    let mut queue = bus.work_queue("q").unwrap();
    act.begin();
    queue.recv().unwrap().acknowledge().unwrap();
    let _taken = queue.recv().unwrap();
    drop(queue.recv().unwrap());
}

fn work_over_a_crash(act: &Act) {
    let bus = Bus::<Vec<u8>>::on(act.open());
    let mut queue = bus.work_queue("q").unwrap();
    act.have_die("holder");
    act.begin();
    let mut jobs = Vec::new();
    while let Some(job) = queue.try_recv().unwrap() {
        jobs.push(job);
    }
    assert_eq!(jobs.len(), JOBS.len());
}

fn wait(act: &Act) {
    let slot = act.open().slot("k").unwrap();
    act.begin();
    slot.poll_after(slot.version(), Some(Duration::from_millis(5))).unwrap();
}

fn create_key(act: &Act) {
    let store = act.open();
    act.begin();
    store.slot("new").unwrap();
}

fn create_key_again(act: &Act) {
    let store = act.open();
    store.set("old", &BEFORE).unwrap();
    store.unset("old").unwrap();
    act.begin();
    store.slot("new").unwrap();
}

fn create_key_of_another_shape(act: &Act) {
    let store = act.open();
    store.set("old", &vec![b'0'; LONG[2]]).unwrap();
    store.unset("old").unwrap();
    act.begin();
    let slot = store.slot_with("shaped", &KeyOptions::new().history(5).spare(3).lossless(20)).unwrap();
    slot.set(&vec![b'c'; LONG[0]]).unwrap();
}

fn create_key_over_a_crash(act: &Act) {
    let store = act.open();
    act.have_die("creator");
    act.begin();
    store.slot("new").unwrap();
}

pub fn create_key_and_die(location: &str) {
    let store = open_at(location);
    kill_points::arm(Step::KeyWritten, 0, Ending::Killed);
    store.slot("never").unwrap();
}

fn remove_key(act: &Act) {
    let store = act.open();
    act.begin();
    assert!(store.unset("k").unwrap().is_some());
}

fn remove_long(act: &Act) {
    let store = act.open();
    act.begin();
    assert!(store.unset("long").unwrap().is_some());
}

fn remove_long_over_a_crash(act: &Act) {
    let store = act.open();
    act.have_die("long publisher");
    act.begin();
    store.unset("long").unwrap();
}

fn remove_key_over_a_crash(act: &Act) {
    let store = act.open();
    act.have_die("remover");
    act.begin();
    store.unset("k").unwrap();
}

pub fn remove_key_and_die(location: &str) {
    let store = open_at(location);
    kill_points::arm(Step::KeyUnassigned, 0, Ending::Killed);
    store.unset("k").unwrap();
}

fn purge(act: &Act) {
    let store = act.open();
    act.begin();
    store.purge().unwrap();
}

/// The next subscriber begins above what the crashed purge was about to take, and finishes it.
fn subscribe_after_a_crashed_purge(act: &Act) {
    let bus = Bus::<Vec<u8>>::on(act.open());
    bus.publish("n", &vec![0]).unwrap();
    act.have_die("purger");
    act.begin();
    let options = SubscribeOptions::new().lossless().start(Start::Oldest);
    let subscriber = bus.subscribe_with("n", &options).unwrap();
    assert_eq!(subscriber.next_version(), 2);
    assert_eq!(bus.store().slot("n").unwrap().first_version(), 2);
}

fn declare_queue_after_a_crashed_purge(act: &Act) {
    let bus = Bus::<Vec<u8>>::on(act.open());
    bus.publish("n", &vec![0]).unwrap();
    act.have_die("purger");
    act.begin();
    bus.work_queue("n").unwrap();
    let snapshot = bus.store().slot_snapshot("n").unwrap().unwrap();
    assert_eq!((snapshot.first_version, snapshot.version), (2, 2));
    assert_eq!(snapshot.queue.map(|queue| (queue.waiting, queue.taken)), Some((1, 0)));
}

pub fn purge_and_die(location: &str) {
    let store = open_at(location);
    // Slots are purged in order, and the keys of `set_up` and the type of their messages are in them in
    // order. It is killed when it has announced itself in the slot of "n", or before.
    let before = store.keys().iter().filter(|&key| key != "q" && key != "n").count() + store.message_types().len();
    kill_points::arm(Step::PurgeAnnounced, before, Ending::Killed);
    store.purge().unwrap();
}

fn flush(act: &Act) {
    let store = act.open();
    // The flushed value is older than the newest one.
    store.flush().unwrap();
    store.set("calm", &BEFORE).unwrap();
    act.begin();
    store.flush().unwrap();
}

#[derive(Message, serde::Serialize, serde::Deserialize)]
struct Announced {
    number: u8,
}

fn leave_type(act: &Act) {
    let bus = Bus::<Announced>::on(act.open());
    act.begin();
    let _publisher = bus.publisher("k").expect("a publisher");
}

pub fn publish_of_a_type(store: &Store) {
    Bus::<Announced>::on(store.clone()).publish("k", &Announced { number: 1 }).expect("a free cell");
}

fn remove_type(act: &Act) {
    let store = act.open();
    drop(Bus::<Announced>::on(store.clone()).publisher("k").expect("a publisher"));
    act.begin();
    store.trim().expect("the process that opened it");
}

fn open(act: &Act) {
    act.begin();
    let store = act.open_unshared();
    assert_eq!(store.get("calm").unwrap().as_deref(), Some(&BEFORE[..]));
}

fn open_beside_a_crash(act: &Act) {
    act.have_die("holder");
    open(act);
}

fn open_with_a_crashed_index(act: &Act) {
    let first = act.open();
    let taken = first.participants().unwrap().len();
    // All indexes but one, which is the crashed participant's.
    let _handles: Vec<_> = (taken + 1..PLACES).map(|_| act.open_unshared()).collect();
    act.have_die("holder");
    open(act);
}

fn close(act: &Act) {
    let store = act.open();
    act.begin();
    drop(store);
}

/// Where no call renames without replacing, a store has two names for a moment: its own and its
/// draft's.
fn create_by_link(act: &Act) {
    refuse(&[Call::any(libc::SYS_renameat2)], libc::EINVAL);
    create(act);
}

fn create(act: &Act) {
    act.begin();
    // Another process may be faster while this one is stopped.
    let store = if act.location.contains('/') {
        options().create_or_open(Path::new(act.location))
    } else {
        options().create_or_open(act.location)
    };
    store.unwrap();
}
