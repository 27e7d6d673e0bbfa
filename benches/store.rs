//! The raw store in one process: publish and get by a cached slot, and the price of finding a key.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use splinter_bus::store::{Store, StoreOptions};

struct Scratch {
    store: Store,
}

impl Scratch {
    fn new(bench: &str) -> Self {
        let name = format!("splinter-bench-{bench}-{}", std::process::id());
        let store = StoreOptions::new().create(&name).expect("a scratch store");
        Store::remove(&name).expect("the scratch store is there");
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

/// The same in a file: with a checksum over every value.
fn publish_in_a_file(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let store = Store::create(directory.path().join("store")).expect("a scratch store");
    let slot = store.slot("key").unwrap();
    let mut group = c.benchmark_group("store publish in a file");
    for size in [64, 1024, 4096] {
        let value = vec![7; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| b.iter(|| slot.set(black_box(&value)).unwrap()));
    }
}

/// Making the next value of the newest, as one update.
fn modify(c: &mut Criterion) {
    let scratch = Scratch::new("modify");
    let integer = scratch.store.integer("integer").unwrap();
    c.bench_function("integer fetch_add", |b| b.iter(|| integer.fetch_add(black_box(1)).unwrap()));
    let slot = scratch.store.slot("log").unwrap();
    c.bench_function("append 16 bytes to 64", |b| {
        b.iter_batched(
            || slot.set(&[7; 64]).unwrap(),
            |_| slot.append(black_box(&[7; 16])).unwrap(),
            BatchSize::PerIteration,
        );
    });
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

criterion_group!(benches, publish, get, publish_in_a_file, modify);
criterion_main!(benches);
