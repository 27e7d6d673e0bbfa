//! What a frame is for, and how its payload is encoded.

use std::fmt;

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Asks for responses.
    Query = 1,
    /// Answers a query, whose id it carries; one of several chunks, or the only one.
    Response = 2,
    /// Tells something to whoever listens.
    Event = 3,
    /// Says what went wrong with the message whose id it carries.
    Error = 4,
    /// Says that its sender is alive. Has no payload, and is the only kind that has none.
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

    /// The name, as in the envelope's `type` field.
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

/// How a payload is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// Bytes of the sender's own making.
    Raw = 0,
    /// `postcard`: for messages with strings, vectors and the like.
    Postcard = 1,
    /// The message's own bytes, checked by `zerocopy`.
    Zerocopy = 2,
    /// The message's own bytes, checked by `bytemuck`.
    Bytemuck = 3,
}

impl Encoding {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Raw,
            1 => Self::Postcard,
            2 => Self::Zerocopy,
            3 => Self::Bytemuck,
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
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
