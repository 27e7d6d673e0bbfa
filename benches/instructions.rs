//! Instructions per operation, counted by valgrind. The counts do not depend on the load.
//!
//! `RUSTFLAGS=--cfg=rustix_use_libc cargo bench --bench instructions`
//!
//! The flag has rustix call the clock through libc, because valgrind does not support direct calls
//! of the vDSO. This program starts itself under `valgrind`, which must be installed.

use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::{env, fs};

use serde::{Deserialize, Serialize};
use splinter_bus::store::{Slot, Store, StoreOptions};
use splinter_bus::{Bus, Message, Publisher, Subscriber};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Repetitions of each operation. The first ones are counted too, although their caches are cold.
const REPETITIONS: u64 = 10_000;

#[derive(Message, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[message(encoding = "zerocopy")]
#[repr(C)]
struct Plain {
    numbers: [u64; 8],
}

#[derive(Message, Serialize, Deserialize)]
struct Text {
    text: String,
    number: u64,
}

/// A store, and the handles that the operations use.
struct Fixture {
    slot: Slot,
    bytes: Vec<u8>,
    /// Keys with values of 1 KiB and of 4 KiB, and such a value.
    larger: [(Slot, Vec<u8>); 2],
    store: Store,
    plain: (Publisher<Plain>, Subscriber<Plain>),
    text: (Publisher<Text>, Subscriber<Text>),
}

impl Fixture {
    fn new() -> Self {
        let name = format!("splinter-bench-instructions-{}", std::process::id());
        let store = StoreOptions::new().create(&name).expect("a scratch store");
        Store::remove(&name).expect("the scratch store exists");
        let slot = store.slot("raw").unwrap();
        let larger = [1024, 4096].map(|len| (store.slot(&format!("{len} bytes")).unwrap(), vec![7; len]));
        let (plain, text) = (Bus::<Plain>::on(store.clone()), Bus::<Text>::on(store.clone()));
        let plain = (plain.publisher("plain").unwrap(), plain.subscribe("plain").unwrap());
        let text = (text.publisher("text").unwrap(), text.subscribe("text").unwrap());
        Self { slot, bytes: vec![7; 64], larger, store, plain, text }
    }
}

type Operation = fn(&mut Fixture);

/// The operations. Valgrind finds the function of each by its name, which contains the label.
const OPERATIONS: [(&str, Operation); 12] = [
    ("nothing", counted_nothing),
    ("set", counted_set),
    ("get", counted_get),
    ("miss", counted_miss),
    ("set_1k", counted_set_1k),
    ("get_1k", counted_get_1k),
    ("set_4k", counted_set_4k),
    ("get_4k", counted_get_4k),
    ("publish_plain", counted_publish_plain),
    ("receive_plain", counted_receive_plain),
    ("publish_text", counted_publish_text),
    ("receive_text", counted_receive_text),
];

/// Defines the functions in which valgrind counts. They must not be inlined.
macro_rules! counted {
    ($($name:ident: $fixture:ident => $operation:expr;)*) => {
        $(#[inline(never)]
        fn $name($fixture: &mut Fixture) {
            $operation;
        })*
    };
}

counted! {
    counted_nothing: fixture => black_box(&fixture.bytes);
    counted_set: fixture => fixture.slot.set(black_box(&fixture.bytes)).unwrap();
    counted_get: fixture => fixture.slot.get_into(black_box(&mut fixture.bytes)).unwrap();
    counted_set_1k: fixture => fixture.larger[0].0.set(black_box(&fixture.larger[0].1)).unwrap();
    counted_get_1k: fixture => fixture.larger[0].0.get_into(black_box(&mut fixture.larger[0].1)).unwrap();
    counted_set_4k: fixture => fixture.larger[1].0.set(black_box(&fixture.larger[1].1)).unwrap();
    counted_get_4k: fixture => fixture.larger[1].0.get_into(black_box(&mut fixture.larger[1].1)).unwrap();
    counted_miss: fixture => black_box(fixture.store.size("missing").unwrap());
    counted_publish_plain: fixture => fixture.plain.0.publish(black_box(&Plain { numbers: [7; 8] })).unwrap();
    counted_receive_plain: fixture => black_box(fixture.plain.1.try_recv().unwrap());
    counted_publish_text: fixture => {
        // Encoded as 64 bytes: 1 for the length, 62 for the text, 1 for the number.
        let text = Text { text: "t".repeat(62), number: 7 };
        fixture.text.0.publish(black_box(&text)).unwrap()
    };
    counted_receive_text: fixture => black_box(fixture.text.1.try_recv().unwrap());
}

/// Under valgrind: repeats one operation, with the preparation that it needs outside the count.
fn repeat(name: &str) {
    let (_, operation) = OPERATIONS.iter().find(|(known, _)| *known == name).expect("the name of an operation");
    let mut fixture = Fixture::new();
    fixture.slot.set(&[7; 64]).unwrap();
    for (slot, bytes) in &fixture.larger {
        slot.set(bytes).unwrap();
    }
    for _ in 0..REPETITIONS {
        match name {
            "receive_plain" => _ = fixture.plain.0.publish(&Plain { numbers: [7; 8] }).unwrap(),
            "receive_text" => {
                let text = Text { text: "t".repeat(62), number: 7 };
                fixture.text.0.publish(&text).unwrap();
            }
            _ => {}
        }
        operation(black_box(&mut fixture));
    }
}

/// Returns the instructions of one operation, including those of the functions that it calls.
fn count(name: &str) -> Option<f64> {
    let out = env::temp_dir().join(format!("splinter-callgrind-{}-{name}", std::process::id()));
    let program = env::current_exe().expect("the path of this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", &format!("--toggle-collect=*counted_{name}")])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .arg(format!("--repeat={name}"))
        .output();
    let _ = fs::remove_file(&out);
    let Ok(output) = output else {
        eprintln!("cannot run valgrind: is it installed?");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split("Collected : ").nth(1));
    let Some(collected) = collected.and_then(|count| count.trim().parse::<f64>().ok()) else {
        eprintln!("{name}: {text}");
        return None;
    };
    Some(collected / REPETITIONS as f64)
}

fn main() -> ExitCode {
    if let Some(name) = env::args().find_map(|argument| argument.strip_prefix("--repeat=").map(str::to_owned)) {
        repeat(&name);
        return ExitCode::SUCCESS;
    }
    let filter = env::args().skip(1).find(|argument| !argument.starts_with('-'));
    for (name, _) in OPERATIONS.iter().filter(|(name, _)| filter.as_ref().is_none_or(|filter| name.contains(&**filter)))
    {
        let Some(instructions) = count(name) else { return ExitCode::FAILURE };
        println!("{name:<16} {instructions:>9.1}");
    }
    ExitCode::SUCCESS
}
