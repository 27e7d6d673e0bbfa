//! Messages whose bytes are a function of a number, and the check of received messages.

use anyhow::{Result, ensure};

const WORD: usize = 8;

/// One in so many messages is checked in full; of the others, the first and the last word.
///
/// The check is part of the timed operation, so it must be cheap.
const FULL_CHECK: u64 = 1024;

/// A message buffer that is sent many times, each time with another number.
pub(crate) struct Payload(Vec<u8>);

impl Payload {
    pub(crate) fn new(size: usize) -> Self {
        assert!(size.is_multiple_of(WORD) && size >= 2 * WORD);
        let mut bytes = vec![0; size];
        for (at, word) in bytes.as_chunks_mut::<WORD>().0.iter_mut().enumerate() {
            *word = filler(at);
        }
        Self(bytes)
    }

    /// Writes the number into the first and the last word. The words between them never change.
    pub(crate) fn numbered(&mut self, number: u64) -> &[u8] {
        let end = self.0.len() - WORD;
        self.0[..WORD].copy_from_slice(&number.to_le_bytes());
        self.0[end..].copy_from_slice(&number.to_le_bytes());
        &self.0
    }

    /// Writes the number into every word.
    pub(crate) fn filled(&mut self, number: u64) -> &[u8] {
        self.0.as_chunks_mut::<WORD>().0.fill(number.to_le_bytes());
        &self.0
    }
}

fn filler(at: usize) -> [u8; WORD] {
    (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()
}

/// Returns the number in the first word.
pub(crate) fn number(message: &[u8]) -> u64 {
    u64::from_le_bytes(*message.first_chunk().expect("a message has two words"))
}

/// Checks a message that was made by [`Payload::numbered`] with this number.
#[inline]
pub(crate) fn check(message: &[u8], expected: u64) -> Result<()> {
    let found = (number(message), u64::from_le_bytes(*message.last_chunk().expect("a message has two words")));
    ensure!(found == (expected, expected), "expected message {expected}, received {found:?}");
    if expected.is_multiple_of(FULL_CHECK) {
        check_filler(message)?;
    }
    Ok(())
}

#[cold]
fn check_filler(message: &[u8]) -> Result<()> {
    let words = message.as_chunks::<WORD>().0;
    let inside = 1..words.len() - 1;
    ensure!(inside.into_iter().all(|at| words[at] == filler(at)), "bytes in the middle of a message changed");
    Ok(())
}

/// Returns the number of a message that was made by [`Payload::filled`]; `None` if it is torn.
#[inline]
pub(crate) fn untorn(message: &[u8]) -> Option<u64> {
    let words = message.as_chunks::<WORD>().0;
    let torn = words.iter().fold(0, |torn, word| torn | (u64::from_ne_bytes(*word) ^ u64::from_ne_bytes(words[0])));
    (torn == 0).then(|| number(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_or_number_is_detected() {
        let mut payload = Payload::new(64);
        for number in [0, 1, FULL_CHECK] {
            let message = payload.numbered(number).to_vec();
            check(&message, number).unwrap();
            assert!(check(&message, number + 1).is_err());
        }
        let mut message = payload.numbered(FULL_CHECK).to_vec();
        message[20] ^= 1;
        assert!(check(&message, FULL_CHECK).is_err());
        message[60] ^= 1;
        assert!(check(&message, FULL_CHECK).is_err());
    }

    #[test]
    fn a_message_with_two_numbers_is_torn() {
        let mut message = Payload::new(64).filled(7).to_vec();
        assert_eq!(untorn(&message), Some(7));
        message[56] ^= 1;
        assert_eq!(untorn(&message), None);
    }
}
