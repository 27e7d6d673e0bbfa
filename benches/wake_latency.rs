//! Latency from a publish until a waiting process continues, as percentiles.
//!
//! The waiting process is this program again, with the name of the store as its argument. Both
//! processes read the same clock.

use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{env, hint, thread};

use rustix::time::{ClockId, clock_gettime};
use splinter_bus::store::{Store, StoreOptions};

const WAITER: &str = "SPLINTER_BENCH_WAITER";
const TIMEOUT: Option<Duration> = Some(Duration::from_secs(10));

/// Returns the nanoseconds of a clock that all processes share.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The waiting process: answers each time of publishing with the time that has passed since.
fn wait(name: &str, role: &str) {
    let store = Store::open(name).unwrap();
    // The answers are in a second store, because a watch also reports updates of its own process.
    let answers = Store::open(format!("{name}-answers")).unwrap();
    let (sent, latency) = (store.slot("sent").unwrap(), answers.integer("latency").unwrap());
    let mut watch = store.watch();
    let (mut seen, mut value) = (0, Vec::new());
    loop {
        if role == "watch" {
            while sent.version() == seen {
                watch.poll(TIMEOUT).expect("the store is intact");
            }
            seen = sent.version();
        } else {
            seen = sent.poll_after(seen, TIMEOUT).unwrap().expect("a publish before the timeout");
        }
        let arrived = now();
        sent.get_into(&mut value).unwrap();
        let sent = u64::from_le_bytes(value.as_slice().try_into().unwrap());
        latency.set(arrived.saturating_sub(sent)).unwrap();
    }
}

struct Waiter(Child);

impl Drop for Waiter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Publishes `rounds` times with a pause after each, and returns the latencies in ascending order.
fn measure(role: &str, rounds: usize, pause: impl Fn()) -> Vec<u64> {
    let name = format!("splinter-bench-wake-{}", std::process::id());
    let options = StoreOptions::new().slots(4);
    let store = options.create(&name).expect("a scratch store");
    let answers = options.create(format!("{name}-answers")).expect("a scratch store");
    let program = env::current_exe().unwrap();
    let _waiter = Waiter(Command::new(program).arg(&name).env(WAITER, role).spawn().unwrap());
    let (sent, answered) = (store.slot("sent").unwrap(), answers.slot("latency").unwrap());
    let latency = answers.integer("latency").unwrap();
    while answers.participants().unwrap().len() < 2 {
        thread::yield_now();
    }
    let mut latencies: Vec<u64> = (1..=rounds as u64)
        .map(|round| {
            sent.set(&now().to_le_bytes()).unwrap();
            // First the pause: waiting for the answer spins, and could take the core that the woken
            // process needs.
            pause();
            answered.poll_after(round - 1, TIMEOUT).unwrap().expect("an answer before the timeout");
            latency.get().unwrap().expect("an answer")
        })
        .collect();
    for store in [store, answers] {
        Store::remove(store.location()).unwrap();
    }
    latencies.sort_unstable();
    latencies
}

fn report(label: &str, latencies: &[u64]) {
    let percentile = |percent: f64| {
        let index = (latencies.len() as f64 * percent / 100.0) as usize;
        Duration::from_nanos(latencies[index.min(latencies.len() - 1)])
    };
    let [p50, p90, p99, p999] = [50.0, 90.0, 99.0, 99.9].map(percentile);
    let longest = percentile(100.0);
    println!(
        "{label:<24} p50 {p50:>9.1?}   p90 {p90:>9.1?}   p99 {p99:>9.1?}   p99.9 {p999:>9.1?}   max {longest:>9.1?}"
    );
}

fn main() {
    if let Ok(role) = env::var(WAITER) {
        wait(&env::args().nth(1).expect("the first argument is the name of the store"), &role);
        return;
    }
    // Longer than a waiting process spins, so it sleeps.
    let sleeping = || thread::sleep(Duration::from_millis(2));
    // Shorter, so it still spins.
    let spinning = || {
        let until = Instant::now() + Duration::from_micros(3);
        while Instant::now() < until {
            hint::spin_loop();
        }
    };
    report("poll, sleeping", &measure("poll", 2000, sleeping));
    report("poll, spinning", &measure("poll", 200_000, spinning));
    report("watch any key, sleeping", &measure("watch", 2000, sleeping));
    report("watch any key, spinning", &measure("watch", 200_000, spinning));
}
