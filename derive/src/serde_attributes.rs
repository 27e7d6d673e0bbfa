//! What the attributes of serde mean for the bytes of a message.
//!
//! Each attribute is known here, by one of four classes: it changes no byte, or only names; the bytes are
//! those of another type, which `#[message(schema = Type)]` must name; or the bytes cannot be described,
//! which is an error under the attribute. One that is not known is an error, too: what it does to the
//! bytes is not known.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, ExprLit, Lit, Meta, Result, Token};

use crate::rename::Rule;

/// The attributes of a type.
pub(crate) struct TypeAttributes {
    pub(crate) is_transparent: bool,
    pub(crate) has_default: bool,
    pub(crate) denies_unknown_fields: bool,
    /// For fields of a struct, or for variants; as they are serialized, and deserialized.
    pub(crate) rename_all: (Rule, Rule),
    /// For fields of all variants.
    pub(crate) rename_all_fields: (Rule, Rule),
    /// An attribute that makes the bytes those of another type.
    pub(crate) foreign: Option<Foreign>,
}

/// The attributes of a variant.
pub(crate) struct VariantAttributes {
    /// As it is serialized, and the names by which it is found.
    pub(crate) names: Names,
    pub(crate) is_other: bool,
    pub(crate) rename_all: (Rule, Rule),
    pub(crate) foreign: Option<Foreign>,
}

/// The attributes of a field.
pub(crate) struct FieldAttributes {
    pub(crate) names: Names,
    pub(crate) has_default: bool,
    /// It is not in the bytes.
    pub(crate) is_skipped: bool,
    pub(crate) foreign: Option<Foreign>,
}

/// Explicit names.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) serialized: Option<String>,
    pub(crate) deserialized: Option<String>,
    pub(crate) aliases: Vec<String>,
}

/// An attribute that makes the bytes those of another type.
pub(crate) struct Foreign {
    name: String,
    span: Span,
}

impl Foreign {
    /// The error if no schema was named.
    pub(crate) fn without_schema(&self) -> Error {
        let reason = format!(
            "`{}` gives the bytes of another type: name one that is encoded so, as in `#[message(schema = String)]`, beside it",
            self.name
        );
        Error::new(self.span, reason)
    }
}

impl TypeAttributes {
    pub(crate) fn new(attributes: &[Attribute]) -> Result<Self> {
        let mut this = Self {
            is_transparent: false,
            has_default: false,
            denies_unknown_fields: false,
            rename_all: (Rule::None, Rule::None),
            rename_all_fields: (Rule::None, Rule::None),
            foreign: None,
        };
        each(attributes, |meta| {
            match name(meta).as_str() {
                "rename" => drop(two_strings(meta)?),
                "bound" | "crate" | "expecting" => skip_value(meta)?,
                "default" => {
                    skip_value(meta)?;
                    this.has_default = true;
                }
                "transparent" => this.is_transparent = true,
                "deny_unknown_fields" => this.denies_unknown_fields = true,
                "rename_all" => this.rename_all = rules(meta)?,
                "rename_all_fields" => this.rename_all_fields = rules(meta)?,
                "from" | "into" | "try_from" => this.foreign = foreign(meta)?,
                other => return Err(refused(meta, other, Place::Type)),
            }
            Ok(())
        })?;
        Ok(this)
    }
}

impl VariantAttributes {
    pub(crate) fn new(attributes: &[Attribute]) -> Result<Self> {
        let mut this =
            Self { names: Names::default(), is_other: false, rename_all: (Rule::None, Rule::None), foreign: None };
        each(attributes, |meta| {
            match name(meta).as_str() {
                "rename" => this.names.rename(meta)?,
                "alias" => this.names.alias(meta)?,
                "rename_all" => this.rename_all = rules(meta)?,
                "other" => this.is_other = true,
                "bound" | "borrow" => skip_value(meta)?,
                "with" | "serialize_with" | "deserialize_with" => this.foreign = foreign(meta)?,
                other => return Err(refused(meta, other, Place::Variant)),
            }
            Ok(())
        })?;
        Ok(this)
    }
}

impl FieldAttributes {
    pub(crate) fn new(attributes: &[Attribute]) -> Result<Self> {
        let mut this = Self { names: Names::default(), has_default: false, is_skipped: false, foreign: None };
        let mut halves = Vec::new();
        each(attributes, |meta| {
            match name(meta).as_str() {
                "rename" => this.names.rename(meta)?,
                "alias" => this.names.alias(meta)?,
                "default" => {
                    skip_value(meta)?;
                    this.has_default = true;
                }
                "skip" => this.is_skipped = true,
                half @ ("skip_serializing" | "skip_deserializing") => halves.push((half.to_owned(), meta.path.span())),
                "bound" | "borrow" => skip_value(meta)?,
                "with" | "serialize_with" | "deserialize_with" => this.foreign = foreign(meta)?,
                other => return Err(refused(meta, other, Place::Field)),
            }
            Ok(())
        })?;
        match &halves[..] {
            [] => {}
            [(half, span)] if !this.is_skipped => {
                let reason = format!(
                    "`{half}` skips the field on one side only, so receivers would read other fields out of the bytes: use `skip`"
                );
                return Err(Error::new(*span, reason));
            }
            _ => this.is_skipped = true,
        }
        Ok(this)
    }
}

impl Names {
    fn rename(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let (serialized, deserialized) = two_strings(meta)?;
        self.serialized = serialized.or(self.serialized.take());
        self.deserialized = deserialized.or(self.deserialized.take());
        Ok(())
    }

    fn alias(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        self.aliases.push(string(&meta.value()?.parse::<Expr>()?)?);
        Ok(())
    }

    /// The name under which it is serialized, and those under which it is found. `by_rules` are its names if
    /// it has no explicit ones.
    pub(crate) fn resolve(&self, by_rules: (String, String)) -> (String, Vec<String>) {
        let serialized = self.serialized.clone().unwrap_or(by_rules.0);
        let mut found = vec![self.deserialized.clone().unwrap_or(by_rules.1)];
        found.extend(self.aliases.iter().cloned());
        (serialized, found)
    }
}

#[derive(Clone, Copy)]
enum Place {
    Type,
    Variant,
    Field,
}

/// The error for an attribute that cannot be described, or is not known.
fn refused(meta: &ParseNestedMeta<'_>, name: &str, place: Place) -> Error {
    let instead = match (name, place) {
        ("skip_serializing_if", _) => {
            "leaves the field out of some messages, and the encoding does not say of which: make the field an `Option`, which takes one byte if it is `None`"
        }
        ("skip" | "skip_serializing" | "skip_deserializing", Place::Variant) => {
            "takes the variant out of the bytes and not out of the type: remove the variant, or the attribute"
        }
        ("tag" | "content" | "untagged", Place::Type) => {
            "needs an encoding that describes itself: leave it out, as variants have numbers here; or use `#[message(encoding = \"json\")]`, or wrap the field in `splinter_bus::message::Json`"
        }
        ("untagged", _) => {
            "needs an encoding that describes itself: leave it out, or wrap the field with this type in `splinter_bus::message::Json`"
        }
        ("flatten", _) => {
            "needs an encoding that describes itself: make the inner fields fields of this type, or keep the inner type as one field"
        }
        ("field_identifier" | "variant_identifier", _) => "is for names of fields and variants, not for messages",
        ("getter" | "remote", _) => {
            "derives serde for a type of another crate: name the type it is encoded as by `#[message(schema = Type)]` on the field that has it"
        }
        _ => {
            return meta.error(format!(
                "`#[serde({name})]` is not known here, so neither is what it does to the bytes of a message: leave it out, or update splinter-bus"
            ));
        }
    };
    meta.error(format!("`{name}` {instead}"))
}

fn name(meta: &ParseNestedMeta<'_>) -> String {
    meta.path.get_ident().map_or_else(|| "?".to_owned(), ToString::to_string)
}

/// Calls `item` for each item of each `#[serde(...)]`.
fn each(attributes: &[Attribute], mut item: impl FnMut(&ParseNestedMeta<'_>) -> Result<()>) -> Result<()> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
        .try_for_each(|attribute| attribute.parse_nested_meta(|meta| item(&meta)))
}

fn foreign(meta: &ParseNestedMeta<'_>) -> Result<Option<Foreign>> {
    skip_value(meta)?;
    Ok(Some(Foreign { name: name(meta), span: meta.path.span() }))
}

/// Reads past ` = ...` or `(...)`.
fn skip_value(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<Expr>()?;
    } else if meta.input.peek(syn::token::Paren) {
        nested(meta)?;
    }
    Ok(())
}

fn nested(meta: &ParseNestedMeta<'_>) -> Result<Punctuated<Meta, Token![,]>> {
    let content;
    syn::parenthesized!(content in meta.input);
    Punctuated::parse_terminated(&content)
}

/// `= "both"`, or `(serialize = "one", deserialize = "other")`.
fn two_strings(meta: &ParseNestedMeta<'_>) -> Result<(Option<String>, Option<String>)> {
    if meta.input.peek(Token![=]) {
        let both = string(&meta.value()?.parse()?)?;
        return Ok((Some(both.clone()), Some(both)));
    }
    let mut strings = (None, None);
    for item in nested(meta)? {
        let value = string(&item.require_name_value()?.value)?;
        if item.path().is_ident("serialize") {
            strings.0 = Some(value);
        } else {
            strings.1 = Some(value);
        }
    }
    Ok(strings)
}

fn rules(meta: &ParseNestedMeta<'_>) -> Result<(Rule, Rule)> {
    let (serialize, deserialize) = two_strings(meta)?;
    let rule = |name: Option<String>| name.and_then(|name| Rule::named(&name)).unwrap_or(Rule::None);
    Ok((rule(serialize), rule(deserialize)))
}

fn string(value: &Expr) -> Result<String> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text.value()),
        // Tokens that a macro has inserted are in a group.
        Expr::Group(group) => string(&group.expr),
        other => Err(Error::new(other.span(), "a string in quotes is due here")),
    }
}
