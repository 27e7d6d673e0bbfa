//! The model of a type: the parts of its declaration that the derives use.

use proc_macro2::{Span, TokenStream};
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, Generics, Ident, Lit, LitBool, LitInt, LitStr, Meta, Path, Result,
    Token, Type,
};

use crate::serde_attributes::{FieldAttributes, TypeAttributes, VariantAttributes};

/// The type that a derive is applied to.
pub(crate) struct Input {
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    pub(crate) shape: Shape,
    pub(crate) attributes: Attributes,
    pub(crate) docs: String,
    pub(crate) serde: TypeAttributes,
    pub(crate) repr: Repr,
}

/// The content of `#[message(...)]` on the type.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) encoding: Option<LitStr>,
    pub(crate) kind: Option<LitStr>,
    pub(crate) name: Option<LitStr>,
    /// Names that the type had before.
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) version: Option<LitInt>,
    pub(crate) checksum: Option<LitBool>,
    pub(crate) krate: Option<Path>,
    /// A type that is encoded as this one.
    pub(crate) schema: Option<Type>,
}

/// The content of `#[repr(...)]`. Errors in it are reported by the compiler.
#[derive(Default)]
pub(crate) struct Repr {
    /// The type of an enum's discriminants.
    pub(crate) integer: Option<Ident>,
    pub(crate) is_c: bool,
    /// Whether it fixes where fields are.
    pub(crate) is_fixed: bool,
}

pub(crate) enum Shape {
    Struct(Fields),
    Enum(Vec<Variant>),
}

pub(crate) struct Variant {
    pub(crate) ident: Ident,
    pub(crate) discriminant: Option<Expr>,
    pub(crate) fields: Fields,
    /// The content of `#[message(schema = ...)]` on the variant.
    pub(crate) schema: Option<Type>,
    pub(crate) docs: String,
    pub(crate) serde: VariantAttributes,
}

pub(crate) struct Fields {
    pub(crate) style: Style,
    pub(crate) fields: Vec<Field>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Named,
    Tuple,
    Unit,
}

pub(crate) struct Field {
    pub(crate) name: Option<Ident>,
    pub(crate) ty: Type,
    pub(crate) span: Span,
    /// The content of `#[message(schema = ...)]` on the field.
    pub(crate) schema: Option<Type>,
    pub(crate) docs: String,
    pub(crate) serde: FieldAttributes,
}

impl Input {
    pub(crate) fn new(input: DeriveInput) -> Result<Self> {
        let attributes = Attributes::new(&input.attrs)?;
        // The other encodings have nothing to do with what serde writes.
        let by_serde = attributes.encoding.as_ref().is_none_or(|encoding| encoding.value() == "postcard");
        let serde_of = |attributes: &[Attribute]| if by_serde { attributes.to_vec() } else { Vec::new() };
        let serde = TypeAttributes::new(&serde_of(&input.attrs))?;
        let shape = match input.data {
            Data::Struct(data) => {
                let mut fields = Fields::new(data.fields, &serde_of)?;
                if let Some(only) = fields.newtype() {
                    // serde does not skip it.
                    only.serde.is_skipped = false;
                }
                Shape::Struct(fields)
            }
            Data::Enum(data) => Shape::Enum(collect(data.variants.into_iter().map(|variant| {
                let mut fields = Fields::new(variant.fields, &serde_of)?;
                if fields.newtype().is_some_and(|only| only.serde.is_skipped) {
                    // serde writes a variant without fields.
                    fields.style = Style::Unit;
                }
                Ok(Variant {
                    ident: variant.ident,
                    discriminant: variant.discriminant.map(|(_, value)| value),
                    fields,
                    schema: schema_of(&variant.attrs, "variant")?,
                    docs: docs(&variant.attrs),
                    serde: VariantAttributes::new(&serde_of(&variant.attrs))?,
                })
            }))?),
            Data::Union(data) => {
                let reason = "a union cannot be a message: it does not say which of its fields is valid";
                return Err(Error::new(data.union_token.span(), reason));
            }
        };
        let (docs, repr) = (docs(&input.attrs), Repr::new(&input.attrs));
        Ok(Self { ident: input.ident, generics: input.generics, shape, attributes, docs, serde, repr })
    }

    /// The path of the crate in derived code.
    pub(crate) fn krate(&self) -> TokenStream {
        match &self.attributes.krate {
            Some(path) => quote::quote!(#path),
            None => quote::quote!(::splinter_bus),
        }
    }
}

impl Attributes {
    fn new(attributes: &[Attribute]) -> Result<Self> {
        const KNOWN: &str =
            "known are `encoding`, `kind`, `name`, `alias`, `version`, `checksum`, `schema` and `crate`";
        let mut this = Self::default();
        each(attributes, |meta| {
            if meta.path.is_ident("encoding") {
                put(&mut this.encoding, &meta, string(&meta)?)
            } else if meta.path.is_ident("kind") {
                put(&mut this.kind, &meta, string(&meta)?)
            } else if meta.path.is_ident("name") {
                put(&mut this.name, &meta, string(&meta)?)
            } else if meta.path.is_ident("alias") {
                this.aliases.push(string(&meta)?);
                Ok(())
            } else if meta.path.is_ident("version") {
                put(&mut this.version, &meta, integer(&meta)?)
            } else if meta.path.is_ident("checksum") {
                put(&mut this.checksum, &meta, boolean(&meta)?)
            } else if meta.path.is_ident("crate") {
                put(&mut this.krate, &meta, path(&meta)?)
            } else if meta.path.is_ident("schema") {
                put(&mut this.schema, &meta, type_of(&meta)?)
            } else {
                Err(meta.error(format!("unknown attribute `{}`: {KNOWN}", path_text(&meta.path))))
            }
        })?;
        Ok(this)
    }
}

impl Fields {
    fn new(fields: syn::Fields, serde_of: &impl Fn(&[Attribute]) -> Vec<Attribute>) -> Result<Self> {
        let style = match fields {
            syn::Fields::Named(_) => Style::Named,
            syn::Fields::Unnamed(_) => Style::Tuple,
            syn::Fields::Unit => Style::Unit,
        };
        let fields = collect(fields.into_iter().map(|field| {
            Ok(Field {
                span: field.ty.span(),
                name: field.ident,
                ty: field.ty,
                schema: schema_of(&field.attrs, "field")?,
                docs: docs(&field.attrs),
                serde: FieldAttributes::new(&serde_of(&field.attrs))?,
            })
        }))?;
        Ok(Self { style, fields })
    }

    /// The only field, if it has no name.
    fn newtype(&mut self) -> Option<&mut Field> {
        match (self.style, &mut self.fields[..]) {
            (Style::Tuple, [only]) => Some(only),
            _ => None,
        }
    }

    /// The fields that are in the bytes.
    pub(crate) fn encoded(&self) -> impl Iterator<Item = (usize, &Field)> {
        self.fields.iter().enumerate().filter(|(_, field)| !field.serde.is_skipped)
    }
}

/// The content of `#[message(schema = ...)]` on a field or a variant, which can have no other attribute.
fn schema_of(attributes: &[Attribute], what: &str) -> Result<Option<Type>> {
    let mut schema = None;
    each(attributes, |meta| {
        if meta.path.is_ident("schema") {
            put(&mut schema, &meta, type_of(&meta)?)
        } else {
            let reason = format!("unknown attribute `{}` on a {what}: known is `schema`", path_text(&meta.path));
            Err(meta.error(reason))
        }
    })?;
    Ok(schema)
}

/// The text of doc comments.
fn docs(attributes: &[Attribute]) -> String {
    let lines =
        attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).filter_map(|attribute| match &attribute
            .meta
            .require_name_value()
            .ok()?
            .value
        {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        });
    lines.collect::<Vec<_>>().join("\n")
}

impl Repr {
    fn new(attributes: &[Attribute]) -> Self {
        const INTEGERS: [&str; 12] =
            ["u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize"];
        let mut this = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("repr")) {
            let items = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            for item in items.iter().flatten().filter_map(|item| item.path().get_ident()) {
                this.is_c |= item == "C";
                this.is_fixed |= item == "transparent";
                if INTEGERS.iter().any(|name| item == name) {
                    this.integer = Some(item.clone());
                }
            }
        }
        this.is_fixed |= this.is_c || this.integer.is_some();
        this
    }
}

/// Calls `item` for each item of each `#[message(...)]`.
fn each(attributes: &[Attribute], mut item: impl FnMut(ParseNestedMeta<'_>) -> Result<()>) -> Result<()> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("message"))
        .try_for_each(|attribute| attribute.parse_nested_meta(&mut item))
}

fn put<T>(place: &mut Option<T>, meta: &ParseNestedMeta<'_>, value: T) -> Result<()> {
    if place.is_some() {
        return Err(meta.error(format!("`{}` is given twice", path_text(&meta.path))));
    }
    *place = Some(value);
    Ok(())
}

fn string(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    match literal(meta)? {
        Lit::Str(text) => Ok(text),
        other => Err(Error::new(other.span(), format!("`{}` takes a string in quotes", path_text(&meta.path)))),
    }
}

fn integer(meta: &ParseNestedMeta<'_>) -> Result<LitInt> {
    match literal(meta)? {
        Lit::Int(number) => Ok(number),
        other => Err(Error::new(other.span(), format!("`{}` takes a whole number", path_text(&meta.path)))),
    }
}

fn boolean(meta: &ParseNestedMeta<'_>) -> Result<LitBool> {
    match literal(meta)? {
        Lit::Bool(value) => Ok(value),
        other => Err(Error::new(other.span(), format!("`{}` takes `true` or `false`", path_text(&meta.path)))),
    }
}

/// A path with or without quotes. Without quotes, it can begin with a macro's `$crate`.
fn path(meta: &ParseNestedMeta<'_>) -> Result<Path> {
    let value = meta.value()?;
    let path = if value.peek(LitStr) { value.parse::<LitStr>()?.parse() } else { value.parse() };
    path.map_err(|error| {
        Error::new(error.span(), format!("`{}` takes a path, with or without quotes", path_text(&meta.path)))
    })
}

/// A type. In quotes, it is a description of an older version of this crate.
fn type_of(meta: &ParseNestedMeta<'_>) -> Result<Type> {
    let value = meta.value()?;
    if value.peek(Lit) {
        let literal: Lit = value.parse()?;
        return Err(Error::new(
            literal.span(),
            "`schema` takes a type, without quotes, that is encoded in the same way",
        ));
    }
    value.parse()
}

fn literal(meta: &ParseNestedMeta<'_>) -> Result<Lit> {
    let mut value = meta.value()?.parse::<Expr>()?;
    // Tokens that a macro has inserted are in a group.
    while let Expr::Group(group) = value {
        value = *group.expr;
    }
    match value {
        Expr::Lit(literal) => Ok(literal.lit),
        other => Err(Error::new(other.span(), format!("`{}` takes a literal", path_text(&meta.path)))),
    }
}

fn path_text(path: &Path) -> String {
    let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    names.join("::")
}

/// Returns all values, or all errors.
fn collect<T>(results: impl Iterator<Item = Result<T>>) -> Result<Vec<T>> {
    let mut values = Vec::new();
    let mut errors: Option<Error> = None;
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) => match &mut errors {
                Some(errors) => errors.combine(error),
                None => errors = Some(error),
            },
        }
    }
    errors.map_or(Ok(values), Err)
}
