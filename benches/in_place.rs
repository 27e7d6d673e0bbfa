//! Reading in place beside reading a copy, and what it costs to obtain a sample, by size.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion};
use splinter_bus::message::{DecodeOwned, InPlace, Plain};
use splinter_bus::store::StoreOptions;
use splinter_bus::{Bus, Message, Start, Store};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Without a checksum, so that nothing about a sample depends on its size.
#[derive(Message, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[message(encoding = "zerocopy", checksum = false)]
#[repr(transparent)]
struct Unsummed<const N: usize> {
    bytes: [u8; N],
}

#[derive(Message, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[message(encoding = "zerocopy")]
#[repr(transparent)]
struct Summed<const N: usize> {
    bytes: [u8; N],
}

fn bus<T: Message>(size: usize) -> Bus<T> {
    let name = format!("splinter-bench-in-place-{}", std::process::id());
    let options = StoreOptions::new().slots(1).history(2).spare(4).max_value_size(size as u64 + 512);
    let store = options.create(&name).expect("a scratch store");
    Store::remove(&name).expect("the scratch store is there");
    Bus::on(store)
}

/// Publishes two messages, and receives the second again and again, by subscribers that have their buffers from the first.
fn receive<T: Plain + InPlace + DecodeOwned>(c: &mut Criterion, what: &str) {
    let size = size_of::<T>();
    let bus = bus::<T>(size);
    for _ in 0..2 {
        bus.publisher("k").unwrap().loan_zeroed().unwrap().send().unwrap();
    }
    let start = || {
        let mut subscriber = bus.subscribe_from("k", Start::Oldest).unwrap();
        subscriber.recv().unwrap();
        subscriber
    };
    // A batch has as many buffers at a time.
    let batch = if size > 4096 { BatchSize::PerIteration } else { BatchSize::SmallInput };

    c.bench_with_input(BenchmarkId::new(format!("sample obtained, {what}"), size), &size, |b, _| {
        b.iter(|| black_box(bus.sample("k").unwrap()));
    });
    let mut group = c.benchmark_group(format!("received, {what}"));
    group.bench_function(BenchmarkId::new("in place", size), |b| {
        b.iter_batched_ref(start, |s| black_box(s.recv_sample().unwrap()), batch);
    });
    group.bench_function(BenchmarkId::new("by copy", size), |b| {
        b.iter_batched_ref(start, |s| drop(black_box(s.recv().unwrap())), batch);
    });
    group.finish();
}

fn all(c: &mut Criterion) {
    receive::<Unsummed<64>>(c, "no checksum");
    receive::<Unsummed<4096>>(c, "no checksum");
    receive::<Unsummed<65_536>>(c, "no checksum");
    receive::<Unsummed<1_048_576>>(c, "no checksum");
    receive::<Summed<64>>(c, "checksum");
    receive::<Summed<4096>>(c, "checksum");
    receive::<Summed<65_536>>(c, "checksum");
    receive::<Summed<1_048_576>>(c, "checksum");
}

fn main() {
    // The largest messages are received by value: on a stack that has room for them.
    let bench = || {
        let mut criterion = Criterion::default().configure_from_args();
        all(&mut criterion);
        criterion.final_summary();
    };
    std::thread::Builder::new().stack_size(256 << 20).spawn(bench).expect("a thread").join().expect("all benches");
}
