//! Messages: types that can be published, and their schemas.
//!
//! [`#[derive(Message)]`](macro@crate::Message) makes a type a [`Message`]; its page lists the
//! attributes. Types inside of it need a [`Schema`], which
//! [`#[derive(Schema)]`](macro@crate::Schema) implements.
//!
//! Sender and receiver compare [fingerprints](MessageType::fingerprint). A fingerprint covers the
//! type's name, version and encoding, and the names, order and types of its fields, also those of
//! types inside of it.

mod bytes;
mod encoding;
mod error;
mod fault;
mod schema;
mod schema_impls;
mod traits;

pub(crate) use encoding::private;
pub use error::{DecodeError, EncodeError};
pub use fault::Fault;
pub use schema::{Schema, SchemaWriter};
pub use traits::{Decode, DecodeOwned, InPlace, Message, MessageType, Plain};
