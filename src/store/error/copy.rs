//! Errors of copying a store.

use thiserror::Error;

use super::{Forked, GetError, KeyError, OpenError, SetError};

/// Why a store was not copied. There is no copy then.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{CopyError, OpenError, Store};
///
/// # let name = format!("splinter-doc-copy-error-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let error = store.copy_to(&name).unwrap_err();
/// assert!(matches!(error, CopyError::Create(OpenError::AlreadyExists { .. })));
/// # Store::remove(&name)?;
/// # Ok::<(), splinter_bus::Error>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The copy could not be created: its name is taken, for example.
    #[error(transparent)]
    Create(#[from] OpenError),
    /// A value could not be read.
    #[error("the key {key:?} could not be copied: {source}")]
    Read {
        /// The key.
        key: String,
        /// Why its value was not read.
        source: GetError,
    },
    /// A value could not be written to the copy: there is no space for it, for example.
    #[error("the key {key:?} could not be written to the copy: {source}")]
    Write {
        /// The key.
        key: String,
        /// Why its value was not set.
        source: SetError,
    },
    /// The store was opened by the parent of this process.
    #[error(transparent)]
    Forked(#[from] Forked),
}

impl CopyError {
    pub(crate) fn of_key(key: &str, error: KeyError) -> Self {
        Self::Read { key: key.to_owned(), source: error.into() }
    }
}
