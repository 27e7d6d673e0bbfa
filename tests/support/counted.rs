//! A message of which one can see how often it is checked.

#![allow(unreachable_pub, reason = "a module of two test binaries")]

use std::sync::atomic::{AtomicU64, Ordering};

use bytemuck::{CheckedBitPattern, NoUninit};
use splinter_bus::Message;

/// A message that counts how often somebody checks whether its bytes are one.
#[derive(Message, PartialEq, Debug, Clone, Copy)]
#[message(encoding = "bytemuck", checksum = false)]
#[repr(transparent)]
pub struct Counted {
    pub value: u8,
}

/// How often.
pub static CHECKS: AtomicU64 = AtomicU64::new(0);

// SAFETY: one byte, without padding.
unsafe impl NoUninit for Counted {}

// SAFETY: any byte is a value of `u8`; fewer are of this type.
unsafe impl CheckedBitPattern for Counted {
    type Bits = u8;

    fn is_valid_bit_pattern(bits: &u8) -> bool {
        CHECKS.fetch_add(1, Ordering::Relaxed);
        *bits < 2
    }
}
