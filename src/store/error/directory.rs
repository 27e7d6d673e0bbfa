//! Errors of creating, removing and finding keys.

use std::io;
use std::time::Duration;

use thiserror::Error;

use super::{Forked, KeyError};

/// Why a key was not created or removed, or a store not purged.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use splinter_bus::store::{DirectoryError, StoreOptions};
///
/// # let name = format!("splinter-doc-directory-error-{}", std::process::id());
/// let store = StoreOptions::new().slots(1).create(&name)?;
/// store.slot("first")?;
/// assert!(matches!(store.slot("second"), Err(DirectoryError::Full { slots: 1 })));
/// assert!(matches!(store.unset(""), Err(DirectoryError::Key(_))));
/// assert!(!store.unset("no such key")?, "that is no error");
///
/// let error = DirectoryError::Busy { pid: 4711, waited: Duration::from_secs(10) };
/// assert!(error.to_string().starts_with("process 4711 has been creating or removing a key for more than 10s"));
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), splinter_bus::Error>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The key is not valid, or the store was opened by the parent of this process.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Every slot has a key.
    #[error("all {slots} slots of the store have keys: unset one, or create a store with more slots")]
    Full {
        /// The number of slots.
        slots: u32,
    },
    /// Another process is creating or removing a key, and does not finish. Keys that exist are not
    /// affected.
    #[error(
        "process {pid} has been creating or removing a key for more than {}: resume it if it is stopped, or end it",
        humantime::format_duration(*waited)
    )]
    Busy {
        /// The process, by the id that it has in its own pid namespace; 0 if it does not use
        /// splinter-bus.
        pid: u32,
        /// How long this process waited.
        waited: Duration,
    },
    /// The kernel refused to lock the directory.
    #[error("the operating system refused to lock the directory of keys: {0}")]
    Lock(#[source] io::Error),
    /// A store in a file could not be flushed, which comes before a purge. Nothing was purged.
    #[error("the store could not be flushed, which comes before a purge: {0}")]
    Flush(#[source] io::Error),
}

impl From<Forked> for DirectoryError {
    fn from(error: Forked) -> Self {
        Self::Key(error.into())
    }
}

/// Why a participant was not evicted from a key.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::{EvictError, Store};
/// # let name = format!("splinter-doc-evict-error-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let error = store.evict("k", store.participant()).unwrap_err();
/// assert!(matches!(error, EvictError::NoSuchKey { .. }));
/// store.set("k", b"v")?;
/// let error = store.evict("k", store.participant()).unwrap_err();
/// assert!(matches!(error, EvictError::NotSubscribed { .. }));
/// # Store::remove(&name)?;
/// # Ok::<(), splinter_bus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EvictError {
    /// The key is not valid, or the store was opened by the parent of this process.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store has no such key.
    #[error("the store has no key {key:?}")]
    NoSuchKey {
        /// The key.
        key: String,
    },
    /// The participant has no lossless subscriber of the key, or has closed the store.
    #[error(
        "participant {participant} (process {pid}) has no lossless subscriber of {key:?}: `Store::slot_snapshot` lists the participants that have one"
    )]
    NotSubscribed {
        /// The key.
        key: String,
        /// The participant's index in the store's table.
        participant: u32,
        /// The id of its process.
        pid: u32,
    },
}

impl From<Forked> for EvictError {
    fn from(error: Forked) -> Self {
        Self::Key(error.into())
    }
}

/// Why keys were not matched with a pattern.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-pattern-error-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let error = store.keys_matching("a[").unwrap_err();
/// assert_eq!(error.pattern, "a[");
/// # Store::remove(&name)?;
/// # Ok::<(), splinter_bus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{pattern:?} is not a pattern of keys: {reason}")]
pub struct PatternError {
    /// The pattern as it was given.
    pub pattern: String,
    /// What is wrong with it, and where.
    pub reason: String,
}
