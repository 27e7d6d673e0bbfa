//! The derive macros of `splinter-bus`. Use them through that crate.
//!
//! `model` parses the attributes and the type into a small model, `validate` finds errors in it,
//! and `emit` writes the implementations. Errors point at their cause, and all errors of a type are
//! reported together.

mod emit;
mod model;
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
        Ok(emit::schema(&input))
    });
    tokens.unwrap_or_else(|error| error.to_compile_error()).into()
}
