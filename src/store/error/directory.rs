//! Errors of creating, removing and finding keys.

use std::io;
use std::time::Duration;

use thiserror::Error;

use super::{Forked, KeyError, no_space};
use crate::core::ring::SpaceReason;

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
/// assert_eq!(store.unset("no such key")?, None, "that is no error");
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
    /// Every slot without a key still has values of a removed key that are pinned, lent or being
    /// written, and can have no key of another shape before they are released.
    #[error(
        "no slot is free: there are {slots}, and 256 of the system; in {held} of them, values of removed keys are still pinned or on \
         loan: drop them (samples, pins, loans), or create the key with the same KeyOptions as the removed one"
    )]
    Held {
        /// How many slots are held.
        held: u32,
        /// The number of slots for keys of users.
        slots: u32,
    },
    /// The key cannot have the shape that was asked for.
    #[error(transparent)]
    Shape(Box<ShapeError>),
    /// There is no space for another key.
    #[error("{}", no_space(*needed, *available, *reason))]
    NoSpace {
        /// Bytes that were to be reserved.
        needed: u64,
        /// Bytes that are available.
        available: u64,
        /// What stands in the way.
        reason: SpaceReason,
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

impl From<ShapeError> for DirectoryError {
    fn from(error: ShapeError) -> Self {
        Self::Shape(Box::new(error))
    }
}

impl From<Forked> for DirectoryError {
    fn from(error: Forked) -> Self {
        Self::Key(error.into())
    }
}

/// Why a key cannot have the shape that its options ask for.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// use splinter_bus::store::{DirectoryError, KeyOptions, ShapeError};
///
/// # let name = format!("splinter-doc-shape-error-{}", std::process::id());
/// let store = Store::create(&name)?;
/// store.slot("k")?;
/// let error = store.slot_with("k", &KeyOptions::new().history(100)).unwrap_err();
/// assert!(matches!(&error, DirectoryError::Shape(shape) if matches!(**shape, ShapeError::Smaller { .. })));
/// assert!(error.to_string().starts_with("the key \"k\" exists with less than was asked for: history 100, it has 16"));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// A number is out of its range.
    #[error("{what} of {value} is out of range: it must be 1 to {max}")]
    OutOfRange {
        /// Which of the options.
        what: &'static str,
        /// What was asked for.
        value: u32,
        /// The largest allowed.
        max: u32,
    },
    /// The ring of a key has no room for so many cells.
    #[error(
        "{cells} cells (history and spare) are more than the {max} of a key in this store: ask for fewer, or create a store with fewer slots or a smaller inline_size"
    )]
    TooManyCells {
        /// History and spare together.
        cells: u32,
        /// The most that a key of this store can have.
        max: u32,
    },
    /// The span of a key has no room for the longer values of so many cells.
    #[error(
        "{cells} cells (history and spare) need a span of {needed} bytes, and a key of this store has {span}: ask for fewer cells, or create a store with a larger span"
    )]
    SpanTooSmall {
        /// History and spare together.
        cells: u32,
        /// The smallest span for them in bytes.
        needed: u64,
        /// The span of a key in bytes.
        span: u64,
    },
    /// The key exists, and has less than was asked for.
    #[error("{}", smaller(key, asked, has))]
    Smaller {
        /// The key.
        key: String,
        /// What was asked for: history, spare, lossless.
        asked: [Option<u32>; 3],
        /// What the key has.
        has: [u32; 3],
    },
}

fn smaller(key: &str, asked: &[Option<u32>; 3], has: &[u32; 3]) -> String {
    let parts: Vec<_> = ["history", "spare", "lossless"]
        .iter()
        .zip(asked.iter().zip(has))
        .filter_map(|(what, (asked, has))| Some((what, (*asked)?, has)))
        .map(|(what, asked, has)| format!("{what} {asked}, it has {has}"))
        .collect();
    format!(
        "the key {key:?} exists with less than was asked for: {}; ask for less, or remove the key first (its creator decides)",
        parts.join("; ")
    )
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
