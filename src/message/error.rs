//! Errors of encoding and decoding messages.

use thiserror::Error;

/// Why a message was not encoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The `postcard` encoder refused the message.
    #[error("postcard cannot encode the message: {0}")]
    Postcard(postcard::Error),
    /// The bytes that were written in place are not a value of the type.
    #[error(
        "the bytes that were written are not a value of {name}: a bool that is neither 0 nor 1, or an enum without such a variant"
    )]
    Invalid {
        /// The type's name on the bus.
        name: &'static str,
    },
    /// Zeros are not a value of the type.
    #[error("zeros are not a value of {name}: use `loan` instead of `loan_zeroed`, and write a value into it")]
    Zeros {
        /// The type's name on the bus.
        name: &'static str,
    },
}

/// Why a payload cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The `postcard` decoder refused the payload.
    #[error("postcard cannot decode the payload: {0}")]
    Postcard(postcard::Error),
    /// Bytes follow the message in the payload.
    #[error("{left} bytes follow the message in the payload")]
    TrailingBytes {
        /// The number of bytes.
        left: usize,
    },
    /// The length of the payload is not the size of the message.
    #[error("the payload has {found} bytes, a message of this type has {expected}")]
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
    /// The address of the payload is not a multiple of the type's alignment.
    #[error(
        "the payload does not begin at a multiple of {needed} bytes, the alignment of the type, because its sender did not pad the frame: receive the message by copy"
    )]
    Alignment {
        /// The alignment in bytes.
        needed: usize,
    },
}
