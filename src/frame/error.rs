//! Why bytes are no frame, and why a message makes none.

use thiserror::Error;

use super::fault_code::FaultCode;
use super::header::{MAX_NAME_LEN, MAX_PAYLOAD_ALIGN, VERSION};
use super::kind::Kind;

/// Why bytes are not a frame that this version can read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Fewer bytes than a header.
    #[error("{len} bytes are fewer than the {} of a frame's header", super::HEADER_LEN)]
    TooShort {
        /// How many there are.
        len: usize,
    },
    /// The first two bytes are not a frame's.
    #[error(
        "the bytes begin with {found:#06x}, which no frame does: whoever published them does not speak this protocol"
    )]
    Magic {
        /// What they are.
        found: u16,
    },
    /// A frame of a newer version.
    #[error("the frame is of version {found}, and this reader knows versions to {VERSION}: update the reader")]
    NewerVersion {
        /// The frame's version.
        found: u8,
    },
    /// A frame of version 0, which never was.
    #[error("the frame is of version 0, which does not exist")]
    NoVersion,
    /// The frame's length is not that of the bytes.
    #[error("the frame says that it has {expected} bytes, and there are {found}")]
    Length {
        /// Header, names and payload as the header counts them.
        expected: u64,
        /// How many there are.
        found: usize,
    },
    /// The checksum is that of other bytes.
    #[error("the frame is damaged: its checksum is {expected:#010x}, that of its bytes {found:#010x}")]
    Checksum {
        /// The checksum in the frame.
        expected: u32,
        /// The checksum of the frame.
        found: u32,
    },
    /// There is no checksum, and the type of the message wants one.
    #[error(
        "the frame has no checksum, and messages of this type have one: their publisher's type was declared otherwise"
    )]
    Unsummed,
    /// The payload begins where it cannot.
    #[error("the payload cannot begin at byte {offset} when names of {names} bytes follow the header")]
    PayloadOffset {
        /// Where it should begin.
        offset: u16,
        /// The lengths of the three names together.
        names: usize,
    },
    /// A kind that this version does not know.
    #[error("the frame is of an unknown kind, {found}")]
    UnknownKind {
        /// Its number.
        found: u8,
    },
    /// An encoding that this version does not know.
    #[error("the payload is in an unknown encoding, {found}")]
    UnknownEncoding {
        /// Its number.
        found: u8,
    },
    /// A name that is not UTF-8.
    #[error("the name in `{field}` is not UTF-8")]
    Name {
        /// Which of the three.
        field: NameField,
    },
    /// A heartbeat with a payload, or anything else without one.
    #[error(
        "a frame of kind {kind} with a payload of {len} bytes: a heartbeat has no payload, all other kinds have one"
    )]
    Payload {
        /// The kind of the frame.
        kind: Kind,
        /// The payload's length in bytes.
        len: usize,
    },
}

impl FrameError {
    /// The number under which others on the bus are told.
    #[must_use]
    pub fn fault(&self) -> FaultCode {
        match self {
            Self::UnknownKind { .. } => FaultCode::UnknownType,
            _ => FaultCode::BadSchema,
        }
    }
}

/// One of the three names in an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameField {
    /// The sender.
    From,
    /// The recipient.
    To,
    /// The trace.
    Trace,
}

impl std::fmt::Display for NameField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::From => "from",
            Self::To => "to",
            Self::Trace => "trace",
        })
    }
}

/// Why a message makes no frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A name is too long.
    #[error("the name in `{field}` has {len} bytes: {MAX_NAME_LEN} is the most")]
    NameTooLong {
        /// Which of the three.
        field: NameField,
        /// Its length in bytes.
        len: usize,
    },
    /// The payload's alignment is none that a frame can have.
    #[error("a payload cannot be aligned to {align} bytes: a power of two up to {MAX_PAYLOAD_ALIGN} is possible")]
    Alignment {
        /// The alignment in bytes.
        align: usize,
    },
    /// The payload is longer than a frame can say.
    #[error("the payload has {len} bytes: a frame carries {} at most", u32::MAX)]
    PayloadTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A heartbeat with a payload, or anything else without one.
    #[error(
        "a message of kind {kind} with a payload of {len} bytes: a heartbeat has no payload, all other kinds have one"
    )]
    Payload {
        /// The kind of the message.
        kind: Kind,
        /// The payload's length in bytes.
        len: usize,
    },
}
