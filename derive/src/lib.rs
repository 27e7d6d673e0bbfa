//! The derive macros of `splinter-bus`. Use them through that crate.
//!
//! `model` parses the attributes and the type into a small model (those of serde in
//! `serde_attributes`), `validate` finds errors in it, `emit` writes the implementations, and
//! `emit_schema` that of `Schema`. Errors point at their cause, and all errors of a type are
//! reported together.

mod emit;
mod emit_schema;
mod generics;
mod model;
mod rename;
mod serde_attributes;
mod validate;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

#[doc = include_str!("../docs/message.md")]
#[proc_macro_derive(Message, attributes(message))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let tokens = model::Input::new(input).and_then(|input| {
        validate::message(&input)?;
        Ok(emit::message(&input))
    });
    tokens.unwrap_or_else(|error| error.to_compile_error()).into()
}

#[doc = include_str!("../docs/schema.md")]
#[proc_macro_derive(Schema, attributes(message))]
pub fn derive_schema(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let tokens = model::Input::new(input).and_then(|input| {
        validate::schema(&input)?;
        Ok(emit_schema::schema(&input))
    });
    tokens.unwrap_or_else(|error| error.to_compile_error()).into()
}
