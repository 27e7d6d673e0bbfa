//! Schemas: the structure of types as data.
//!
//! [`#[derive(Schema)]`](macro@crate::Schema) and `#[derive(Message)]` implement [`Schema`]. From it,
//! two programs learn whether they mean the same type, and a receiver can read a message whose type it
//! does not have.

mod check;
mod compatible;
mod cursor;
mod error;
mod from_json;
mod impls;
mod name;
mod of_others;
mod path;
mod plain;
#[cfg(all(test, not(loom)))]
mod random;
mod read;
mod table;
mod text;
mod to_json;
mod validate;
mod value;
mod words;
mod writer;

pub use check::SchemaMismatch;
pub(crate) use check::check;
pub(crate) use compatible::compatible;
pub use compatible::{Compatibility, Difference};
pub use error::{ReadError, ReadReason};
pub use from_json::FromJsonError;
pub(crate) use from_json::{bytes_from_json, from_json, json_payload, plain_from_json};
pub use path::ValuePath;
pub(crate) use read::read;
pub use table::Table;
pub(crate) use to_json::{bytes_to_json, json_text, plain_to_json, to_json};
pub(crate) use validate::MAX_LEN;
pub use validate::SchemaError;
pub use writer::{FieldItem, FieldList, Schema, SchemaWriter, TypeRef, VariantItem};
