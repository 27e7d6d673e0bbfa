//! Errors of reading and writing frames.

use thiserror::Error;

use super::fault_code::FaultCode;
use super::kind::Kind;

/// Why bytes are not a frame that this version can read, or why a message does not fit into a
/// frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// There are fewer bytes than in a header.
    #[error("too short for a frame: {len} bytes, its header alone has {header}")]
    TooShort {
        /// The number of bytes.
        len: usize,
        /// The length of a header in bytes.
        header: usize,
    },
    /// The first two bytes are not the magic number of a frame.
    #[error("the bytes begin with {found:#06x}, which no frame does: they were published by another protocol")]
    Magic {
        /// The first two bytes.
        found: u16,
    },
    /// This reader does not know the frame's version.
    #[error("{}", version(*found, *newest))]
    Version {
        /// The frame's version.
        found: u8,
        /// The newest version that this reader knows.
        newest: u8,
    },
    /// The length in the header is not the number of bytes.
    #[error("the frame says that it has {expected} bytes, and there are {found}")]
    Length {
        /// The length of header, names and payload, as the header says.
        expected: u64,
        /// The number of bytes.
        found: usize,
    },
    /// The checksum in the frame is not the checksum of its bytes.
    #[error("the frame is damaged: its checksum is {expected:#010x}, that of its bytes {found:#010x}")]
    Checksum {
        /// The checksum in the frame.
        expected: u32,
        /// The checksum of its bytes.
        found: u32,
    },
    /// The frame has no checksum, and the type of the message requires one.
    #[error(
        "the frame has no checksum, and messages of this type have one: the publisher's type has `checksum = false`"
    )]
    NoChecksum,
    /// The offset of the payload is not possible.
    #[error("the payload cannot begin at byte {offset}, because names of {names} bytes follow the header")]
    PayloadOffset {
        /// The offset in the header.
        offset: usize,
        /// The lengths of the four names together.
        names: usize,
    },
    /// This version does not know the kind.
    #[error("the frame is of an unknown kind, {found}")]
    UnknownKind {
        /// The number of the kind.
        found: u8,
    },
    /// This version does not know the encoding.
    #[error("the payload is in an unknown encoding, {found}")]
    UnknownEncoding {
        /// The number of the encoding.
        found: u8,
    },
    /// A name in a received frame is not UTF-8.
    #[error("the name in `{field}` is not UTF-8")]
    Name {
        /// Which name.
        field: NameField,
    },
    /// A name is too long for a frame.
    #[error("the name in `{field}` is too long: {len} bytes, maximum {max}")]
    NameTooLong {
        /// Which name.
        field: NameField,
        /// Its length in bytes.
        len: usize,
        /// The largest length in bytes.
        max: usize,
    },
    /// A heartbeat has a payload, or a frame of another kind has none.
    #[error(
        "a frame of kind {kind} with a payload of {len} bytes: a heartbeat has no payload, all other kinds have one"
    )]
    Payload {
        /// The kind of the frame.
        kind: Kind,
        /// The payload's length in bytes.
        len: usize,
    },
    /// The payload is too long for a frame.
    #[error("payload too long: {len} bytes, maximum {}", u32::MAX)]
    PayloadTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A frame cannot align its payload in this way.
    #[error("a payload cannot be aligned to {align} bytes: a power of two up to {max} is possible")]
    Alignment {
        /// The alignment in bytes.
        align: usize,
        /// The largest alignment in bytes.
        max: usize,
    },
}

fn version(found: u8, newest: u8) -> String {
    match found {
        0 => "the frame is of version 0, which does not exist".to_owned(),
        _ => {
            format!("the frame is of version {found}, and this reader knows versions up to {newest}: update the reader")
        }
    }
}

impl FrameError {
    /// The code under which this error is reported on the bus.
    #[must_use]
    pub fn fault(&self) -> FaultCode {
        match self {
            Self::UnknownKind { .. } => FaultCode::UnknownType,
            _ => FaultCode::BadSchema,
        }
    }
}

/// A name in an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameField {
    /// The sender.
    From,
    /// The recipient.
    To,
    /// The trace.
    Trace,
    /// Where answers are expected.
    ReplyTo,
}

impl std::fmt::Display for NameField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::From => "from",
            Self::To => "to",
            Self::Trace => "trace",
            Self::ReplyTo => "reply_to",
        })
    }
}
