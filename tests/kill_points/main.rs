//! Kills, and stops, a process at every step of every protocol. All other processes must make
//! progress.
//!
//! Built with `--cfg kill_points`, which gives the steps names. Each scene is played once to find
//! the steps that it reaches. Then it is played again for each of those steps, and ended where the
//! step is reached for the first and for the last time. A step that no scene reaches fails the run.
//! See `docs/reliability.md`.

#![cfg(kill_points)]

mod old_handles;
mod scenes;
#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use rustix::fs::FallocateFlags;
use rustix::process::Signal;
use scenes::{Act, BEFORE, CELLS, JOBS, LONG, SCENES, SLOTS, Scene, Stage, TAIL, THEIRS};
use splinter_bus::kill_points::{self, Ending, Step};
use splinter_bus::store::{DirectoryError, OpenError, Store};
use splinter_bus::{Bus, RecvError, Start, SubscribeOptions, Subscriber};
use support::image::{Image, space_of};
use support::offsets::Offsets;
use support::{Actor, Name};

/// The value that the observer sets keys to.
const OURS: [u8; 120] = [b'p'; 120];
/// How many scenes are played at a time. Most of the time is spent waiting for stopped processes.
const AT_ONCE: usize = 8;

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    match &role[..] {
        "holder" => scenes::hold_and_die(&arguments[0]),
        "publisher" => scenes::publish_and_die(&arguments[0]),
        "long publisher" => scenes::publish_long_and_die(&arguments[0]),
        "creator" => scenes::create_key_and_die(&arguments[0]),
        "remover" => scenes::remove_key_and_die(&arguments[0]),
        "purger" => scenes::purge_and_die(&arguments[0]),
        scene => {
            let [location, report, step, before, ending] = &arguments[..] else { panic!("{arguments:?}") };
            let end = Step::named(step).map(|step| {
                let ending = if ending == "Killed" { Ending::Killed } else { Ending::Stopped };
                (step, before.parse().unwrap(), ending)
            });
            Act::new(location, end)
                .play(SCENES.iter().chain(old_handles::SCENES).find(|known| known.name == scene).unwrap());
            let passed: Vec<_> = Step::ALL.iter().map(|&step| kill_points::passed(step).to_string()).collect();
            std::fs::write(report, passed.join("\n")).unwrap();
        }
    }
}

/// One store, and one process that is killed or stopped.
struct Run<'a> {
    scene: &'a Scene,
    location: String,
    /// Removes the segment in the end.
    _name: Name,
    directory: tempfile::TempDir,
}

impl<'a> Run<'a> {
    fn new(scene: &'a Scene) -> Self {
        let (name, directory) = (Name::new(), tempfile::tempdir().unwrap());
        let location = match scene.stage {
            Stage::Memory | Stage::Nothing => name.to_string(),
            Stage::File | Stage::AbandonedFile | Stage::CopiedFile | Stage::NoFile => {
                directory.path().join("store").to_str().unwrap().to_owned()
            }
        };
        Self { scene, location, _name: name, directory }
    }

    fn spawn(&self, end: Option<(Step, usize, Ending)>) -> Actor {
        let (step, before, ending) = match end {
            Some((step, before, ending)) => (format!("{step:?}"), before, format!("{ending:?}")),
            None => ("none".into(), 0, String::new()),
        };
        let report = self.report();
        Actor::spawn(self.scene.name, &[&self.location, &report, &step, &before.to_string(), &ending])
    }

    fn report(&self) -> String {
        self.directory.path().join("passed").to_str().unwrap().to_owned()
    }

    /// The store with its keys, and the observer's handles on it.
    fn observe(&self) -> Option<Observer> {
        match self.scene.stage {
            Stage::Nothing | Stage::NoFile => None,
            Stage::AbandonedFile => {
                let store = scenes::options().create(&self.location[..]).unwrap();
                scenes::set_up(&store);
                drop(store);
                Actor::spawn("holder", &[&self.location]).0.wait().unwrap();
                None
            }
            Stage::CopiedFile => {
                let original = self.directory.path().join("original");
                scenes::set_up(&scenes::options().create(&original).unwrap());
                Image::read(&original).write(&self.location);
                None
            }
            Stage::Memory | Stage::File => {
                let store = scenes::options().create(&self.location[..]).unwrap();
                scenes::set_up(&store);
                Some(Observer::new(store))
            }
        }
    }

    /// Plays the scene to its end, and returns how many times it reaches each step.
    fn rehearse(&self) -> Vec<usize> {
        let observer = self.observe();
        self.spawn(None).finish();
        drop(observer);
        let report = std::fs::read_to_string(self.report()).unwrap();
        report.lines().map(|count| count.parse().unwrap()).collect()
    }

    /// Plays the scene until it is ended there; `false` if it finished, because others were faster.
    fn play(&self, step: Step, before: usize, ending: Ending) -> bool {
        let mut observer = self.observe();
        let mut actor = self.spawn(Some((step, before, ending)));
        let ended = match ending {
            Ending::Killed => {
                let status = actor.0.wait().unwrap();
                assert!(status.success() || status.signal() == Some(Signal::KILL.as_raw()), "{status}");
                !status.success()
            }
            Ending::Stopped => actor.has_stopped(),
        };
        if ended && ending == Ending::Stopped {
            match &mut observer {
                Some(observer) => observer.goes_on_beside_the_stopped(actor.0.id()),
                None => self.comes_in_beside_the_stopped(actor.0.id()),
            }
            actor.signal(Signal::CONT);
            actor.finish();
        }
        let store = self.store();
        if let Some(observer) = observer {
            observer.accounts_for_everything(&store);
        }
        self.is_whole(&store);
        ended
    }

    /// As another process does: as a participant of its own.
    fn open_or_create(&self) -> Result<Store, OpenError> {
        match Store::open_unshared(&self.location) {
            Err(OpenError::NotFound { .. }) => scenes::options().open_or_create(&self.location),
            done => done,
        }
    }

    fn store(&self) -> Store {
        self.open_or_create().expect("the store opens, whichever process was ended")
    }

    fn comes_in_beside_the_stopped(&self, pid: u32) {
        match self.open_or_create() {
            Ok(store) => drop(store.set("k", &OURS).unwrap()),
            Err(OpenError::Busy { pid: named, .. }) => assert_eq!(named, pid),
            Err(error) => panic!("{error}"),
        }
    }

    /// Nothing has leaked: all keys, slots, cells and participant indexes are usable.
    fn is_whole(&self, store: &Store) {
        // To lock the directory finishes what a crashed remover began. The rest was done when the
        // store was opened.
        assert!(store.unset("no such key").unwrap().is_none());
        let mut keys = store.keys();
        let kept: u64 = keys.iter().map(|key| store.slot(key).unwrap().cells().readable).sum();
        assert_eq!(store.cells().readable, kept, "a value of a removed key is left");
        for key in &keys {
            store.get(key).unwrap();
        }
        for number in 0.. {
            match store.slot(&format!("more{number}")) {
                Ok(slot) => {
                    slot.set(&OURS).unwrap();
                    keys.push(format!("more{number}"));
                }
                Err(DirectoryError::Full { .. } | DirectoryError::Held { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(keys.len(), SLOTS as usize, "a slot has leaked: {keys:?}");
        for key in &keys {
            if store.slot_snapshot(key).unwrap().is_some_and(|slot| slot.queue.is_some()) {
                // No worker is left.
                store.unset(key).unwrap();
            }
            let slot = store.slot(key).unwrap();
            for _ in 0..2 * slot.shape().cells() {
                slot.set(&OURS).unwrap();
            }
            for len in LONG {
                slot.set(&vec![b'p'; len]).unwrap();
                assert_eq!(store.get(key).unwrap(), Some(vec![b'p'; len]));
            }
            slot.set(&OURS).unwrap();
            // The value of the flush before may be overwritten again.
            store.flush().unwrap();
            let all: Vec<_> = (1..slot.shape().cells()).map(|_| slot.loan(1).expect("a cell has leaked")).collect();
            drop(all);
        }
        assert_eq!(store.purge().unwrap(), 0);
        let of_keys: u32 = keys.iter().map(|key| store.slot(key).unwrap().shape().cells()).sum();
        let cells = store.cells();
        assert_eq!(
            (cells.total(), cells.pinned, cells.in_flight, cells.retained),
            (u64::from(of_keys), 0, 0, 0),
            "{cells:?}"
        );
        for key in &keys {
            assert!(store.unset(key).unwrap().is_some());
        }
        assert_eq!((store.keys().len(), store.cells().total()), (0, 0));
        self.has_given_back_all_space(store);
        let store = self.store();
        assert_eq!(store.participants().unwrap().len(), 2, "a participant index has leaked");
        let directory = Path::new(&self.location).parent().filter(|_| self.location.contains('/'));
        if let Some(directory) = directory {
            let files: Vec<_> = directory.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
            let drafts = files.iter().filter(|name| name.to_str().unwrap().contains("draft")).count();
            // The draft of a killed creator is there until the next store is created.
            assert!(drafts <= 1, "{files:?}");
            scenes::options().create(directory.join("next")).unwrap();
            let files = directory.read_dir().unwrap();
            assert!(!files.into_iter().any(|entry| entry.unwrap().file_name().to_str().unwrap().contains("draft")));
        }
    }
}

impl Run<'_> {
    /// Without keys, no place of a long value takes space, neither written nor reserved.
    fn has_given_back_all_space(&self, store: &Store) {
        let path = store.location().path();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let (offsets, len) = (Offsets::of(&file), file.metadata().unwrap().len());
        let taken = space_of(&path);
        if offsets.extents < len {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            rustix::fs::fallocate(&file, flags, offsets.extents, len - offsets.extents).unwrap();
        }
        assert_eq!(space_of(&path), taken, "space has leaked");
    }
}

/// The other process that has the store open.
struct Observer {
    store: Store,
    /// Has received what was published before the scene, and nothing since.
    subscriber: Subscriber<Vec<u8>>,
    next: u64,
    versions: [u64; 2],
    sleeper: thread::JoinHandle<Option<u64>>,
}

impl Observer {
    fn new(store: Store) -> Self {
        let bus = Bus::<Vec<u8>>::on(store.clone());
        let options = SubscribeOptions::new().lossless().start(Start::Oldest);
        let mut subscriber = bus.subscribe_with("m", &options).unwrap();
        bus.publish("m", &vec![0]).unwrap();
        let mut next = 0;
        while let Some(message) = subscriber.try_recv().unwrap() {
            next = message.version() + 1;
        }
        let versions = ["k", "calm"].map(|key| store.slot(key).unwrap().version());
        let slot = store.slot("k").unwrap();
        let seen = versions[0];
        // The key may be removed while it sleeps: that is an answer, too.
        let sleeper = thread::spawn(move || slot.poll_after(seen, None).unwrap_or(Some(u64::MAX)));
        Self { store, subscriber, next, versions, sleeper }
    }

    fn goes_on_beside_the_stopped(&mut self, pid: u32) {
        let calm = self.store.slot("calm").unwrap();
        for _ in 0..3 * CELLS {
            calm.set(&BEFORE).unwrap();
            assert_eq!(calm.size().unwrap(), Some(BEFORE.len()));
        }
        if let Some(value) = self.store.get("k").unwrap() {
            assert!(is_sound(&value), "{value:?}");
            // Looking a key up takes no lock, and neither does setting an existing one.
            for _ in 0..3 * CELLS {
                match self.store.set("k", &OURS) {
                    Ok(_) => {}
                    Err(error) => assert!(error.to_string().contains(&format!("process {pid}")), "{error}"),
                }
            }
        }
        if let Some(value) = self.store.get("long").unwrap() {
            assert!(is_sound_and_long(&value), "{} bytes", value.len());
            for len in LONG.into_iter().cycle().take(3 * CELLS as usize) {
                match self.store.set("long", &vec![b'p'; len]) {
                    Ok(_) => {}
                    Err(error) => assert!(error.to_string().contains(&format!("process {pid}")), "{error}"),
                }
            }
        }
        match self.store.slot("another") {
            Ok(_) => assert!(self.store.unset("another").unwrap().is_some()),
            Err(DirectoryError::Busy { pid: named, .. }) => assert_eq!(named, pid),
            Err(error) => panic!("{error}"),
        }
        assert!(self.store.keys().contains(&"calm".to_owned()));
    }

    /// Nothing that was published is lost, nothing else is there, and no sleeper missed it.
    fn accounts_for_everything(mut self, store: &Store) {
        if let Some(value) = store.get("k").unwrap() {
            assert!(is_sound(&value), "{value:?}");
            let slot = store.slot("k").unwrap();
            if slot.version() > self.versions[0] {
                support::wait_until("the sleeper wakes", || self.sleeper.is_finished());
            }
            assert!(slot.set(&OURS).unwrap() > self.versions[0]);
        }
        support::wait_until("the sleeper wakes, or learns that the key is gone", || self.sleeper.is_finished());
        assert!(self.sleeper.join().unwrap().is_some());
        if let Some(value) = store.get("long").unwrap() {
            assert!(is_sound_and_long(&value), "{} bytes", value.len());
            for len in LONG {
                store.set("long", &vec![b'p'; len]).unwrap();
                assert_eq!(store.get("long").unwrap(), Some(vec![b'p'; len]));
            }
        }
        let calm = store.slot("calm").unwrap();
        assert!(calm.version() >= self.versions[1]);
        assert_eq!(store.get("calm").unwrap().as_deref(), Some(&BEFORE[..]));
        assert!(store.integer("count").unwrap().get().unwrap().unwrap() <= 1);

        let last = store.slot("m").unwrap().version();
        for version in self.next..=last {
            let message = self.subscriber.try_recv().unwrap().expect("nothing is lost");
            assert_eq!((message.version(), &message[..]), (version, &[1; 3][..]));
        }
        assert!(matches!(self.subscriber.try_recv(), Ok(None)));

        let bus = Bus::<Vec<u8>>::on(store.clone());
        let mut jobs = BTreeSet::new();
        let mut queue = bus.work_queue("q").unwrap();
        while let Some(job) = queue.try_recv().unwrap() {
            assert!(jobs.insert(job[0]), "leased twice by the observer");
            job.acknowledge().unwrap();
        }
        // The scene that acknowledges may have acknowledged the first.
        assert!(jobs.iter().eq(&JOBS) || jobs.iter().eq(&JOBS[1..]), "{jobs:?}");
        match bus.get("n") {
            Ok(Some(_)) | Err(RecvError::Removed { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Whether this is a complete value that a process set.
fn is_sound(value: &[u8]) -> bool {
    [&BEFORE[..], &THEIRS, &OURS].iter().any(|&set| value == set || value == [set, &TAIL].concat())
}

/// The same for the key of long values.
fn is_sound_and_long(value: &[u8]) -> bool {
    let tails = value.iter().rev().take_while(|&&byte| byte == TAIL[0]).count();
    let body = &value[..value.len() - tails];
    let is_of_one_process = body.iter().all(|byte| *byte == body[0]);
    let len = body.len();
    is_of_one_process
        && tails.is_multiple_of(TAIL.len())
        && (LONG.contains(&len) || body == THEIRS || (body[0] == b'p' && tails > 0))
}

/// A purge that is stopped at this step, while something else is done.
fn beside_a_purge_that_stands_at(step: Step, act: impl FnOnce(&Store)) {
    let (name, directory) = (Name::new(), tempfile::tempdir().unwrap());
    let store = scenes::options().create(&*name).unwrap();
    let bus = Bus::<Vec<u8>>::on(store.clone());
    for _ in 0..3 {
        bus.publish("first", &vec![1]).unwrap();
    }
    let report = directory.path().join("passed");
    // The type of the messages is in the slot before that of the key.
    let arguments = [&*name, report.to_str().unwrap(), &format!("{step:?}"), "1", "Stopped"];
    let purger = Actor::spawn("purge", &arguments);
    assert!(purger.has_stopped());
    act(&store);
    purger.signal(Signal::CONT);
    purger.finish();
}

#[test]
fn a_type_whose_first_message_comes_while_unused_types_are_removed_stays() {
    let (name, directory) = (Name::new(), tempfile::tempdir().unwrap());
    let store = scenes::options().create(&*name).unwrap();
    let report = directory.path().join("passed");
    let arguments = [&*name, report.to_str().unwrap(), &format!("{:?}", Step::TypesCounted), "0", "Stopped"];
    let trimmer = Actor::spawn("remove a message type", &arguments);
    assert!(trimmer.has_stopped());
    scenes::publish_of_a_type(&store);
    trimmer.signal(Signal::CONT);
    trimmer.finish();
    assert_eq!(store.message_types().len(), 1);
    // Without the message, it goes.
    store.unset("k").unwrap();
    store.trim().unwrap();
    assert_eq!(store.message_types(), []);
}

#[test]
fn keys_come_and_go_while_a_purge_stands_still() {
    for step in [Step::PurgeAnnounced, Step::BaseVersionRaised] {
        beside_a_purge_that_stands_at(step, |store| {
            let start = Instant::now();
            store.set("second", &OURS).unwrap();
            assert!(store.unset("second").unwrap().is_some() && store.unset("first").unwrap().is_some());
            store.set("third", &OURS).unwrap();
            assert!(start.elapsed() < std::time::Duration::from_secs(5), "waited for the purge");
        });
    }
}

#[test]
fn a_subscriber_and_a_queue_begin_above_a_purge_that_stands_still() {
    for step in [Step::PurgeAnnounced, Step::BaseVersionRaised] {
        beside_a_purge_that_stands_at(step, |store| {
            let bus = Bus::<Vec<u8>>::on(store.clone());
            let options = SubscribeOptions::new().lossless().start(Start::Oldest);
            let mut subscriber = bus.subscribe_with("first", &options).unwrap();
            let mut queue = bus.work_queue("first").unwrap();
            assert_eq!((subscriber.next_version(), store.slot("first").unwrap().first_version()), (3, 3));
            assert_eq!(subscriber.try_recv().unwrap().unwrap().version(), 3);
            let job = queue.try_recv().unwrap().unwrap();
            assert_eq!(job.version(), 3);
            job.acknowledge().unwrap();
        });
    }
}

#[test]
fn whoever_is_ended_at_any_step_everyone_else_goes_on_and_nothing_leaks() {
    let only = std::env::var("SPLINTER_TEST_SCENE").ok();
    let scenes: Vec<_> = SCENES.iter().filter(|scene| only.as_deref().is_none_or(|only| only == scene.name)).collect();
    assert!(!scenes.is_empty(), "no scene is called {only:?}");
    let start = Instant::now();
    let mut cases = Vec::new();
    for &scene in &scenes {
        let passed = Run::new(scene).rehearse();
        let times = |step: Step| passed[step as usize];
        for &step in Step::ALL.iter().filter(|&&step| scene.races_for.is_none_or(|only| only == step)) {
            let last = times(step).saturating_sub(1);
            let befores = [0, last].into_iter().collect::<BTreeSet<_>>();
            for before in befores.into_iter().filter(|_| times(step) > 0) {
                cases.extend([Ending::Killed, Ending::Stopped].map(|ending| (scene, step, before, ending)));
            }
        }
    }
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let endings = Mutex::new(BTreeMap::<String, [usize; 2]>::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(&(scene, step, before, ending)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match std::panic::catch_unwind(|| Run::new(scene).play(step, before, ending)) {
                        Ok(false) => {}
                        Ok(true) => {
                            let mut endings = endings.lock().unwrap();
                            endings.entry(format!("{step:?}")).or_default()[ending as usize] += 1;
                        }
                        Err(_) => {
                            let failure = format!("{}: {ending:?} at {step:?}, {before} before", scene.name);
                            failures.lock().unwrap().push(failure);
                        }
                    }
                }
            });
        }
    });
    let endings = endings.into_inner().unwrap();
    let sums = endings.values().fold([0; 2], |sums, counts| [sums[0] + counts[0], sums[1] + counts[1]]);
    println!("{:24} {:>8} {:>8}", "step", "killed", "stopped");
    for (step, [killed, stopped]) in &endings {
        println!("{step:24} {killed:>8} {stopped:>8}");
    }
    let (steps, scenes) = (endings.len(), scenes.len());
    println!(
        "{steps} steps in {scenes} scenes: killed {} times, stopped {}, in {:?}",
        sums[0],
        sums[1],
        start.elapsed()
    );
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    let is_covered =
        |step: &Step| endings.get(&format!("{step:?}")).is_some_and(|counts| counts.iter().all(|&n| n > 0));
    let uncovered: Vec<_> = Step::ALL.iter().filter(|step| !is_covered(step)).collect();
    assert!(only.is_some() || uncovered.is_empty(), "no process was ended at {uncovered:?}");
}
