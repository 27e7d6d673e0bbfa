//! `set` and `get` of a slot of the store, in one thread.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use splinter_bus::store::{Store, StoreOptions};

struct Scratch {
    store: Store,
}

impl Scratch {
    fn new(bench: &str) -> Self {
        let name = format!("splinter-bench-{bench}-{}", std::process::id());
        let store = StoreOptions::new().create(&name).expect("a scratch store");
        Store::remove(&name).expect("the scratch store exists");
        Self { store }
    }
}

fn publish(c: &mut Criterion) {
    let scratch = Scratch::new("publish");
    let slot = scratch.store.slot("key").unwrap();
    let mut group = c.benchmark_group("store publish");
    for size in [64, 1024, 4096] {
        let value = vec![7; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| b.iter(|| slot.set(black_box(&value)).unwrap()));
    }
}

fn get(c: &mut Criterion) {
    let scratch = Scratch::new("get");
    let slot = scratch.store.slot("key").unwrap();
    let mut group = c.benchmark_group("store get");
    for size in [64, 1024, 4096] {
        slot.set(&vec![7; size]).unwrap();
        let mut value = Vec::new();
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| slot.get_into(black_box(&mut value)).unwrap());
        });
    }
}

criterion_group!(benches, publish, get);
criterion_main!(benches);
