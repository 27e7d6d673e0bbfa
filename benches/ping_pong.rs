//! One-way latency between two spinning processes, and between two cores without the library.
//!
//! The partner process is this program again, with the name of the store as its argument.

use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, hint, thread};

use criterion::{Criterion, criterion_group};
use splinter_bus::store::{Lookup, Slot, Store, StoreOptions};
use splinter_bus::{Bus, Message, Subscriber};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const PARTNER: &str = "SPLINTER_BENCH_PARTNER";

#[derive(Message, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[message(encoding = "zerocopy")]
#[repr(C)]
struct Numbers {
    numbers: [u64; 8],
}

/// How messages are sent.
#[derive(Clone, Copy)]
enum Level {
    /// Values of the store.
    Raw,
    /// Messages of the bus.
    Typed,
}

/// Returns every message until it is killed.
fn partner(name: &str, level: Level) {
    let store = Store::open(name).unwrap();
    let mut endpoint = Endpoint::new(&store, level, "ping", "pong");
    loop {
        endpoint.receive();
        endpoint.send();
    }
}

enum Endpoint {
    Raw { from: Box<Slot>, to: Box<Slot>, next: u64, value: Vec<u8> },
    Typed { from: Box<Subscriber<Numbers>>, to: Box<splinter_bus::Publisher<Numbers>> },
}

impl Endpoint {
    fn new(store: &Store, level: Level, from: &str, to: &str) -> Self {
        match level {
            Level::Raw => {
                let (from, to) = (Box::new(store.slot(from).unwrap()), Box::new(store.slot(to).unwrap()));
                Self::Raw { from, to, next: 1, value: vec![7; 64] }
            }
            Level::Typed => {
                let bus = Bus::on(store.clone());
                let from = bus.subscribe_from(from, splinter_bus::Start::Oldest).unwrap();
                Self::Typed { from: Box::new(from), to: Box::new(bus.publisher(to).unwrap()) }
            }
        }
    }

    fn send(&mut self) {
        match self {
            Self::Raw { to, value, .. } => _ = to.set(value).unwrap(),
            Self::Typed { to, .. } => _ = to.publish(&Numbers { numbers: [7; 8] }).unwrap(),
        }
    }

    fn receive(&mut self) {
        match self {
            Self::Raw { from, next, value, .. } => {
                while from.get_version_into(*next, value).unwrap() != Lookup::Found(()) {
                    hint::spin_loop();
                }
                *next += 1;
            }
            Self::Typed { from, .. } => {
                while from.try_recv().unwrap().is_none() {
                    hint::spin_loop();
                }
            }
        }
    }
}

struct Partner(Child);

impl Drop for Partner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn between_processes(c: &mut Criterion) {
    for (level, label) in [(Level::Raw, "raw 64"), (Level::Typed, "zerocopy 64")] {
        let name = format!("splinter-bench-ping-pong-{}", std::process::id());
        let store = StoreOptions::new().create(&name).expect("a scratch store");
        let role = if matches!(level, Level::Raw) { "raw" } else { "typed" };
        let program = env::current_exe().unwrap();
        let _partner = Partner(Command::new(program).arg(&name).env(PARTNER, role).spawn().unwrap());
        let mut endpoint = Endpoint::new(&store, level, "pong", "ping");
        c.bench_function(&format!("one way between processes, {label}"), |b| {
            b.iter_custom(|count| {
                let start = Instant::now();
                for _ in 0..count {
                    endpoint.send();
                    endpoint.receive();
                }
                start.elapsed() / 2
            });
        });
        Store::remove(&name).unwrap();
    }
}

#[repr(align(128))]
struct Line(AtomicU64);

/// Two threads that exchange cache lines: the lower bound of the latency of a message.
fn bare(c: &mut Criterion) {
    for lines in [1, 2] {
        c.bench_function(&format!("one way between cores, {lines} bare cache lines"), |b| {
            b.iter_custom(|count| exchange(count, lines) / 2);
        });
    }
}

fn exchange(count: u64, lines: usize) -> Duration {
    let directions = [(); 2].map(|()| [const { Line(AtomicU64::new(0)) }; 2]);
    let send = |direction: usize, number: u64| {
        directions[direction][..lines].iter().rev().for_each(|line| line.0.store(number, Ordering::Release));
    };
    let receive = |direction: usize, number: u64| {
        for line in &directions[direction][..lines] {
            while line.0.load(Ordering::Acquire) < number {
                hint::spin_loop();
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=count {
                receive(0, number);
                send(1, number);
            }
        });
        let start = Instant::now();
        for number in 1..=count {
            send(0, number);
            receive(1, number);
        }
        start.elapsed()
    })
}

criterion_group!(benches, bare, between_processes);

fn main() {
    match env::var(PARTNER).as_deref() {
        Ok("raw") => partner(&env::args().nth(1).unwrap(), Level::Raw),
        Ok(_) => partner(&env::args().nth(1).unwrap(), Level::Typed),
        Err(_) => benches(),
    }
    Criterion::default().configure_from_args().final_summary();
}
