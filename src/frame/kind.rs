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
        [Self::Query, Self::Response, Self::Event, Self::Error, Self::Heartbeat]
            .into_iter()
            .find(|&kind| kind as u8 == byte)
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
        [Self::Raw, Self::Postcard, Self::Zerocopy, Self::Bytemuck].into_iter().find(|&it| it as u8 == byte)
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
