//! Tests the code that `derive(Message)` generates, in three encodings: it decodes random
//! bytes, and decodes messages that it has encoded.

#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use splinter_bus::message::{Decode, InPlace, Plain};
use splinter_bus::{Message, Schema};

#[derive(Debug, Clone, PartialEq, Arbitrary, Schema, serde::Serialize, serde::Deserialize)]
enum Step {
    Nothing,
    Number(i64),
    Pair(u8, Option<bool>),
    Named { text: String, bytes: Vec<u8> },
}

#[derive(Debug, PartialEq, Arbitrary, Message, serde::Serialize, serde::Deserialize)]
struct Tree {
    steps: Vec<Step>,
    children: Vec<Tree>,
    by_name: BTreeMap<String, (u16, char)>,
    maybe: Option<Box<Step>>,
    float: Option<[u32; 3]>,
}

#[derive(Debug, PartialEq, Arbitrary, Message, serde::Serialize, serde::Deserialize)]
struct Borrowing<'a> {
    text: &'a str,
    bytes: &'a [u8],
    count: u32,
}

#[derive(
    Debug,
    PartialEq,
    Arbitrary,
    Message,
    zerocopy::TryFromBytes,
    zerocopy::IntoBytes,
    zerocopy::Immutable,
    zerocopy::KnownLayout,
)]
#[message(encoding = "zerocopy")]
#[repr(C)]
struct Zerocopy {
    count: u64,
    flags: [bool; 4],
    letter: char,
    values: [u16; 4],
}

#[derive(Debug, Clone, Copy, PartialEq, Arbitrary, Message, bytemuck::NoUninit, bytemuck::CheckedBitPattern)]
#[message(encoding = "bytemuck")]
#[repr(C)]
struct Bytemuck {
    count: u32,
    signed: i32,
    yes: bool,
    letters: [u8; 2],
    no: bool,
}

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    Bytes(&'a [u8]),
    Tree(Tree),
    Borrowing(Borrowing<'a>),
    Zerocopy(Zerocopy),
    Bytemuck(Bytemuck),
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Bytes(bytes) => {
        // Aligned as in a store, and not aligned.
        let mut words = vec![0u128; bytes.len().div_ceil(16) + 1];
        for shift in [0, 1] {
            let room: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
            let room = &mut room[shift..][..bytes.len()];
            room.copy_from_slice(bytes);
            decode_all(room);
        }
    }
    Input::Tree(tree) => comes_back(&tree),
    Input::Borrowing(message) => {
        let mut payload = Vec::new();
        message.encode(&mut payload).expect("free space");
        assert_eq!(Borrowing::decode(&payload).expect("an encoded message is valid"), message);
        assert_eq!(Borrowing::view(&payload).expect("an encoded message is valid"), message);
    }
    Input::Zerocopy(message) => comes_back(&message),
    Input::Bytemuck(message) => comes_back(&message),
});

fn decode_all(bytes: &[u8]) {
    if let Ok(tree) = Tree::decode(bytes) {
        comes_back(&tree);
    }
    if let Ok(message) = Borrowing::decode(bytes) {
        assert_eq!(Borrowing::view(bytes).expect("a message that can be decoded can be viewed"), message);
    }
    if let Ok(message) = Zerocopy::decode(bytes) {
        comes_back(&message);
    }
    if let Ok(message) = Bytemuck::decode(bytes) {
        comes_back(&message);
    }
    if let Ok(message) = Zerocopy::of_payload(bytes) {
        assert_eq!(message.as_payload(), bytes);
        comes_back(message);
    }
    if let Ok(message) = Bytemuck::of_payload(bytes) {
        assert_eq!(message.as_payload(), bytes);
        comes_back(message);
    }
}

fn comes_back<T: for<'de> Decode<'de> + PartialEq + std::fmt::Debug>(message: &T) {
    let mut payload = Vec::new();
    message.encode(&mut payload).expect("free space");
    assert_eq!(&T::decode(&payload).expect("an encoded message is valid"), message);
}
