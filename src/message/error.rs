//! Why a message was not encoded or decoded.

use thiserror::Error;

/// Why a message was not encoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// `postcard` refused.
    #[error("postcard cannot encode the message: {0}")]
    Postcard(postcard::Error),
    /// What was written in place is no value of the type.
    #[error(
        "the bytes that were written are no value of {name}: a bool that is neither 0 nor 1, or an enum without such a variant"
    )]
    Invalid {
        /// The type's name on the bus.
        name: &'static str,
    },
    /// Zeros are no value of the type.
    #[error("a value of {name} cannot begin as zeros: lend uninitialised room, and write a value into it")]
    Zeros {
        /// The type's name on the bus.
        name: &'static str,
    },
}

/// Why a payload is not the message that it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// `postcard` refused.
    #[error("postcard cannot decode the payload: {0}")]
    Postcard(postcard::Error),
    /// The payload goes on after the message.
    #[error("{left} bytes of the payload are left after the message")]
    TrailingBytes {
        /// How many.
        left: usize,
    },
    /// The payload is not as long as the message.
    #[error("the payload has {found} bytes, and the message {expected}")]
    Length {
        /// The message's size in bytes.
        expected: usize,
        /// The payload's length in bytes.
        found: usize,
    },
    /// The bytes are not a value of the type.
    #[error(
        "the bytes of the payload are not a valid value: a bool that is neither 0 nor 1, or an enum without such a variant"
    )]
    Invalid,
    /// The payload does not lie where a value of the type can.
    #[error(
        "the payload does not begin at a multiple of {needed} bytes, as the type's alignment demands: its sender did not pad the frame for that; receive the message by copy"
    )]
    Alignment {
        /// Its alignment in bytes.
        needed: usize,
    },
}
