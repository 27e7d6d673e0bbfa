//! Writes the implementation of `Schema`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{GenericParam, Ident, Index, Type};

use crate::generics::{local, with_schema_bounds};
use crate::model::{Field, Fields, Input, Shape, Style, Variant};
use crate::rename::Rule;

/// Implements `Schema`.
pub(crate) fn schema(input: &Input) -> TokenStream {
    let krate = input.krate();
    let ident = &input.ident;
    let schema = local("schema");
    let emit = Emit { krate: &krate, schema: &schema, input };
    let body = emit.body();
    let generics = with_schema_bounds(input);
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let (_, type_generics, _) = input.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics #krate::schema::Schema for #ident #type_generics #where_clause {
            fn describe(#schema: &mut #krate::schema::SchemaWriter) -> #krate::schema::TypeRef { #body }
        }
    }
}

/// The name of a generic type with its arguments, as an expression that uses the writer `schema`.
pub(crate) fn name_with_arguments(input: &Input, schema: &Ident) -> Option<TokenStream> {
    let krate = input.krate();
    let arguments: Vec<_> = input
        .generics
        .params
        .iter()
        .filter_map(|param| match param {
            GenericParam::Lifetime(_) => None,
            GenericParam::Type(param) => {
                let ident = &param.ident;
                Some(quote!(#krate::schema::SchemaWriter::name_of::<#ident>(#schema)))
            }
            GenericParam::Const(param) => {
                let ident = &param.ident;
                Some(quote!(#krate::schema::SchemaWriter::name_of_constant(#ident)))
            }
        })
        .collect();
    let name = input.name();
    (!arguments.is_empty()).then(|| quote!(#krate::schema::SchemaWriter::generic_name(#name, &[#(#arguments),*])))
}

struct Emit<'a> {
    krate: &'a TokenStream,
    /// The writer.
    schema: &'a Ident,
    input: &'a Input,
}

impl Emit<'_> {
    fn body(&self) -> TokenStream {
        let (krate, schema, input) = (self.krate, self.schema, self.input);
        if input.attributes.encoding.as_ref().is_some_and(|encoding| encoding.value() == "json") {
            return quote!(#krate::schema::SchemaWriter::json(#schema));
        }
        let this = local("this");
        let (name, with_arguments) = self.name();
        let inner = match &input.shape {
            Shape::Struct(fields) if input.serde.is_transparent => fields.encoded().next(),
            _ => None,
        };
        let inner = inner.map(|(_, field)| field.schema.as_ref().unwrap_or(&field.ty));
        if let Some(ty) = input.attributes.schema.as_ref().or(inner) {
            // This call has the location of the type, so the compiler reports a missing schema there.
            let place = Span::call_site().located_at(ty.span());
            let described = quote_spanned!(place=> #krate::schema::SchemaWriter::same_as::<Self, #ty>(#schema, #name));
            return quote!(#with_arguments #described);
        }
        let described = match &input.shape {
            Shape::Struct(fields) => {
                let list = self.fields(fields, input.serde.rename_all, input.serde.has_default);
                let list = self.denying(list, &input.docs);
                quote!(#krate::schema::SchemaWriter::structure::<Self>(#schema, #name, |#schema| #list))
            }
            Shape::Enum(variants) => {
                let variants = self.variants(variants);
                quote! {
                    #krate::schema::SchemaWriter::enumeration::<Self, _>(#schema, #name, |#schema| [#(#variants),*])
                }
            }
        };
        let layout = self.layout(&this);
        quote!(#with_arguments let #this = #described; #layout #this)
    }

    /// The name, as an expression, and a statement before it.
    fn name(&self) -> (TokenStream, Option<TokenStream>) {
        let name = self.input.name();
        match name_with_arguments(self.input, self.schema) {
            None => (name.to_token_stream(), None),
            Some(with_arguments) => {
                let name = local("name");
                (quote!(&#name), Some(quote!(let #name = #with_arguments;)))
            }
        }
    }

    fn variants(&self, variants: &[Variant]) -> Vec<TokenStream> {
        let krate = self.krate;
        // Discriminants count on from the last explicit one.
        let mut explicit: Option<(&syn::Expr, i128)> = None;
        let described = variants.iter().map(|variant| {
            let ident = variant.ident.unraw().to_string();
            let rules = self.input.serde.rename_all;
            let by_rules = (rules.0.variant(&ident), rules.1.variant(&ident));
            let (name, found) = variant.serde.names.resolve(by_rules);
            let list = match &variant.schema {
                Some(ty) => {
                    let ty = self.of(ty);
                    quote!(#krate::schema::FieldList::tuple([#ty]))
                }
                None => {
                    let own = variant.serde.rename_all;
                    let all = self.input.serde.rename_all_fields;
                    let or = |own: Rule, all: Rule| if own == Rule::None { all } else { own };
                    self.fields(&variant.fields, (or(own.0, all.0), or(own.1, all.1)), false)
                }
            };
            let list = self.denying(list, &variant.docs);
            let mut item = quote!(#krate::schema::VariantItem::new(#name, #list));
            explicit = match (&variant.discriminant, explicit) {
                (Some(value), _) => Some((value, 0)),
                (None, Some((value, after))) => Some((value, after + 1)),
                (None, None) => None,
            };
            if let Some((value, after)) = explicit {
                let integer = self.tag();
                let number = local("number");
                item = quote!({
                    // The value and not the expression: `1`, `0x1` and `ONE` are the same.
                    let #number: ::core::primitive::#integer = #value;
                    #krate::schema::VariantItem::discriminant(#item, #number as ::core::primitive::i128 + #after)
                });
            }
            if found != [name] {
                item = quote!(#krate::schema::VariantItem::read_as(#item, &[#(#found),*]));
            }
            if variant.serde.is_other {
                item = quote!(#krate::schema::VariantItem::other(#item));
            }
            item
        });
        described.collect()
    }

    fn fields(&self, fields: &Fields, rules: (Rule, Rule), all_default: bool) -> TokenStream {
        let krate = self.krate;
        match fields.style {
            Style::Unit => quote!(#krate::schema::FieldList::unit()),
            Style::Tuple => {
                let types = fields.encoded().map(|(_, field)| self.of_field(field));
                quote!(#krate::schema::FieldList::tuple([#(#types),*]))
            }
            Style::Named => {
                let fields = fields.encoded().map(|(_, field)| self.field(field, rules, all_default));
                quote!(#krate::schema::FieldList::named([#(#fields),*]))
            }
        }
    }

    fn field(&self, field: &Field, rules: (Rule, Rule), all_default: bool) -> TokenStream {
        let krate = self.krate;
        let ident = field.name.as_ref().map_or_else(String::new, |name| name.unraw().to_string());
        let (name, found) = field.serde.names.resolve((rules.0.field(&ident), rules.1.field(&ident)));
        let ty = self.of_field(field);
        let mut item = quote!(#krate::schema::FieldItem::new(#name, #ty));
        if found != [name] {
            item = quote!(#krate::schema::FieldItem::read_as(#item, &[#(#found),*]));
        }
        if field.serde.has_default || all_default {
            item = quote!(#krate::schema::FieldItem::default(#item));
        }
        if !field.docs.is_empty() {
            let docs = &field.docs;
            item = quote!(#krate::schema::FieldItem::docs(#item, #docs));
        }
        item
    }

    fn of_field(&self, field: &Field) -> TokenStream {
        match &field.schema {
            Some(ty) => self.of(ty),
            // This call has the location of the field, so the compiler reports a missing schema there.
            None => self.of_at(&field.ty, field.span),
        }
    }

    fn of(&self, ty: &Type) -> TokenStream {
        self.of_at(ty, ty.span())
    }

    fn of_at(&self, ty: &Type, span: Span) -> TokenStream {
        let (krate, schema) = (self.krate, self.schema);
        let place = Span::call_site().located_at(span);
        quote_spanned!(place=> #krate::schema::SchemaWriter::of::<#ty>(#schema))
    }

    /// The list of fields with what is said of all of them.
    fn denying(&self, list: TokenStream, docs: &str) -> TokenStream {
        let krate = self.krate;
        let mut list = list;
        if self.input.serde.denies_unknown_fields {
            list = quote!(#krate::schema::FieldList::deny_unknown_fields(#list));
        }
        if !docs.is_empty() {
            list = quote!(#krate::schema::FieldList::docs(#list, #docs));
        }
        list
    }

    /// The type of an enum's discriminants.
    fn tag(&self) -> TokenStream {
        self.input.repr.integer.as_ref().map_or_else(|| quote!(isize), Ident::to_token_stream)
    }

    /// Says where fields are, if the type fixes that: then it may be plain.
    fn layout(&self, this: &Ident) -> TokenStream {
        let (krate, schema, repr) = (self.krate, self.schema, &self.input.repr);
        if !repr.is_fixed {
            return TokenStream::new();
        }
        match &self.input.shape {
            Shape::Struct(fields) => {
                let offsets = fields.encoded().map(|(at, field)| match &field.name {
                    Some(name) => quote!(::core::mem::offset_of!(Self, #name)),
                    None => {
                        let at = Index::from(at);
                        quote!(::core::mem::offset_of!(Self, #at))
                    }
                });
                quote! {
                    #krate::schema::SchemaWriter::layout_of_structure::<Self>(#schema, #this, &[#(#offsets),*]);
                }
            }
            Shape::Enum(_) => {
                // With `#[repr(C)]` alone, the tag is a `c_int`.
                let tag = repr.integer.as_ref().map_or_else(|| quote!(i32), Ident::to_token_stream);
                let is_c = repr.is_c;
                quote! {
                    #krate::schema::SchemaWriter::layout_of_enumeration::<Self, ::core::primitive::#tag>(
                        #schema, #this, #is_c,
                    );
                }
            }
        }
    }
}
