//! The state of a store in a file after a power loss: images in which each page is from any moment
//! since the last flush.
//!
//! `SPLINTER_TEST_IMAGES` sets how many images are opened.

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use splinter_bus::store::{GetError, KeyOptions, Lookup, Slot, Store, StoreOptions};
use splinter_bus::{Bus, Start, SubscribeOptions};
use support::Random;
use support::image::{Image, space_of};
use support::offsets::{CELLS_RESERVED, EPOCH, FIRST_VERSION, Offsets, set_word, word};
use tempfile::TempDir;

/// A directory in memory, so that thousands of images do not wait for a disk. To the store, its
/// files are like any others.
fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

fn images() -> u32 {
    env::var("SPLINTER_TEST_IMAGES").map_or(400, |number| number.parse().expect("a number of images"))
}

/// Returns the epoch of versions that the store has reached in this image. It is written to the
/// disk before any version of that epoch is published.
fn epoch(image: &Image) -> u64 {
    image.word(EPOCH) >> 32
}

/// Builds an image in which each page is from one of these moments. The first page, which contains
/// the epoch, is from a moment with the newest epoch.
fn mixed(moments: &[Image], random: &mut Random) -> Image {
    let reached = moments.iter().map(epoch).max();
    let all: Vec<_> = moments.iter().collect();
    let with_the_epoch: Vec<_> = all.iter().copied().filter(|image| Some(epoch(image)) == reached).collect();
    let mut image = Image::mix(&all, random);
    // The length is that of the last flush at least.
    image.len = image.len.max(moments[0].len);
    image.copy_page(0, with_the_epoch[random.below(with_the_epoch.len() as u64) as usize]);
    image
}

/// The largest version of the key "jobs" that its slot or one of its cells names. Cells that were
/// reserved later than the page of the slot do not count: a recovery empties them.
fn trace_of_jobs(image: &Image, recovered: &fs::File) -> u64 {
    let offsets = Offsets::of(recovered);
    let index = offsets.slot_of(recovered, "jobs");
    let version = |word: u64| word & (u64::MAX >> 16);
    let cells = image.word(offsets.slot(index) + CELLS_RESERVED) as u32;
    let in_cells = (0..cells.into()).map(|cell| image.word(offsets.cell(index, cell)));
    // Committed or claimed. The others have no version.
    let in_cells = in_cells.filter(|word| word >> 56 < 2).map(version);
    in_cells.chain([version(image.word(offsets.slot(index)))]).max().unwrap_or(0)
}

/// Builds a unique value: its number, then bytes that follow from the number.
fn value(number: u64, len: usize) -> Vec<u8> {
    let mut value = number.to_le_bytes().to_vec();
    value.extend((8..len).map(|at| (number.wrapping_mul(31) as usize + at * 7 + at / 256) as u8));
    value
}

fn number_of(value: &[u8]) -> u64 {
    u64::from_le_bytes(value[..8].try_into().unwrap())
}

/// A job as its publishers and workers know it.
#[derive(Debug, Clone)]
struct Task {
    bytes: Vec<u8>,
    done: bool,
    /// How often it was requeued.
    tries: u32,
    /// The state that the last flush covered: done or not, and the tries.
    flushed: Option<(bool, u32)>,
}

/// Everything that happened to a store, independent of its file.
struct World {
    random: Random,
    directory: TempDir,
    path: PathBuf,
    options: StoreOptions,
    bus: Bus<Vec<u8>>,
    max_len: usize,
    number: u64,
    /// The key of each value that was ever set, by the value's number.
    values: HashMap<u64, String>,
    /// The number of the value that each version of a key has.
    numbers: HashMap<(String, u64), u64>,
    /// The largest version of each key that any reader has seen.
    seen: HashMap<String, u64>,
    /// The newest version and number at the last flush, of each key that exists since then.
    flushed: BTreeMap<String, (u64, u64)>,
    tasks: BTreeMap<u64, Task>,
    /// Images of the file at the last flush, and at moments since.
    moments: Vec<Image>,
    met: Counts,
}

/// Counts over all images.
#[derive(Debug, Default)]
struct Counts {
    images: u32,
    newest: u32,
    older: usize,
    lost: usize,
    jobs_back: u32,
    jobs_again: u32,
    jobs_lost: u32,
    jobs_reported: u32,
}

const KEYS: u64 = 3;

impl World {
    fn new(max_len: usize, history: u32, spare: u32, seed: u64) -> Self {
        let directory = scratch();
        let path = directory.path().join("store");
        let slots = KEYS as u32 + 1;
        let options = StoreOptions::new().slots(slots).key_options(KeyOptions::new().history(history).spare(spare));
        let bus = Bus::on(options.create(path.as_path()).unwrap());
        let options = options.clone();
        drop(bus.work_queue("jobs").unwrap());
        let mut world = Self {
            random: Random::new(seed),
            directory,
            path,
            options,
            bus,
            max_len,
            number: 0,
            values: HashMap::new(),
            numbers: HashMap::new(),
            seen: HashMap::new(),
            flushed: BTreeMap::new(),
            tasks: BTreeMap::new(),
            moments: Vec::new(),
            met: Counts::default(),
        };
        world.flush();
        world
    }

    fn store(&self) -> &Store {
        self.bus.store()
    }

    fn image(&self) -> Image {
        Image::read(&self.path)
    }

    fn assert_same_value(&mut self, key: &str, version: u64, number: u64) {
        let known = *self.numbers.entry((key.to_owned(), version)).or_insert(number);
        assert_eq!(known, number, "version {version} of {key} has two values");
    }

    fn set(&mut self, key: &str) {
        self.number += 1;
        // Values often have the maximum length, so that they cover as many pages as possible. Others
        // are shorter, and in another place.
        let short = self.random.below(self.max_len as u64 - 7) as usize + 8;
        let len = if self.random.below(2) == 0 { self.max_len } else { short };
        self.values.insert(self.number, key.to_owned());
        let version = self.store().set(key, &value(self.number, len)).unwrap();
        let seen = self.seen.insert(key.to_owned(), version);
        assert!(seen.is_none_or(|seen| version > seen), "{key}: {version} is not newer than {seen:?}, which was seen");
        self.assert_same_value(key, version, self.number);
    }

    fn publish_job(&mut self) {
        self.number += 1;
        // Messages have a header, and a message of a queue must fit into one cell.
        let len = 8 + self.random.below(self.max_len as u64 - 180) as usize;
        let bytes = value(self.number, len);
        if let Ok(sent) = self.bus.publish("jobs", &bytes) {
            let task = Task { bytes, done: false, tries: 0, flushed: None };
            assert!(self.tasks.insert(sent.version, task).is_none(), "version {} has two jobs", sent.version);
        }
    }

    fn work(&mut self) {
        let mut queue = self.bus.work_queue("jobs").unwrap();
        let Some(job) = queue.try_recv().unwrap() else { return };
        let task = self.tasks.get_mut(&job.version()).expect("a job that was published");
        assert_eq!(**job, task.bytes);
        // Some jobs are requeued, and are delivered again with a higher attempt.
        if self.random.below(4) > 0 {
            job.acknowledge().unwrap();
            task.done = true;
        } else {
            task.tries += 1;
        }
    }

    fn step(&mut self) {
        let key = format!("key {}", self.random.below(KEYS));
        match self.random.below(40) {
            0 => {
                self.store().unset(&key).unwrap();
                self.flushed.remove(&key);
            }
            1 => {
                // A purge also flushes, so this is the moment of the flush.
                self.flush();
                let busy = self.store().purge().unwrap();
                // A purge keeps only jobs that are not done, and newer ones.
                match self.store().slot_snapshot("jobs") {
                    Ok(jobs) => {
                        let queue = jobs.and_then(|jobs| jobs.queue).expect("the key is a queue");
                        assert!(
                            busy == 0 || queue.waiting + queue.taken > 0,
                            "{busy} cells are in use, but the queue is {queue:?}"
                        );
                    }
                    // A power loss took all jobs, and none was published since.
                    Err(error) => assert_eq!((error, busy), (GetError::Lost, 0)),
                }
            }
            2..12 => self.publish_job(),
            12..20 => self.work(),
            _ => self.set(&key),
        }
    }

    fn take_steps(&mut self, steps: u64) {
        (0..steps).for_each(|_| self.step());
        self.moments.push(self.image());
    }

    fn flush(&mut self) {
        self.store().flush().unwrap();
        self.moments = vec![self.image()];
        self.flushed.clear();
        let mut bytes = Vec::new();
        for key in self.store().keys().into_iter().filter(|key| key != "jobs") {
            if let Ok(Some(version)) = self.store().get_into(&key, &mut bytes) {
                self.flushed.insert(key, (version, number_of(&bytes)));
            }
        }
        for task in self.tasks.values_mut() {
            task.flushed = Some((task.done, task.tries));
        }
    }

    /// The machine loses power, and the store is opened from the bytes on the disk.
    fn lose_power(&mut self) {
        let image = mixed(&self.moments, &mut self.random);
        let path = self.directory.path().join(format!("image {}", self.met.images));
        image.write(&path);
        let old = std::mem::replace(&mut self.path, path.clone());
        self.bus = Bus::on(self.options.open(path.as_path()).unwrap());
        fs::remove_file(old).unwrap();
        self.met.images += 1;
        self.check_values();
        let file = fs::File::open(&self.path).unwrap();
        self.check_jobs(trace_of_jobs(&image, &file));
        // The present state may be lost again, together with later changes. Flushed data may not.
        self.moments = vec![image, self.image()];
    }

    fn check_values(&mut self) {
        let recovery = self.store().recovery().expect("a new file is recovered").clone();
        self.met.older += recovery.older.len();
        self.met.lost += recovery.lost.len();
        let keys = self.store().keys();
        for key in self.flushed.keys() {
            assert!(keys.contains(key), "{key}, which was flushed, is gone");
            assert!(!recovery.lost.contains(key), "{key}, which was flushed, is lost");
        }
        let flushed = self.flushed.clone();
        for key in keys.iter().filter(|key| *key != "jobs") {
            let slot = self.store().slot(key).unwrap();
            let newest = self.check_versions(key, &slot);
            if let Some(&(version, number)) = flushed.get(key) {
                let found = newest.expect("a flushed key has a value");
                assert!(found >= number, "{key}: value {found} is older than {number}, which was flushed");
                let mut bytes = Vec::new();
                let copied = slot.get_version_into(version, &mut bytes).unwrap();
                assert_eq!(
                    (copied, number_of(&bytes)),
                    (Lookup::Found(()), number),
                    "{key}: the flushed version is gone"
                );
            }
            self.met.newest += u32::from(newest.is_some());
        }
    }

    /// Checks that every version has the value that it always had, and returns the number of the
    /// newest. A version that no reader has seen gets its value here.
    fn check_versions(&mut self, key: &str, slot: &Slot) -> Option<u64> {
        let (mut bytes, mut newest, mut next) = (Vec::new(), None, 0);
        while let Some(version) = slot.oldest_from(next).unwrap() {
            assert_eq!(slot.get_version_into(version, &mut bytes).unwrap(), Lookup::Found(()));
            let number = number_of(&bytes);
            assert_eq!(bytes, value(number, bytes.len()), "{key}: version {version} is torn");
            assert_eq!(self.values.get(&number).map(String::as_str), Some(key), "{key} never had value {number}");
            self.assert_same_value(key, version, number);
            newest = Some(number);
            next = version + 1;
        }
        newest
    }

    /// `trace` is the largest version of which the image had a trace: no recovery can know of later
    /// jobs.
    fn check_jobs(&mut self, trace: u64) {
        let reported =
            self.store().recovery().unwrap().jobs.iter().map(|jobs| jobs.damaged + jobs.missing).sum::<u32>();
        let mut queue = self.bus.work_queue("jobs").unwrap();
        let back: Vec<_> = std::iter::from_fn(|| queue.try_recv().unwrap()).collect();
        for job in &back {
            let version = job.version();
            let task = self.tasks.get_mut(&version).expect("a published job that was not lost before");
            assert_eq!(**job, task.bytes, "job {version} has other bytes");
            let (done, tries) = task.flushed.unwrap_or_default();
            assert!(!done, "job {version} is delivered again, although a flush covered that it was done");
            assert!(job.attempt() > tries, "job {version} is delivered as attempt {} after {tries}", job.attempt());
            self.met.jobs_back += 1;
            self.met.jobs_again += u32::from(task.done);
            // The job is requeued below.
            (task.done, task.tries) = (false, job.attempt());
        }
        let back: BTreeSet<_> = back.iter().map(|job| job.version()).collect();
        let lost = |(version, task): (&u64, &Task)| (!task.done && !back.contains(version)).then_some(*version);
        let lost: BTreeSet<_> = self.tasks.iter().filter_map(lost).collect();
        for version in &lost {
            assert_eq!(self.tasks[version].flushed, None, "job {version}, which a flush covered, is lost");
        }
        let known_lost = lost.iter().filter(|&&version| version <= trace).count() as u32;
        assert!(known_lost <= reported, "{known_lost} jobs are lost, {reported} are reported");
        self.met.jobs_reported += reported;
        self.met.jobs_lost += lost.len() as u32;
        self.tasks.retain(|version, _| !lost.contains(version));
    }
}

#[test]
fn flushed_values_survive_a_power_loss_and_no_version_has_two_values() {
    let images = images();
    // Inline values, medium ones of up to sixteen pages, and large ones. A key has at least four cells.
    let shapes = [(256, 3, 3), (1024, 4, 4), (4096, 2, 2), (16 << 10, 2, 3), (64 << 10, 1, 2), (150_000, 2, 3)];
    for (shape, &(max_len, history, spare)) in shapes.iter().enumerate() {
        let share = images * [25, 20, 20, 12, 8, 15][shape] / 100;
        let mut world = World::new(max_len, history, spare, 20 + shape as u64);
        while world.met.images < share {
            // Some stores lose power again before the next flush.
            if world.random.below(3) > 0 {
                world.flush();
            }
            for _ in 0..1 + world.random.below(3) {
                let steps = [1, 5, 40][world.random.below(3) as usize];
                world.take_steps(steps);
            }
            world.lose_power();
        }
        println!("values of up to {max_len} bytes: {:?}", world.met);
        // Space that crashes have left behind is given back with the keys.
        for key in world.store().keys() {
            world.store().unset(&key).unwrap();
        }
        let left = space_of(&world.path);
        assert!(left < 256 << 10, "values of up to {max_len} bytes: {left} bytes are left");
        let Counts { newest, older, lost, jobs_back, .. } = world.met;
        assert!(newest > 0 && jobs_back > 0, "no value survived");
        assert!(older + lost > 0 || max_len < 4096, "no value was ever torn");
    }
}

/// How many versions an epoch has.
const EPOCH_LEN: u64 = 1 << 26;

fn small() -> StoreOptions {
    StoreOptions::new().slots(4).key_options(KeyOptions::new().history(3).spare(3))
}

/// Overwrites these bytes wherever they occur in an image.
fn spoil(image: &mut Image, bytes: &[u8]) {
    let at = image.find(bytes);
    assert!(!at.is_empty());
    at.into_iter().for_each(|at| image.set_bytes(at, &vec![0; bytes.len()]));
}

/// Opens an image as after a power loss.
fn open_image(directory: &TempDir, image: &Image) -> Store {
    let path = directory.path().join("image");
    image.write(&path);
    Store::open(path.as_path()).unwrap()
}

fn jobs_of(store: &Store) -> Vec<(String, u32)> {
    let mut queue = Bus::<Vec<u8>>::on(store.clone()).work_queue("jobs").unwrap();
    // All jobs are taken before any is requeued.
    let jobs: Vec<_> = std::iter::from_fn(|| queue.try_recv().unwrap()).collect();
    jobs.iter().map(|job| (String::from_utf8_lossy(job).into_owned(), job.attempt())).collect()
}

#[test]
fn a_torn_job_is_reported_and_the_others_keep_their_attempts() {
    let directory = scratch();
    let path = directory.path().join("store");
    let bus = Bus::<Vec<u8>>::on(small().create(path.as_path()).unwrap());
    let mut queue = bus.work_queue("jobs").unwrap();
    for job in ["job one", "job two", "job three"] {
        bus.publish("jobs", &job.as_bytes().to_vec()).unwrap();
    }
    drop(queue.recv().unwrap());
    let mut image = Image::read(&path);
    spoil(&mut image, b"job two");
    let store = open_image(&directory, &image);
    let jobs: Vec<_> =
        store.recovery().unwrap().jobs.iter().map(|jobs| (&jobs.key[..], jobs.damaged, jobs.missing)).collect();
    assert_eq!(jobs, [("jobs", 1, 0)]);
    assert_eq!(jobs_of(&store), [("job one".to_owned(), 2), ("job three".to_owned(), 1)]);
}

#[test]
fn a_finished_job_is_not_delivered_again_because_another_is_torn() {
    let directory = scratch();
    let path = directory.path().join("store");
    let bus = Bus::<Vec<u8>>::on(small().create(path.as_path()).unwrap());
    let mut queue = bus.work_queue("jobs").unwrap();
    for job in ["job one", "job two"] {
        bus.publish("jobs", &job.as_bytes().to_vec()).unwrap();
        queue.recv().unwrap().acknowledge().unwrap();
    }
    let mut image = Image::read(&path);
    spoil(&mut image, b"job two");
    let store = open_image(&directory, &image);
    let recovery = store.recovery().unwrap();
    assert!(recovery.jobs.is_empty() && recovery.older.is_empty() && recovery.lost.is_empty(), "{recovery:?}");
    assert_eq!(jobs_of(&store), []);
    // The queue continues with new versions.
    let bus = Bus::<Vec<u8>>::on(store.clone());
    assert!(bus.publish("jobs", &b"job three".to_vec()).unwrap().version >= EPOCH_LEN);
    assert_eq!(jobs_of(&store), [("job three".to_owned(), 1)]);
}

#[test]
fn jobs_of_which_only_the_versions_reached_the_disk_are_reported() {
    let directory = scratch();
    let path = directory.path().join("store");
    // Slots and cells are in different pages.
    let options = StoreOptions::new().slots(64).key_options(KeyOptions::new().history(2).spare(4).lossless(1));
    let bus = Bus::<Vec<u8>>::on(options.create(path.as_path()).unwrap());
    drop(bus.work_queue("jobs").unwrap());
    let mut image = Image::read(&path);
    for job in ["job one", "job two", "job three"] {
        bus.publish("jobs", &job.as_bytes().to_vec()).unwrap();
    }
    let now = Image::read(&path);
    let cells = Offsets::of(&fs::File::open(&path).unwrap()).fixed_len() / 4096;
    (0..cells).for_each(|page| image.copy_page(page, &now));
    image.len = now.len;
    let store = open_image(&directory, &image);
    let jobs: Vec<_> = store.recovery().unwrap().jobs.iter().map(|jobs| (jobs.damaged, jobs.missing)).collect();
    assert_eq!(jobs, [(0, 3)]);
    assert_eq!(jobs_of(&store), []);
}

#[test]
fn no_job_of_a_flushed_queue_is_reported_as_missing() {
    let directory = scratch();
    let path = directory.path().join("store");
    let bus = Bus::<Vec<u8>>::on(small().create(path.as_path()).unwrap());
    let mut queue = bus.work_queue("jobs").unwrap();
    bus.publish("jobs", &b"the first takes long".to_vec()).unwrap();
    let first = queue.recv().unwrap();
    for number in 0..20 {
        bus.publish("jobs", &number.to_string().into_bytes()).unwrap();
        queue.recv().unwrap().acknowledge().unwrap();
    }
    bus.store().flush().unwrap();
    let store = open_image(&directory, &Image::read(&path));
    assert_eq!(store.recovery().unwrap().jobs, []);
    assert_eq!(jobs_of(&store), [("the first takes long".to_owned(), 2)]);
    drop(first);
}

#[test]
fn a_reader_that_has_seen_lost_versions_gets_the_next_publish() {
    let directory = scratch();
    let path = directory.path().join("store");
    let store = small().create(path.as_path()).unwrap();
    store.set("k", b"1: ordered").unwrap();
    store.flush().unwrap();
    let image = Image::read(&path);
    store.set("k", b"2: paid").unwrap();
    let seen = store.set("k", b"3: shipped").unwrap();
    let store = open_image(&directory, &image);
    assert!(store.recovery().unwrap().older.is_empty());
    assert_eq!(store.poll_after("k", seen, Some(Duration::ZERO)).unwrap(), None);
    let next = store.set("k", b"2: cancelled").unwrap();
    assert_eq!(store.poll_after("k", seen, Some(Duration::ZERO)).unwrap(), Some(next));
    let (slot, mut bytes) = (store.slot("k").unwrap(), Vec::new());
    for version in 2..=seen {
        assert_eq!(slot.get_version_into(version, &mut bytes).unwrap(), Lookup::Gone);
    }
    // The versions that were never published are not reported as missed.
    let mut subscriber = Bus::<Vec<u8>>::on(store).subscribe_from("new", Start::Oldest).unwrap();
    assert!(subscriber.try_recv().unwrap().is_none());
}

#[test]
fn versions_that_a_power_loss_skips_are_not_reported_as_missed() {
    let directory = scratch();
    let path = directory.path().join("store");
    let bus = Bus::<Vec<u8>>::on(small().create(path.as_path()).unwrap());
    bus.publish("k", &b"before".to_vec()).unwrap();
    let bus = Bus::<Vec<u8>>::on(open_image(&directory, &Image::read(&path)));
    let options = SubscribeOptions::new().start(Start::Oldest);
    let mut subscribers =
        [bus.subscribe_with("k", &options), bus.subscribe_with("k", &options.lossless())].map(Result::unwrap);
    bus.publish("k", &b"after".to_vec()).unwrap();
    let lossless = &bus.store().slot_snapshot("k").unwrap().unwrap().lossless;
    assert_eq!(lossless[0].behind, 2);
    for subscriber in &mut subscribers {
        let texts: Vec<_> = (0..2).map(|_| subscriber.recv().unwrap().to_vec()).collect();
        assert_eq!(texts, [&b"before"[..], b"after"]);
    }
}

#[test]
fn a_version_of_an_epoch_is_published_only_after_the_header_names_it() {
    let directory = scratch();
    let path = directory.path().join("store");
    let store = small().create(path.as_path()).unwrap();
    store.set("k", b"before").unwrap();
    let mut image = Image::read(&path);
    let file = fs::File::options().read(true).write(true).open(&path).unwrap();
    // The store behaves as if so many versions had been published.
    let next = 5 * EPOCH_LEN;
    set_word(&file, FIRST_VERSION, next);
    assert_eq!(store.set("k", b"after").unwrap(), next);
    assert_eq!(word(&file, EPOCH), 5 << 32 | 5, "the epoch is announced and durable");
    // Only this page reaches the disk.
    image.copy_page(0, &Image::read(&path));
    let store = open_image(&directory, &image);
    assert!(store.set("k", b"again").unwrap() >= next + EPOCH_LEN);
}

#[test]
fn opening_copies_of_copies_uses_up_versions_only_if_a_value_is_published() {
    let directory = scratch();
    let path = directory.path().join("store");
    small().create(path.as_path()).unwrap().set("k", b"v").unwrap();
    let copy_of = |path: &std::path::Path, number: u32| {
        let copy = directory.path().join(format!("copy {number}"));
        Image::read(path).write(&copy);
        copy
    };
    let mut last = path;
    for number in 0..5 {
        last = copy_of(&last, number);
        assert!(Store::open(last.as_path()).unwrap().recovery().is_some());
    }
    assert_eq!(Store::open(last.as_path()).unwrap().set("k", b"w").unwrap(), EPOCH_LEN);
    last = copy_of(&last, 5);
    assert_eq!(Store::open(last.as_path()).unwrap().set("k", b"x").unwrap(), 2 * EPOCH_LEN);
}

#[test]
fn a_key_with_the_fewest_cells_can_be_published_after_an_incomplete_flush() {
    let directory = scratch();
    let path = directory.path().join("store");
    let store = small().slots(1).key_options(KeyOptions::new().history(1).spare(1)).create(path.as_path()).unwrap();
    let shape = store.slot("k").unwrap().shape();
    assert_eq!((shape.history, shape.spare), (1, 3));
    let set = || (0..20).fold(0, |_, _| store.set("k", &[7; 600]).unwrap());
    set();
    store.flush().unwrap();
    let flushed = set();
    store.flush().unwrap();
    // A slot names the flushed version, then the version that a flush in progress covers. The test
    // writes the state of a process that crashed during a flush.
    let mut words = flushed.to_ne_bytes().to_vec();
    words.extend(words.clone());
    let at = Image::read(&path).find(&words)[0];
    let newest = store.set("k", &[8; 600]).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    set_word(&file, at + 8, newest);
    set();
    let (slot, mut bytes) = (store.slot("k").unwrap(), Vec::new());
    for version in [flushed, newest] {
        assert_eq!(slot.get_version_into(version, &mut bytes).unwrap(), Lookup::Found(()));
    }
    store.flush().unwrap();
    set();
    assert_eq!(slot.get_version_into(flushed, &mut bytes).unwrap(), Lookup::Gone);
    assert_eq!(store.purge().unwrap(), 0);
    assert_eq!(store.cells().readable, 1);
}
