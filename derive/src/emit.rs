//! The implementations. Every path in them is absolute; nothing that the user's module shadows matters.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{GenericParam, Generics, Lifetime, LifetimeParam, WherePredicate, parse_quote};

use crate::model::{Field, Fields, Input, Shape, Style};

/// `Schema`, `Message`, `Decode`, `InPlace`, and `Plain` where the encoding is.
pub(crate) fn message(input: &Input) -> TokenStream {
    let krate = input.krate();
    let private = quote!(#krate::__private);
    let ident = &input.ident;
    let attributes = &input.attributes;
    let encoding = attributes.encoding.as_ref().map_or_else(|| "postcard".to_owned(), |encoding| encoding.value());
    let kind = attributes.kind.as_ref().map_or_else(|| "event".to_owned(), |kind| kind.value());
    let (encoding, kind) = (Encoding::new(&encoding), variant(&kind));
    let encoding_variant = format_ident!("{}", encoding.variant());
    let name = input.name();
    let version = attributes.version.as_ref().map_or_else(|| quote!(1), |version| quote!(#version));
    let topic = match &attributes.topic {
        Some(topic) => quote!(#private::Option::Some(#topic)),
        None => quote!(#private::Option::None),
    };
    let encode = format_ident!("{}_encode", encoding.name());
    let decode = format_ident!("{}_decode", encoding.name());

    let checksum = attributes.checksum.as_ref().is_none_or(|checksum| checksum.value);

    let schema = schema(input);
    let (_, type_generics, _) = input.generics.split_for_impl();
    let this: syn::Type = parse_quote!(#ident #type_generics);

    let mut generics = with_schema_bounds(input);
    generics.make_where_clause().predicates.extend(encoding.encode_bounds(input, &private, &this));
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let message = quote! {
        #[automatically_derived]
        impl #impl_generics #krate::message::Message for #ident #type_generics #where_clause {
            const NAME: &'static #private::str = #name;
            const VERSION: #private::u32 = #version;
            const KIND: #krate::frame::Kind = #krate::frame::Kind::#kind;
            const TOPIC: #private::Option<&'static #private::str> = #topic;
            const ENCODING: #krate::frame::Encoding = #krate::frame::Encoding::#encoding_variant;
            const CHECKSUM: #private::bool = #checksum;

            fn encode(
                &self,
                payload: &mut #private::Vec<#private::u8>,
            ) -> #private::Result<(), #krate::message::EncodeError> {
                #private::#encode(self, payload)
            }
        }
    };

    let in_place = in_place(input, encoding, &generics);
    let (mut generics, de) = with_payload_lifetime(&generics);
    generics.make_where_clause().predicates.extend(encoding.decode_bounds(input, &private, &this, &de));
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    quote! {
        #schema
        #message
        #in_place

        #[automatically_derived]
        impl #impl_generics #krate::message::Decode<#de> for #ident #type_generics #where_clause {
            fn decode(payload: &#de [#private::u8]) -> #private::Result<Self, #krate::message::DecodeError> {
                #private::#decode(payload)
            }
        }
    }
}

/// `InPlace`, and `Plain` if the message is its own payload. `generics` are those of `Message`.
fn in_place(input: &Input, encoding: Encoding, generics: &Generics) -> TokenStream {
    let krate = input.krate();
    let private = quote!(#krate::__private);
    let ident = &input.ident;
    let (_, type_generics, _) = input.generics.split_for_impl();
    let this: syn::Type = parse_quote!(#ident #type_generics);
    let view: Lifetime = parse_quote!('__view);
    let seen = if encoding.is_plain() { quote!(&#view Self) } else { seen_for(input, &view) };
    let mut generics = generics.clone();
    generics.make_where_clause().predicates.extend(encoding.view_bounds(input, &private, &this, &view));
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let call = format_ident!("{}_{}", encoding.name(), if encoding.is_plain() { "view" } else { "decode" });
    let find_plain = encoding.is_plain().then(|| {
        quote! {
            fn find_plain(
                payload: &[#private::u8],
            ) -> #private::Result<#private::Option<&Self>, #krate::message::DecodeError> {
                #private::Result::map(#private::#call(payload), #private::Option::Some)
            }
        }
    });
    let in_place = quote! {
        #[automatically_derived]
        impl #impl_generics #krate::message::InPlace for #this #where_clause {
            type View<#view> = #seen where Self: #view;

            fn view<#view>(payload: &#view [#private::u8]) -> #private::Result<#seen, #krate::message::DecodeError>
            where
                Self: #view,
            {
                #private::#call(payload)
            }

            #find_plain
        }
    };
    if !encoding.is_plain() {
        return in_place;
    }
    let bytes = format_ident!("{}_bytes", encoding.name());
    let call_mut = format_ident!("{}_view_mut", encoding.name());
    quote! {
        #in_place

        #[automatically_derived]
        impl #impl_generics #krate::message::Plain for #this #where_clause {
            fn of_payload(payload: &[#private::u8]) -> #private::Result<&Self, #krate::message::DecodeError> {
                #private::#call(payload)
            }

            fn as_payload(&self) -> &[#private::u8] {
                #private::#bytes(self)
            }

            fn of_payload_mut(
                payload: &mut [#private::u8],
            ) -> #private::Result<&mut Self, #krate::message::DecodeError> {
                #private::#call_mut(payload)
            }
        }
    }
}

/// The type with this lifetime for all of its own.
fn seen_for(input: &Input, view: &Lifetime) -> TokenStream {
    let ident = &input.ident;
    if input.generics.params.is_empty() {
        return quote!(#ident);
    }
    let arguments = input.generics.params.iter().map(|param| match param {
        GenericParam::Lifetime(_) => quote!(#view),
        GenericParam::Type(param) => param.ident.to_token_stream(),
        GenericParam::Const(param) => param.ident.to_token_stream(),
    });
    quote!(#ident<#(#arguments),*>)
}

/// `Schema` alone.
pub(crate) fn schema(input: &Input) -> TokenStream {
    let krate = input.krate();
    let ident = &input.ident;
    let name = input.name();
    let body = match &input.shape {
        Shape::Struct(fields) => fields_schema(&krate, fields),
        Shape::Enum(variants) => {
            let mut body = text(&krate, " enum{");
            for (index, variant) in variants.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                body.extend(text(&krate, &format!("{comma}{}", variant.ident.unraw())));
                body.extend(fields_schema(&krate, &variant.fields));
                if let Some(discriminant) = &variant.discriminant {
                    body.extend(text(&krate, &format!("={discriminant}")));
                }
            }
            body.extend(text(&krate, "}"));
            body
        }
    };
    let generics = with_schema_bounds(input);
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let (_, type_generics, _) = input.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics #krate::message::Schema for #ident #type_generics #where_clause {
            fn describe(schema: &mut #krate::message::SchemaWriter) {
                #krate::message::SchemaWriter::named::<Self>(schema, #name, |schema| { #body });
            }
        }
    }
}

fn fields_schema(krate: &TokenStream, fields: &Fields) -> TokenStream {
    let (open, close) = match fields.style {
        Style::Named => ("{", "}"),
        Style::Tuple => ("(", ")"),
        Style::Unit => return TokenStream::new(),
    };
    let mut body = text(krate, open);
    for (index, field) in fields.fields.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let name = field.name.as_ref().map_or_else(String::new, |name| format!("{}:", name.unraw()));
        body.extend(text(krate, &format!("{comma}{name}")));
        body.extend(field_schema(krate, field));
    }
    body.extend(text(krate, close));
    body
}

fn field_schema(krate: &TokenStream, field: &Field) -> TokenStream {
    let ty = &field.ty;
    match &field.schema {
        Some(schema) => text(krate, &schema.value()),
        // The field's own place: this is where the compiler says that its type has no schema.
        None => quote_spanned!(field.span=> #krate::message::SchemaWriter::of::<#ty>(schema);),
    }
}

fn text(krate: &TokenStream, text: &str) -> TokenStream {
    if text.is_empty() { TokenStream::new() } else { quote!(#krate::message::SchemaWriter::text(schema, #text);) }
}

/// The generics of the type, with a schema for each type parameter that a described field may use.
fn with_schema_bounds(input: &Input) -> Generics {
    let krate = input.krate();
    let mut generics = input.generics.clone();
    let bounds: Vec<WherePredicate> = generics
        .type_params()
        .map(|param| {
            let ident = &param.ident;
            parse_quote!(#ident: #krate::message::Schema)
        })
        .collect();
    if !bounds.is_empty() {
        generics.make_where_clause().predicates.extend(bounds);
    }
    generics
}

/// The generics with a lifetime for the payload, which outlives whatever the type borrows.
fn with_payload_lifetime(generics: &Generics) -> (Generics, Lifetime) {
    let de: Lifetime = parse_quote!('__payload);
    let mut param = LifetimeParam::new(de.clone());
    param.bounds.extend(generics.lifetimes().map(|borrowed| borrowed.lifetime.clone()));
    if !param.bounds.is_empty() {
        param.colon_token = Some(parse_quote!(:));
    }
    let mut generics = generics.clone();
    generics.params.insert(0, GenericParam::Lifetime(param));
    (generics, de)
}

impl Input {
    fn name(&self) -> String {
        self.attributes.name.as_ref().map_or_else(|| self.ident.unraw().to_string(), |name| name.value())
    }
}

#[derive(Clone, Copy)]
enum Encoding {
    Postcard,
    Zerocopy,
    Bytemuck,
}

impl Encoding {
    fn new(name: &str) -> Self {
        match name {
            "zerocopy" => Self::Zerocopy,
            "bytemuck" => Self::Bytemuck,
            _ => Self::Postcard,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Postcard => "postcard",
            Self::Zerocopy => "zerocopy",
            Self::Bytemuck => "bytemuck",
        }
    }

    fn variant(self) -> &'static str {
        match self {
            Self::Postcard => "Postcard",
            Self::Zerocopy => "Zerocopy",
            Self::Bytemuck => "Bytemuck",
        }
    }

    /// What a generic type needs to be encoded. One that is not generic has it or has not, and the compiler says which
    /// best where the encoding is called.
    fn encode_bounds(self, input: &Input, private: &TokenStream, this: &syn::Type) -> Option<WherePredicate> {
        input.generics.type_params().next()?;
        Some(match self {
            Self::Postcard => parse_quote!(#this: #private::Serialize),
            Self::Zerocopy => parse_quote!(#this: #private::IntoBytes + #private::Immutable),
            Self::Bytemuck => parse_quote!(#this: #private::NoUninit),
        })
    }

    /// Whether the message's bytes are its payload.
    fn is_plain(self) -> bool {
        !matches!(self, Self::Postcard)
    }

    /// What a generic type needs to be looked at in place.
    fn view_bounds(
        self,
        input: &Input,
        private: &TokenStream,
        this: &syn::Type,
        view: &Lifetime,
    ) -> Option<WherePredicate> {
        input.generics.type_params().next()?;
        let seen = seen_for(input, view);
        Some(match self {
            Self::Postcard => parse_quote!(for<#view> #seen: #private::Deserialize<#view>),
            Self::Zerocopy => parse_quote!(#this: #private::TryFromBytes + #private::KnownLayout),
            Self::Bytemuck => parse_quote!(#this: #private::CheckedBitPattern),
        })
    }

    /// What a generic type needs to be decoded.
    fn decode_bounds(
        self,
        input: &Input,
        private: &TokenStream,
        this: &syn::Type,
        de: &Lifetime,
    ) -> Option<WherePredicate> {
        input.generics.type_params().next()?;
        Some(match self {
            Self::Postcard => parse_quote!(#this: #private::Deserialize<#de>),
            Self::Zerocopy => parse_quote!(#this: #private::TryFromBytes),
            Self::Bytemuck => parse_quote!(#this: #private::CheckedBitPattern),
        })
    }
}

/// `query` is the variant `Query`.
fn variant(name: &str) -> syn::Ident {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    format_ident!("{}", first.into_iter().chain(letters).collect::<String>())
}
