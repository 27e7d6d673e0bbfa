//! Errors of encoding and decoding messages.

use std::borrow::Cow;

use thiserror::Error;

use crate::schema::{ReadError, SchemaMismatch};

/// Why a message was not encoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The `postcard` encoder refused the message.
    #[error("postcard cannot encode the message: {0}")]
    Postcard(postcard::Error),
    /// The message cannot be written as JSON, such as a map whose keys are no strings.
    #[error("the message cannot be written as JSON: {0}")]
    Json(String),
    /// The message is not serialized as its schema says. This is checked for the first message of each
    /// type in a process, and for each message in debug builds.
    #[error("a message {name}: {source}")]
    Schema {
        /// The type's name on the bus.
        name: Cow<'static, str>,
        /// Where, and how.
        source: Box<SchemaMismatch>,
    },
    /// The bytes that were written in place are not a value of the type.
    #[error(
        "the bytes that were written are not a value of {name}: a bool that is neither 0 nor 1, or an enum without such a variant"
    )]
    Invalid {
        /// The type's name on the bus.
        name: Cow<'static, str>,
    },
    /// Zeros are not a value of the type.
    #[error("zeros are not a value of {name}: use `loan` instead of `loan_zeroed`, and write a value into it")]
    Zeros {
        /// The type's name on the bus.
        name: Cow<'static, str>,
    },
}

/// Why a payload cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The `postcard` decoder refused the payload.
    #[error("postcard cannot decode the payload: {0}")]
    Postcard(postcard::Error),
    /// The payload is not JSON of such a message.
    #[error("the payload is not JSON of such a message: {0}")]
    Json(String),
    /// The message cannot be read by the schema of its sender, or exceeds a limit.
    #[error("the message cannot be read: {0}")]
    Schema(Box<ReadError>),
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
