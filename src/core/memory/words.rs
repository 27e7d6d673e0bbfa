//! Copying values in and out of shared memory by relaxed atomic words.
//!
//! Writers and readers may touch the same words at once. The protocol detects that afterwards and
//! discards the copy. Atomic words make the copy itself defined behaviour, and cost no more than
//! plain ones. Longer values are copied by wider accesses to the same effect, where the processor
//! has them.

use super::copy::{load_whole, store_whole};
use crate::sync::{AtomicU64, Ordering};

pub(crate) use super::word_copy::WORD;

/// Writes `bytes` to the front of `words`, zeroing the rest of the last word touched. Bytes that do
/// not fit are left out.
#[inline]
pub(crate) fn store(words: &[AtomicU64], bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<WORD>();
    store_whole(words, whole);
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
    load_whole(words, whole);
    if !rest.is_empty()
        && let Some(word) = words.get(after)
    {
        let last = word.load(Ordering::Relaxed).to_ne_bytes();
        let len = rest.len();
        rest.copy_from_slice(&last[..len]);
    }
}

/// Copies words, as many as there are of both.
pub(crate) fn copy(to: &[AtomicU64], from: &[AtomicU64]) {
    // A small copy does not pay for a large buffer.
    if to.len().min(from.len()) <= 32 { copy_by::<32>(to, from) } else { copy_by::<512>(to, from) }
}

fn copy_by<const WORDS: usize>(to: &[AtomicU64], from: &[AtomicU64]) {
    let mut piece = [[0; WORD]; WORDS];
    for (to, from) in to.chunks(piece.len()).zip(from.chunks(piece.len())) {
        let piece = &mut piece[..to.len().min(from.len())];
        load_whole(from, piece);
        store_whole(to, piece);
    }
}

/// Writes `bytes` from byte `at` on, zeroing the rest of the last word touched. The bytes of the
/// first word before `at` stay: nobody else may write it meanwhile.
pub(crate) fn store_at(words: &[AtomicU64], at: usize, bytes: &[u8]) {
    let (first, inside) = (at / WORD, at % WORD);
    let Some(words) = words.get(first..) else { return };
    if inside == 0 {
        return store(words, bytes);
    }
    let mut start = words.first().map_or(0, |word| word.load(Ordering::Relaxed)).to_ne_bytes();
    let in_first = bytes.len().min(WORD - inside);
    start[inside..].fill(0);
    start[inside..inside + in_first].copy_from_slice(&bytes[..in_first]);
    store(words, &start);
    store(&words[1.min(words.len())..], &bytes[in_first..]);
}

/// Zeroes every word that starts at or after byte `from` and before byte `to`.
#[inline]
pub(crate) fn zero(words: &[AtomicU64], from: usize, to: usize) {
    let (from, to) = (from.div_ceil(WORD), to.div_ceil(WORD).min(words.len()));
    for word in words.get(from..to).unwrap_or_default() {
        word.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(count: usize) -> Vec<AtomicU64> {
        (0..count).map(|_| AtomicU64::new(u64::MAX)).collect()
    }

    #[test]
    fn values_of_every_length_are_read_as_they_were_written() {
        for len in (0_usize..700).chain([4095, 4096, 4097]) {
            let words = words(len.div_ceil(WORD) + 1);
            let bytes: Vec<u8> = (0..len).map(|at| (at * 7 + at / 256) as u8).collect();
            // From and to addresses of any alignment.
            for shift in [0, 1, 13] {
                let mut shifted = vec![0xaa; shift];
                shifted.extend_from_slice(&bytes);
                store(&words, &shifted[shift..]);
                let mut back = vec![0xbb; shift + len + 1];
                load(&words, &mut back[shift..shift + len]);
                assert_eq!(back[shift..shift + len], bytes);
                assert!(back[..shift].iter().chain(&back[shift + len..]).all(|&byte| byte == 0xbb), "{len}");
                assert_eq!(words.last().unwrap().load(Ordering::Relaxed), u64::MAX, "{len}");
            }
        }
    }

    #[test]
    fn bytes_are_added_at_any_place_and_words_are_copied() {
        for (at, len) in (0..20).flat_map(|at| (0..40).map(move |len| (at, len))) {
            let words = words(10);
            store(&words, &[7; 20][..at]);
            store_at(&words, at, &vec![9; len]);
            let copied: Vec<_> = (0..10).map(|_| AtomicU64::new(1)).collect();
            copy(&copied, &words);
            let mut back = vec![0; at + len];
            load(&copied, &mut back);
            assert!(back[..at].iter().all(|&byte| byte == 7) && back[at..].iter().all(|&byte| byte == 9), "{at} {len}");
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
    fn bytes_beyond_the_words_are_not_touched() {
        for count in [1, 8, 40] {
            let words = words(count + 1);
            let cell = &words[..count];
            let len = count * WORD;
            store(cell, &vec![1; len + 12]);
            let mut back = vec![7; len + 12];
            load(cell, &mut back);
            assert_eq!(back[..len], vec![1; len]);
            assert_eq!(back[len..], [7; 12]);
            zero(cell, 0, len + 100);
            assert_eq!(words[count].load(Ordering::Relaxed), u64::MAX);
        }
    }
}
