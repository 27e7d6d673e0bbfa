//! What a type must do to travel.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

use super::error::{DecodeError, EncodeError};
use super::schema::{Schema, SchemaWriter};
use crate::frame::{self, Encoding, Kind};

/// A type that can be published. Derive it, by [`#[derive(Message)]`](macro@crate::Message), which lists the attributes.
///
/// # Examples
///
/// ```
/// use splinter_bus::{Message, frame::Kind};
///
/// #[derive(Message, serde::Serialize, serde::Deserialize)]
/// #[message(kind = "query", version = 2)]
/// struct Prompt {
///     text: String,
///     max_tokens: u32,
/// }
///
/// assert_eq!(Prompt::KIND, Kind::Query);
/// let prompt = Prompt::message_type();
/// assert_eq!(prompt.description(), "Prompt{text:String,max_tokens:u32}");
/// assert_eq!((prompt.name(), prompt.version()), ("Prompt", 2));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    label = "not a message",
    note = "add `#[derive(splinter_bus::Message)]` to `{Self}` if it is yours; else put it into a type that is, such as \
            `#[derive(Message, Serialize, Deserialize)] struct Text(String);`, or publish bytes on a `Bus<Vec<u8>>`",
    note = "if `{Self}` derives `Message` already: derive the traits of its encoding, too, such as `serde::Serialize` and `serde::Deserialize`"
)]
pub trait Message: Schema {
    /// The type's name on the bus.
    const NAME: &'static str;
    /// The version of the type, to be raised when it changes its meaning; 1 at first.
    const VERSION: u32;
    /// What its messages are for.
    const KIND: Kind;
    /// How its payload is encoded.
    const ENCODING: Encoding;

    /// Whether its frames carry a checksum, which guards against damage by programs that do not keep to the protocol. Its cost grows
    /// with the size of the message.
    const CHECKSUM: bool = true;

    /// What the address of its payload in a store is a multiple of: a power of two up to 64. For a [`Plain`] message this is the alignment of the
    /// type.
    const PAYLOAD_ALIGN: usize = 1;

    /// Appends the encoded message to `payload`.
    ///
    /// # Errors
    ///
    /// [`EncodeError`]: the encoding cannot express the value. `payload` may hold a part of it then.
    fn encode(&self, payload: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// What the type is to others. Computed anew by each call.
    #[must_use]
    fn message_type() -> MessageType {
        let mut description = SchemaWriter::describe::<Self>();
        // Both ends must leave the same space before the payload.
        if Self::PAYLOAD_ALIGN > frame::PAYLOAD_ALIGN {
            description.push_str(&format!("; align {}", Self::PAYLOAD_ALIGN));
        }
        MessageType::new(Self::NAME, Self::VERSION, Self::ENCODING, description)
    }
}

/// A message that can be decoded from a payload that lives for `'de`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message that can be decoded from a payload",
    label = "not a message",
    note = "add `#[derive(splinter_bus::Message)]` to `{Self}`"
)]
pub trait Decode<'de>: Message + Sized {
    /// The message that is all of `payload`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: the payload is no such message.
    fn decode(payload: &'de [u8]) -> Result<Self, DecodeError>;
}

/// A message that borrows nothing from its payload, so that it can be received by copy. Derived, as part of [`Message`], for each type
/// without lifetimes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be received by copy",
    label = "not a message that owns all that it contains",
    note = "if `{Self}` borrows (`&str`, `Cow<str>`): read it in place, with `Bus::sample`, `recv_sample` and `Sample::view`, or \
            receive a type that owns (`String`) and has the same name and fields",
    note = "if `{Self}` is not a message: add `#[derive(splinter_bus::Message)]`"
)]
pub trait DecodeOwned: for<'de> Decode<'de> {}

/// A message that is looked at where its payload lies. Derive it, as part of [`Message`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message that can be read in place",
    label = "not a message",
    note = "add `#[derive(splinter_bus::Message)]` to `{Self}`"
)]
pub trait InPlace: Message {
    /// What is seen: a reference to the message if it is [`Plain`]; else the message, borrowing what it can from its payload.
    type View<'a>
    where
        Self: 'a;

    /// The message that is all of `payload`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: the payload is no such message.
    fn view<'a>(payload: &'a [u8]) -> Result<Self::View<'a>, DecodeError>
    where
        Self: 'a;

    /// The message that is all of `payload`, where it lies, if the type is [`Plain`]: so that samples check it once. Derived; not to be called.
    #[doc(hidden)]
    fn find_plain(payload: &[u8]) -> Result<Option<&Self>, DecodeError>
    where
        Self: Sized,
    {
        let _ = payload;
        Ok(None)
    }
}

/// A message whose bytes are its payload: read and written in place. Derive it, as part of [`Message`] with the encoding `zerocopy` or
/// `bytemuck`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message whose bytes are its payload",
    label = "neither zerocopy nor bytemuck is its encoding",
    note = "add `#[message(encoding = \"zerocopy\")]` or `#[message(encoding = \"bytemuck\")]` to `{Self}`"
)]
pub trait Plain: Message + Sized {
    /// The message that is all of `payload`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: the payload is no such message.
    fn of_payload(payload: &[u8]) -> Result<&Self, DecodeError>;

    /// The bytes that are the message's payload.
    fn as_payload(&self) -> &[u8];

    /// As [`of_payload`](Self::of_payload), to be changed.
    ///
    /// # Errors
    ///
    /// As [`of_payload`](Self::of_payload).
    fn of_payload_mut(payload: &mut [u8]) -> Result<&mut Self, DecodeError>;
}

/// What a message's type is to others: two types with one fingerprint are the same.
///
/// Displays as the name, version, encoding and fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageType {
    name: &'static str,
    version: u32,
    encoding: Encoding,
    description: String,
    fingerprint: u64,
}

impl MessageType {
    fn new(name: &'static str, version: u32, encoding: Encoding, description: String) -> Self {
        let fingerprint = xxh3_64(format!("{name}/{version}/{encoding}/{description}").as_bytes());
        Self { name, version, encoding, description, fingerprint }
    }

    /// The type's name on the bus.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The type's version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// How its payload is encoded.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// What it is made of.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The number that stands for all of this in a frame.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// What a store remembers of the type, for those who meet a message of it and expect another.
    pub(crate) fn summary(&self) -> String {
        format!("{} v{} ({}) {}", self.name, self.version, self.encoding, self.description)
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{} ({}, fingerprint {:016x})", self.name, self.version, self.encoding, self.fingerprint)
    }
}
