//! Defects: violated guarantees of the store.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One observed violation of a guarantee.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Defect {
    pub(crate) fault: Fault,
    pub(crate) key: String,
    /// 0 if it concerns no version.
    pub(crate) version: u64,
    /// The offset of the first wrong byte.
    pub(crate) offset: Option<usize>,
    pub(crate) what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Fault {
    /// Bytes that no writer wrote in this combination.
    Torn,
    /// The value of another key.
    Foreign,
    /// An older version after a newer one.
    Backwards,
    /// Two different values of one version.
    Ambiguous,
    /// A missing value or version.
    LostMessage,
    /// A job that no worker handled.
    LostJob,
    /// A job that was handled again although its worker was not killed, or that was never
    /// published.
    WrongJob,
    /// Cells, cursors or participant entries that no process uses and that are not free.
    Leak,
    /// An operation with an unexpected error.
    Failed,
    /// A worker that ended without an order and was not killed.
    Died,
}

impl Fault {
    pub(crate) const ALL: [Self; 10] = [
        Self::Torn,
        Self::Foreign,
        Self::Backwards,
        Self::Ambiguous,
        Self::LostMessage,
        Self::LostJob,
        Self::WrongJob,
        Self::Leak,
        Self::Failed,
        Self::Died,
    ];

    /// The label of their count.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Torn => "torn values delivered",
            Self::Foreign => "foreign values",
            Self::Backwards => "versions backwards",
            Self::Ambiguous => "versions with two values",
            Self::LostMessage => "lost lossless messages",
            Self::LostJob => "lost jobs",
            Self::WrongJob => "jobs done twice or never published",
            Self::Leak => "leaks",
            Self::Failed => "operations failed",
            Self::Died => "workers ended unexpectedly",
        }
    }
}

impl Defect {
    pub(crate) fn new(fault: Fault, key: &str, version: u64, what: impl fmt::Display) -> Self {
        Self { fault, key: key.to_owned(), version, offset: None, what: what.to_string() }
    }

    /// Creates the defect of a failed operation, with the error and its sources.
    pub(crate) fn failed(key: &str, operation: &str, error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(error.source(), |&cause| cause.source());
        let texts = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
        Self::new(Fault::Failed, key, 0, format!("{operation}: {}", texts.collect::<Vec<_>>().join(": ")))
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: key {:?}", self.fault.name(), self.key)?;
        if self.version > 0 {
            write!(f, ", version {}", self.version)?;
        }
        if let Some(offset) = self.offset {
            write!(f, ", offset {offset}")?;
        }
        write!(f, ": {}", self.what)
    }
}
