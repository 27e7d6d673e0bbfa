//! What can go wrong on the bus, one enum for each kind of operation.

use std::time::Duration;

use thiserror::Error;
use uuid::Uuid;

use super::received::Received;
use crate::frame::{FaultCode, FrameError, WriteError};
use crate::message::{DecodeError, EncodeError, Fault};
use crate::store::by_key::look_up::KeyRemoved;
use crate::store::error::{LosslessError, no_cell, no_second_mapping};
use crate::store::{CellCounts, DirectoryError, Forked, GetError, KeyError, LoanError, SetError, SlotError};

/// Why a message was not published. The message is still the caller's.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Not a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The message cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The envelope or the payload does not fit into a frame.
    #[error(transparent)]
    Frame(#[from] WriteError),
    /// The publisher's ttl cannot be said in milliseconds.
    #[error(
        "a ttl of {ttl:?} is impossible: it must be 1 ms to 49.7 days ({} ms); set another one, or none for messages that do not expire",
        u32::MAX
    )]
    Ttl {
        /// The ttl that was set.
        ttl: Duration,
    },
    /// A stream has as many messages as can be numbered, but for its last one.
    #[error("the stream has {} messages, and only one more can be numbered: finish it, and begin another", u32::MAX)]
    StreamTooLong,
    /// The frame is larger than the store's cells.
    #[error(
        "the message does not fit: with its envelope it has {len} bytes, and this store's max_value_size is {max}; \
         send less, or create the store with a larger max_value_size"
    )]
    TooLarge {
        /// The length of the frame in bytes: envelope and payload.
        len: usize,
        /// The largest value of this store in bytes.
        max: usize,
    },
    /// The message is so large that its first parts would be overwritten before its last.
    #[error(
        "the message does not fit: with its envelope it has {len} bytes, which makes {parts} parts, and this store keeps {history} of a \
         key; send less, create the store with a larger max_value_size or more history, or have all subscribers be lossless and \
         publish with a timeout"
    )]
    TooManyParts {
        /// The length of the frame in bytes: envelope and payload.
        len: usize,
        /// How many parts it makes.
        parts: usize,
        /// How many versions of a key the store keeps.
        history: u32,
    },
    /// Every slot has a key.
    #[error("all {slots} slots of the store have keys: unset one, or create a store with more slots")]
    Full {
        /// The number of slots.
        slots: u32,
    },
    /// The store could not be mapped a second time, for what is lent.
    #[error("{}", no_second_mapping(.0))]
    Mapping(#[source] std::io::Error),
    /// No cell may be overwritten: each is pinned, in the hands of a writer or on loan, or holds what a lossless subscriber or a work
    /// queue is still to receive.
    #[error("{}", no_cell(.0))]
    Backpressure(CellCounts),
    /// The key was removed, again and again, or while its message was on loan.
    #[error("the key was removed from the store each time it was to be published to: publish again")]
    Removed,
    /// The key's slot has published as many versions as it can count.
    #[error("the slot of this key has used up its 2^48 versions: create a new store")]
    Exhausted,
    /// The directory of keys could not be locked.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// This is a child of the process that opened the store.
    #[error(transparent)]
    Forked(#[from] Forked),
}

/// Why a subscriber could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// Not a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Every slot has a key.
    #[error("all {slots} slots of the store have keys: unset one, or create a store with more slots")]
    Full {
        /// The number of slots.
        slots: u32,
    },
    /// As many lossless subscribers of the key as it has room for are there.
    #[error(
        "the key has {max} lossless subscribers, which is all it has room for: end one, or create the store with more `lossless`"
    )]
    TooManyLossless {
        /// How many there can be.
        max: u32,
    },
    /// Others removed the key each time that it had been created.
    #[error("the key was removed each time it was created: stop the process that removes it, or try again")]
    Removed,
    /// The key's words contradict each other.
    #[error("the slot of this key is damaged: something other than splinter-bus wrote into the store; create it anew")]
    Damaged,
    /// The directory of keys could not be locked.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// This is a child of the process that opened the store.
    #[error(transparent)]
    Forked(#[from] Forked),
}

/// Why there is no valid message. Each stands for messages that were passed: the next call goes on after them.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecvError {
    /// Publishers were faster, and this many messages were overwritten before they were received.
    #[error(
        "{0} messages were overwritten before they were received: receive faster, or create the store with more history"
    )]
    Lagged(u64),
    /// A part of a message that is larger than a cell did not come in time, or was overwritten.
    #[error(
        "message {id} from {from} is incomplete: {received} of {total} bytes came, and the next part did not come in time or was \
         overwritten; have it sent again"
    )]
    Incomplete {
        /// Its id.
        id: Uuid,
        /// Its sender.
        from: String,
        /// How many bytes of its frame came.
        received: usize,
        /// How many there should be.
        total: usize,
    },
    /// The message's ttl ran out before it was received.
    #[error("message {id} from {from} was received {age:?} after it was sent, and was to be discarded after {ttl:?}")]
    Expired {
        /// Its id.
        id: Uuid,
        /// Its sender.
        from: String,
        /// How old it is.
        age: Duration,
        /// How old it might have been.
        ttl: Duration,
    },
    /// What was published is not a frame, or is a damaged one. Counted in the store's `parse_failures`.
    #[error("version {version} of {key:?} is not a valid message: {source}")]
    Frame {
        /// The key.
        key: String,
        /// Its version.
        version: u64,
        /// What is wrong with it.
        source: FrameError,
    },
    /// A message of another type. Counted in the store's `parse_failures`.
    #[error(
        "version {version} of {key:?} is of another type than expected\n  expected: {expected}\n  found:    {found}"
    )]
    OtherType {
        /// The key.
        key: String,
        /// Its version.
        version: u64,
        /// The type that was to be received.
        expected: String,
        /// The type that was published, as far as the store knows it.
        found: String,
    },
    /// The payload is not what its fingerprint promises. Counted in the store's `parse_failures`.
    #[error("version {version} of {key:?} cannot be decoded: {source}")]
    Decode {
        /// The key.
        key: String,
        /// Its version.
        version: u64,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// Somebody says that something went wrong with the message of this id.
    #[error("{} reports of message {}: {}", .0.from(), .0.id(), ***.0)]
    Fault(Box<Received<Fault>>),
    /// The key was removed, and with it what had not been received. The next call waits for the key's next life.
    #[error("the key {key:?} was removed from the store, and with it any message that had not been received")]
    Removed {
        /// The key.
        key: String,
    },
    /// The subscriber was lossless, and was evicted ([`Store::evict`](crate::Store::evict)) because it held publishers up. Reported once; from here on
    /// the subscriber is not lossless, and what it misses is [`Lagged`](Self::Lagged).
    #[error(
        "this subscriber was evicted from the lossless subscribers of {key:?}: messages from version {next} on may be missed; receive faster, \
         and subscribe again to be lossless"
    )]
    Evicted {
        /// The key.
        key: String,
        /// The version that is to be received next: all before it were received.
        next: u64,
    },
    /// Not a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The newest message was lost when the machine stopped, and no older one is whole.
    #[error("the newest message of {key:?} was lost when the machine stopped, or while its file was copied")]
    Lost {
        /// The key.
        key: String,
    },
    /// Publishers replaced the key's values, or other workers took them, each time that one was to be read. Nothing is wrong with the key.
    #[error(
        "others replaced or took the values of {key:?} faster than one could be read: try again, or create the store with more \
         history or spare"
    )]
    Overtaken {
        /// The key.
        key: String,
    },
    /// The slot of this key is damaged.
    #[error("the slot of {key:?} is damaged: something other than splinter-bus wrote into the store; create it anew")]
    Damaged {
        /// The key.
        key: String,
    },
    /// The key, which was removed, could not be declared again.
    #[error("the key was removed and cannot be declared again: {0}")]
    Declare(#[source] SubscribeError),
    /// This is a child of the process that opened the store.
    #[error(transparent)]
    Forked(#[from] Forked),
}

/// Why a message of a work queue was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AcknowledgeError {
    /// The key was removed, and the message with it: nobody else will get it.
    #[error("the key {key:?} was removed from the store, and its messages with it, handled or not")]
    Removed {
        /// The key.
        key: String,
    },
    /// The store says that somebody else has the message, or that it is done, which cannot be.
    #[error("the slot of {key:?} is damaged: something other than splinter-bus wrote into the store; create it anew")]
    Damaged {
        /// The key.
        key: String,
    },
    /// This is a child of the process that took the message, whose it still is.
    #[error(transparent)]
    Forked(#[from] Forked),
}

/// Why nothing was waited for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WaitError {
    /// More sources than the kernel waits for at a time.
    #[error("{given} sources are too many for one set: {max} is the most; use several sets, one to a thread")]
    TooMany {
        /// How many there are.
        given: usize,
        /// How many there may be.
        max: usize,
    },
    /// This is a child of the process that made one of the sources.
    #[error(transparent)]
    Forked(#[from] Forked),
}

impl RecvError {
    /// The number under which others on the bus are told, if it concerns them.
    #[must_use]
    pub fn fault(&self) -> Option<FaultCode> {
        match self {
            Self::Expired { .. } => Some(FaultCode::TtlExpired),
            Self::Incomplete { .. } => Some(FaultCode::StreamTimeout),
            Self::Frame { source, .. } => Some(source.fault()),
            Self::OtherType { .. } | Self::Decode { .. } => Some(FaultCode::BadSchema),
            Self::Fault(fault) => FaultCode::from_code(fault.code),
            _ => None,
        }
    }
}

impl PublishError {
    pub(super) fn of(error: SetError) -> Self {
        match error {
            SetError::Key(error) => Self::Key(error),
            SetError::TooLarge { len, max } => Self::TooLarge { len, max },
            SetError::Full { slots } => Self::Full { slots },
            SetError::Backpressure(cells) => Self::Backpressure(cells),
            // A publisher declares a removed key again, so this is for as long as others remove it.
            SetError::Removed => Self::Removed,
            SetError::Exhausted => Self::Exhausted,
            SetError::Directory(error) => Self::Directory(error),
            SetError::Forked(error) => Self::Forked(error),
        }
    }
}

impl From<LoanError> for PublishError {
    fn from(error: LoanError) -> Self {
        match error {
            LoanError::Set(error) => Self::of(error),
            LoanError::Mapping(error) => Self::Mapping(error),
        }
    }
}

impl From<SlotError> for PublishError {
    fn from(error: SlotError) -> Self {
        Self::of(error.into())
    }
}

impl From<LosslessError> for SubscribeError {
    fn from(error: LosslessError) -> Self {
        match error {
            LosslessError::Removed => Self::Removed,
            LosslessError::TooMany { max } => Self::TooManyLossless { max },
            LosslessError::Forked(error) => Self::Forked(error),
        }
    }
}

impl From<GetError> for SubscribeError {
    fn from(error: GetError) -> Self {
        match error {
            GetError::Removed => Self::Removed,
            GetError::Forked(error) => Self::Forked(error),
            _ => Self::Damaged,
        }
    }
}

impl KeyRemoved for SubscribeError {
    const REMOVED: Self = Self::Removed;

    fn is_removed(&self) -> bool {
        matches!(self, Self::Removed)
    }
}

impl KeyRemoved for PublishError {
    const REMOVED: Self = Self::Removed;

    fn is_removed(&self) -> bool {
        matches!(self, Self::Removed)
    }
}

impl From<SlotError> for SubscribeError {
    fn from(error: SlotError) -> Self {
        match error {
            SlotError::Key(error) => Self::Key(error),
            SlotError::Full { slots } => Self::Full { slots },
            SlotError::Directory(error) => Self::Directory(error),
            SlotError::Forked(error) => Self::Forked(error),
        }
    }
}

impl RecvError {
    pub(super) fn of(error: GetError, key: &str) -> Self {
        let key = key.to_owned();
        match error {
            GetError::Key(error) => Self::Key(error),
            GetError::Removed => Self::Removed { key },
            GetError::Lost => Self::Lost { key },
            GetError::Overtaken | GetError::Claimed { .. } => Self::Overtaken { key },
            GetError::Damaged => Self::Damaged { key },
            GetError::Forked(error) => Self::Forked(error),
        }
    }
}
