//! How long after a publish the one who waits for it, in another process, goes on: percentiles.
//!
//! The waiter is this program once more, with the store's name as its argument. Both read the same clock.

use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{env, hint, thread};

use rustix::time::{ClockId, clock_gettime};
use splinter_bus::store::{Store, StoreOptions};

const WAITER: &str = "SPLINTER_BENCH_WAITER";
const TIMEOUT: Option<Duration> = Some(Duration::from_secs(10));

/// Nanoseconds of a clock that all processes share.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Answers every time of publishing with how long ago it was.
fn wait(name: &str, role: &str) {
    let store = Store::open(name).unwrap();
    // In a store of its own: who watches a store sees its own publishes, too.
    let answers = Store::open(format!("{name}-answers")).unwrap();
    let (sent, late) = (store.slot("sent").unwrap(), answers.integer("late").unwrap());
    let mut watch = store.watch();
    let (mut seen, mut value) = (0, Vec::new());
    loop {
        if role == "watch" {
            while sent.version() == seen {
                watch.poll(TIMEOUT).expect("our own store");
            }
            seen = sent.version();
        } else {
            seen = sent.poll_after(seen, TIMEOUT).unwrap().expect("a publish");
        }
        let arrived = now();
        sent.get_into(&mut value).unwrap();
        let sent = u64::from_le_bytes(value.as_slice().try_into().unwrap());
        late.set(arrived.saturating_sub(sent)).unwrap();
    }
}

struct Waiter(Child);

impl Drop for Waiter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Publishes `rounds` times, with a pause after each, and gives the waits, shortest first.
fn measure(role: &str, rounds: usize, pause: impl Fn()) -> Vec<u64> {
    let name = format!("splinter-bench-wake-{}", std::process::id());
    let options = StoreOptions::new().slots(4).max_value_size(64);
    let store = options.create(&name).expect("a scratch store");
    let answers = options.create(format!("{name}-answers")).expect("a scratch store");
    let program = env::current_exe().unwrap();
    let _waiter = Waiter(Command::new(program).arg(&name).env(WAITER, role).spawn().unwrap());
    let (sent, answered) = (store.slot("sent").unwrap(), answers.slot("late").unwrap());
    let late = answers.integer("late").unwrap();
    while answers.participants().unwrap().len() < 2 {
        thread::yield_now();
    }
    let mut waits: Vec<u64> = (1..=rounds as u64)
        .map(|round| {
            sent.set(&now().to_le_bytes()).unwrap();
            // Before the answer is looked for: whoever spins for it keeps a core from the one who was woken.
            pause();
            answered.poll_after(round - 1, TIMEOUT).unwrap().expect("an answer");
            late.get().unwrap().expect("an answer")
        })
        .collect();
    for store in [store, answers] {
        Store::remove(store.location()).unwrap();
    }
    waits.sort_unstable();
    waits
}

fn report(what: &str, waits: &[u64]) {
    let percentile = |percent: f64| {
        let at = (waits.len() as f64 * percent / 100.0) as usize;
        Duration::from_nanos(waits[at.min(waits.len() - 1)])
    };
    let [p50, p90, p99, p999] = [50.0, 90.0, 99.0, 99.9].map(percentile);
    let longest = percentile(100.0);
    println!(
        "{what:<34} p50 {p50:>9.1?}   p90 {p90:>9.1?}   p99 {p99:>9.1?}   p99.9 {p999:>9.1?}   max {longest:>9.1?}"
    );
}

fn main() {
    if let Ok(role) = env::var(WAITER) {
        wait(&env::args().nth(1).expect("the name of a store"), &role);
        return;
    }
    // Longer than anyone spins, so that the waiter sleeps.
    let asleep = || thread::sleep(Duration::from_millis(2));
    // Shorter, so that it spins.
    let spinning = || {
        let until = Instant::now() + Duration::from_micros(3);
        while Instant::now() < until {
            hint::spin_loop();
        }
    };
    report("poll, while the waiter sleeps", &measure("poll", 2000, asleep));
    report("poll, while the waiter spins", &measure("poll", 200_000, spinning));
    report("watch any key, while it sleeps", &measure("watch", 2000, asleep));
    report("watch any key, while it spins", &measure("watch", 200_000, spinning));
}
