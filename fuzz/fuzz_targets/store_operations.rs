//! Runs operations on a store in random order, and compares each result with that of a model.

#![no_main]

use std::collections::{BTreeMap, VecDeque};
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use splinter_bus::store::{GetError, KeyOptions, Lookup, Pinned, SetError, Store, StoreOptions, UpdateError};
use splinter_bus::{Bus, Job, Start, SubscribeOptions, Subscriber, WorkQueue};
use splinter_bus_fuzz::anonymous;

const HISTORY: u32 = 3;
const CELLS: usize = 8;
/// How many versions the model knows. It is more than there are cells.
const KNOWN: usize = 16;
const KEYS: [&str; 3] = ["a", "b", "integer"];
/// The keys of a lossless subscriber and of a work queue.
const LOG: &str = "log";
const QUEUE: &str = "queue";

#[derive(Debug, Arbitrary)]
enum Operation {
    Set { key: u8, len: u8, fill: u8 },
    Append { key: u8, len: u8, fill: u8 },
    Add { n: u64 },
    Lend { key: u8, len: u8, fill: u8, send: bool },
    Get { key: u8 },
    GetVersion { key: u8, back: u8 },
    Pin { key: u8, back: u8 },
    Unpin { which: u8 },
    Unset { key: u8 },
    SetIf { key: u8, matches: bool, len: u8, fill: u8 },
    GetToSlice { key: u8, len: u8 },
    Purge,
    Trim,
    Vacuum { on: bool },
    Subscribe,
    Unsubscribe,
    Log { fill: u8 },
    Receive { in_place: bool },
    Enqueue { fill: u8 },
    Take,
    Acknowledge { which: u8 },
    GiveBack { which: u8 },
    Keys,
}

static STORE: LazyLock<Store> = LazyLock::new(|| {
    let keys = KeyOptions::new().history(HISTORY).spare(CELLS as u32 - HISTORY).lossless(2);
    anonymous(&StoreOptions::new().slots(8).span(2 << 20).key_options(keys))
});

/// The longest value of a key with so many cells.
static MAX_VALUE_SIZE: LazyLock<usize> = LazyLock::new(|| STORE.slot(KEYS[0]).expect("a slot").max_len());

/// A length in the middle of each kind of values: in cells, in pages, in medium places, in large ones, and
/// too long.
fn length(len: u8) -> usize {
    let len = usize::from(len);
    match len {
        0..200 => len * 6,
        200..240 => 1200 + (len - 200) * 1600,
        _ => 65_500 + (len - 240) * 9000,
    }
}

/// The expected state of a key.
#[derive(Default)]
struct Model {
    /// The versions and values, the newest last.
    values: Vec<(u64, Vec<u8>)>,
    exists: bool,
}

impl Model {
    fn newest(&self) -> Option<&[u8]> {
        self.values.last().map(|(_, value)| &value[..])
    }
}

struct Play {
    bus: Bus<Vec<u8>>,
    models: BTreeMap<&'static str, Model>,
    pins: Vec<(&'static str, Pinned, Vec<u8>)>,
    subscriber: Option<Subscriber<Vec<u8>>>,
    /// The messages that the subscriber receives next.
    log: VecDeque<u8>,
    queue: WorkQueue<Vec<u8>>,
    /// The messages that no worker has leased, in the order of versions.
    waiting: BTreeMap<u64, (u8, u32)>,
    taken: Vec<(Job<Vec<u8>>, u8, u32)>,
}

fuzz_target!(|operations: Vec<Operation>| {
    let bus = Bus::<Vec<u8>>::on(STORE.clone());
    for key in KEYS.iter().chain([&LOG, &QUEUE]) {
        bus.store().unset(key).expect("no other process uses the store");
    }
    let queue = bus.work_queue(QUEUE).expect("a slot");
    let mut play = Play {
        bus,
        models: KEYS.iter().map(|&key| (key, Model::default())).collect(),
        pins: vec![],
        subscriber: None,
        log: VecDeque::new(),
        queue,
        waiting: BTreeMap::new(),
        taken: vec![],
    };
    for operation in operations {
        play.carry_out(operation);
    }
    for (_, pin, value) in &play.pins {
        assert_eq!(pin[..], value[..], "a pinned value has changed");
    }
    let store = play.bus.store().clone();
    drop(play);
    let cells = store.cells();
    assert_eq!((cells.pinned, cells.in_flight), (0, 0), "{cells:?}");
});

fn key(number: u8) -> &'static str {
    KEYS[usize::from(number) % KEYS.len()]
}

impl Play {
    fn store(&self) -> Store {
        self.bus.store().clone()
    }

    fn carry_out(&mut self, operation: Operation) {
        let store = self.store();
        match operation {
            Operation::Set { key: number, len, fill } => {
                let value = vec![fill; length(len)];
                let result = store.set(key(number), &value);
                self.is_published(key(number), value, result);
            }
            Operation::Lend { key: number, len, fill, send } => {
                let Ok(slot) = store.slot(key(number)) else { panic!("there is a slot for each key") };
                self.models.get_mut(key(number)).expect("a key of the model").exists = true;
                let value = vec![fill; length(len)];
                match slot.loan(value.len()) {
                    Ok(mut loan) if send => {
                        assert!(loan.iter().all(|&byte| byte == 0));
                        loan.copy_from_slice(&value);
                        let result = loan.send();
                        self.is_published(key(number), value, result);
                    }
                    Ok(loan) => drop(loan),
                    Err(_) => assert!(value.len() > *MAX_VALUE_SIZE || self.may_refuse(key(number))),
                }
            }
            Operation::Append { key: number, len, fill } => {
                let (key, tail) = (key(number), vec![fill; length(len)]);
                let value = [self.models[key].newest().unwrap_or_default(), &tail].concat();
                match store.append(key, &tail) {
                    Ok(appended) => self.is_published(key, value, Ok(appended.version)),
                    Err(UpdateError::Set(SetError::TooLarge { .. })) => assert!(value.len() > *MAX_VALUE_SIZE),
                    Err(error) => {
                        assert!(self.may_refuse(key), "{error}");
                        self.models.get_mut(key).expect("a key of the model").exists = true;
                    }
                }
            }
            Operation::Add { n } => {
                let integer = store.integer("integer").expect("a slot");
                let before = self.models["integer"].newest().map(<[u8]>::to_vec);
                let result = integer.fetch_add(n);
                let number = before.as_deref().map_or(Some(0), |bytes| bytes.try_into().ok().map(u64::from_ne_bytes));
                self.models.get_mut("integer").expect("a key of the model").exists = true;
                match (result, number) {
                    (Ok(old), Some(number)) => {
                        assert_eq!(old, number);
                        let version = store.slot("integer").expect("a slot").version();
                        let value = number.wrapping_add(n).to_ne_bytes().to_vec();
                        self.is_published("integer", value, Ok(version));
                    }
                    (Err(UpdateError::NotAnInteger { .. }), None) => {}
                    (result, number) => assert!(self.may_refuse("integer"), "{result:?}, {number:?}"),
                }
            }
            Operation::Get { key: number } => {
                let value = store.get(key(number)).expect("the value is not damaged");
                assert_eq!(value.as_deref(), self.models[key(number)].newest());
            }
            Operation::GetVersion { key: number, back } => {
                let model = &self.models[key(number)];
                let Some((newest, _)) = model.values.last() else { return };
                let version = newest.saturating_sub(u64::from(back) % 10);
                let mut value = Vec::new();
                let slot = store.slot(key(number)).expect("a slot");
                let expected = model.values.iter().find(|(known, _)| *known == version);
                match (slot.get_version_into(version, &mut value).expect("the value is not damaged"), expected) {
                    (Lookup::Found(()), Some((_, expected))) => assert_eq!(&value, expected),
                    (Lookup::Gone, None) => {}
                    (Lookup::Gone, Some(_)) => assert!(self.may_be_gone(key(number), newest - version)),
                    (outcome, _) => panic!("version {version} of {newest}: {outcome:?}"),
                }
            }
            Operation::Pin { key: number, back } => {
                let Some(&(newest, _)) = self.models[key(number)].values.last() else { return };
                let version = newest.saturating_sub(u64::from(back) % 4);
                let slot = store.slot(key(number)).expect("a slot");
                if self.pins.len() < 3
                    && let Some(pin) = slot.pin_version(version).expect("the value is not damaged")
                {
                    let expected = self.models[key(number)].values.iter().find(|(known, _)| *known == version);
                    let (_, value) = expected.expect("a published version");
                    assert_eq!(pin[..], value[..]);
                    self.pins.push((key(number), pin, value.clone()));
                }
            }
            Operation::Unpin { which } => {
                if !self.pins.is_empty() {
                    let (_, pin, value) = self.pins.swap_remove(usize::from(which) % self.pins.len());
                    assert_eq!(pin[..], value[..], "a pinned value has changed");
                }
            }
            Operation::Unset { key: number } => {
                let model = self.models.get_mut(key(number)).expect("a key of the model");
                let removed = store.unset(key(number)).expect("no other process uses the store");
                assert_eq!(removed.is_some(), model.exists);
                (model.exists, model.values) = (false, vec![]);
            }
            Operation::Purge => {
                store.purge().expect("no other process uses the store");
                for model in self.models.values_mut() {
                    model.values.drain(..model.values.len().saturating_sub(1));
                }
            }
            Operation::SetIf { key: number, matches, len, fill } => {
                let (key, value) = (key(number), vec![fill; length(len)]);
                let newest = self.models[key].values.last().map_or(0, |(version, _)| *version);
                let expected = if matches { newest } else { newest + 7 };
                match store.set_if_version(key, expected, &value) {
                    Ok(Ok(version)) => {
                        assert!(matches);
                        self.is_published(key, value, Ok(version));
                    }
                    Ok(Err(found)) => assert_eq!((matches, found), (false, newest)),
                    Err(error) => self.is_published(key, value, Err(error)),
                }
            }
            Operation::GetToSlice { key: number, len } => {
                let mut bytes = vec![0; length(len)];
                let expected = self.models[key(number)].newest();
                match (store.get_to_slice(key(number), &mut bytes), expected) {
                    (Ok(Some((_, len))), Some(expected)) => assert_eq!(&bytes[..len], expected),
                    (Ok(None), None) => {}
                    (Err(GetError::TooShort { needed, .. }), Some(expected)) => assert_eq!(needed, expected.len()),
                    (outcome, expected) => panic!("{outcome:?}, {:?}", expected.map(<[u8]>::len)),
                }
            }
            Operation::Trim => drop(store.trim().expect("the same process")),
            Operation::Vacuum { on } => store.set_auto_vacuum(on),
            Operation::Subscribe => {
                if self.subscriber.is_none() {
                    let options = SubscribeOptions::new().lossless().start(Start::Next);
                    self.subscriber = Some(self.bus.subscribe_with(LOG, &options).expect("a free cursor"));
                }
            }
            Operation::Unsubscribe => {
                self.subscriber = None;
                self.log.clear();
            }
            Operation::Log { fill } => match self.bus.publish(LOG, &vec![fill; 3]) {
                Ok(_) if self.subscriber.is_some() => self.log.push_back(fill),
                Ok(_) => {}
                Err(error) => assert!(self.log.len() >= CELLS - 2, "{error}"),
            },
            Operation::Receive { in_place } => {
                let Some(subscriber) = &mut self.subscriber else { return };
                let received = if in_place {
                    let sample = subscriber.try_recv_sample().expect("no message is lost");
                    sample.map(|sample| sample.payload().to_vec())
                } else {
                    subscriber.try_recv().expect("no message is lost").map(|message| message.to_vec())
                };
                assert_eq!(received, self.log.pop_front().map(|fill| vec![fill; 3]));
            }
            Operation::Enqueue { fill } => match self.bus.publish(QUEUE, &vec![fill; 2]) {
                Ok(sent) => drop(self.waiting.insert(sent.version, (fill, 1))),
                Err(error) => assert!(self.waiting.len() + self.taken.len() >= CELLS - 2, "{error}"),
            },
            Operation::Take => match self.queue.try_recv().expect("the queue is not damaged") {
                Some(job) => {
                    let (fill, attempt) = self.waiting.remove(&job.version()).expect("the job waited");
                    assert_eq!((&job[..], job.attempt()), (&[fill; 2][..], attempt));
                    self.taken.push((job, fill, attempt));
                }
                None => assert!(self.waiting.is_empty()),
            },
            Operation::Acknowledge { which } => {
                if !self.taken.is_empty() {
                    let (job, ..) = self.taken.swap_remove(usize::from(which) % self.taken.len());
                    job.acknowledge().expect("this worker has leased the job");
                }
            }
            Operation::GiveBack { which } => {
                if !self.taken.is_empty() {
                    let (job, fill, attempt) = self.taken.swap_remove(usize::from(which) % self.taken.len());
                    self.waiting.insert(job.version(), (fill, attempt + 1));
                }
            }
            Operation::Keys => {
                let keys = store.keys();
                for (key, model) in &self.models {
                    assert_eq!(keys.iter().any(|known| known == key), model.exists, "{key}: {keys:?}");
                }
            }
        }
    }

    fn is_published(&mut self, key: &'static str, value: Vec<u8>, result: Result<u64, SetError>) {
        let may_refuse = self.may_refuse(key);
        let model = self.models.get_mut(key).expect("a key of the model");
        match result {
            Ok(version) => {
                assert!(value.len() <= *MAX_VALUE_SIZE);
                if let Some((last, _)) = model.values.last() {
                    assert_eq!(version, last + 1);
                }
                model.exists = true;
                model.values.push((version, value));
                model.values.drain(..model.values.len().saturating_sub(KNOWN));
            }
            Err(SetError::TooLarge { .. }) => assert!(value.len() > *MAX_VALUE_SIZE),
            Err(error) => {
                assert!(may_refuse, "{error}");
                model.exists = true;
            }
        }
    }

    fn may_refuse(&self, key: &str) -> bool {
        self.pins.iter().filter(|(pinned, ..)| *pinned == key).count() >= CELLS - 2
    }

    /// Returns whether a version of this age may be overwritten: it is older than the history.
    fn may_be_gone(&self, _: &str, age: u64) -> bool {
        age >= u64::from(HISTORY)
    }
}
