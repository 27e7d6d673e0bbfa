//! One way between two processes on two cores, both spinning, against what the bare hardware needs for cache lines.
//!
//! The partner is this program once more, with the store's name as its argument.

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
struct Ball {
    numbers: [u64; 8],
}

/// What both sides do, as partner or as the one who measures.
#[derive(Clone, Copy)]
enum Game {
    Raw,
    Typed,
}

/// Returns every ball until it is killed.
fn partner(name: &str, game: Game) {
    let store = Store::open(name).unwrap();
    let mut player = Player::new(&store, game, "ping", "pong");
    loop {
        player.catch();
        player.throw();
    }
}

enum Player {
    Raw { from: Box<Slot>, to: Box<Slot>, next: u64, value: Vec<u8> },
    Typed { from: Box<Subscriber<Ball>>, to: Box<splinter_bus::Publisher<Ball>> },
}

impl Player {
    fn new(store: &Store, game: Game, from: &str, to: &str) -> Self {
        match game {
            Game::Raw => {
                let (from, to) = (Box::new(store.slot(from).unwrap()), Box::new(store.slot(to).unwrap()));
                Self::Raw { from, to, next: 1, value: vec![7; 64] }
            }
            Game::Typed => {
                let bus = Bus::on(store.clone());
                let from = bus.subscribe_from(from, splinter_bus::Start::Oldest).unwrap();
                Self::Typed { from: Box::new(from), to: Box::new(bus.publisher(to).unwrap()) }
            }
        }
    }

    fn throw(&mut self) {
        match self {
            Self::Raw { to, value, .. } => _ = to.set(value).unwrap(),
            Self::Typed { to, .. } => _ = to.publish(&Ball { numbers: [7; 8] }).unwrap(),
        }
    }

    fn catch(&mut self) {
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
    for (game, label) in [(Game::Raw, "raw 64"), (Game::Typed, "zerocopy 64")] {
        let name = format!("splinter-bench-ping-pong-{}", std::process::id());
        let store = StoreOptions::new().create(&name).expect("a scratch store");
        let role = if matches!(game, Game::Raw) { "raw" } else { "typed" };
        let program = env::current_exe().unwrap();
        let _partner = Partner(Command::new(program).arg(&name).env(PARTNER, role).spawn().unwrap());
        let mut player = Player::new(&store, game, "pong", "ping");
        c.bench_function(&format!("one way between processes, {label}"), |b| {
            b.iter_custom(|count| {
                let start = Instant::now();
                for _ in 0..count {
                    player.throw();
                    player.catch();
                }
                start.elapsed() / 2
            });
        });
        Store::remove(&name).unwrap();
    }
}

#[repr(align(128))]
struct Line(AtomicU64);

/// Two threads that hand `lines` cache lines to and fro: what any message must cost at least.
fn bare(c: &mut Criterion) {
    for lines in [1, 2] {
        c.bench_function(&format!("one way between cores, {lines} bare cache lines"), |b| {
            b.iter_custom(|count| hand_to_and_fro(count, lines) / 2);
        });
    }
}

fn hand_to_and_fro(count: u64, lines: usize) -> Duration {
    let ways = [(); 2].map(|()| [const { Line(AtomicU64::new(0)) }; 2]);
    let throw = |way: usize, number: u64| {
        ways[way][..lines].iter().rev().for_each(|line| line.0.store(number, Ordering::Release));
    };
    let catch = |way: usize, number: u64| {
        for line in &ways[way][..lines] {
            while line.0.load(Ordering::Acquire) < number {
                hint::spin_loop();
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=count {
                catch(0, number);
                throw(1, number);
            }
        });
        let start = Instant::now();
        for number in 1..=count {
            throw(0, number);
            catch(1, number);
        }
        start.elapsed()
    })
}

criterion_group!(benches, bare, between_processes);

fn main() {
    match env::var(PARTNER).as_deref() {
        Ok("raw") => partner(&env::args().nth(1).unwrap(), Game::Raw),
        Ok(_) => partner(&env::args().nth(1).unwrap(), Game::Typed),
        Err(_) => benches(),
    }
    Criterion::default().configure_from_args().final_summary();
}
