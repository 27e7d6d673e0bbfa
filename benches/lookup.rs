//! Lookup by key, of existing and of missing keys, in full stores of three sizes.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use splinter_bus::store::{KeyOptions, Store, StoreOptions};

/// How many keys are looked up in turn. The same for all stores, so that only the store's size
/// differs.
const KEYS: u32 = 64;

fn full_store(slots: u32) -> Store {
    let name = format!("splinter-bench-lookup-{slots}-{}", std::process::id());
    let options = StoreOptions::new().slots(slots).key_options(KeyOptions::new().history(1).spare(1));
    let store = options.create(&name).expect("a scratch store");
    Store::remove(&name).expect("the scratch store exists");
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
        let store = full_store(slots);
        let mut value = Vec::new();
        let hits: Vec<String> = (0..KEYS).map(|number| key(number * (slots / KEYS))).collect();
        let misses: Vec<String> = (0..KEYS).map(|number| format!("service:{number}:response")).collect();
        let mut group = c.benchmark_group("get by key");
        let mut turn = 0;
        group.bench_function(BenchmarkId::new("hit", slots), |b| {
            b.iter(|| {
                turn = (turn + 1) % KEYS as usize;
                store.get_into(black_box(&hits[turn]), &mut value).unwrap().expect("the key exists")
            });
        });
        group.bench_function(BenchmarkId::new("miss", slots), |b| {
            b.iter(|| {
                turn = (turn + 1) % KEYS as usize;
                assert_eq!(store.get_into(black_box(&misses[turn]), &mut value).unwrap(), None);
            });
        });
    }
}

criterion_group!(benches, lookup);
criterion_main!(benches);
