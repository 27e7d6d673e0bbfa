//! Values that prove of themselves that they are whole: every byte follows from the first few.
//!
//! Nobody knows the version of a value before it is published, so a value says who wrote it, and his how-many-th it is.

use crate::defect::{Defect, Fault};
use crate::random::mix;

/// What the bytes of a value follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) key: u32,
    /// Which of all workers that ever were has written it.
    pub(crate) writer: u64,
    pub(crate) sequence: u64,
}

/// Origin and length, and a sum over both.
pub(crate) const SHORTEST: usize = 32;

const WORD: usize = 8;

/// Fills a buffer with the value of this origin and of the buffer's length, which is `SHORTEST` at least.
pub(crate) fn fill(value: &mut [u8], origin: Origin) {
    let head = head(origin, value.len());
    value[..SHORTEST].copy_from_slice(&head);
    let start = sum_of(&head);
    for (at, word) in (0..).zip(value[SHORTEST..].chunks_mut(WORD)) {
        word.copy_from_slice(&body(start, at)[..word.len()]);
    }
}

/// A value that was found to be whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) origin: Origin,
    /// Tells the value from all others.
    pub(crate) sum: u64,
}

/// Looks at every byte of a value that was read under `key`.
pub(crate) fn check(value: &[u8], key: u32, name: &str, version: u64) -> Result<Proof, Defect> {
    let defect = |fault, offset, expected: String, found: String| Defect {
        fault,
        key: name.to_owned(),
        version,
        offset: Some(offset),
        what: format!("of {} bytes; expected {expected}, found {found}", value.len()),
    };
    let Some((found, rest)) = value.split_first_chunk::<SHORTEST>() else {
        return Err(defect(Fault::Torn, 0, format!("{SHORTEST} bytes at least"), format!("{value:02x?}")));
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

/// Key and length, writer, sequence, sum.
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
