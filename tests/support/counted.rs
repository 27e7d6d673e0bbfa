//! A message that counts how often its bytes are validated.

#![allow(unreachable_pub, reason = "a module of two test binaries")]

use std::sync::atomic::{AtomicU64, Ordering};

use bytemuck::{CheckedBitPattern, NoUninit};
use splinter_bus::Message;

/// A message that counts how often its bytes are validated.
#[derive(Message, PartialEq, Debug, Clone, Copy)]
#[message(encoding = "bytemuck", checksum = false)]
#[repr(transparent)]
pub struct Counted {
    pub value: u8,
}

/// The number of validations.
pub static CHECKS: AtomicU64 = AtomicU64::new(0);

// SAFETY: one byte, without padding.
unsafe impl NoUninit for Counted {}

// SAFETY: `is_valid_bit_pattern` accepts a subset of the values of `u8`.
unsafe impl CheckedBitPattern for Counted {
    type Bits = u8;

    fn is_valid_bit_pattern(bits: &u8) -> bool {
        CHECKS.fetch_add(1, Ordering::Relaxed);
        *bits < 2
    }
}
