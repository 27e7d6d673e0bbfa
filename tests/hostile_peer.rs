//! A process writes garbage into a store while others use it. They get errors or values, and
//! continue.
//! They never panic, never access a byte outside of the store (an inaccessible page lies before and
//! after each mapping), never allocate much memory, and complete each operation in a bounded time.
//! `SPLINTER_TEST_SECONDS` sets how long the test runs. `docs/security.md` says what is promised
//! against such a process.

mod support;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use splinter_bus::bus::WaitSet;
use splinter_bus::store::{KeyOptions, Slot, Store, StoreOptions};
use splinter_bus::{Bus, Message, Start, SubscribeOptions};
use support::image::Image;
use support::offsets::{self, Offsets};
use support::{Actor, Name, Random};

/// The longest time that one operation may take. Creating a key waits up to ten seconds for a lock.
const LONGEST: Duration = Duration::from_secs(20);
/// The memory of a victim in bytes, without that of the store: many times the amount that it needs.
const MEMORY: u64 = 1 << 28;
const PAGE: usize = 4096;
/// The size of the inaccessible memory beside a mapping.
const GUARD: usize = 1 << 20;
const KEYS: u64 = 10;
/// The largest value, in bytes, that a key of any shape can have in this store.
const MOST: usize = 2 << 20;
const MILLISECOND: Duration = Duration::from_millis(1);

fn seconds() -> u64 {
    std::env::var("SPLINTER_TEST_SECONDS").map_or(5, |seconds| seconds.parse().expect("a number"))
}

fn options() -> StoreOptions {
    StoreOptions::new().slots(16).span(2 << 20).key_options(KeyOptions::new().history(6).spare(6).lossless(4))
}

#[derive(Debug, Message, serde::Serialize, serde::Deserialize)]
struct Prompt {
    text: String,
    stop: Vec<String>,
    options: Option<(u32, f32)>,
}

/// What a victim does in a loop.
type Act = fn(&mut Victim);

/// The roles of the victims by name. Each has one victim.
const ROLES: [(&str, Act); 4] = [
    ("publisher", publish_and_get),
    ("holder", read_and_write_in_place),
    ("administrator", administrate),
    ("receiver", receive),
];

#[test]
fn actor() {
    let Some((role, arguments)) = support::role() else { return };
    let [location, seed, report, len] = &arguments[..] else { panic!("{arguments:?}") };
    let len: usize = len.parse().unwrap();
    let mut random = Random::new(seed.parse().unwrap());
    if role == "scribbler" {
        scribble(location, &mut random);
    }
    limit_memory();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        hook(panic);
        std::process::abort();
    }));
    let (_, act) = ROLES.iter().find(|(name, _)| *name == role).unwrap();
    let mut victim = Victim { store: open_between_guards(location, len).unwrap(), random };
    std::fs::write(report, "ready").unwrap();
    let (over, done) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            // The victims end when the pipe is closed.
            let _ = std::io::stdin().read(&mut [0]);
            over.store(true, Ordering::Relaxed);
        });
        scope.spawn(|| watch(&over, &done));
        while !over.load(Ordering::Relaxed) {
            if victim.random.below(100) == 0
                && let Some(store) = open_between_guards(location, len)
            {
                victim.store = store;
            }
            if victim.random.below(20) == 0 {
                // The long values of more keys may have been mapped.
                guard(&mappings(location));
            }
            act(&mut victim);
            done.fetch_add(1, Ordering::Relaxed);
        }
    });
    std::fs::write(report, done.into_inner().to_string()).unwrap();
}

/// Ends the process if one operation takes too long.
fn watch(over: &AtomicBool, done: &AtomicU64) {
    let (mut last, mut since) = (0, Instant::now());
    while !over.load(Ordering::Relaxed) {
        // The sleep synchronises nothing. The watchdog checks the progress a hundred times a
        // second.
        thread::sleep(Duration::from_millis(10));
        let now = done.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        if since.elapsed() > LONGEST {
            eprintln!("one operation has taken {:?}", since.elapsed());
            std::process::abort();
        }
    }
}

fn limit_memory() {
    // A sanitizer maps more address space than the limit.
    if std::env::var_os("SPLINTER_TEST_UNLIMITED").is_none() {
        let limit = libc::rlimit { rlim_cur: MEMORY, rlim_max: MEMORY };
        // Not RLIMIT_AS: a store takes many more addresses than memory.
        // SAFETY: the kernel reads the limit and keeps no reference to it.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) }, 0);
    }
}

struct Victim {
    store: Store,
    random: Random,
}

impl Victim {
    fn key(&mut self) -> String {
        format!("key {}", self.random.below(KEYS))
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let len = self.random.below(most + 1) as usize;
        vec![self.random.next() as u8; len]
    }
}

fn publish_and_get(victim: &mut Victim) {
    let key = victim.key();
    let bus = Bus::<Prompt>::on(victim.store.clone());
    let prompt = Prompt { text: "why?".repeat(20), stop: vec!["a".into(), "b".into()], options: Some((1, 0.5)) };
    for _ in 0..10 {
        let _ = bus.publish(&key, &prompt);
        let _ = bus.get(&key).map(|prompt| prompt.map(|prompt| serde_json::to_string(&prompt).unwrap()));
    }
    let bytes = Bus::<Vec<u8>>::on(victim.store.clone());
    if let Ok(mut publisher) = bytes.publisher(&key) {
        let _ = publisher.publish(&victim.bytes(4000));
        let _ = publisher.publish(&victim.bytes(150_000));
        let _ = publisher.publish_timeout(&victim.bytes(900), MILLISECOND);
        let mut stream = publisher.stream(uuid::Uuid::now_v7());
        let _ = stream.send(&victim.bytes(100));
        let _ = stream.finish(&victim.bytes(100));
    }
    let _ = bytes.get(&key);
    let store = &victim.store;
    for len in [1024, 60_000, 90_000] {
        let _ = store.set(&key, &vec![1; len]);
        let _ = store.append(&key, &[2; 16]);
    }
    let _ = store.get(&key).map(|value| value.map(|value| assert!(value.len() <= MOST, "{}", value.len())));
    if let Ok(integer) = store.integer("integer") {
        let _ = (integer.set(1), integer.fetch_add(1), integer.get());
    }
}

fn read_and_write_in_place(victim: &mut Victim) {
    let key = victim.key();
    let bus = Bus::<Vec<u8>>::on(victim.store.clone());
    let mut samples = Vec::new();
    for back in 0..3 {
        samples.extend(bus.sample(&key).ok().flatten());
        let version = victim.store.slot(&key).map_or(0, |slot| slot.version()).saturating_sub(back);
        samples.extend(bus.sample_version(&key, version).ok().flatten());
    }
    if let Ok(slot) = victim.store.slot(&key) {
        let pins: Vec<_> = (0..3).filter_map(|_| slot.pin().ok().flatten()).collect();
        for pin in &pins {
            let mut copy = Vec::new();
            pin.copy_into(&mut copy);
            assert!(copy.len() <= MOST && pin.len() <= MOST, "{} {}", copy.len(), pin.len());
            touch(pin);
        }
        let most = [1025, 65_000, 150_000][victim.random.below(3) as usize];
        if let Ok(mut loan) = slot.loan(victim.random.below(most) as usize) {
            loan.fill(3);
            if victim.random.below(2) == 0 {
                let _ = loan.send();
            }
        }
        if let Ok(loan) = slot.loan_uninit(9) {
            let _ = loan.write(&[4; 9]).send();
        }
    }
    if let Ok(mut publisher) = bus.publisher(&key) {
        let loans: Vec<_> =
            (0..2).filter_map(|_| publisher.loan_bytes(victim.random.below(9000) as usize).ok()).collect();
        for mut loan in loans {
            loan.fill(5);
            let _ = loan.send();
        }
    }
    for sample in &samples {
        touch(sample.payload());
        let _ = sample.envelope().from().len();
        let _ = sample.view().map(touch);
    }
}

/// Reads every byte, and returns the sum.
fn touch(bytes: &[u8]) {
    std::hint::black_box(bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
}

fn administrate(victim: &mut Victim) {
    let key = victim.key();
    let store = &victim.store;
    let keys = store.keys();
    assert!(keys.len() <= 16 && keys.iter().all(|key| !key.is_empty() && key.len() <= 63));
    let _ = store.keys_matching("key *");
    let _ = (store.snapshot(), store.diagnostics(), store.participants(), store.cells(), store.recovery());
    let _ = store.slot_snapshot(&key);
    let seen = store.slot(&key).map_or(0, |slot: Slot| {
        let _ = (slot.size(), slot.cells(), slot.first_version(), slot.oldest_from(0));
        slot.version()
    });
    let _ = store.poll_after(&key, seen, Some(MILLISECOND));
    let mut all = store.watch();
    let _ = all.poll(Some(MILLISECOND));
    let _ = store.flush();
    let len = [100, 3000, 20_000, 120_000][victim.random.below(4) as usize];
    let _ = store.set_if_version(&key, [seen, 0, 7][victim.random.below(3) as usize], &vec![8; len]);
    let _ = store.get_to_slice(&key, &mut [0; 2000]);
    match victim.random.below(20) {
        0 => drop(store.unset(&key)),
        1 => drop(store.purge()),
        4 | 5 => drop((store.trim(), store.memory())),
        6 => copy(store),
        2 => store.set_auto_vacuum(false),
        3 => store.set_auto_vacuum(true),
        _ => {}
    }
    let _ = all.poll(Some(Duration::ZERO));
}

/// Copies the store into a file. What can be copied of a damaged store does not matter.
fn copy(store: &Store) {
    let Ok(directory) = tempfile::tempdir() else { return };
    let path = directory.path().join("copy");
    if store.copy_to(&path).is_ok() {
        Store::open(&path).expect("a copy that is complete");
    }
}

fn receive(victim: &mut Victim) {
    let (key, queue) = (victim.key(), format!("queue {}", victim.random.below(2)));
    let bus = Bus::<Vec<u8>>::on(victim.store.clone());
    let version = victim.store.slot(&key).map_or(0, |slot| slot.version());
    let starts = [
        Start::Next,
        Start::Newest,
        Start::Oldest,
        Start::Version(version.saturating_sub(2)),
        Start::Time(SystemTime::now() - Duration::from_secs(1)),
    ];
    let mut subscribers = Vec::new();
    for start in starts {
        let options = SubscribeOptions::new().start(start);
        subscribers.extend(bus.subscribe_with(&key, &options));
        subscribers.extend(bus.subscribe_with(&key, &options.lossless()));
    }
    let worker = bus.work_queue(&queue).map(|mut worker| {
        let _ = bus.publish(&queue, &vec![6; 30]);
        for _ in 0..3 {
            if let Ok(Some(job)) = worker.recv_timeout(MILLISECOND)
                && job[..] != [7]
            {
                let _ = job.acknowledge();
            }
        }
        worker
    });
    for subscriber in &mut subscribers {
        for _ in 0..4 {
            let _ = subscriber.try_recv();
            let _ = subscriber.try_recv_sample().map(|sample| sample.map(|sample| touch(sample.payload())));
        }
        let _ = subscriber.recv_timeout(MILLISECOND);
    }
    let mut sources: Vec<&dyn splinter_bus::bus::Source> = subscribers.iter().map(|source| source as _).collect();
    sources.extend(worker.iter().map(|source| source as &dyn splinter_bus::bus::Source));
    let _ = WaitSet::new().wait(&sources, Some(MILLISECOND));
}

/// Writes words all over the store, sometimes many and sometimes few. Now and then it restores the
/// first image, so that there is something left to damage.
fn scribble(location: &str, random: &mut Random) -> ! {
    let path = format!("/dev/shm/{location}");
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let good = Image::read(&path);
    let fixed = Offsets::of(&file).fixed_len() / 4096;
    // The words that can mislead a reader: headers, participants, types, index, slots and cursors, and
    // those of cells and side records. Values follow them.
    let pages: Vec<u64> = good.pages.keys().copied().collect();
    let books: Vec<u64> = pages.iter().copied().filter(|&page| page < fixed).collect();
    loop {
        for _ in 0..1 << random.below(12) {
            let among = if random.below(2) == 0 { &books } else { &pages };
            let at = among[random.below(among.len() as u64) as usize] * 4096 + random.below(512) * 8;
            if at == offsets::SPAN {
                // A process that opens the store by a larger span may find longer values in it, which
                // take as much memory. `hostile_store.rs` damages it.
                continue;
            }
            let word = match random.below(9) {
                0 => random.next(),
                1 => u64::MAX,
                2 => 0,
                // Plausible heads, versions, marks, cursors and delivery states.
                3 => random.below(14) << 48 | random.below(64),
                // Plausible lengths, residues and reserved bytes.
                8 => 1 << (16 + random.below(12)) | random.below(1 << 21) << 32,
                4 => random.below(3) << 56 | random.below(200) << 48 | random.below(64),
                5 => random.below(1 << 16) << 48 | u64::MAX >> 17,
                6 => 1 << random.below(64),
                _ => good.word(at).wrapping_add(random.below(3)),
            };
            let len = 1 + random.below(8) as usize;
            file.write_all_at(&word.to_ne_bytes()[..len], at + random.below(9 - len as u64)).unwrap();
        }
        match random.below(4) {
            0 => {
                for (page, bytes) in &good.pages {
                    file.write_all_at(&bytes[..], page * 4096).unwrap();
                }
            }
            // Sets the pace: the victims need some time to meet the damage.
            1 => thread::sleep(MILLISECOND),
            _ => {}
        }
    }
}

thread_local! {
    /// Guards that are no longer beside a mapping stay for a while, because the next mapping may
    /// lie there.
    static GUARDS: RefCell<VecDeque<Guard>> = const { RefCell::new(VecDeque::new()) };
}

/// Opens the store between inaccessible pages, so that an access beyond either end of a mapping
/// ends the process.
///
/// `len` is the length of the mapping.
fn open_between_guards(location: &str, len: usize) -> Option<Store> {
    // The kernel puts a mapping below the last one, or into a gap that is large enough. So the gaps
    // are filled first.
    let before = GUARDS.with_borrow(VecDeque::len);
    for _ in 0..100 {
        GUARDS.with_borrow_mut(|guards| guards.push_back(Guard::anywhere(len)));
        let Ok(store) = options().open_unshared(location) else {
            // The guards before these belong to the store that stays open.
            GUARDS.with_borrow_mut(|guards| guards.truncate(before));
            return None;
        };
        guard(&mappings(location));
        // Loans have a mapping of their own, and so have the long values of each key.
        let _ = store.slot("key 0").map(|slot| slot.loan(1).map(drop));
        guard(&mappings(location));
        for number in 0..KEYS {
            // The kernel would put the second one beside the first.
            let slot = store.slot(&format!("key {number}"));
            let _ = slot.as_ref().map(|slot| slot.set(&[0; 3000]));
            guard(&mappings(location));
            let _ = slot.map(|slot| slot.loan(3000).map(drop));
            guard(&mappings(location));
        }
        let open = maps();
        let is_guarded =
            |at: usize| open.iter().any(|(from, to, rights, _)| (*from..*to).contains(&at) && rights == "---p");
        if mappings(location).iter().all(|&(start, end)| is_guarded(start - 1) && is_guarded(end)) {
            GUARDS.with_borrow_mut(|guards| drop(guards.drain(..guards.len().saturating_sub(256))));
            return Some(store);
        }
    }
    panic!("no free address range between guards: {:x?}", maps());
}

fn guard(mappings: &[(usize, usize)]) {
    GUARDS.with_borrow_mut(|guards| {
        for &(start, end) in mappings {
            guards.extend(Guard::below(start));
            guards.extend(Guard::at(end, PAGE));
        }
    });
}

/// Memory that cannot be accessed.
struct Guard {
    start: usize,
    len: usize,
}

impl Guard {
    fn anywhere(len: usize) -> Self {
        Self::map(None, len).expect("address space for a guard")
    }

    fn below(end: usize) -> Option<Self> {
        [GUARD, PAGE].into_iter().find_map(|len| Self::at(end - len, len))
    }

    /// Maps a guard. Returns `None` if something else is mapped there.
    fn at(start: usize, len: usize) -> Option<Self> {
        Self::map(Some(start), len)
    }

    fn map(start: Option<usize>, len: usize) -> Option<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | start.map_or(0, |_| libc::MAP_FIXED_NOREPLACE);
        let address = std::ptr::without_provenance_mut(start.unwrap_or(0));
        // SAFETY: this is a new mapping at an address where nothing is mapped.
        let memory = unsafe { libc::mmap(address, len, libc::PROT_NONE, flags, -1, 0) };
        (memory != libc::MAP_FAILED).then(|| Self { start: memory.addr(), len })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // SAFETY: the mapping belongs to this guard, and no reference into it exists.
        let unmapped = unsafe { libc::munmap(std::ptr::without_provenance_mut(self.start), self.len) };
        assert_eq!(unmapped, 0);
    }
}

/// Lists the mappings of the store in this process.
fn mappings(location: &str) -> Vec<(usize, usize)> {
    let path = format!("/dev/shm/{location}");
    maps().into_iter().filter(|(.., name)| *name == path).map(|(start, end, ..)| (start, end)).collect()
}

/// Lists all mappings of this process: start, end, access rights, name.
fn maps() -> Vec<(usize, usize, String, String)> {
    let address = |text: &str| usize::from_str_radix(text, 16).unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let parse = |line: &str| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let rights = fields.next()?;
        Some((address(start), address(end), rights.to_owned(), fields.nth(3).unwrap_or_default().to_owned()))
    };
    maps.lines().map(|line| parse(line).expect("a mapping")).collect()
}

#[test]
fn processes_get_errors_or_values_while_a_hostile_process_damages_the_store() {
    let (name, reports) = (Name::new(), tempfile::tempdir().unwrap());
    let store = name.create(&options());
    let bus = Bus::<Vec<u8>>::on(store.clone());
    for number in 0..KEYS {
        for len in [100, 3000, 80_000] {
            bus.publish(&format!("key {number}"), &vec![number as u8; len]).unwrap();
        }
    }
    let len = store.snapshot().total_len.to_string();
    let report = |role: &str| reports.path().join(role).to_str().unwrap().to_owned();
    let spawn = |role: &str, seed: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.stdin(Stdio::piped());
        Actor::spawn_by(command, role, &[&name, seed, &report(role), &len])
    };
    let mut victims: Vec<_> = (0..).zip(ROLES).map(|(seed, (role, _))| spawn(role, &seed.to_string())).collect();
    support::wait_until("all have the store open", || ROLES.iter().all(|(role, _)| Path::new(&report(role)).exists()));
    let mut scribbler = spawn("scribbler", "4");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds()) {
        for (victim, (role, _)) in victims.iter_mut().zip(ROLES) {
            let ended = victim.0.try_wait().unwrap();
            assert!(ended.is_none(), "{role} has ended: {ended:?}");
        }
        // Sets how often the victims are checked while the scribbler damages the store.
        thread::sleep(Duration::from_millis(50));
    }
    assert!(scribbler.0.try_wait().unwrap().is_none());
    for (mut victim, (role, _)) in victims.into_iter().zip(ROLES) {
        drop(victim.0.stdin.take());
        victim.finish();
        let acts: u64 = std::fs::read_to_string(report(role)).unwrap().parse().unwrap();
        println!("{role}: {acts} acts");
        assert!(acts > 0);
    }
    scribbler.kill();
    drop(bus);
    drop(store);
}
