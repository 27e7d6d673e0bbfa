//! Copying the newest value into memory of the caller, which may be too short for it.
//!
//! It is the validated read of `read.rs`. The length is validated together with the bytes, so that
//! what is reported is the length of a value that was there.

use super::pin::Pin;
use crate::core::memory::words;
use crate::core::ring::cell;
use crate::core::ring::error::ReadError;
use crate::core::ring::ring::Ring;
use crate::core::word::Seq;
use crate::sync::{Ordering, fence, real_or_model};

/// How many attempts are made before the caller reads with a pin.
const ATTEMPTS: usize = real_or_model(64, 3);

/// A value that was copied, or that was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sliced {
    pub(crate) version: u64,
    /// The length of the value in bytes. Nothing was copied if it is more than there was space for.
    pub(crate) len: usize,
}

impl Ring<'_> {
    /// Copies the newest value to the front of `out`, if it fits; `None` if there is no value.
    pub(crate) fn copy_newest_to(self, out: &mut [u8]) -> Result<Option<Sliced>, ReadError> {
        let (_, copied) = self.read_newest(ATTEMPTS, |index, cell, version| {
            let len = cell::len(cell);
            let Some(words) = self.short_words(index, cell, len) else { return Some(Err(ReadError::Long)) };
            if let Some(out) = out.get_mut(..len) {
                words::load(words, out);
            }
            // Acquire: pairs with the release fence of the claim, as in `Ring::copy`.
            fence(Ordering::Acquire);
            let holds = Seq::bits_hold(cell.header.seq.load(Ordering::Relaxed), version);
            holds.then_some(Ok(Sliced { version, len }))
        })?;
        copied.transpose()
    }

    /// Copies a pinned value to the front of `out`, if it fits; `None` as for
    /// [`pinned_words`](Self::pinned_words).
    pub(crate) fn copy_pinned_to(self, pin: Pin, out: &mut [u8]) -> Option<Sliced> {
        let (words, len) = self.pinned_words(pin)?;
        if let Some(out) = out.get_mut(..len) {
            words::load(words, out);
        }
        Some(Sliced { version: pin.version, len })
    }
}
