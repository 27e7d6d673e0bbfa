//! Messages whose bytes all follow from a number, and the check that they do.

use anyhow::{Result, ensure};

const WORD: usize = 8;

/// Of as many messages, one is looked at in full while an operation is timed; of the others, both ends.
const FULL: u64 = 1024;

/// A message that is sent again and again, under another number.
pub(crate) struct Payload(Vec<u8>);

impl Payload {
    pub(crate) fn new(size: usize) -> Self {
        assert!(size.is_multiple_of(WORD) && size >= 2 * WORD);
        let mut bytes = vec![0; size];
        for (at, word) in bytes.as_chunks_mut::<WORD>().0.iter_mut().enumerate() {
            *word = filling(at);
        }
        Self(bytes)
    }

    /// The message with this number at both ends, and the same in between as always.
    pub(crate) fn numbered(&mut self, number: u64) -> &[u8] {
        let end = self.0.len() - WORD;
        self.0[..WORD].copy_from_slice(&number.to_le_bytes());
        self.0[end..].copy_from_slice(&number.to_le_bytes());
        &self.0
    }

    /// The message all of which is this number.
    pub(crate) fn filled(&mut self, number: u64) -> &[u8] {
        self.0.as_chunks_mut::<WORD>().0.fill(number.to_le_bytes());
        &self.0
    }
}

fn filling(at: usize) -> [u8; WORD] {
    (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()
}

pub(crate) fn number(message: &[u8]) -> u64 {
    u64::from_le_bytes(*message.first_chunk().expect("a message has a number"))
}

/// Whether the message is the one with this number.
#[inline]
pub(crate) fn check(message: &[u8], expected: u64) -> Result<()> {
    let found = (number(message), u64::from_le_bytes(*message.last_chunk().expect("and one at its end")));
    ensure!(found == (expected, expected), "message {expected} was received as {found:?}");
    if expected.is_multiple_of(FULL) {
        check_filling(message)?;
    }
    Ok(())
}

#[cold]
fn check_filling(message: &[u8]) -> Result<()> {
    let words = message.as_chunks::<WORD>().0;
    let inside = 1..words.len() - 1;
    ensure!(inside.into_iter().all(|at| words[at] == filling(at)), "a message was received with other bytes in it");
    Ok(())
}

/// The number that fills the message; `None` when it is torn.
#[inline]
pub(crate) fn whole(message: &[u8]) -> Option<u64> {
    let words = message.as_chunks::<WORD>().0;
    let torn = words.iter().fold(0, |torn, word| torn | (u64::from_ne_bytes(*word) ^ u64::from_ne_bytes(words[0])));
    (torn == 0).then(|| number(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_its_number_and_its_filling() {
        let mut payload = Payload::new(64);
        for number in [0, 1, FULL] {
            let message = payload.numbered(number).to_vec();
            check(&message, number).unwrap();
            assert!(check(&message, number + 1).is_err());
        }
        let mut message = payload.numbered(FULL).to_vec();
        message[20] ^= 1;
        assert!(check(&message, FULL).is_err());
        message[60] ^= 1;
        assert!(check(&message, FULL).is_err());
    }

    #[test]
    fn a_message_of_two_numbers_is_torn() {
        let mut message = Payload::new(64).filled(7).to_vec();
        assert_eq!(whole(&message), Some(7));
        message[56] ^= 1;
        assert_eq!(whole(&message), None);
    }
}
