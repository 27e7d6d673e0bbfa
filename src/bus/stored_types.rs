//! The message types that a store knows.
//!
//! Each publisher leaves its type in the store, once for each fingerprint, under a key of the system. So a
//! receiver can read messages of another version of its type, and a program that has none of the types can
//! show them.
//!
//! A type is *in use* while a bus publishes it, or a key keeps a message of it. A publishing bus pins the
//! value, under the lock of the directory. [`Store::trim`] looks for types that no message names. Then it
//! takes the lock, leaves out those that are pinned, looks at all messages again, and removes the rest. The lock
//! keeps buses from pinning a type meanwhile. The messages of a bus that ended earlier are already in the store.
//!
//! | crash | leaves |
//! | --- | --- |
//! | `TypeKeyCreated` | a key without a value: the next publisher of the type writes it |
//! | `TypeWritten` | a type that is not pinned, as if its publisher had ended |
//! | `TypesCounted` | nothing |

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::frame::{Frame, HEADER_LEN};
use crate::kill_points::{Step, reached};
use crate::message::MessageType;
use crate::schema::{MAX_LEN, SchemaError};
use crate::store::directory::WaitLimit;
use crate::store::{DirectoryError, GetError, KeyError, KeyOptions, Pinned, Store};

/// Keys of message types: this, and the fingerprint.
const PREFIX: &str = "\0type:";

/// How many times a publisher enters its type, if it is removed or overwritten meanwhile.
const ATTEMPTS: usize = 8;

/// Why a message type that is in a store cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoredTypeError {
    /// Its bytes cannot be read.
    #[error("the message type {fingerprint:016x} cannot be read: {source}")]
    Get {
        /// The fingerprint that was looked for.
        fingerprint: u64,
        /// The cause.
        source: GetError,
    },
    /// Its bytes are no message type. The next publisher of the type writes them again.
    #[error("the message type {fingerprint:016x} is damaged: {source}")]
    Schema {
        /// The fingerprint that was looked for.
        fingerprint: u64,
        /// What is wrong.
        source: SchemaError,
    },
    /// Its bytes are another message type. The next publisher of the right one writes them again.
    #[error("under the message type {fingerprint:016x} is {found}, which is another one")]
    Other {
        /// The fingerprint that was looked for.
        fingerprint: u64,
        /// The type that is there, and its fingerprint.
        found: String,
    },
}

impl Store {
    /// The message type of this fingerprint, which each frame carries; `None` if no publisher has left it in
    /// the store. Never blocks.
    ///
    /// # Errors
    ///
    /// [`StoredTypeError`]: what is in the store is damaged.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::{Bus, Message, Store};
    ///
    /// #[derive(Message, serde::Serialize, serde::Deserialize)]
    /// struct Prompt { text: String }
    ///
    /// # let name = format!("splinter-doc-stored-type-{}", std::process::id());
    /// let bus: Bus<Prompt> = Bus::create(&name)?;
    /// bus.publish("llm:prompt", &Prompt { text: "Why?".into() })?;
    ///
    /// // A program that has no type `Prompt`:
    /// let store = Store::open(&name)?;
    /// let frame = store.get("llm:prompt")?.expect("a prompt was published");
    /// let frame = splinter_bus::frame::Frame::parse(&frame)?;
    /// let message_type = store.message_type(frame.fingerprint())?.expect("its publisher left it");
    /// assert_eq!(message_type.to_json(frame.payload())?, r#"{"text":"Why?"}"#);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn message_type(&self, fingerprint: u64) -> Result<Option<MessageType>, StoredTypeError> {
        match self.get_system(&key_of(fingerprint), MAX_LEN) {
            Ok(None) | Err(GetError::Key(KeyError::Removed)) => Ok(None),
            Ok(Some(bytes)) => parse(fingerprint, &bytes).map(Some),
            Err(GetError::TooShort { needed, .. }) => {
                let source = SchemaError::TooLarge { found: needed, max: MAX_LEN, unit: "bytes" };
                Err(StoredTypeError::Schema { fingerprint, source })
            }
            Err(source) => Err(StoredTypeError::Get { fingerprint, source }),
        }
    }

    /// All message types that publishers have left in the store, by name. Those that cannot be read are
    /// left out. Never blocks.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::{Bus, Store};
    /// # let name = format!("splinter-doc-stored-types-{}", std::process::id());
    /// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
    /// assert!(bus.store().message_types().is_empty());
    /// let publisher = bus.publisher("k")?;
    /// assert_eq!(bus.store().message_types(), [bus.message_type().clone()]);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn message_types(&self) -> Vec<MessageType> {
        let types = self.stored_fingerprints().into_iter();
        let mut types: Vec<_> = types.filter_map(|fingerprint| self.message_type(fingerprint).ok()?).collect();
        types.sort_by(|one, other| (one.name(), one.fingerprint()).cmp(&(other.name(), other.fingerprint())));
        types
    }

    fn stored_fingerprints(&self) -> HashSet<u64> {
        let keys = self.system_keys(PREFIX).into_iter();
        keys.filter_map(|key| fingerprint_in(&key)).collect()
    }
}

/// How long a bus whose type could not be left in the store waits before it tries again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The type of a bus in the store. While it is pinned, nobody removes it.
#[derive(Debug, Default)]
pub(super) struct LeftType {
    pinned: OnceLock<Pinned>,
    /// After a failure: when to try again.
    retry_at: Mutex<Option<Instant>>,
}

impl LeftType {
    /// Leaves the type in the store, if that was not done yet. Waits for others that create or remove keys, for
    /// `limit` at most. If it fails, only receivers of the same type can read the messages; some later call tries
    /// again.
    #[inline]
    pub(super) fn leave(&self, store: &Store, message_type: &MessageType, limit: &mut WaitLimit) {
        if self.pinned.get().is_none() {
            self.leave_now(store, message_type, limit);
        }
    }

    #[cold]
    fn leave_now(&self, store: &Store, message_type: &MessageType, limit: &mut WaitLimit) {
        // In a child of `fork`, a thread that does not exist there may hold the lock.
        if store.check_fork().is_err() {
            return;
        }
        // Other threads wait here, so that their messages come after the type.
        let mut retry_at = loop {
            match self.retry_at.try_lock() {
                Ok(retry_at) => break retry_at,
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(TryLockError::WouldBlock) if limit.left().is_zero() => return,
                Err(TryLockError::WouldBlock) => thread::sleep(limit.left().min(Duration::from_millis(1))),
            }
        };
        if self.pinned.get().is_some() || retry_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        match leave(store, message_type, limit) {
            Some(pinned) => _ = self.pinned.set(pinned),
            None => *retry_at = Some(Instant::now() + RETRY_INTERVAL),
        }
    }
}

/// Leaves the type in the store, and pins it there. `None` if the store has no space for it: then only its
/// own receivers can read it.
fn leave(store: &Store, message_type: &MessageType, limit: &mut WaitLimit) -> Option<Pinned> {
    let (key, bytes) = (key_of(message_type.fingerprint()), message_type.to_bytes());
    if bytes.len() > MAX_LEN {
        return None;
    }
    let options = KeyOptions::new().history(1).spare(1);
    for _ in 0..ATTEMPTS {
        if let Some(pinned) = store.pin_system(&key, limit).ok()? {
            // The same type may stand there with other comments: what is read is the same.
            if *pinned == *bytes || parse(message_type.fingerprint(), &pinned).is_ok() {
                return Some(pinned);
            }
        }
        let slot = match store.system_slot(&key, &options, limit) {
            Err(DirectoryError::Full { .. } | DirectoryError::Held { .. } | DirectoryError::NoSpace { .. })
                if remove_unused(store, limit) > 0 =>
            {
                continue;
            }
            slot => slot.ok()?,
        };
        reached(Step::TypeKeyCreated);
        // If the key was removed meanwhile, the next attempt finds out.
        let _ = slot.set(&bytes);
        reached(Step::TypeWritten);
    }
    None
}

/// Removes the types that nothing uses. Returns how many. Waits for the directory for `limit` at most, and
/// then removes none.
pub(super) fn remove_unused(store: &Store, limit: &mut WaitLimit) -> usize {
    let mut unused = store.stored_fingerprints();
    forget_named(store, &mut unused);
    if unused.is_empty() {
        return 0;
    }
    reached(Step::TypesCounted);
    let keys = unused.iter().map(|&fingerprint| key_of(fingerprint)).collect();
    let removed = store.unset_system_unpinned(keys, limit, |keys| {
        forget_named(store, &mut unused);
        keys.retain(|key| fingerprint_in(key).is_some_and(|fingerprint| unused.contains(&fingerprint)));
    });
    removed.unwrap_or(0)
}

/// Removes from `fingerprints` those that a kept message names.
fn forget_named(store: &Store, fingerprints: &mut HashSet<u64>) {
    let (mut keys, mut frame) = (Vec::new(), Vec::new());
    if !fingerprints.is_empty() {
        store.for_each_key(|key| keys.push(key.to_owned()));
    }
    for key in keys {
        // A key that is gone has no messages.
        let Ok(Some(slot)) = store.existing_slot(&key) else { continue };
        for kept in slot.stored_from(0).unwrap_or_default() {
            match slot.copy_start(kept, HEADER_LEN, &mut frame) {
                Ok(true) => _ = Frame::fingerprint_of(&frame).map(|fingerprint| fingerprints.remove(&fingerprint)),
                // It was overwritten, or removed with its key.
                Ok(false) | Err(GetError::Key(KeyError::Removed)) => {}
                // It may be of any type.
                Err(_) => fingerprints.clear(),
            }
            if fingerprints.is_empty() {
                return;
            }
        }
    }
}

fn key_of(fingerprint: u64) -> String {
    format!("{PREFIX}{fingerprint:016x}")
}

fn fingerprint_in(key: &str) -> Option<u64> {
    u64::from_str_radix(key.strip_prefix(PREFIX)?, 16).ok()
}

fn parse(fingerprint: u64, bytes: &[u8]) -> Result<MessageType, StoredTypeError> {
    let found = MessageType::from_bytes(bytes).map_err(|source| StoredTypeError::Schema { fingerprint, source })?;
    if found.fingerprint() == fingerprint {
        Ok(found)
    } else {
        Err(StoredTypeError::Other { fingerprint, found: found.to_string() })
    }
}
