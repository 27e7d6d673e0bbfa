//! Instructions of one operation, as valgrind counts them: the same on every machine, however busy it is.
//!
//! `RUSTFLAGS=--cfg=rustix_use_libc cargo bench --bench instructions` (valgrind does not know the vDSO if it is called by hand). Needs valgrind.

use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::{env, fs};

use serde::{Deserialize, Serialize};
use splinter_bus::store::{Slot, Store, StoreOptions};
use splinter_bus::{Bus, Message, Publisher, Subscriber};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Of each operation; the first ones, which find everything cold, are among them.
const TIMES: u64 = 10_000;

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

struct Scene {
    slot: Slot,
    bytes: Vec<u8>,
    missing: Store,
    plain: (Publisher<Plain>, Subscriber<Plain>),
    text: (Publisher<Text>, Subscriber<Text>),
}

impl Scene {
    fn new() -> Self {
        let name = format!("splinter-bench-instructions-{}", std::process::id());
        let store = StoreOptions::new().create(&name).expect("a scratch store");
        Store::remove(&name).expect("the scratch store is there");
        let slot = store.slot("raw").unwrap();
        let (plain, text) = (Bus::<Plain>::on(store.clone()), Bus::<Text>::on(store.clone()));
        let plain = (plain.publisher("plain").unwrap(), plain.subscribe("plain").unwrap());
        let text = (text.publisher("text").unwrap(), text.subscribe("text").unwrap());
        Self { slot, bytes: vec![7; 64], missing: store, plain, text }
    }
}

/// What is counted.
type Operation = fn(&mut Scene);

/// All of them, each in a function that valgrind finds by its name.
const OPERATIONS: [(&str, Operation); 8] = [
    ("nothing", counted_nothing),
    ("set", counted_set),
    ("get", counted_get),
    ("miss", counted_miss),
    ("publish_plain", counted_publish_plain),
    ("receive_plain", counted_receive_plain),
    ("publish_text", counted_publish_text),
    ("receive_text", counted_receive_text),
];

/// What valgrind counts in: its callers have the operation's name.
macro_rules! counted {
    ($($name:ident: $scene:ident => $operation:expr;)*) => {
        $(#[inline(never)]
        fn $name($scene: &mut Scene) {
            $operation;
        })*
    };
}

counted! {
    counted_nothing: scene => black_box(&scene.bytes);
    counted_set: scene => scene.slot.set(black_box(&scene.bytes)).unwrap();
    counted_get: scene => scene.slot.get_into(black_box(&mut scene.bytes)).unwrap();
    counted_miss: scene => black_box(scene.missing.size("missing").unwrap());
    counted_publish_plain: scene => scene.plain.0.publish(black_box(&Plain { numbers: [7; 8] })).unwrap();
    counted_receive_plain: scene => black_box(scene.plain.1.try_recv().unwrap());
    counted_publish_text: scene => {
        // 1 byte of length, 62 of text, 1 of number: 64 on the wire.
        let text = Text { text: "t".repeat(62), number: 7 };
        scene.text.0.publish(black_box(&text)).unwrap()
    };
    counted_receive_text: scene => black_box(scene.text.1.try_recv().unwrap());
}

/// Does one operation again and again, with what it needs in between.
fn act(name: &str) {
    let (_, operation) = OPERATIONS.iter().find(|(known, _)| *known == name).expect("one of ours");
    let mut scene = Scene::new();
    scene.slot.set(&[7; 64]).unwrap();
    for _ in 0..TIMES {
        match name {
            "receive_plain" => _ = scene.plain.0.publish(&Plain { numbers: [7; 8] }).unwrap(),
            "receive_text" => {
                let text = Text { text: "t".repeat(62), number: 7 };
                scene.text.0.publish(&text).unwrap();
            }
            _ => {}
        }
        operation(black_box(&mut scene));
    }
}

/// Counts what the operation takes, all that it calls included.
fn count(name: &str) -> Option<f64> {
    let out = env::temp_dir().join(format!("splinter-callgrind-{}-{name}", std::process::id()));
    let program = env::current_exe().expect("the path of this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", &format!("--toggle-collect=*counted_{name}*")])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .arg(format!("--act={name}"))
        .output();
    let _ = fs::remove_file(&out);
    let Ok(output) = output else {
        eprintln!("valgrind cannot be run: install it");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split("Collected : ").nth(1));
    let Some(collected) = collected.and_then(|count| count.trim().parse::<f64>().ok()) else {
        eprintln!("{name}: {text}");
        return None;
    };
    Some(collected / TIMES as f64)
}

fn main() -> ExitCode {
    if let Some(name) = env::args().find_map(|argument| argument.strip_prefix("--act=").map(str::to_owned)) {
        act(&name);
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
