//! `MessageType`: what two programs compare.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::traits::Message;
use crate::frame::{self, Encoding};
use crate::schema::{
    self, Compatibility, Difference, FromJsonError, MAX_LEN, ReadError, SchemaError, SchemaWriter, Table,
};

/// The identity of a message type. Types with the same fingerprint are the same type on the bus.
///
/// Displays as the name, version, encoding and fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageType {
    name: Cow<'static, str>,
    aliases: Vec<String>,
    version: u32,
    encoding: Encoding,
    align: usize,
    schema: Arc<Table>,
    description: String,
    fingerprint: u64,
    needs_limits: bool,
}

/// What a fingerprint is the hash of, with the wire part of the schema alone; and what a type is as bytes, with its
/// aliases behind.
#[derive(Serialize, Deserialize)]
struct Identity<'a> {
    name: Cow<'a, str>,
    version: u32,
    encoding: u8,
    /// Sender and receiver must use the same padding before the payload.
    align: usize,
    schema: Cow<'a, Table>,
}

/// The format of an [`Identity`] as bytes: the byte before them.
const FORMAT: u8 = 1;

impl Identity<'_> {
    fn to_bytes(&self) -> Vec<u8> {
        // It has nothing that postcard cannot encode, and a vector has room.
        postcard::to_extend(self, vec![FORMAT]).unwrap_or_default()
    }
}

impl MessageType {
    pub(super) fn of<T: Message + ?Sized>() -> Self {
        let schema = match T::ENCODING {
            Encoding::Zerocopy | Encoding::Bytemuck => SchemaWriter::plain_table_of::<T>(),
            Encoding::Raw | Encoding::Postcard | Encoding::Json => SchemaWriter::table_of::<T>(),
        };
        let align = T::PAYLOAD_ALIGN.max(frame::PAYLOAD_ALIGN);
        let name = T::name();
        let mut aliases: Vec<_> = T::ALIASES.iter().map(|&alias| alias.to_owned()).collect();
        if let Some(arguments) = name.strip_prefix(T::NAME).filter(|arguments| !arguments.is_empty()) {
            aliases.extend(T::ALIASES.iter().map(|alias| format!("{alias}{arguments}")));
        }
        Self::new(name, T::VERSION, T::ENCODING, align, schema).with_aliases(aliases)
    }

    fn with_aliases(self, aliases: Vec<String>) -> Self {
        Self { aliases, ..self }
    }

    fn new(name: Cow<'static, str>, version: u32, encoding: Encoding, align: usize, schema: Table) -> Self {
        let wire = schema.wire();
        let description = wire.to_string();
        let identity =
            Identity { name: name.as_ref().into(), version, encoding: encoding as u8, align, schema: Cow::Owned(wire) };
        Self {
            fingerprint: xxh3_64(&identity.to_bytes()),
            needs_limits: encoding == Encoding::Postcard && schema.needs_limits(),
            name,
            aliases: Vec::new(),
            version,
            encoding,
            align,
            schema: Arc::new(schema),
            description,
        }
    }

    /// The type as bytes, for another program or a file.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::Message;
    /// use splinter_bus::message::MessageType;
    ///
    /// #[derive(Message, serde::Serialize, serde::Deserialize)]
    /// struct Prompt { text: String }
    ///
    /// let bytes = Prompt::message_type().to_bytes();
    /// assert_eq!(MessageType::from_bytes(&bytes)?, Prompt::message_type());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (name, schema) = (self.name.as_ref().into(), Cow::Borrowed(&*self.schema));
        let identity =
            Identity { name, version: self.version, encoding: self.encoding as u8, align: self.align, schema };
        // As in `Identity::to_bytes`.
        postcard::to_extend(&self.aliases, identity.to_bytes()).unwrap_or_default()
    }

    /// The type that these bytes are, which may come from anybody.
    ///
    /// # Errors
    ///
    /// [`SchemaError`]: the bytes are no type, or one of more than 64 KiB or of more than 4,096 types.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SchemaError> {
        const DAMAGED: SchemaError = SchemaError::Damaged { what: "it is not such bytes as `to_bytes` makes" };
        if bytes.len() > MAX_LEN {
            return Err(SchemaError::TooLarge { found: bytes.len(), max: MAX_LEN, unit: "bytes" });
        }
        let (&format, bytes) = bytes.split_first().ok_or(DAMAGED)?;
        if format != FORMAT {
            return Err(SchemaError::Format { found: format, known: FORMAT });
        }
        let (identity, rest) = postcard::take_from_bytes::<Identity<'_>>(bytes).map_err(|_| DAMAGED)?;
        let (aliases, rest) = postcard::take_from_bytes::<Vec<String>>(rest).map_err(|_| DAMAGED)?;
        let encoding = Encoding::from_byte(identity.encoding).filter(|_| rest.is_empty()).ok_or(DAMAGED)?;
        identity.schema.validate()?;
        let schema = Table::normal(&identity.schema.nodes, 0);
        let name = identity.name.into_owned().into();
        Ok(Self::new(name, identity.version, encoding, identity.align, schema).with_aliases(aliases))
    }

    /// The type's name on the bus.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names that the type had before: see [`Message::ALIASES`]. Those of a generic type are there both without
    /// and with its arguments.
    #[must_use]
    pub fn aliases(&self) -> &[String] {
        &self.aliases
    }

    /// Whether a receiver of this type accepts messages of the type with this name.
    fn accepts(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// The type's version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The encoding of its payload.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The schema: the type's fields, and those of the types inside of it.
    #[must_use]
    pub fn schema(&self) -> &Table {
        &self.schema
    }

    pub(crate) fn shared_schema(&self) -> &Arc<Table> {
        &self.schema
    }

    /// The schema, if messages of the type are only decoded within limits.
    #[inline]
    pub(crate) fn limits(&self) -> Option<&Arc<Table>> {
        if self.needs_limits { Some(&self.schema) } else { None }
    }

    /// Writes the payload of a message of the type as JSON, which says all that the bytes say:
    /// [`from_json`](Self::from_json) makes the same bytes of it.
    ///
    /// Numbers of up to 64 bits are numbers, and those of 128 bits strings. Floats that are no numbers are
    /// `"NaN"`, `"inf"` and `"-inf"`. Bytes are strings in base64. Maps are objects if their keys are
    /// strings, and otherwise lists of pairs. `None` is `null`; `Some` of a value that may itself be `null`
    /// is in a list of one.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: the payload is not such a message, or exceeds a limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::Message;
    ///
    /// #[derive(Message, serde::Serialize, serde::Deserialize)]
    /// struct Prompt { text: String, stop: Option<char>, seed: u128 }
    ///
    /// let prompt = Prompt { text: "Why?".into(), stop: None, seed: 7 };
    /// let mut payload = Vec::new();
    /// prompt.encode(&mut payload)?;
    /// let json = Prompt::message_type().to_json(&payload)?;
    /// assert_eq!(json, r#"{"text":"Why?","stop":null,"seed":"7"}"#);
    /// assert_eq!(Prompt::message_type().from_json(&json)?, payload);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_json(&self, payload: &[u8]) -> Result<String, ReadError> {
        let mut out = String::new();
        match self.encoding {
            Encoding::Raw => schema::bytes_to_json(payload, &mut out),
            Encoding::Postcard => schema::to_json(&self.schema, payload, &mut out)?,
            Encoding::Zerocopy | Encoding::Bytemuck => schema::plain_to_json(&self.schema, payload, &mut out)?,
            Encoding::Json => out.push_str(schema::json_text(payload)?),
        }
        Ok(out)
    }

    /// Makes the payload of a message out of JSON in the form of [`to_json`](Self::to_json). Fields may
    /// stand in any order, and a field that is an `Option` may be left out.
    ///
    /// # Errors
    ///
    /// [`FromJsonError`]: the text is no such message. It says where.
    pub fn from_json(&self, json: &str) -> Result<Vec<u8>, FromJsonError> {
        match self.encoding {
            Encoding::Raw => schema::bytes_from_json(json),
            Encoding::Postcard => schema::from_json(&self.schema, json),
            Encoding::Zerocopy | Encoding::Bytemuck => schema::plain_from_json(&self.schema, json),
            Encoding::Json => schema::json_payload(json),
        }
    }

    /// Whether a receiver of another type can read messages of this one, by the schemas of both.
    ///
    /// The receiver must have the name of the sender, or have it as an [alias](Message::ALIASES). Both must
    /// have the same version and encoding, and in other encodings than postcard the same schema.
    ///
    /// In postcard, fields go by name: their order is free; a field that the receiver does not have is skipped,
    /// unless it denies unknown fields; one that the sender does not have must be an `Option`, or have a
    /// `#[serde(default)]`. Variants go by name, too; one that the receiver does not have is read as its
    /// `#[serde(other)]`, or cannot be read. Integers may become wider, and a `T` an `Option<T>`. Types inside
    /// of a message are compared by their structure, whatever their names.
    ///
    /// What code does is not known here: a `Deserialize` by hand, a function that `#[serde(with = ...)]` names,
    /// or the type inside of a [`Json`](crate::message::Json) may refuse more. Of a message in JSON, nothing but its
    /// name and version is known.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::Message;
    /// use splinter_bus::schema::Compatibility;
    ///
    /// mod old {
    ///     #[derive(splinter_bus::Message, serde::Serialize, serde::Deserialize)]
    ///     pub struct Prompt { text: String, max_tokens: u16 }
    /// }
    ///
    /// #[derive(Message, serde::Serialize, serde::Deserialize)]
    /// struct Prompt { max_tokens: u32, text: String, stop: Option<char> }
    ///
    /// let (old, new) = (old::Prompt::message_type(), Prompt::message_type());
    /// assert_eq!(old.compatible_with(&new), Compatibility::Yes);
    /// let Compatibility::Partly(differences) = new.compatible_with(&old) else { panic!("not always") };
    /// assert_eq!(differences[0].to_string(), "at `max_tokens`, the sender's u32 may not fit into the receiver's u16");
    /// ```
    pub fn compatible_with(&self, receiver: &Self) -> Compatibility {
        let differ = |what: &str, found: &dyn fmt::Display, wanted: &dyn fmt::Display| {
            let reason = format!("the sender's {what} is {found}, the receiver's is {wanted}");
            Compatibility::No(Difference::whole(reason))
        };
        if self.fingerprint == receiver.fingerprint {
            Compatibility::Yes
        } else if !receiver.accepts(&self.name) {
            differ("type", &self.name, &receiver.name)
        } else if self.version != receiver.version {
            differ("version", &self.version, &receiver.version)
        } else if self.encoding != receiver.encoding {
            differ("encoding", &self.encoding, &receiver.encoding)
        } else if self.encoding == Encoding::Postcard {
            schema::compatible(&self.schema, &receiver.schema)
        } else if self.schema.wire_without_name() == receiver.schema.wire_without_name() {
            Compatibility::Yes
        } else {
            let reason = format!("messages in {} are read by their own type only", self.encoding);
            Compatibility::No(Difference::whole(reason))
        }
    }

    /// The schema as text.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The hash of name, version, encoding and schema, which each frame carries.
    ///
    /// It is the XXH3 hash of 64 bits, of the [wire part](crate::schema::Table) of the schema in
    /// postcard. It tells types apart that differ by mistake; it is no defence against somebody who
    /// wants two types to have one fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{} ({}, fingerprint {:016x})", self.name, self.version, self.encoding, self.fingerprint)
    }
}
