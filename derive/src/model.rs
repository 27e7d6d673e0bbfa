//! The model of a type: the parts of its declaration that the derives use.

use proc_macro2::{Span, TokenStream};
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, Generics, Ident, Lit, LitBool, LitInt, LitStr, Meta, Path, Result,
    Token, Type,
};

/// The type that a derive is applied to.
pub(crate) struct Input {
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    pub(crate) shape: Shape,
    pub(crate) attributes: Attributes,
    /// The type of an enum's discriminants, if `#[repr(...)]` has one.
    pub(crate) repr: Option<Ident>,
}

/// The content of `#[message(...)]` on the type.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) encoding: Option<LitStr>,
    pub(crate) kind: Option<LitStr>,
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<LitInt>,
    pub(crate) checksum: Option<LitBool>,
    pub(crate) krate: Option<Path>,
}

pub(crate) enum Shape {
    Struct(Fields),
    Enum(Vec<Variant>),
}

pub(crate) struct Variant {
    pub(crate) ident: Ident,
    pub(crate) discriminant: Option<Expr>,
    pub(crate) fields: Fields,
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
    /// The content of `#[message(schema = "...")]` on the field.
    pub(crate) schema: Option<LitStr>,
}

impl Input {
    pub(crate) fn new(input: DeriveInput) -> Result<Self> {
        let attributes = Attributes::new(&input.attrs)?;
        let repr = repr(&input.attrs);
        let shape = match input.data {
            Data::Struct(data) => Shape::Struct(Fields::new(data.fields)?),
            Data::Enum(data) => Shape::Enum(collect(data.variants.into_iter().map(|variant| {
                refuse_attributes(
                    &variant.attrs,
                    "a variant cannot have a `message` attribute: put it on the type or on a field",
                )?;
                Ok(Variant {
                    ident: variant.ident,
                    discriminant: variant.discriminant.map(|(_, value)| value),
                    fields: Fields::new(variant.fields)?,
                })
            }))?),
            Data::Union(data) => {
                let reason = "a union cannot be a message: it does not say which of its fields is valid";
                return Err(Error::new(data.union_token.span(), reason));
            }
        };
        Ok(Self { ident: input.ident, generics: input.generics, shape, attributes, repr })
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
        const KNOWN: &str = "known are `encoding`, `kind`, `name`, `version`, `checksum` and `crate`";
        let mut this = Self::default();
        each(attributes, |meta| {
            if meta.path.is_ident("encoding") {
                put(&mut this.encoding, &meta, string(&meta)?)
            } else if meta.path.is_ident("kind") {
                put(&mut this.kind, &meta, string(&meta)?)
            } else if meta.path.is_ident("name") {
                put(&mut this.name, &meta, string(&meta)?)
            } else if meta.path.is_ident("version") {
                put(&mut this.version, &meta, integer(&meta)?)
            } else if meta.path.is_ident("checksum") {
                put(&mut this.checksum, &meta, boolean(&meta)?)
            } else if meta.path.is_ident("crate") {
                put(&mut this.krate, &meta, path(&meta)?)
            } else if meta.path.is_ident("schema") {
                Err(meta.error("`schema` belongs on a field"))
            } else {
                Err(meta.error(format!("unknown attribute `{}`: {KNOWN}", path_text(&meta.path))))
            }
        })?;
        Ok(this)
    }
}

impl Fields {
    fn new(fields: syn::Fields) -> Result<Self> {
        let style = match fields {
            syn::Fields::Named(_) => Style::Named,
            syn::Fields::Unnamed(_) => Style::Tuple,
            syn::Fields::Unit => Style::Unit,
        };
        let fields = collect(fields.into_iter().map(|field| {
            let mut schema = None;
            each(&field.attrs, |meta| {
                if meta.path.is_ident("schema") {
                    put(&mut schema, &meta, string(&meta)?)
                } else {
                    let reason = format!("unknown attribute `{}` on a field: known is `schema`", path_text(&meta.path));
                    Err(meta.error(reason))
                }
            })?;
            Ok(Field { span: field.ty.span(), name: field.ident, ty: field.ty, schema })
        }))?;
        Ok(Self { style, fields })
    }
}

/// The integer type in `#[repr(...)]`. Errors in that attribute are reported by the compiler.
fn repr(attributes: &[Attribute]) -> Option<Ident> {
    const INTEGERS: [&str; 12] =
        ["u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize"];
    let mut reprs = attributes.iter().filter(|attribute| attribute.path().is_ident("repr"));
    reprs.find_map(|attribute| {
        let items = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
        items
            .iter()
            .filter_map(|item| item.path().get_ident())
            .find(|item| INTEGERS.iter().any(|name| item == name))
            .cloned()
    })
}

/// Calls `item` for each item of each `#[message(...)]`.
fn each(attributes: &[Attribute], mut item: impl FnMut(ParseNestedMeta<'_>) -> Result<()>) -> Result<()> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("message"))
        .try_for_each(|attribute| attribute.parse_nested_meta(&mut item))
}

fn refuse_attributes(attributes: &[Attribute], reason: &str) -> Result<()> {
    match attributes.iter().find(|attribute| attribute.path().is_ident("message")) {
        Some(attribute) => Err(Error::new(attribute.path().span(), reason)),
        None => Ok(()),
    }
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
