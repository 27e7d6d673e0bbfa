//! Keys: what is allowed as one, and how one is compared with shared memory.

use xxhash_rust::xxh3::xxh3_64;

use super::error::KeyError;
use crate::region::records::KEY_WORDS;
use crate::region::words::WORD;
use crate::sync::{AtomicU64, Ordering};

/// The longest key in bytes.
pub const MAX_KEY_LEN: usize = KEY_WORDS * WORD - 1;

/// A key that was found to be one, in the form in which slots hold it: one byte of length, then the text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    words: [u64; KEY_WORDS],
}

impl Key {
    pub(crate) fn new(text: &str) -> Result<Self, KeyError> {
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.len() > MAX_KEY_LEN {
            return Err(KeyError::TooLong { len: text.len() });
        }
        if let Some(position) = text.find('\0') {
            return Err(KeyError::Nul { position });
        }
        let mut bytes = [0; KEY_WORDS * WORD];
        bytes[0] = text.len() as u8;
        bytes[1..=text.len()].copy_from_slice(text.as_bytes());
        let (words, _) = bytes.as_chunks();
        let mut key = Self { words: [0; KEY_WORDS] };
        for (word, bytes) in key.words.iter_mut().zip(words) {
            *word = u64::from_ne_bytes(*bytes);
        }
        Ok(key)
    }

    /// Decides where the index looks first; the same in every process and every build.
    pub(crate) fn hash(&self) -> u64 {
        let mut bytes = [0; KEY_WORDS * WORD];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.words) {
            *bytes = word.to_ne_bytes();
        }
        // What was read from a damaged slot may say that it is longer than it can be.
        xxh3_64(bytes.get(..=usize::from(bytes[0])).unwrap_or(&bytes))
    }

    pub(crate) fn store(&self, words: &[AtomicU64; KEY_WORDS]) {
        for (word, value) in words.iter().zip(self.words) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// Leaves no key in the words.
    pub(crate) fn erase(words: &[AtomicU64; KEY_WORDS]) {
        Self { words: [0; KEY_WORDS] }.store(words);
    }

    /// Whatever the words hold, which may be no key at all.
    pub(crate) fn load(words: &[AtomicU64; KEY_WORDS]) -> Self {
        Self { words: words.each_ref().map(|word| word.load(Ordering::Relaxed)) }
    }

    /// The key as text; `None` when words read from shared memory are not a key.
    pub(crate) fn text(&self) -> Option<String> {
        let bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let len = usize::from(bytes[0]);
        let text = std::str::from_utf8(bytes.get(1..=len)?).ok()?;
        (Self::new(text).ok()? == *self).then(|| text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_1_to_63_bytes_without_nul() {
        assert_eq!(Key::new("").err(), Some(KeyError::Empty));
        assert_eq!(Key::new(&"k".repeat(64)).err(), Some(KeyError::TooLong { len: 64 }));
        assert_eq!(Key::new("a\0b").err(), Some(KeyError::Nul { position: 1 }));
        for text in ["k", "llm:prompt", "ключ", &"k".repeat(63)] {
            assert_eq!(Key::new(text).unwrap().text().unwrap(), text);
        }
    }

    #[test]
    fn words_that_are_no_key_have_no_text() {
        for first in [[64, 0], [1, 0], [2, 0xff], [0, b'a']] {
            let mut words = [0; KEY_WORDS];
            words[0] = u64::from_ne_bytes([first[0], first[1], 0, 0, 0, 0, 0, 0]);
            assert_eq!(Key { words }.text(), None);
        }
    }
}
