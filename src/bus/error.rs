//! Errors of the bus: one enum for each kind of operation, with the errors of the store nested.

use std::time::Duration;

use thiserror::Error;
use uuid::Uuid;

use super::received::Received;
use crate::frame::{FaultCode, FrameError, MAX_TTL};
use crate::message::{DecodeError, EncodeError, Fault};
use crate::store::by_key::look_up::KeyRemoved;
use crate::store::slot::lossless::LosslessError;
use crate::store::{DirectoryError, Forked, GetError, KeyError, SetError};

/// Why a message was not published. The caller still has the message.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{SetError, KeyOptions, StoreOptions};
/// use splinter_bus::{Bus, PublishError, SubscribeOptions};
///
/// # let name = format!("splinter-doc-publish-error-{}", std::process::id());
/// let store = StoreOptions::new().key_options(KeyOptions::new().history(1).spare(1)).create(&name)?;
/// let bus: Bus<Vec<u8>> = Bus::on(store);
/// let idle = bus.subscribe_with("k", &SubscribeOptions::new().lossless())?;
/// bus.publish("k", &vec![1])?;
/// bus.publish("k", &vec![2])?;
/// match bus.publish("k", &vec![3]) {
///     Err(PublishError::Set(SetError::Backpressure(cells))) => assert_eq!(cells.retained, 2),
///     other => panic!("{other:?}"),
/// }
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), splinter_bus::Error>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The store did not take the frame.
    #[error(transparent)]
    Set(#[from] SetError),
    /// The message cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The envelope or the payload does not fit into a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The ttl of the message, or of its publisher, is out of range.
    #[error(
        "a ttl of {ttl:?} is out of range: it must be 1 ms to 24.8 days ({} ms); set another one, or none for messages that do not expire",
        MAX_TTL
    )]
    Ttl {
        /// The ttl that was set.
        ttl: Duration,
    },
    /// Only one number is left for the messages of this stream, and it is reserved for the last
    /// one.
    #[error("the stream has {} messages, and only one more can be numbered: finish it, and begin another", u32::MAX)]
    StreamTooLong,
}

impl From<KeyError> for PublishError {
    fn from(error: KeyError) -> Self {
        Self::Set(error.into())
    }
}

impl From<DirectoryError> for PublishError {
    fn from(error: DirectoryError) -> Self {
        Self::Set(error.into())
    }
}

impl From<Forked> for PublishError {
    fn from(error: Forked) -> Self {
        Self::Set(error.into())
    }
}

/// Why a subscriber or a worker of a queue could not be created.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{KeyOptions, StoreOptions};
/// use splinter_bus::{Bus, SubscribeError, SubscribeOptions};
///
/// # let name = format!("splinter-doc-subscribe-error-{}", std::process::id());
/// let store = StoreOptions::new().key_options(KeyOptions::new().lossless(8)).create(&name)?;
/// let bus: Bus<Vec<u8>> = Bus::on(store);
/// let lossless = SubscribeOptions::new().lossless();
/// let eight = (0..8).map(|_| bus.subscribe_with("k", &lossless)).collect::<Result<Vec<_>, _>>()?;
/// let ninth = bus.subscribe_with("k", &lossless);
/// assert!(matches!(ninth, Err(SubscribeError::TooManyLossless { max: 8 })));
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), splinter_bus::Error>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The key, or the handle on it, cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key could not be created. Never [`DirectoryError::Key`]: that is
    /// [`SubscribeError::Key`].
    #[error(transparent)]
    Directory(DirectoryError),
    /// The key has the largest possible number of lossless subscribers.
    #[error(
        "the key has {max} lossless subscribers, which is the maximum: end one, or create the key with more `lossless` (KeyOptions)"
    )]
    TooManyLossless {
        /// The largest possible number.
        max: u32,
    },
    /// The newest message of the key has another type, and cannot be read as one of the receiver's.
    #[error("{key:?} has messages of another type, which cannot be read: {source}")]
    OtherType {
        /// The key.
        key: String,
        /// Both types, and where they differ.
        source: Box<TypeMismatch>,
    },
}

impl From<LosslessError> for SubscribeError {
    fn from(error: LosslessError) -> Self {
        match error {
            LosslessError::TooMany { max } => Self::TooManyLossless { max },
            LosslessError::Key(error) => Self::Key(error),
        }
    }
}

impl KeyRemoved for SubscribeError {
    fn is_removed(&self) -> bool {
        matches!(self, Self::Key(KeyError::Removed))
    }
}

impl KeyRemoved for PublishError {
    fn is_removed(&self) -> bool {
        matches!(self, Self::Set(SetError::Key(KeyError::Removed)))
    }
}

impl From<DirectoryError> for SubscribeError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Key(error) => Self::Key(error),
            error => Self::Directory(error),
        }
    }
}

impl SubscribeError {
    /// The error for a key that exists and whose messages cannot be received.
    pub(super) fn of(error: GetError) -> Self {
        match error {
            GetError::Key(error) => Self::Key(error),
            _ => Self::Key(KeyError::Damaged),
        }
    }
}

/// Messages of one type cannot be read as messages of another one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[error("{reason}\n  expected: {expected}\n  found:    {found}")]
pub struct TypeMismatch {
    /// The receiver's type.
    pub expected: String,
    /// The type that was published, if the store knows it, and its sender.
    pub found: String,
    /// Whether the store knows the type that was published. If not, it may learn it from the next publisher.
    pub is_known: bool,
    /// Where the types differ, or why it is not known whether they do.
    pub reason: String,
}

/// Why a receive returned no message. The next call continues after the messages that the error
/// reports.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{KeyOptions, StoreOptions};
/// use splinter_bus::{Bus, RecvError};
///
/// # let name = format!("splinter-doc-recv-error-{}", std::process::id());
/// let store = StoreOptions::new().key_options(KeyOptions::new().history(2).spare(1)).create(&name)?;
/// let bus: Bus<Vec<u8>> = Bus::on(store);
/// let mut numbers = bus.subscribe("numbers")?;
/// for number in 0..5 {
///     bus.publish("numbers", &vec![number])?;
/// }
/// assert!(matches!(numbers.recv(), Err(RecvError::Lagged(2))));
/// assert_eq!(**numbers.recv()?, [2]);
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), splinter_bus::Error>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecvError {
    /// This many messages were overwritten before they were received, because publishers were
    /// faster than the subscriber.
    #[error(
        "{} overwritten before received: receive faster, subscribe without loss (SubscribeOptions::lossless), or create the key \
         with more history (KeyOptions::history), which must be set for values of more than 256 KiB",
        if *.0 == 1 { "1 message was".to_owned() } else { format!("{} messages were", .0) }
    )]
    Lagged(u64),
    /// The message expired before it was received: it is older than its ttl.
    #[error("message {id} from {from} expired: it was received {age:?} after it was sent, and its ttl is {ttl:?}")]
    Expired {
        /// The id of the message.
        id: Uuid,
        /// The sender's component id.
        from: String,
        /// The time since the message was sent.
        age: Duration,
        /// The ttl of the message.
        ttl: Duration,
    },
    /// The published bytes are not a frame, or the frame is damaged. Counted in the store's
    /// `parse_failures`.
    #[error("version {version} of {key:?} is not a valid message: {source}")]
    Frame {
        /// The key.
        key: String,
        /// The version of the message.
        version: u64,
        /// What is wrong with it.
        source: FrameError,
    },
    /// The message has another type, and cannot be read as one of the receiver's. Counted in the store's
    /// `parse_failures`.
    #[error("version {version} of {key:?} is of another type, and cannot be read: {source}")]
    OtherType {
        /// The key.
        key: String,
        /// The version of the message.
        version: u64,
        /// Both types, and where they differ.
        source: Box<TypeMismatch>,
    },
    /// The payload is not a valid message of the type that its fingerprint names. Counted in the
    /// store's `parse_failures`.
    #[error("version {version} of {key:?} cannot be decoded: {source}")]
    Decode {
        /// The key.
        key: String,
        /// The version of the message.
        version: u64,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A component reports that processing the message with this id failed.
    #[error("{} reports about message {}: {}", .0.envelope().from(), .0.envelope().id(), ***.0)]
    Fault(Box<Received<Fault>>),
    /// The key was removed together with all messages that were not received. The next call creates
    /// the key again.
    #[error(
        "the key {key:?} was removed from the store, and with it all messages that were not received: receive again to wait for new ones"
    )]
    Removed {
        /// The key.
        key: String,
    },
    /// The subscriber was lossless and was evicted ([`Store::evict`](crate::Store::evict)), because
    /// it kept publishers waiting. This is reported once. From then on the subscriber is not
    /// lossless and reports missed messages as [`Lagged`](Self::Lagged).
    #[error(
        "this subscriber was evicted from the lossless subscribers of {key:?}: messages from version {next} on may be missed; receive faster, \
         and subscribe again to be lossless"
    )]
    Evicted {
        /// The key.
        key: String,
        /// The version to receive next: all versions before it were received.
        next: u64,
    },
    /// The newest value of the key cannot be read.
    #[error("{key:?} cannot be read: {source}")]
    Get {
        /// The key.
        key: String,
        /// The cause. Never [`KeyError::Removed`] or [`KeyError::Forked`], which are
        /// [`RecvError::Removed`] and [`RecvError::Forked`], and never [`GetError::Claimed`].
        source: GetError,
    },
    /// The key was removed and could not be created again.
    #[error("the key was removed and cannot be created again: {0}")]
    Declare(#[source] SubscribeError),
    /// This is a child of the process that opened the store.
    #[error(transparent)]
    Forked(#[from] Forked),
}

impl RecvError {
    /// The code under which this error is reported on the bus; `None` if it does not concern other
    /// processes.
    #[must_use]
    pub fn fault(&self) -> Option<FaultCode> {
        match self {
            Self::Expired { .. } => Some(FaultCode::TtlExpired),
            Self::Frame { source, .. } => Some(source.fault()),
            Self::OtherType { .. } | Self::Decode { .. } => Some(FaultCode::BadSchema),
            Self::Fault(fault) => FaultCode::from_code(fault.code),
            _ => None,
        }
    }

    pub(super) fn of(error: GetError, key: &str) -> Self {
        let key = key.to_owned();
        match error {
            GetError::Key(KeyError::Removed) => Self::Removed { key },
            GetError::Key(KeyError::Forked(error)) => Self::Forked(error),
            GetError::Claimed { .. } => Self::Get { key, source: GetError::Overtaken },
            source => Self::Get { key, source },
        }
    }
}

/// Why a message of a work queue was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AcknowledgeError {
    /// The key, or the handle on it, cannot be used. If the key was removed, its messages were
    /// removed with it, processed or not.
    #[error("a message of {key:?} was not acknowledged: {source}")]
    Key {
        /// The key.
        key: String,
        /// The cause.
        source: KeyError,
    },
}

/// Why a wait for several sources did not begin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The set has more sources than the kernel can wait for.
    #[error("too many sources for one wait set: {given}, maximum {max}; use several sets, each in its own thread")]
    TooMany {
        /// The number of sources.
        given: usize,
        /// The largest possible number.
        max: usize,
    },
    /// This is a child of the process that made one of the sources.
    #[error(transparent)]
    Forked(#[from] Forked),
}
