//! Publish and receive on the typed bus, in one thread, for each encoding.
//!
//! Messages have an envelope with id and time, and both checksums.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use splinter_bus::message::DecodeOwned;
use splinter_bus::{Bus, Message, Store};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(Message, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[message(encoding = "zerocopy")]
#[repr(C)]
struct Plain {
    numbers: [u64; 8],
}

#[derive(Message, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[message(encoding = "bytemuck")]
#[repr(C)]
struct Pod {
    numbers: [u64; 8],
}

#[derive(Message, Serialize, Deserialize)]
struct Text {
    text: String,
    number: u64,
}

fn publish_and_receive<T: Message + DecodeOwned>(c: &mut Criterion, label: &str, message: &T) {
    let name = format!("splinter-bench-bus-{}", std::process::id());
    let bus: Bus<T> = Bus::create(&name).expect("a scratch store");
    Store::remove(&name).expect("the scratch store exists");
    let mut publisher = bus.publisher("key").unwrap().from("bench");
    let mut subscriber = bus.subscribe("key").unwrap();
    c.bench_function(&format!("bus publish + receive {label}"), |b| {
        b.iter(|| {
            publisher.publish(black_box(message)).unwrap();
            black_box(subscriber.recv().unwrap());
        });
    });
}

fn encodings(c: &mut Criterion) {
    let numbers = [7; 8];
    publish_and_receive(c, "zerocopy 64", &Plain { numbers });
    publish_and_receive(c, "bytemuck 64", &Pod { numbers });
    // Encoded as 64 bytes: 1 for the length, 62 for the text, 1 for the number.
    publish_and_receive(c, "postcard 64", &Text { text: "t".repeat(62), number: 7 });
}

criterion_group!(benches, encodings);
criterion_main!(benches);
