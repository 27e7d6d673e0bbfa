//! Two types have one fingerprint if and only if their values are the same on the wire: 500 random types, each
//! with a random change, which may change nothing.
//!
//! What is on the wire is what serde says: the calls that each of the type's samples makes, with all names. Beside
//! it stands what serde does not say, and what is part of a type nevertheless: the values of discriminants and the
//! layout of plain types, both as the compiler sees them; numbers that are not zero; sets; constants of generic types.
//! `build.rs` writes the types, others for each `SPLINTER_TEST_SEED`.

mod recorder;
mod sample;

use std::collections::BTreeSet;

use sample::Sample;
use serde::Serialize;
use splinter_bus::Message;
use splinter_bus::message::MessageType;
use splinter_bus::schema::Schema;

/// How deeply types with names are inside of each other in samples.
const DEPTH: u32 = 4;

/// A type and the same after a change.
struct Pair {
    change: &'static str,
    sources: [&'static str; 2],
    seen: [fn() -> Seen; 2],
}

/// What a type is.
struct Seen {
    ty: MessageType,
    wire: (BTreeSet<String>, BTreeSet<String>),
}

/// Any type as a message.
#[derive(Message, Serialize, serde::Deserialize)]
struct Of<T> {
    value: T,
}

fn seen<T: Schema + Serialize + Sample>(meaning: BTreeSet<String>) -> Seen {
    let ty = Of::<T>::message_type();
    let samples = (0..T::count(DEPTH)).map(|at| {
        let message = Of { value: T::sample(at, DEPTH) };
        message.check_schema(ty.schema()).unwrap_or_else(|error| panic!("{}: {error}", ty.description()));
        recorder::calls(&message.value)
    });
    let calls: BTreeSet<_> = samples.collect();
    assert!(!calls.is_empty(), "{} has no samples", ty.description());
    Seen { ty, wire: (calls, meaning) }
}

fn seen_plain<T: Message + Serialize + Sample>(meaning: BTreeSet<String>) -> Seen {
    let calls = (0..T::count(DEPTH)).map(|at| recorder::calls(&T::sample(at, DEPTH))).collect();
    Seen { ty: T::message_type(), wire: (calls, meaning) }
}

/// What the types use.
#[allow(unused_imports, dead_code, reason = "each uses some of it")]
mod used {
    pub(crate) use std::borrow::Cow;
    pub(crate) use std::collections::{BTreeMap, BTreeSet, VecDeque};
    pub(crate) use std::mem::offset_of;
    pub(crate) use std::num::{NonZero, Wrapping};
    pub(crate) use std::time::Duration;

    pub(crate) use bytemuck::{CheckedBitPattern, NoUninit};
    pub(crate) use serde::Serialize;
    pub(crate) use splinter_bus::{Message, Schema};
    pub(crate) use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

    pub(crate) use crate::sample::{Parts, Sample};

    pub(crate) const ONE: isize = 1;

    pub(crate) fn as_text<S: serde::Serializer>(number: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }
}

#[allow(warnings, clippy::all, reason = "generated")]
mod pairs {
    use super::{Pair, seen, seen_plain};

    include!(concat!(env!("OUT_DIR"), "/pairs.rs"));
}

#[test]
fn types_have_one_fingerprint_if_and_only_if_they_are_the_same_on_the_wire() {
    let (mut same, mut wrong) = (0, 0);
    for (number, Pair { change, sources, seen }) in pairs::PAIRS.iter().enumerate() {
        let [before, after] = seen.map(|seen| seen());
        let is_same = before.wire == after.wire;
        same += usize::from(is_same);
        if (before.ty.fingerprint() == after.ty.fingerprint()) != is_same {
            wrong += 1;
            println!("pair {number}, {change}: {} on the wire, but", if is_same { "the same" } else { "not the same" });
            for (source, seen) in sources.iter().zip([&before, &after]) {
                println!("{source}is {}, {}\n{:#?}", seen.ty, seen.ty.description(), seen.wire);
            }
        }
    }
    let count = pairs::PAIRS.len();
    println!("seed {}: {count} pairs, of which {same} are the same on the wire", pairs::SEED);
    assert_eq!(wrong, 0, "of {count} pairs");
    assert!(same > count / 5 && same < count * 4 / 5, "{same} of {count} are the same");
}
