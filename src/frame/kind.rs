//! The kinds of messages, and the encodings of their payloads.

use std::fmt;

/// The kind of a message: what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A request for responses.
    Query = 1,
    /// An answer to a query, with the id of the query. A stream of them can answer one query.
    Response = 2,
    /// Information for all subscribers.
    Event = 3,
    /// A report that processing a message failed. It has the id of that message.
    Error = 4,
    /// A sign that its sender is alive. Only heartbeats have no payload.
    Heartbeat = 5,
}

impl Kind {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Query,
            2 => Self::Response,
            3 => Self::Event,
            4 => Self::Error,
            5 => Self::Heartbeat,
            _ => return None,
        })
    }

    /// The name, as in the `type` field of the JSON form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Response => "response",
            Self::Event => "event",
            Self::Error => "error",
            Self::Heartbeat => "heartbeat",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The encoding of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// Bytes whose meaning only sender and receiver know.
    Raw = 0,
    /// `postcard`, for messages with strings, vectors, and other types of serde.
    Postcard = 1,
    /// The message's own bytes, checked by the crate `zerocopy`.
    Zerocopy = 2,
    /// The message's own bytes, checked by the crate `bytemuck`.
    Bytemuck = 3,
    /// JSON text, for types that the others cannot express.
    Json = 4,
}

impl Encoding {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Raw,
            1 => Self::Postcard,
            2 => Self::Zerocopy,
            3 => Self::Bytemuck,
            4 => Self::Json,
            _ => return None,
        })
    }

    /// The name, as in `#[message(encoding = "...")]`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Postcard => "postcard",
            Self::Zerocopy => "zerocopy",
            Self::Bytemuck => "bytemuck",
            Self::Json => "json",
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
