//! Causes that all operations on a key share.

use std::io;

use thiserror::Error;

use crate::core::key::{InvalidKey, MAX_KEY_LEN};

/// Why a key, or a handle on one, cannot be used.
///
/// Nearly every operation can fail for these reasons: its error has them as `Key`.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{GetError, KeyError, Store};
///
/// # let name = format!("splinter-doc-key-error-{}", std::process::id());
/// let store = Store::create(&name)?;
/// assert_eq!(store.get("").unwrap_err().to_string(), "a key must have at least 1 byte");
/// assert_eq!(store.get(&"k".repeat(300)).unwrap_err().to_string(), "key too long: 300 bytes, maximum 63");
///
/// let slot = store.slot("k")?;
/// store.unset("k")?;
/// assert_eq!(slot.size(), Err(GetError::Key(KeyError::Removed)));
/// # Store::remove(&name)?;
/// # Ok::<(), splinter_bus::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key is empty.
    #[error("a key must have at least 1 byte")]
    Empty,
    /// The key is too long.
    #[error("key too long: {len} bytes, maximum {max}")]
    TooLong {
        /// The key's length in bytes.
        len: usize,
        /// The largest length in bytes: [`MAX_KEY_LEN`](crate::store::MAX_KEY_LEN).
        max: usize,
    },
    /// The key has a NUL byte.
    #[error("a key cannot contain a NUL byte, this one has one at position {position}")]
    Nul {
        /// Where, in bytes.
        position: usize,
    },
    /// The key was removed from the store since the handle on it was made, or each time that it was
    /// created.
    #[error(
        "the key was removed from the store: get a new handle on it; if that fails too, stop the process that removes it"
    )]
    Removed,
    /// The words of the key's slot contradict each other.
    #[error(
        "the slot of this key is damaged: something other than splinter-bus wrote into the store; create a new store"
    )]
    Damaged,
    /// The handle was inherited from the parent process by `fork`.
    #[error(transparent)]
    Forked(#[from] Forked),
}

impl From<InvalidKey> for KeyError {
    fn from(error: InvalidKey) -> Self {
        match error {
            InvalidKey::Empty => Self::Empty,
            InvalidKey::TooLong { len } => Self::TooLong { len, max: MAX_KEY_LEN },
            InvalidKey::Nul { position } => Self::Nul { position },
        }
    }
}

/// A handle was inherited from the parent process by `fork`, and does nothing in the child.
///
/// What belongs to a handle (its entry among the store's participants, pins, loans, cursors, jobs)
/// belongs to the process that opened it. In a child, operations return this error, and dropping a
/// handle changes nothing in the store. Open the store again in the child.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{Forked, GetError};
///
/// let error = GetError::from(Forked { opened_by: 4711 });
/// assert_eq!(
///     error.to_string(),
///     "this handle was opened by process 4711 before it forked, and cannot be used in its child: open the store again in this process"
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "this handle was opened by process {opened_by} before it forked, and cannot be used in its child: \
     open the store again in this process"
)]
pub struct Forked {
    /// The process that opened the store, by the id that it has in its own pid namespace.
    pub opened_by: u32,
}

impl From<Forked> for io::Error {
    fn from(error: Forked) -> Self {
        Self::other(error)
    }
}
