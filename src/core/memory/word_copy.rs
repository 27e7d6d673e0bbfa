//! Copies by words.

use crate::sync::{AtomicU64, Ordering};

/// Bytes in a word.
pub(crate) const WORD: usize = 8;

/// Writes each eight bytes to a word, as many as there are of both.
#[inline]
pub(super) fn store_whole(words: &[AtomicU64], bytes: &[[u8; WORD]]) {
    for (word, bytes) in words.iter().zip(bytes) {
        word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
    }
}

/// Reads each word into eight bytes, as many as there are of both.
#[inline]
pub(super) fn load_whole(words: &[AtomicU64], bytes: &mut [[u8; WORD]]) {
    for (word, bytes) in words.iter().zip(bytes) {
        *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
    }
}
