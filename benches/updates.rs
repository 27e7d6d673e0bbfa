//! Publishing in a store in a file, and atomic read-modify-write operations.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use splinter_bus::store::Store;

/// Publishing in a file, where each value has a checksum.
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

/// Computing the next value from the newest, as one atomic update.
fn modify(c: &mut Criterion) {
    let name = format!("splinter-bench-modify-{}", std::process::id());
    let store = Store::create(&name).expect("a scratch store");
    Store::remove(&name).expect("the scratch store exists");
    let integer = store.integer("integer").unwrap();
    c.bench_function("integer fetch_add", |b| b.iter(|| integer.fetch_add(black_box(1)).unwrap()));
    let slot = store.slot("log").unwrap();
    c.bench_function("append 16 bytes to 64", |b| {
        b.iter_batched(
            || slot.set(&[7; 64]).unwrap(),
            |_| slot.append(black_box(&[7; 16])).unwrap(),
            BatchSize::PerIteration,
        );
    });
}

criterion_group!(benches, publish_in_a_file, modify);
criterion_main!(benches);
