//! Finds errors in the model of a type.

use syn::{Error, LitStr, Result};

use crate::model::{Fields, Input, Shape};
use crate::serde_attributes::Foreign;

const ENCODINGS: [&str; 4] = ["postcard", "json", "zerocopy", "bytemuck"];
const KINDS: [&str; 5] = ["query", "response", "event", "error", "heartbeat"];

/// Finds all errors of a message.
pub(crate) fn message(input: &Input) -> Result<()> {
    let attributes = &input.attributes;
    let mut errors = Vec::new();
    errors.extend(one_of(attributes.encoding.as_ref(), "encoding", &ENCODINGS));
    errors.extend(one_of(attributes.kind.as_ref(), "kind", &KINDS));
    errors.extend(attributes.name.as_ref().and_then(name));
    errors.extend(aliases(input));
    if let Some(version) = &attributes.version
        && !version.base10_parse::<u32>().is_ok_and(|version| version > 0)
    {
        errors.push(Error::new(version.span(), format!("a version must be a number from 1 to {}", u32::MAX)));
    }
    errors.extend(empty_payload(input));
    errors.extend(foreign(input));
    all(errors)
}

/// Finds all errors of a type inside of a message.
pub(crate) fn schema(input: &Input) -> Result<()> {
    let attributes = &input.attributes;
    let mut errors = Vec::new();
    let strings = [("encoding", &attributes.encoding), ("kind", &attributes.kind)];
    for (name, value) in strings {
        errors.extend(value.as_ref().map(|value| only_for_messages(name, value.span())));
    }
    errors.extend(attributes.aliases.iter().map(|alias| only_for_messages("alias", alias.span())));
    errors.extend(attributes.version.as_ref().map(|version| only_for_messages("version", version.span())));
    errors.extend(attributes.checksum.as_ref().map(|checksum| only_for_messages("checksum", checksum.span())));
    errors.extend(attributes.name.as_ref().and_then(name));
    errors.extend(foreign(input));
    all(errors)
}

/// Finds what is encoded as another type, which is not named.
fn foreign(input: &Input) -> Vec<Error> {
    if input.attributes.schema.is_some() {
        return Vec::new();
    }
    let mut errors: Vec<Error> = input.serde.foreign.iter().map(Foreign::without_schema).collect();
    let mut fields_of = |fields: &Fields| {
        let unnamed = fields.encoded().filter(|(_, field)| field.schema.is_none());
        errors.extend(unnamed.filter_map(|(_, field)| field.serde.foreign.as_ref()).map(Foreign::without_schema));
    };
    match &input.shape {
        Shape::Struct(fields) => fields_of(fields),
        Shape::Enum(variants) => {
            for variant in variants.iter().filter(|variant| variant.schema.is_none()) {
                fields_of(&variant.fields);
            }
            let unnamed = variants.iter().filter(|variant| variant.schema.is_none());
            errors.extend(unnamed.filter_map(|variant| variant.serde.foreign.as_ref()).map(Foreign::without_schema));
        }
    }
    errors
}

fn only_for_messages(name: &str, span: proc_macro2::Span) -> Error {
    Error::new(span, format!("`{name}` is an attribute of messages, not of types that only derive `Schema`: remove it"))
}

fn one_of(value: Option<&LitStr>, what: &str, known: &[&str]) -> Option<Error> {
    let value = value.filter(|value| !known.contains(&value.value().as_str()))?;
    let known: Vec<_> = known.iter().map(|known| format!("`{known}`")).collect();
    Some(Error::new(value.span(), format!("unknown {what} `{}`: known are {}", value.value(), known.join(", "))))
}

fn name(name: &LitStr) -> Option<Error> {
    name.value().is_empty().then(|| Error::new(name.span(), "a name must not be empty"))
}

/// Finds aliases that say nothing.
fn aliases(input: &Input) -> Vec<Error> {
    let (own, aliases) = (input.name(), &input.attributes.aliases);
    let refused = aliases.iter().enumerate().filter_map(|(at, alias)| {
        let name = alias.value();
        let reason = if name.is_empty() {
            "an alias must not be empty".to_owned()
        } else if name == own {
            format!("the alias `{name}` is the name of the type itself: give the name that it had before")
        } else if aliases[..at].iter().any(|other| other.value() == name) {
            format!("the alias `{name}` is given twice")
        } else {
            return None;
        };
        Some(Error::new(alias.span(), reason))
    });
    refused.collect()
}

/// Checks that heartbeats, and only heartbeats, have no fields.
fn empty_payload(input: &Input) -> Option<Error> {
    let heartbeat = input.attributes.kind.as_ref().filter(|kind| kind.value() == "heartbeat");
    let empty = match &input.shape {
        Shape::Struct(fields) => fields.encoded().next().is_none(),
        Shape::Enum(variants) => variants.is_empty(),
    };
    match heartbeat {
        Some(kind) if !empty => {
            Some(Error::new(kind.span(), "a heartbeat has no payload: remove its fields, or choose another kind"))
        }
        None if empty => {
            let reason = format!(
                "`{}` has no fields, and only a heartbeat may have an empty payload: add a field, or `#[message(kind = \"heartbeat\")]`",
                input.ident
            );
            Some(Error::new(input.ident.span(), reason))
        }
        _ => None,
    }
}

fn all(errors: Vec<Error>) -> Result<()> {
    let combined = errors.into_iter().reduce(|mut errors, error| {
        errors.combine(error);
        errors
    });
    combined.map_or(Ok(()), Err)
}
