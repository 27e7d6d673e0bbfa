//! Self-checking values: all bytes are a function of the first ones, so a torn value is detected.
//!
//! The version of a value is not known before it is published. So a value contains its writer and a
//! sequence number instead.

use crate::defect::{Defect, Fault};
use crate::random::mix;

/// The input of the function that computes the bytes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) key: u32,
    /// The number of the worker that wrote it.
    pub(crate) writer: u64,
    pub(crate) sequence: u64,
}

/// The length of the header: origin and length, and their checksum.
pub(crate) const SHORTEST: usize = 32;

const WORD: usize = 8;

/// Fills a buffer of at least `SHORTEST` bytes with the value of this origin and length.
pub(crate) fn fill(value: &mut [u8], origin: Origin) {
    let head = head(origin, value.len());
    value[..SHORTEST].copy_from_slice(&head);
    let start = sum_of(&head);
    for (at, word) in (0..).zip(value[SHORTEST..].chunks_mut(WORD)) {
        word.copy_from_slice(&body(start, at)[..word.len()]);
    }
}

/// The identity of a value that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) origin: Origin,
    /// A checksum that identifies the value.
    pub(crate) sum: u64,
}

/// Checks every byte of a value that was read from `key`.
pub(crate) fn check(value: &[u8], key: u32, name: &str, version: u64) -> Result<Proof, Defect> {
    let defect = |fault, offset, expected: String, found: String| Defect {
        fault,
        key: name.to_owned(),
        version,
        offset: Some(offset),
        what: format!("{} bytes; expected {expected}, found {found}", value.len()),
    };
    let Some((found, rest)) = value.split_first_chunk::<SHORTEST>() else {
        return Err(defect(Fault::Torn, 0, format!("at least {SHORTEST} bytes"), format!("{value:02x?}")));
    };
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| found[at + byte]));
    let origin = Origin { key: number(0) as u32, writer: number(8), sequence: number(16) };
    let expected = head(origin, value.len());
    if let Some(at) = (0..SHORTEST).find(|&at| expected[at] != found[at]) {
        return Err(defect(Fault::Torn, at, format!("{:02x?}", &expected[at..]), format!("{:02x?}", &found[at..])));
    }
    let start = sum_of(found);
    for (at, word) in (0..).zip(rest.chunks(WORD)) {
        let expected = &body(start, at)[..word.len()];
        if word != expected {
            let offset = SHORTEST + at as usize * WORD;
            let what = format!("{expected:02x?} of {origin:?}");
            return Err(defect(Fault::Torn, offset, what, format!("{word:02x?}")));
        }
    }
    if origin.key != key {
        return Err(defect(Fault::Foreign, 0, format!("a value of key {key}"), format!("{origin:?}")));
    }
    Ok(Proof { origin, sum: start })
}

/// Computes the header: key and length, writer, sequence, checksum.
fn head(origin: Origin, len: usize) -> [u8; SHORTEST] {
    let first = (len as u64) << 32 | u64::from(origin.key);
    let sum = mix(mix(mix(first) ^ origin.writer) ^ origin.sequence);
    let mut head = [0; SHORTEST];
    for (bytes, number) in head.chunks_exact_mut(WORD).zip([first, origin.writer, origin.sequence, sum]) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    head
}

fn sum_of(head: &[u8; SHORTEST]) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|byte| head[SHORTEST - WORD + byte]))
}

fn body(start: u64, at: u64) -> [u8; WORD] {
    mix(start.wrapping_add((at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))).to_le_bytes()
}
