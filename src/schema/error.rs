//! Errors of reading by a schema.

use std::fmt;

use serde::de;
use thiserror::Error;

use super::check::at;
use super::path::{Step, ValuePath};

/// A value cannot be read by its schema.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[error("{}{reason}", at(path))]
pub struct ReadError {
    /// Where in the value.
    pub path: ValuePath,
    /// Why.
    pub reason: ReadReason,
}

/// Why a value cannot be read by its schema.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadReason {
    /// The payload ends before the value does.
    #[error("the payload ends too early: {needed} bytes are due, {left} are left")]
    Ended {
        /// How many bytes the next part of the value has.
        needed: usize,
        /// How many bytes there are.
        left: usize,
    },
    /// Bytes follow the value.
    #[error("{left} bytes follow the value")]
    Trailing {
        /// How many.
        left: usize,
    },
    /// Values are inside of each other too deeply.
    #[error("values are inside of each other more than 128 deep")]
    TooDeep,
    /// There are many more values than bytes.
    #[error("it claims far more values than it has bytes")]
    TooMuch,
    /// The sender's type and the receiver's differ.
    #[error("the sender has {found}, the receiver wants {wanted}")]
    Differs {
        /// What the sender's schema says.
        found: String,
        /// What the receiver's type asks for.
        wanted: String,
    },
    /// The bytes are not such a value, or the receiver's type refuses it.
    #[error("{0}")]
    Invalid(String),
}

impl From<ReadReason> for ReadError {
    #[cold]
    fn from(reason: ReadReason) -> Self {
        Self { path: ValuePath::default(), reason }
    }
}

impl de::Error for ReadError {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        ReadReason::Invalid(message.to_string()).into()
    }
}

impl ReadError {
    #[cold]
    pub(super) fn inside(mut self, step: Step) -> Self {
        self.path = self.path.inside(step);
        self
    }
}
