//! How much gets done by several at once: writers and readers, as threads of one process, of one key and of keys of their own.
//!
//! Millions of operations a second, of all together. With more threads than cores it says what it costs to have more, not what more cores would bring.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use splinter_bus::store::{Slot, Store, StoreOptions};

const LAP: Duration = Duration::from_millis(200);
const LAPS: usize = 5;
const THREADS: [usize; 4] = [1, 2, 4, 8];

/// Does something in as many threads at once for as long as a lap; in millions a second.
fn together<T: Send>(threads: usize, mine: impl Fn(usize) -> T, act: impl Fn(&mut T) + Sync) -> f64 {
    let (start, over) = (Barrier::new(threads + 1), AtomicBool::new(false));
    let own: Vec<_> = (0..threads).map(mine).collect();
    thread::scope(|scope| {
        let (start, over, act) = (&start, &over, &act);
        let workers: Vec<_> = own
            .into_iter()
            .map(|mut own| {
                scope.spawn(move || {
                    start.wait();
                    let mut done = 0_u64;
                    while !over.load(Ordering::Relaxed) {
                        act(&mut own);
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        start.wait();
        let begin = Instant::now();
        thread::sleep(LAP);
        over.store(true, Ordering::Relaxed);
        let seconds = begin.elapsed().as_secs_f64();
        let done: u64 = workers.into_iter().map(|worker| worker.join().expect("nobody panics")).sum();
        done as f64 / seconds / 1e6
    })
}

fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut laps: Vec<_> = (0..LAPS).map(|_| measure()).collect();
    laps.sort_by(f64::total_cmp);
    laps[LAPS / 2]
}

fn main() {
    let name = format!("splinter-bench-scaling-{}", std::process::id());
    let store = StoreOptions::new().slots(16).max_value_size(64).create(&name).expect("a scratch store");
    Store::remove(&name).expect("the scratch store is there");
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
    row("writers of one key", &|threads| together(threads, |_| slot(0), writer));
    row("writers of keys of their own", &|threads| together(threads, slot, writer));
    row("readers of one key", &|threads| together(threads, |_| (slot(0), Vec::new()), reader));
    row("readers of keys of their own", &|threads| together(threads, |key| (slot(key), Vec::new()), reader));
    row("readers of one key, beside a writer of it", &|threads| {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut slot = slot(0);
                while !over.load(Ordering::Relaxed) {
                    writer(&mut slot);
                }
            });
            let read = together(threads, |_| (slot(0), Vec::new()), reader);
            over.store(true, Ordering::Relaxed);
            read
        })
    });
}
