//! The traits of messages.

use std::borrow::Cow;

use super::error::{DecodeError, EncodeError};
use super::message_type::MessageType;
use crate::frame::{Encoding, Kind};
use crate::schema::{Schema, SchemaMismatch, Table};

/// A type that can be published. [`#[derive(Message)]`](macro@crate::Message) implements it; its
/// page lists the attributes.
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
    note = "if `{Self}` is a type of your crate, add `#[derive(splinter_bus::Message)]` to it; otherwise wrap it, as in \
            `#[derive(Message, Serialize, Deserialize)] struct Text(String);`, or publish bytes on a `Bus<Vec<u8>>`",
    note = "if `{Self}` already derives `Message`, also derive the traits of its encoding, such as `serde::Serialize` and `serde::Deserialize`"
)]
pub trait Message: Schema {
    /// The type's name on the bus, of a generic type without its arguments: see [`name`](Self::name).
    const NAME: &'static str;
    /// The version of the type, at first 1. Increase it when the meaning of the type changes.
    const VERSION: u32;
    /// The kind of its messages: what they are for.
    const KIND: Kind;
    /// The encoding of its payload.
    const ENCODING: Encoding;

    /// Whether its frames have a checksum. It detects damage by programs that do not follow the
    /// protocol. Its cost grows with the size of the message.
    const CHECKSUM: bool = true;

    /// The alignment of its payload in a store, in bytes: a power of two up to 64. For a [`Plain`]
    /// message, this is the alignment of the type.
    const PAYLOAD_ALIGN: usize = 1;

    /// Whether messages of other types can be read as this one, by the schemas of their senders. Derived; not
    /// for callers.
    #[doc(hidden)]
    const READS_BY_SCHEMA: bool = false;

    /// The type's name on the bus. A generic type has the names of its arguments in it: `Page<User>`.
    #[must_use]
    fn name() -> Cow<'static, str> {
        Cow::Borrowed(Self::NAME)
    }

    /// Names that the type had before. Receivers of the type accept messages of these types, as far as they
    /// can be read.
    ///
    /// An alias of a generic type is its former name without the arguments, `OldPage`, or with some, `OldPage<User>`.
    const ALIASES: &'static [&'static str] = &[];

    /// Appends the encoded message to `payload`.
    ///
    /// # Errors
    ///
    /// [`EncodeError`]: the encoding cannot represent the value. Then `payload` may contain a part
    /// of it.
    fn encode(&self, payload: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Computes the identity of the type: name, version, encoding, schema and fingerprint.
    #[must_use]
    fn message_type() -> MessageType {
        MessageType::of::<Self>()
    }

    /// Checks that the message is serialized as its schema says. Derived; not for callers.
    #[doc(hidden)]
    fn check_schema(&self, schema: &Table) -> Result<(), SchemaMismatch> {
        let _ = schema;
        Ok(())
    }
}

/// A message that can be decoded from a payload that lives for `'de`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message that can be decoded from a payload",
    label = "not a message",
    note = "add `#[derive(splinter_bus::Message)]` to `{Self}`"
)]
pub trait Decode<'de>: Message + Sized {
    /// Decodes the message, which must occupy all of `payload`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: the payload is not such a message.
    fn decode(payload: &'de [u8]) -> Result<Self, DecodeError>;

    /// Decodes a message that was written by this schema, within limits. Derived; not for callers.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: the payload is not such a message, or exceeds a limit.
    #[doc(hidden)]
    fn decode_by(schema: &Table, payload: &'de [u8]) -> Result<Self, DecodeError> {
        let _ = schema;
        Self::decode(payload)
    }
}

/// A message that borrows nothing from its payload, so that it can be received by copy.
/// [`#[derive(Message)]`](macro@crate::Message) implements it for types without lifetimes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be received by copy",
    label = "not a message that owns all its data",
    note = "if `{Self}` borrows (`&str`, `Cow<str>`), read it in place with `Bus::sample`, `recv_sample` and `Sample::view`, or \
            receive an owning type (`String`) with the same name and fields",
    note = "if `{Self}` is not a message, add `#[derive(splinter_bus::Message)]`"
)]
pub trait DecodeOwned: for<'de> Decode<'de> {}

/// A message that can be read in place. [`#[derive(Message)]`](macro@crate::Message) implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message that can be read in place",
    label = "not a message",
    note = "add `#[derive(splinter_bus::Message)]` to `{Self}`"
)]
pub trait InPlace: Message {
    /// What is read: a reference to the message if it is [`Plain`]; otherwise the message, which
    /// borrows from its payload where it can.
    type View<'a>
    where
        Self: 'a;

    /// Reads the message, which must occupy all of `payload`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: the payload is not such a message.
    fn view<'a>(payload: &'a [u8]) -> Result<Self::View<'a>, DecodeError>
    where
        Self: 'a;

    /// As [`view`](Self::view), for a message that was written by this schema, within limits. Derived;
    /// not for callers.
    #[doc(hidden)]
    fn view_by<'a>(schema: &Table, payload: &'a [u8]) -> Result<Self::View<'a>, DecodeError>
    where
        Self: 'a,
    {
        let _ = schema;
        Self::view(payload)
    }

    /// Reads the message in place if the type is [`Plain`], so that a sample checks it only once.
    /// Derived; not for callers.
    #[doc(hidden)]
    fn find_plain(payload: &[u8]) -> Result<Option<&Self>, DecodeError>
    where
        Self: Sized,
    {
        let _ = payload;
        Ok(None)
    }
}

/// A message whose payload is its own bytes, so that it can be read and written in place.
/// [`#[derive(Message)]`](macro@crate::Message) implements it if the encoding is `zerocopy` or
/// `bytemuck`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message whose payload is its own bytes",
    label = "its encoding is neither zerocopy nor bytemuck",
    note = "add `#[message(encoding = \"zerocopy\")]` or `#[message(encoding = \"bytemuck\")]` to `{Self}`"
)]
pub trait Plain: Message + Sized {
    /// Checks the payload and returns it as a message, which must occupy all of `payload`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: the payload is not such a message.
    fn of_payload(payload: &[u8]) -> Result<&Self, DecodeError>;

    /// The message's own bytes, which are its payload.
    fn as_payload(&self) -> &[u8];

    /// Like [`of_payload`](Self::of_payload), for a message that can be changed.
    ///
    /// # Errors
    ///
    /// Those of [`of_payload`](Self::of_payload).
    fn of_payload_mut(payload: &mut [u8]) -> Result<&mut Self, DecodeError>;
}
