//! Messages: types that travel in frames, and what makes one type the same as another.
//!
//! A type becomes a [`Message`] by [`#[derive(Message)]`](macro@crate::Message), which lists the attributes; types inside of it need a
//! [`Schema`], by [`#[derive(Schema)]`](macro@crate::Schema). Both ends compare [fingerprints](MessageType::fingerprint), which cover the
//! type's name and version, its encoding and, all the way down, the names, order and types of fields.

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
