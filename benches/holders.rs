//! Publishing on a key while a stopped process holds a loan and a pin of it.
//!
//! Rounds without a holder and with one alternate. The medians of both are printed.

use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{env, thread};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use splinter_bus::store::{Slot, Store};

const HOLDER: &str = "SPLINTER_BENCH_HOLDER";
const ROUNDS: usize = 40;
const PUBLISHES: u32 = 50_000;

struct Holder(Child);

impl Holder {
    /// Starts a process that holds a loan and a pin of "k", and stops it with SIGSTOP.
    fn stopped(store: &Store, name: &str) -> Self {
        let before = store.slot("held").unwrap().version();
        let child = Command::new(env::current_exe().unwrap()).arg(name).env(HOLDER, "yes").spawn().unwrap();
        store
            .poll_after("held", before, Some(Duration::from_secs(10)))
            .unwrap()
            .expect("the holder has its loan and its pin");
        let pid = Pid::from_child(&child);
        kill_process(pid, Signal::STOP).unwrap();
        waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The holder process: takes a loan and a pin, reports it, and waits to be killed.
fn hold(name: &str) {
    let store = Store::open(name).unwrap();
    let slot = store.slot("k").unwrap();
    let _held = (slot.loan(64).unwrap(), slot.pin().unwrap());
    store.set("held", b"yes").unwrap();
    loop {
        thread::park();
    }
}

/// Returns the nanoseconds per publish.
fn time_publish(slot: &Slot) -> f64 {
    let start = Instant::now();
    for _ in 0..PUBLISHES {
        slot.set(&[7; 64]).unwrap();
    }
    start.elapsed().as_nanos() as f64 / f64::from(PUBLISHES)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    if env::var_os(HOLDER).is_some() {
        return hold(&env::args().nth(1).expect("the first argument is the name of the store"));
    }
    let name = format!("splinter-bench-holders-{}", std::process::id());
    let store = Store::create(&name).expect("a scratch store");
    let slot = store.slot("k").unwrap();
    slot.set(&[7; 64]).unwrap();
    let (mut free, mut held) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        free.push(time_publish(&slot));
        let _holder = Holder::stopped(&store, &name);
        held.push(time_publish(&slot));
    }
    Store::remove(&name).unwrap();
    let (free, held) = (median(free), median(held));
    println!("publish 64 bytes, no cell is held:                    {free:.1} ns");
    println!("publish 64 bytes, a stopped process holds two cells:  {held:.1} ns ({:.2} times)", held / free);
}
