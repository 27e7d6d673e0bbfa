//! What must not happen.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that the store promises not to do, and did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Defect {
    pub(crate) fault: Fault,
    pub(crate) key: String,
    /// 0 where there is none.
    pub(crate) version: u64,
    /// The first byte that is not as it was written.
    pub(crate) offset: Option<usize>,
    pub(crate) what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Fault {
    /// Bytes that nobody wrote so.
    Torn,
    /// Another key's value.
    Foreign,
    /// An older version after a newer one.
    Backwards,
    /// Two values of one version.
    Ambiguous,
    /// A value or version that had to be there.
    LostMessage,
    /// A job that nobody handled.
    LostJob,
    /// A job that was handled again although its worker lived, or that nobody had published.
    WrongJob,
    /// Cells, cursors or places that nobody holds, and that are not free.
    Leak,
    /// An operation that failed as none may.
    Failed,
    /// A worker that ended without being told or killed.
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

    /// What a count of them is a count of.
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
            Self::Died => "workers died by themselves",
        }
    }
}

impl Defect {
    pub(crate) fn new(fault: Fault, key: &str, version: u64, what: impl fmt::Display) -> Self {
        Self { fault, key: key.to_owned(), version, offset: None, what: what.to_string() }
    }

    /// An operation that failed, with what it said.
    pub(crate) fn failed(key: &str, operation: &str, error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(error.source(), |&cause| cause.source());
        let said = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
        Self::new(Fault::Failed, key, 0, format!("{operation}: {}", said.collect::<Vec<_>>().join(": ")))
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
