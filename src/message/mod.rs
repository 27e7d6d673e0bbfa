//! Messages: types that can be published, and their schemas.
//!
//! [`#[derive(Message)]`](macro@crate::Message) makes a type a [`Message`]; its page lists the
//! attributes. Types inside of it need a [`Schema`](crate::schema::Schema), which
//! [`#[derive(Schema)]`](macro@crate::Schema) implements.
//!
//! Sender and receiver compare [fingerprints](MessageType::fingerprint). A fingerprint covers the
//! type's name, version and encoding, and its [schema](crate::schema).

mod bytes;
mod encoding;
mod error;
mod fault;
mod frame_json;
mod json;
mod message_type;
mod traits;

pub(crate) use encoding::private;
pub use error::{DecodeError, EncodeError};
pub use fault::Fault;
pub(crate) use frame_json::{EnvelopeFields, FrameJson};
pub use json::Json;
pub use message_type::MessageType;
pub use traits::{Decode, DecodeOwned, InPlace, Message, Plain};
