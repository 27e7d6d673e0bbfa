//! Throughput of several threads: writers and readers of one key, and of different keys.
//!
//! Prints millions of operations per second of all threads together. Rows with more threads than
//! cores show the cost of oversubscription, not how the bus scales with cores.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use splinter_bus::store::{Slot, Store, StoreOptions};

const DURATION: Duration = Duration::from_millis(200);
const REPETITIONS: usize = 5;
const THREADS: [usize; 4] = [1, 2, 4, 8];

/// Repeats an operation in several threads at the same time, each with its own state.
///
/// Returns millions of operations per second.
fn run_threads<T: Send>(threads: usize, new_state: impl Fn(usize) -> T, operation: impl Fn(&mut T) + Sync) -> f64 {
    let (start, ended) = (Barrier::new(threads + 1), AtomicBool::new(false));
    let states: Vec<_> = (0..threads).map(new_state).collect();
    thread::scope(|scope| {
        let (start, ended, operation) = (&start, &ended, &operation);
        let workers: Vec<_> = states
            .into_iter()
            .map(|mut state| {
                scope.spawn(move || {
                    start.wait();
                    let mut done = 0_u64;
                    while !ended.load(Ordering::Relaxed) {
                        operation(&mut state);
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        start.wait();
        let begin = Instant::now();
        thread::sleep(DURATION);
        ended.store(true, Ordering::Relaxed);
        let seconds = begin.elapsed().as_secs_f64();
        let done: u64 = workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).sum();
        done as f64 / seconds / 1e6
    })
}

fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut values: Vec<_> = (0..REPETITIONS).map(|_| measure()).collect();
    values.sort_by(f64::total_cmp);
    values[REPETITIONS / 2]
}

fn main() {
    let name = format!("splinter-bench-scaling-{}", std::process::id());
    let store = StoreOptions::new().slots(16).create(&name).expect("a scratch store");
    Store::remove(&name).expect("the scratch store exists");
    let slot = |key: usize| store.slot(&format!("key {key}")).unwrap();
    (0..8).for_each(|key| _ = slot(key).set(&[7; 64]).unwrap());
    let writer = |slot: &mut Slot| _ = slot.set(&[7; 64]).unwrap();
    let reader = |(slot, value): &mut (Slot, Vec<u8>)| _ = slot.get_into(value).unwrap();

    print!("{:<44}", "threads");
    THREADS.iter().for_each(|threads| print!("{threads:>9}"));
    println!();
    let row = |label: &str, measure: &dyn Fn(usize) -> f64| {
        print!("{label:<44}");
        THREADS.iter().for_each(|&threads| print!("{:>9.1}", median(|| measure(threads))));
        println!();
    };
    row("writers of one key", &|threads| run_threads(threads, |_| slot(0), writer));
    row("writers of different keys", &|threads| run_threads(threads, slot, writer));
    row("readers of one key", &|threads| run_threads(threads, |_| (slot(0), Vec::new()), reader));
    row("readers of different keys", &|threads| run_threads(threads, |key| (slot(key), Vec::new()), reader));
    row("readers of one key, with one writer", &|threads| {
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut slot = slot(0);
                while !ended.load(Ordering::Relaxed) {
                    writer(&mut slot);
                }
            });
            let read = run_threads(threads, |_| (slot(0), Vec::new()), reader);
            ended.store(true, Ordering::Relaxed);
            read
        })
    });
}
