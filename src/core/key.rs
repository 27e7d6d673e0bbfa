//! Keys: which texts are allowed, and how a key is compared with shared memory.

#[cfg(not(loom))]
use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

use crate::core::memory::records::KEY_WORDS;
use crate::core::memory::words::WORD;
use crate::sync::{AtomicU64, Ordering};

/// The longest key in bytes.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::{MAX_KEY_LEN, Store};
/// # let name = format!("splinter-doc-max-key-len-{}", std::process::id());
/// let store = Store::create(&name)?;
/// store.set(&"k".repeat(MAX_KEY_LEN), b"")?;
/// assert!(store.set(&"k".repeat(MAX_KEY_LEN + 1), b"").is_err());
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub const MAX_KEY_LEN: usize = KEY_WORDS * WORD - 1;

/// Why a text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvalidKey {
    Empty,
    TooLong {
        len: usize,
    },
    /// A NUL byte at this position.
    Nul {
        position: usize,
    },
}

/// The first byte of every key of the system. No key of a user has it.
const SYSTEM: u8 = 0;

/// A text that is allowed as a key, with its hash.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'a> {
    text: &'a [u8],
    hash: u64,
}

impl<'a> Key<'a> {
    #[inline]
    pub(crate) fn new(text: &'a str) -> Result<Self, InvalidKey> {
        let text = text.as_bytes();
        if text.is_empty() {
            return Err(InvalidKey::Empty);
        }
        if text.len() > MAX_KEY_LEN {
            return Err(InvalidKey::TooLong { len: text.len() });
        }
        if text.contains(&0) {
            return Err(InvalidKey::Nul { position: text.iter().take_while(|&&byte| byte != 0).count() });
        }
        Ok(Self::of(text))
    }

    /// A key of the system: a NUL byte, and a text that would be a key of a user. `None` if `text` is no
    /// such key.
    pub(crate) fn of_system(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (&first, rest) = bytes.split_first()?;
        let is_key = first == SYSTEM && !rest.is_empty() && bytes.len() <= MAX_KEY_LEN && !rest.contains(&0);
        is_key.then(|| Self::of(bytes))
    }

    /// A key of a user, or of the system.
    pub(crate) fn of_any(text: &'a str) -> Option<Self> {
        Self::new(text).ok().or_else(|| Self::of_system(text))
    }

    #[inline]
    fn of(text: &'a [u8]) -> Self {
        // The hash of the text itself: hashing the form in which slots hold it takes half as long
        // again.
        Self { text, hash: xxh3_64(text) }
    }

    pub(crate) fn is_of_system(&self) -> bool {
        self.text.first() == Some(&SYSTEM)
    }

    /// The text, for messages.
    #[cfg(not(loom))]
    pub(crate) fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.text)
    }

    /// The hash, by which the index is searched. It is the same in every process and every build.
    #[inline]
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// Whether the words of a slot hold this key.
    #[inline]
    pub(crate) fn is_in(&self, words: &KeyWords) -> bool {
        // All words are compared, so that no branch waits for one of them.
        let differences = words.iter().zip(StoredKey::of(self.text).words);
        differences.fold(0, |all, (word, value)| all | (word.load(Ordering::Relaxed) ^ value)) == 0
    }

    pub(crate) fn store(&self, words: &KeyWords) {
        for (word, value) in words.iter().zip(StoredKey::of(self.text).words) {
            word.store(value, Ordering::Relaxed);
        }
    }
}

/// A key in the form in which slots hold it: one byte of length, then the text. It is read from
/// shared memory, so it may not be a valid key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StoredKey {
    words: [u64; KEY_WORDS],
}

/// The words of a slot that hold its key.
type KeyWords = [AtomicU64; KEY_WORDS];

impl StoredKey {
    /// Written word by word: bytes that are read back as words stall the processor.
    #[inline]
    fn of(text: &[u8]) -> Self {
        let (first, rest) = text.split_at(text.len().min(WORD - 1));
        let (whole, last) = rest.as_chunks();
        let mut words = [0; KEY_WORDS];
        words[0] = (word_of(first) << 8 | text.len() as u64).to_le();
        for (word, bytes) in words[1..].iter_mut().zip(whole) {
            *word = u64::from_ne_bytes(*bytes);
        }
        if !last.is_empty() {
            words[1 + whole.len()] = word_of(last).to_le();
        }
        Self { words }
    }

    #[inline]
    pub(crate) fn load(words: &KeyWords) -> Self {
        Self { words: words.each_ref().map(|word| word.load(Ordering::Relaxed)) }
    }

    /// Zeroes the words: they hold no key.
    pub(crate) fn erase(words: &KeyWords) {
        for word in words {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// The key's text; `None` if it is not a valid key of a user.
    pub(crate) fn text(&self) -> Option<String> {
        self.with_text(str::to_owned)
    }

    /// Calls `act` with the key's text; `None` if it is not a valid key of a user.
    pub(crate) fn with_text<R>(&self, act: impl FnOnce(&str) -> R) -> Option<R> {
        self.with_any_text(|text, key| (!key.is_of_system()).then(|| act(text)))?
    }

    /// The text of a key of the system; `None` if it is no such key.
    pub(crate) fn text_of_system(&self) -> Option<String> {
        self.with_any_text(|text, key| key.is_of_system().then(|| text.to_owned()))?
    }

    /// Whether it is a key of the system, if it is a valid key.
    pub(crate) fn is_of_system(&self) -> bool {
        let [len, first, ..] = self.words[0].to_ne_bytes();
        len > 0 && first == SYSTEM
    }

    /// The key's hash; `None` if it is not a valid key.
    pub(crate) fn hash(&self) -> Option<u64> {
        self.with_any_text(|_, key| key.hash())
    }

    /// Calls `act` with the text and the key; `None` if it is not a valid key, of a user or of the system.
    fn with_any_text<R>(&self, act: impl FnOnce(&str, Key<'_>) -> R) -> Option<R> {
        let mut bytes = [0; KEY_WORDS * WORD];
        for (bytes, word) in bytes.chunks_exact_mut(WORD).zip(self.words) {
            bytes.copy_from_slice(&word.to_ne_bytes());
        }
        let text = std::str::from_utf8(bytes.get(1..=bytes[0].into())?).ok()?;
        let key = Key::of_any(text)?;
        (Self::of(text.as_bytes()) == *self).then(|| act(text, key))
    }
}

/// Up to a word of bytes, the first of them lowest.
#[inline]
fn word_of(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_1_to_63_bytes_without_nul() {
        assert_eq!(Key::new("").err(), Some(InvalidKey::Empty));
        assert_eq!(Key::new(&"k".repeat(64)).err(), Some(InvalidKey::TooLong { len: 64 }));
        assert_eq!(Key::new("a\0b").err(), Some(InvalidKey::Nul { position: 1 }));
        for text in ["k", "llm:prompt", "ключ", &"k".repeat(63)] {
            let (key, stored) = (Key::new(text).unwrap(), StoredKey::of(text.as_bytes()));
            assert_eq!((stored.text().as_deref(), stored.hash()), (Some(text), Some(key.hash())));
            let words = KeyWords::default();
            assert!(!key.is_in(&words));
            key.store(&words);
            assert!(key.is_in(&words) && StoredKey::load(&words) == stored);
        }
    }

    #[test]
    fn a_key_of_the_system_is_none_of_a_user() {
        for text in ["", "k", "\0", "\0a\0", &format!("\0{}", "k".repeat(63))] {
            assert!(Key::of_system(text).is_none(), "{text:?}");
        }
        let text = "\0schema:1";
        assert!(Key::new(text).is_err());
        let key = Key::of_system(text).unwrap();
        let stored = StoredKey::of(text.as_bytes());
        assert!(key.is_of_system() && stored.is_of_system());
        assert_eq!((stored.text(), stored.text_of_system().as_deref()), (None, Some(text)));
        assert_eq!(stored.hash(), Some(key.hash()));
        let of_user = StoredKey::of(b"k");
        assert!(!of_user.is_of_system() && !StoredKey::of(b"").is_of_system() && of_user.text_of_system().is_none());
    }

    #[test]
    fn words_that_are_no_key_have_no_text() {
        for first in [[64, 0], [1, 0], [2, 0xff], [0, b'a']] {
            let mut words = [0; KEY_WORDS];
            words[0] = u64::from_ne_bytes([first[0], first[1], 0, 0, 0, 0, 0, 0]);
            assert_eq!(StoredKey { words }.text(), None);
        }
    }
}
