//! The derive macros of `splinter-bus`; use them through that crate.
//!
//! The way through: `model` reads attributes and shape into a small model, `validate` finds what is wrong with it, `emit`
//! writes the implementations. Errors point at what is wrong, and all of them are told at once.

mod emit;
mod model;
mod validate;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a type a message.
///
/// Attributes, all optional: `#[message(encoding = "postcard" | "zerocopy" | "bytemuck", kind = "query" | "response" |
/// "event" | "error" | "heartbeat", topic = "...", name = "...", version = n, crate = "path")]`. Without them: postcard, an
/// event, no topic, the type's own name, version 1. On a field, `#[message(schema = "...")]` tells what its type is made
/// of when that type cannot.
///
/// The encoding's own traits must be there: `serde::Serialize` and `serde::Deserialize`; or `zerocopy::IntoBytes`,
/// `TryFromBytes`, `KnownLayout` and `Immutable`; or `bytemuck::NoUninit` and `CheckedBitPattern`, which `Pod` implies.
#[proc_macro_derive(Message, attributes(message))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let tokens = model::Input::new(input).and_then(|input| {
        validate::message(&input)?;
        Ok(emit::message(&input))
    });
    tokens.unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Tells what a type inside of a message is made of.
///
/// Attributes: `#[message(name = "...", crate = "path")]`; on a field, `#[message(schema = "...")]`.
#[proc_macro_derive(Schema, attributes(message))]
pub fn derive_schema(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let tokens = model::Input::new(input).and_then(|input| {
        validate::schema(&input)?;
        Ok(emit::schema(&input))
    });
    tokens.unwrap_or_else(|error| error.to_compile_error()).into()
}
