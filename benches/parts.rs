//! The parts of publishing and receiving, each on its own, to see where the time goes.
//!
//! Their sum is more than the time of the whole, because much of the work overlaps in the
//! processor.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use splinter_bus::Message;
use splinter_bus::frame::{self, Encoding, Frame, FrameError, Kind, Outgoing};
use splinter_bus::message::Decode;
use splinter_bus::store::{KeyOptions, Slot, Store, StoreOptions};
use uuid::Uuid;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const SIZES: [usize; 4] = [64, 1024, 4096, 65_536];

#[derive(Message, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[message(encoding = "zerocopy")]
#[repr(C)]
struct Numbers {
    numbers: [u64; 8],
}

#[derive(Message, Serialize, Deserialize)]
struct Text {
    text: String,
    number: u64,
}

fn slot() -> Slot {
    let name = format!("splinter-bench-parts-{}", std::process::id());
    let options = StoreOptions::new().slots(1).key_options(KeyOptions::new().history(1).spare(3));
    let store = options.create(&name).expect("a scratch store");
    Store::remove(&name).expect("the scratch store exists");
    store.slot("key").unwrap()
}

/// Claiming and releasing a cell: the cost of a publish without the value and without moving
/// `head`.
fn claim(c: &mut Criterion) {
    let slot = slot();
    c.bench_function("claim and release a cell", |b| b.iter(|| drop(black_box(slot.loan(0).unwrap()))));
    c.bench_function("publish no bytes", |b| b.iter(|| slot.set(black_box(&[])).unwrap()));
}

fn copy(c: &mut Criterion) {
    let mut group = c.benchmark_group("copy");
    for size in SIZES {
        let (slot, value, mut out) = (slot(), vec![7; size], Vec::new());
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_with_input(BenchmarkId::new("in, as part of set", size), &size, |b, _| {
            b.iter(|| slot.set(black_box(&value)).unwrap());
        });
        group.bench_with_input(BenchmarkId::new("out, as part of get", size), &size, |b, _| {
            b.iter(|| slot.get_into(black_box(&mut out)).unwrap());
        });
    }
}

fn envelope(payload: &[u8], checksum: bool) -> Outgoing<'static> {
    Outgoing {
        kind: Kind::Event,
        encoding: Encoding::Raw,
        fingerprint: payload.len() as u64,
        id: Uuid::from_u128(7),
        ts: 7,
        sent_boot: 0,
        ttl: None,
        seq: 0,
        eof: true,
        attempt: 1,
        checksum,
        payload_align: 16,
        from: "bench-12345",
        to: "",
        trace: "",
        reply_to: "",
    }
}

/// Writing and parsing the frame of a payload, with and without a checksum of the payload.
fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame");
    for size in SIZES {
        let (payload, mut bytes) = (vec![7; size], Vec::new());
        for (label, checksum) in [("without checksum", false), ("with checksum", true)] {
            let write = |bytes: &mut Vec<u8>| {
                frame::write::<FrameError>(bytes, &envelope(&payload, checksum), |out| {
                    out.extend_from_slice(black_box(&payload));
                    Ok(())
                })
                .unwrap();
            };
            group.bench_with_input(BenchmarkId::new(format!("write {label}"), size), &size, |b, _| {
                b.iter(|| write(&mut bytes));
            });
            group.bench_with_input(BenchmarkId::new(format!("read {label}"), size), &size, |b, _| {
                b.iter(|| black_box(Frame::parse(black_box(&bytes)).unwrap().payload().len()));
            });
        }
    }
}

/// Encoding a value, and decoding its payload.
fn encode<T: Message + for<'de> Decode<'de>>(c: &mut Criterion, label: &str, value: &T) {
    let mut payload = Vec::new();
    c.bench_function(&format!("encode {label}"), |b| {
        b.iter(|| {
            payload.clear();
            black_box(value).encode(&mut payload).unwrap();
        });
    });
    c.bench_function(&format!("decode {label}"), |b| b.iter(|| black_box(T::decode(black_box(&payload)).unwrap())));
}

fn encodings(c: &mut Criterion) {
    encode(c, "zerocopy 64", &Numbers { numbers: [7; 8] });
    encode(c, "postcard 64", &Text { text: "t".repeat(62), number: 7 });
}

/// A message of ten fields, and an older version of it, which has one of them less, in another order.
mod ten_fields {
    use super::{Deserialize, Message, Serialize};

    #[derive(Message, Serialize, Deserialize)]
    pub(crate) struct Prompt {
        pub(crate) id: u64,
        pub(crate) model: String,
        pub(crate) text: String,
        pub(crate) temperature: f32,
        pub(crate) top_p: f32,
        pub(crate) max_tokens: u32,
        pub(crate) stop: Option<char>,
        pub(crate) tags: Vec<String>,
        pub(crate) stream: bool,
        #[serde(default)]
        pub(crate) priority: u8,
    }

    pub(crate) mod older {
        use super::{Deserialize, Message, Serialize};

        #[derive(Message, Serialize, Deserialize)]
        pub(crate) struct Prompt {
            pub(crate) model: String,
            pub(crate) id: u64,
            pub(crate) text: String,
            pub(crate) max_tokens: u16,
            pub(crate) temperature: f32,
            pub(crate) top_p: f32,
            pub(crate) tags: Vec<String>,
            pub(crate) stop: Option<char>,
            pub(crate) stream: bool,
        }
    }
}

/// Reading a message of ten fields: as it is, by the schema of an older version of its sender, and from
/// JSON text.
fn by_schema(c: &mut Criterion) {
    let (model, text) = ("qwen3-8b".to_owned(), "Why is the sky blue?".to_owned());
    let tags = vec!["physics".to_owned(), "short".to_owned()];
    let older = ten_fields::older::Prompt {
        model: model.clone(),
        id: 7_000_000,
        text: text.clone(),
        max_tokens: 300,
        temperature: 0.7,
        top_p: 0.9,
        tags: tags.clone(),
        stop: None,
        stream: true,
    };
    let own = ten_fields::Prompt {
        id: 7_000_000,
        model,
        text,
        temperature: 0.7,
        top_p: 0.9,
        max_tokens: 300,
        stop: None,
        tags,
        stream: true,
        priority: 0,
    };
    let json = serde_json::to_string(&own).unwrap();
    let (mut payload, mut of_older) = (Vec::new(), Vec::new());
    own.encode(&mut payload).unwrap();
    older.encode(&mut of_older).unwrap();
    let (writer, own) = (ten_fields::older::Prompt::message_type(), ten_fields::Prompt::message_type());
    let mut group = c.benchmark_group("ten fields");
    group.bench_function("own type", |b| {
        b.iter(|| black_box(ten_fields::Prompt::decode(black_box(&payload)).unwrap()));
    });
    group.bench_function("by the schema of an older type", |b| {
        b.iter(|| black_box(ten_fields::Prompt::decode_by(writer.schema(), black_box(&of_older)).unwrap()));
    });
    group.bench_function("from JSON text, by serde_json", |b| {
        b.iter(|| black_box(serde_json::from_str::<ten_fields::Prompt>(black_box(&json)).unwrap()));
    });
    group.bench_function("to JSON without the type", |b| b.iter(|| own.to_json(black_box(&payload)).unwrap()));
}

/// Reading the clock, for the time of a message.
fn clock(c: &mut Criterion) {
    c.bench_function("read the clock", |b| b.iter(SystemTime::now));
}

/// Round trip between two threads that sleep, including the work of the kernel.
fn wake(c: &mut Criterion) {
    let slot = slot();
    let (other, ended) = (slot.clone(), AtomicBool::new(false));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut seen = other.version();
            while !ended.load(Ordering::Relaxed) {
                // The versions of the timed side are odd, those of this side are even.
                if let Some(version) = other.poll_after(seen, Some(Duration::from_millis(10))).unwrap() {
                    seen = version;
                    if version % 2 == 1 {
                        seen = other.set(&[7; 64]).unwrap();
                    }
                }
            }
        });
        c.bench_function("wake a sleeping thread, and be woken by it", |b| {
            b.iter_custom(|times| {
                let mut took = Duration::ZERO;
                for _ in 0..times {
                    // Longer than a waiting thread spins before it sleeps.
                    std::thread::sleep(Duration::from_millis(1));
                    let start = Instant::now();
                    let sent = slot.set(&[7; 64]).unwrap();
                    while slot.poll_after(sent, None).unwrap().is_none() {}
                    took += start.elapsed();
                }
                took
            });
        });
        ended.store(true, Ordering::Relaxed);
    });
}

criterion_group!(benches, claim, copy, frames, encodings, by_schema, clock, wake);
criterion_main!(benches);
