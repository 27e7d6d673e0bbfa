//! Keys: what is allowed as one, and how one is compared with shared memory.

use xxhash_rust::xxh3::xxh3_64;

use super::error::KeyError;
use crate::region::records::KEY_WORDS;
use crate::region::words::WORD;
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

/// A key that was found to be one, in the form in which slots hold it: one byte of length, then the text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    bytes: [u8; KEY_WORDS * WORD],
}

impl Key {
    #[inline]
    pub(crate) fn new(text: &str) -> Result<Self, KeyError> {
        let (text, len) = (text.as_bytes(), text.len());
        if len == 0 {
            return Err(KeyError::Empty);
        }
        if len > MAX_KEY_LEN {
            return Err(KeyError::TooLong { len });
        }
        if let Some(position) = text.iter().position(|&byte| byte == 0) {
            return Err(KeyError::Nul { position });
        }
        let mut bytes = [0; KEY_WORDS * WORD];
        bytes[0] = len as u8;
        bytes[1..=len].copy_from_slice(text);
        Ok(Self { bytes })
    }

    /// Decides where the index looks first; the same in every process and every build.
    #[inline]
    pub(crate) fn hash(&self) -> u64 {
        // What was read from a damaged slot may say that it is longer than it can be.
        xxh3_64(self.bytes.get(..=usize::from(self.bytes[0])).unwrap_or(&self.bytes))
    }

    pub(crate) fn store(&self, words: &[AtomicU64; KEY_WORDS]) {
        for (word, bytes) in words.iter().zip(self.bytes.as_chunks().0) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
    }

    /// Leaves no key in the words.
    pub(crate) fn erase(words: &[AtomicU64; KEY_WORDS]) {
        for word in words {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Whatever the words hold, which may be no key at all.
    #[inline]
    pub(crate) fn load(words: &[AtomicU64; KEY_WORDS]) -> Self {
        let mut bytes = [0; KEY_WORDS * WORD];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        Self { bytes }
    }

    /// The key as text; `None` when words read from shared memory are not a key.
    pub(crate) fn text(&self) -> Option<String> {
        let text = std::str::from_utf8(self.bytes.get(1..=self.bytes[0].into())?).ok()?;
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
            let mut bytes = [0; KEY_WORDS * WORD];
            bytes[..2].copy_from_slice(&first);
            assert_eq!(Key { bytes }.text(), None);
        }
    }
}
