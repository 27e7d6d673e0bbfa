//! The price of finding a key, or of finding that there is none, in full stores of three sizes.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use splinter_bus::store::{Store, StoreOptions};

/// As many keys of every store are asked for in turn, so that what differs is the size of the store.
const ASKED: u32 = 64;

fn full(slots: u32) -> Store {
    let name = format!("splinter-bench-lookup-{slots}-{}", std::process::id());
    let options = StoreOptions::new().slots(slots).max_value_size(64).history(1).spare(1);
    let store = options.create(&name).expect("a scratch store");
    Store::remove(&name).expect("the scratch store is there");
    for number in 0..slots {
        store.set(&key(number), &[7; 64]).unwrap();
    }
    store
}

fn key(number: u32) -> String {
    format!("service:{number}:prompt")
}

fn lookup(c: &mut Criterion) {
    for slots in [128, 1024, 65_536] {
        let store = full(slots);
        let mut value = Vec::new();
        let hits: Vec<String> = (0..ASKED).map(|number| key(number * (slots / ASKED))).collect();
        let misses: Vec<String> = (0..ASKED).map(|number| format!("service:{number}:response")).collect();
        let mut group = c.benchmark_group("get by key");
        let mut turn = 0;
        group.bench_function(BenchmarkId::new("hit", slots), |b| {
            b.iter(|| {
                turn = (turn + 1) % ASKED as usize;
                store.get_into(black_box(&hits[turn]), &mut value).unwrap().expect("a hit")
            });
        });
        group.bench_function(BenchmarkId::new("miss", slots), |b| {
            b.iter(|| {
                turn = (turn + 1) % ASKED as usize;
                assert_eq!(store.get_into(black_box(&misses[turn]), &mut value).unwrap(), None);
            });
        });
    }
}

criterion_group!(benches, lookup);
criterion_main!(benches);
