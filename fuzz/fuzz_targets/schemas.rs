//! Reads random schemas, as a store may hold them, and random payloads by them: as JSON and back, and as
//! messages of types whose schema is another one. The input is the length of the schema in two bytes, the
//! schema, and the payload, which also serves as JSON.

#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use splinter_bus::message::{Decode, MessageType};
use splinter_bus::schema::Compatibility;
use splinter_bus::{Message, Schema};

#[derive(Debug, Schema, serde::Serialize, serde::Deserialize)]
enum Step {
    Nothing,
    Number(i64),
    Pair(u8, Option<bool>),
    Named {
        text: String,
        bytes: Vec<u8>,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Message, serde::Serialize, serde::Deserialize)]
struct Tree {
    #[serde(default)]
    steps: Vec<Step>,
    children: Vec<Tree>,
    by_name: BTreeMap<String, (u16, char)>,
    maybe: Option<Box<Step>>,
    float: Option<[u32; 3]>,
}

#[derive(Debug, Message, serde::Serialize, serde::Deserialize)]
struct Borrowing<'a> {
    text: &'a str,
    #[serde(borrow)]
    maybe: Option<&'a str>,
    count: u64,
}

/// The largest element of a sequence or map in these types, in bytes.
const LARGEST_ELEMENT: usize = size_of::<Tree>();

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// Notes the largest allocation of the thread.
struct Noting;

// SAFETY: all is done by the system's allocator.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.set(LARGEST.get().max(layout.size()));
        // SAFETY: as for the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as for the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Noting = Noting;

fuzz_target!(|input: &[u8]| {
    let Some((len, rest)) = input.split_first_chunk() else { return };
    let Some((schema, payload)) = rest.split_at_checked(u16::from_le_bytes(*len).into()) else { return };
    LARGEST.set(0);
    let Ok(ty) = MessageType::from_bytes(schema) else { return };
    assert!(LARGEST.get() < 1 << 20, "{} bytes for a schema of {}", LARGEST.get(), schema.len());
    assert_eq!(MessageType::from_bytes(&ty.to_bytes()).as_ref(), Ok(&ty));
    let _ = std::str::from_utf8(payload).map(|json| ty.from_json(json));
    let json = ty.to_json(payload);
    if let Ok(json) = &json {
        // Numbers may have been longer than they need be, so the bytes may be others. Their JSON is not.
        let again = ty.from_json(json).unwrap();
        assert_eq!(&ty.to_json(&again).unwrap(), json);
    }
    read_as::<Tree>(&ty, payload, json.is_ok());
    read_as::<Borrowing<'_>>(&ty, payload, json.is_ok());
});

/// Reads a payload as a message of another type. If the types are compatible, every valid payload is read.
fn read_as<'de, T: Decode<'de>>(ty: &MessageType, payload: &'de [u8], is_valid: bool) {
    let verdict = ty.compatible_with(&T::message_type());
    LARGEST.set(0);
    let read = T::decode_by(ty.schema(), payload);
    let largest = LARGEST.get();
    // A vector has room for as many elements as there are bytes, and doubles.
    let limit = 4096 + 2 * payload.len().next_power_of_two() * LARGEST_ELEMENT;
    assert!(largest <= limit, "{largest} bytes for a payload of {}", payload.len());
    if is_valid && verdict == Compatibility::Yes {
        assert!(read.is_ok(), "{ty} as {}: {:?}", T::message_type(), read.err());
    }
}
