//! Errors of writing, reading and updating values.

use std::io;

use thiserror::Error;

use super::{DirectoryError, Forked, KeyError, more_memory, no_space};
use crate::core::cell_counts::CellCounts;
use crate::core::place::MAX_LEN;
use crate::core::ring::SpaceReason;

/// Why a value was not set, or no cell was lent.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{DirectoryError, SetError, StoreOptions};
///
/// # let name = format!("splinter-doc-set-error-{}", std::process::id());
/// let store = StoreOptions::new().slots(1).create(&name)?;
/// let slot = store.slot("first")?;
/// assert!(matches!(slot.loan(1 << 30), Err(SetError::TooLarge { len: 1073741824, .. })));
/// let error = store.set("second", b"").unwrap_err();
/// assert!(matches!(error, SetError::Directory(DirectoryError::Full { slots: 1 })));
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), splinter_bus::Error>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SetError {
    /// The key, or the handle on it, cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key could not be created. Never [`DirectoryError::Key`], which is [`SetError::Key`].
    #[error(transparent)]
    Directory(DirectoryError),
    /// The value is longer than the longest value of its key.
    #[error("{}", too_large(*len, *max))]
    TooLarge {
        /// The value's length in bytes; of a message: the length of its frame, which is envelope
        /// and payload.
        len: usize,
        /// The longest value of this key in bytes.
        max: usize,
    },
    /// No cell of the key may be overwritten: each is pinned, or used by a writer, or lent, or
    /// holds a value that a lossless subscriber or a work queue has not received.
    #[error("{}", no_cell(.0))]
    Backpressure(Box<CellCounts>),
    /// There is no space for the value, in memory or on the disk. Nothing was published, and nothing
    /// that was published before is lost, except for history, whose space was given back.
    #[error("{}", no_space(*needed, *available, *reason))]
    NoSpace {
        /// Bytes that were to be reserved.
        needed: u64,
        /// Bytes that are available.
        available: u64,
        /// What stands in the way.
        reason: SpaceReason,
    },
    /// The key's slot has published as many versions as it can count.
    #[error("the slot of this key has used up its 2^48 versions: create a new store")]
    Exhausted,
    /// More of the store could not be mapped: a second mapping, which loans need, or the longer values of
    /// the key. Its short values can still be read and written.
    #[error("{}", no_second_mapping(*limit, source))]
    Mapping {
        /// How many bytes of addresses this process may have (`RLIMIT_AS`); `None` if that is not
        /// limited.
        limit: Option<u64>,
        /// What the operating system said.
        source: io::Error,
    },
}

impl From<DirectoryError> for SetError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Key(error) => Self::Key(error),
            error => Self::Directory(error),
        }
    }
}

impl From<Forked> for SetError {
    fn from(error: Forked) -> Self {
        Self::Key(error.into())
    }
}

/// Says how long a value may be, and what to do.
fn too_large(len: usize, max: usize) -> String {
    let advice = if max as u64 >= MAX_LEN {
        "no store holds longer ones: send it in parts"
    } else {
        "shorten it, or remove the key (Store::unset) and create it with fewer cells (KeyOptions::history), or create \
         the store with a larger span (StoreOptions::span)"
    };
    format!("value too large: {len} bytes (a message counts with its envelope), maximum {max}; {advice}")
}

/// Says what keeps a publisher from all cells of a key, and what to do.
fn no_cell(cells: &CellCounts) -> String {
    let CellCounts { retained, pinned, in_flight, flushed, .. } = *cells;
    let mut holders = Vec::new();
    for (count, holder) in [
        (retained, "hold what a lossless subscriber or a work queue has not received"),
        (pinned, "are pinned"),
        (flushed, "are kept for the last flush"),
        (in_flight, "are in use by writers or on loan"),
    ] {
        if count > 0 {
            holders.push(format!("{count} {holder}"));
        }
    }
    holders.push("one may hold the newest value".to_owned());
    let receive = if retained > 0 {
        "receive, acknowledge jobs, evict a lossless subscriber that is stopped (Store::evict), "
    } else {
        ""
    };
    format!(
        "no cell of this key may be overwritten: of {}, {}; {receive}drop pins and loans, wait with a timeout, or create the key with more \
         history or spare (KeyOptions)",
        cells.total(),
        holders.join(", ")
    )
}

/// Says why more of a store could not be mapped, and what to do.
fn no_second_mapping(limit: Option<u64>, source: &io::Error) -> String {
    let advice = if matches!(source.kind(), io::ErrorKind::OutOfMemory | io::ErrorKind::WouldBlock) {
        more_memory(limit)
    } else {
        "publish without a loan".to_owned()
    };
    format!(
        "the operating system refused to map more of the store, which loans and long values need: {source}; {advice}"
    )
}

/// Why a value was not read.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::{GetError, KeyError, Store};
/// # let name = format!("splinter-doc-get-error-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let slot = store.slot("k")?;
/// store.unset("k")?;
/// assert_eq!(slot.size(), Err(GetError::Key(KeyError::Removed)));
/// # Store::remove(&name)?;
/// # Ok::<(), splinter_bus::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GetError {
    /// The key, or the handle on it, cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key had a value, of which no version was whole after the machine stopped, or in the
    /// copy.
    #[error("the value of this key was lost when the machine stopped, or while its file was copied: set it again")]
    Lost,
    /// Publishers replaced the key's values, or other workers took them, each time that one was to
    /// be read. Nothing is wrong with the key.
    #[error(
        "other processes replaced or took the values of this key faster than one could be read: try again, or create the key with \
         more history or spare"
    )]
    Overtaken,
    /// The slice is shorter than the value.
    #[error("the value has {needed} bytes, and there is room for {len}: pass a longer slice")]
    TooShort {
        /// How many bytes the slice has.
        len: usize,
        /// How many bytes the value had.
        needed: usize,
    },
    /// A writer that was stopped is about to overwrite this version, so it cannot be pinned.
    #[error("version {version} was chosen by a writer to be overwritten, which was stopped: copy it, or pin another")]
    Claimed {
        /// The version that was to be pinned.
        version: u64,
    },
    /// The key's longer values could not be mapped, to be read in place: the process has no more
    /// addresses, or no more mappings. They can still be copied.
    #[error("the values of this key could not be mapped: {}; or copy the value instead of pinning it", more_memory(*limit))]
    NoAddresses {
        /// How many bytes of addresses the process may use (`RLIMIT_AS`), if that is limited.
        limit: Option<u64>,
    },
}

impl From<Forked> for GetError {
    fn from(error: Forked) -> Self {
        Self::Key(error.into())
    }
}

/// Why a value was not updated: an append, or an operation on an integer.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{SetError, StoreOptions, UpdateError};
///
/// # let name = format!("splinter-doc-update-error-{}", std::process::id());
/// let store = StoreOptions::new().create(&name)?;
/// store.append("k", b"1234")?;
/// let max = store.slot("k")?.max_len();
/// let error = store.append("k", &vec![0; max]).unwrap_err();
/// assert!(matches!(error, UpdateError::Set(SetError::TooLarge { len, .. }) if len == max + 4));
/// let error = store.integer("k")?.fetch_add(1).unwrap_err();
/// assert!(matches!(error, UpdateError::NotAnInteger { len: 4 }));
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), splinter_bus::Error>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The key, or the handle on it, cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key's value is not an integer, which has 8 bytes.
    #[error("the value of this key has {len} bytes, an integer has 8: use another key, or set this one to an integer")]
    NotAnInteger {
        /// The value's length in bytes.
        len: usize,
    },
    /// The new value could not be set. Never [`SetError::Key`], which is [`UpdateError::Key`].
    #[error(transparent)]
    Set(SetError),
    /// The old value could not be read. Never [`GetError::Key`], which is [`UpdateError::Key`].
    #[error(transparent)]
    Get(GetError),
}

impl From<SetError> for UpdateError {
    fn from(error: SetError) -> Self {
        match error {
            SetError::Key(error) => Self::Key(error),
            error => Self::Set(error),
        }
    }
}

impl From<GetError> for UpdateError {
    fn from(error: GetError) -> Self {
        match error {
            GetError::Key(error) => Self::Key(error),
            error => Self::Get(error),
        }
    }
}

impl From<DirectoryError> for UpdateError {
    fn from(error: DirectoryError) -> Self {
        SetError::from(error).into()
    }
}

impl From<Forked> for UpdateError {
    fn from(error: Forked) -> Self {
        Self::Key(error.into())
    }
}
