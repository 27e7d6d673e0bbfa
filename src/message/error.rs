//! Why a message was not encoded or decoded.

use thiserror::Error;

/// Why a message was not encoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// `postcard` refused.
    #[error("postcard cannot encode the message: {0}")]
    Postcard(postcard::Error),
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
}
