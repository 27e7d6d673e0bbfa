//! Receiving in place and by copy, and obtaining a sample, for several message sizes.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion};
use splinter_bus::message::{DecodeOwned, InPlace, Plain};
use splinter_bus::store::{KeyOptions, StoreOptions};
use splinter_bus::{Bus, Message, Start, Store};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A message without a checksum: the time to obtain a sample does not depend on its size.
#[derive(Message, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[message(encoding = "zerocopy", checksum = false)]
#[repr(transparent)]
struct Unchecked<const N: usize> {
    bytes: [u8; N],
}

#[derive(Message, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[message(encoding = "zerocopy")]
#[repr(transparent)]
struct Checked<const N: usize> {
    bytes: [u8; N],
}

fn bus<T: Message>() -> Bus<T> {
    let name = format!("splinter-bench-in-place-{}", std::process::id());
    let options = StoreOptions::new().slots(1).key_options(KeyOptions::new().history(2).spare(4));
    let store = options.create(&name).expect("a scratch store");
    Store::remove(&name).expect("the scratch store exists");
    Bus::on(store)
}

/// Publishes two messages. The first lets a subscriber allocate its buffers, the second is timed.
fn receive<T: Plain + InPlace + DecodeOwned>(c: &mut Criterion, label: &str) {
    let size = size_of::<T>();
    let bus = bus::<T>();
    for _ in 0..2 {
        bus.publisher("k").unwrap().loan_zeroed().unwrap().send().unwrap();
    }
    let subscribe = || {
        let mut subscriber = bus.subscribe_from("k", Start::Oldest).unwrap();
        subscriber.recv().unwrap();
        subscriber
    };
    // Criterion creates all subscribers of a batch beforehand; each has a buffer of this size.
    let batch = if size > 4096 { BatchSize::PerIteration } else { BatchSize::SmallInput };

    c.bench_with_input(BenchmarkId::new(format!("sample obtained, {label}"), size), &size, |b, _| {
        b.iter(|| black_box(bus.sample("k").unwrap()));
    });
    let mut group = c.benchmark_group(format!("received, {label}"));
    group.bench_function(BenchmarkId::new("in place", size), |b| {
        b.iter_batched_ref(subscribe, |s| black_box(s.recv_sample().unwrap()), batch);
    });
    group.bench_function(BenchmarkId::new("by copy", size), |b| {
        b.iter_batched_ref(subscribe, |s| drop(black_box(s.recv().unwrap())), batch);
    });
    group.finish();
}

fn all_sizes(c: &mut Criterion) {
    receive::<Unchecked<64>>(c, "no checksum");
    receive::<Unchecked<4096>>(c, "no checksum");
    receive::<Unchecked<65_536>>(c, "no checksum");
    receive::<Unchecked<1_048_576>>(c, "no checksum");
    receive::<Checked<64>>(c, "checksum");
    receive::<Checked<4096>>(c, "checksum");
    receive::<Checked<65_536>>(c, "checksum");
    receive::<Checked<1_048_576>>(c, "checksum");
}

fn main() {
    // The largest messages are received by value, which needs a large stack.
    let bench = || {
        let mut criterion = Criterion::default().configure_from_args();
        all_sizes(&mut criterion);
        criterion.final_summary();
    };
    std::thread::Builder::new()
        .stack_size(256 << 20)
        .spawn(bench)
        .expect("a thread")
        .join()
        .expect("the benches do not panic");
}
