//! Values, copied in and out by relaxed atomic words.
//!
//! Writers and readers may touch the same words at once; the protocol finds out afterwards and throws such a copy away.
//! Atomic words make the copy itself defined behaviour, and cost no more than plain ones.

use crate::sync::{AtomicU64, Ordering};

/// Bytes in a word.
pub(crate) const WORD: usize = 8;

/// Writes `bytes` to the front of `words`, zeroing the rest of the last word touched. What does not fit is left out.
#[inline]
pub(crate) fn store(words: &[AtomicU64], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<WORD>();
    for (word, bytes) in words.iter().zip(whole) {
        word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
    }
    if !rest.is_empty()
        && let Some(word) = words.get(whole.len())
    {
        let mut last = [0; WORD];
        last[..rest.len()].copy_from_slice(rest);
        word.store(u64::from_ne_bytes(last), Ordering::Relaxed);
    }
}

/// Fills `bytes` from the front of `words`. Bytes beyond the words stay as they are.
#[inline]
pub(crate) fn load(words: &[AtomicU64], bytes: &mut [u8]) {
    let (whole, rest) = bytes.as_chunks_mut::<WORD>();
    let after = whole.len();
    for (word, bytes) in words.iter().zip(whole) {
        *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
    }
    if !rest.is_empty()
        && let Some(word) = words.get(after)
    {
        let last = word.load(Ordering::Relaxed).to_ne_bytes();
        let len = rest.len();
        rest.copy_from_slice(&last[..len]);
    }
}

/// Zeroes every word that starts at or after byte `from` and before byte `to`.
#[inline]
pub(crate) fn zero(words: &[AtomicU64], from: usize, to: usize) {
    let (from, to) = (from.div_ceil(WORD), to.div_ceil(WORD).min(words.len()));
    for word in words.get(from..to).unwrap_or_default() {
        word.store(0, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn words(count: usize) -> Vec<AtomicU64> {
        (0..count).map(|_| AtomicU64::new(u64::MAX)).collect()
    }

    #[test]
    fn every_length_comes_back_as_it_went_in() {
        for len in 0..=40 {
            let words = words(5);
            let bytes: Vec<u8> = (1..=len as u8).collect();
            store(&words, &bytes);
            let mut back = vec![0; len];
            load(&words, &mut back);
            assert_eq!(back, bytes);
        }
    }

    #[test]
    fn the_last_word_is_padded_and_the_tail_is_zeroed() {
        let words = words(5);
        store(&words, &[1; 9]);
        zero(&words, 9, 40);
        let mut back = [0xff; 40];
        load(&words, &mut back);
        assert_eq!(back[..9], [1; 9]);
        assert_eq!(back[9..], [0; 31]);
    }

    #[test]
    fn nothing_beyond_the_words_is_touched() {
        let words = words(1);
        store(&words, &[1; 20]);
        zero(&words, 0, 100);
        let mut back = [7; 20];
        load(&words, &mut back);
        assert_eq!(back[8..], [7; 12]);
    }
}
