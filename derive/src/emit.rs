//! Writes the implementations.
//!
//! All paths in them are absolute, and all names of values come from [`local`]. So neither items of
//! the user's module nor names in the user's macros can change their meaning.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{GenericParam, Generics, Lifetime, WherePredicate, parse_quote};

use crate::emit_schema::{name_with_arguments, schema};
use crate::generics::{lifetime, local, with_payload_lifetime, with_schema_bounds};
use crate::model::Input;

/// Implements `Schema`, `Message`, `Decode` and `InPlace`, and for a plain encoding `Plain`.
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
    let aliases = (!attributes.aliases.is_empty()).then(|| {
        let aliases = &attributes.aliases;
        quote!(const ALIASES: &'static [&'static #private::str] = &[#(#aliases),*];)
    });
    let checksum = attributes.checksum.as_ref().is_none_or(|checksum| checksum.value);
    let payload = local("payload");

    let schema = schema(input);
    let name_function = name_with_arguments(input, &local("schema")).map(|name| {
        let schema = local("schema");
        quote! {
            fn name() -> #private::Cow<'static, #private::str> {
                let #schema = &mut <#krate::schema::SchemaWriter as ::core::default::Default>::default();
                #private::Cow::Owned(#name)
            }
        }
    });
    let payload_align =
        encoding.is_plain().then(|| quote!(const PAYLOAD_ALIGN: #private::usize = #private::payload_align::<Self>();));
    let alignment_check = alignment_check(input, encoding);
    let reads_by_schema = encoding.reads_by_schema().then(|| quote!(const READS_BY_SCHEMA: #private::bool = true;));
    let check = encoding.reads_by_schema().then(|| {
        let schema = local("schema");
        quote! {
            fn check_schema(
                &self,
                #schema: &#krate::schema::Table,
            ) -> #private::Result<(), #krate::schema::SchemaMismatch> {
                #[allow(unused_imports)]
                use #private::Missing as _;
                #private::Postcard::<Self>::check(self, #schema)
            }
        }
    });
    let (_, type_generics, _) = input.generics.split_for_impl();
    let this: syn::Type = parse_quote!(#ident #type_generics);

    let mut generics = with_schema_bounds(input);
    generics.make_where_clause().predicates.extend(encoding.encode_bounds(input, &private, &this));
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let message = quote! {
        #[automatically_derived]
        impl #impl_generics #krate::message::Message for #this #where_clause {
            const NAME: &'static #private::str = #name;
            const VERSION: #private::u32 = #version;
            const KIND: #krate::frame::Kind = #krate::frame::Kind::#kind;
            const ENCODING: #krate::frame::Encoding = #krate::frame::Encoding::#encoding_variant;
            const CHECKSUM: #private::bool = #checksum;
            #aliases
            #payload_align
            #reads_by_schema

            #name_function

            fn encode(
                &self,
                #payload: &mut #private::Vec<#private::u8>,
            ) -> #private::Result<(), #krate::message::EncodeError> {
                #[allow(unused_imports)]
                use #private::Missing as _;
                #private::#encoding_variant::<Self>::encode(self, #payload)
            }

            #check
        }
    };

    let in_place = in_place(input, encoding, &generics);
    let decode = decode(input, encoding, &generics);
    quote! {
        #schema
        #message
        #in_place
        #decode
        #alignment_check
    }
}

/// Implements `Decode`, and `DecodeOwned` if the type has no lifetimes. `generics` are those of
/// `Message`.
fn decode(input: &Input, encoding: Encoding, generics: &Generics) -> TokenStream {
    let krate = input.krate();
    let private = quote!(#krate::__private);
    let ident = &input.ident;
    let (_, type_generics, _) = input.generics.split_for_impl();
    let this: syn::Type = parse_quote!(#ident #type_generics);
    let payload = local("payload");
    let (mut with_payload, de) = with_payload_lifetime(generics);
    with_payload.make_where_clause().predicates.extend(encoding.decode_bounds(input, &private, &this, &de));
    let (impl_generics, _, where_clause) = with_payload.split_for_impl();
    let codec = encoding.decoder(&private, &de, quote!(Self));
    // This call has the location of the type, so the compiler reports missing traits there. It is
    // the only such error: see `Missing`.
    let place = Span::call_site().located_at(ident.span());
    let require = format_ident!("require_{}", encoding.name());
    let arguments = if encoding.is_plain() { quote_spanned!(place=> Self) } else { quote_spanned!(place=> #de, Self) };
    let require = quote_spanned!(place=> #private::#require::<#arguments>(););
    let decode_by = encoding.reads_by_schema().then(|| {
        let schema = local("schema");
        quote! {
            fn decode_by(
                #schema: &#krate::schema::Table,
                #payload: &#de [#private::u8],
            ) -> #private::Result<Self, #krate::message::DecodeError> {
                #[allow(unused_imports)]
                use #private::Missing as _;
                #codec::decode_by(#schema, #payload)
            }
        }
    });
    let decode = quote! {
        #[automatically_derived]
        impl #impl_generics #krate::message::Decode<#de> for #this #where_clause {
            fn decode(#payload: &#de [#private::u8]) -> #private::Result<Self, #krate::message::DecodeError> {
                #[allow(unused_imports)]
                use #private::Missing as _;
                #require
                #codec::decode(#payload)
            }

            #decode_by
        }
    };
    if input.generics.lifetimes().next().is_some() {
        return decode;
    }
    let mut generics = generics.clone();
    generics.make_where_clause().predicates.extend(encoding.owned_bounds(input, &private, &this, &de));
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    quote! {
        #decode

        #[automatically_derived]
        impl #impl_generics #krate::message::DecodeOwned for #this #where_clause {}
    }
}

/// Checks at compile time the alignment of a message whose payload is its own bytes. A generic type
/// is checked where it is used.
fn alignment_check(input: &Input, encoding: Encoding) -> Option<TokenStream> {
    if !encoding.is_plain() || !input.generics.params.is_empty() {
        return None;
    }
    let krate = input.krate();
    let ident = &input.ident;
    let reason = format!(
        "`{ident}` is aligned to more than 64 bytes, the maximum for a payload: reduce its `align(...)`, or use the encoding postcard"
    );
    let place = Span::call_site().located_at(ident.span());
    Some(quote_spanned! {place=>
        const _: () = ::core::assert!(::core::mem::align_of::<#ident>() <= #krate::frame::MAX_PAYLOAD_ALIGN, #reason);
    })
}

/// Implements `InPlace`, and for a plain encoding `Plain`. `generics` are those of `Message`.
fn in_place(input: &Input, encoding: Encoding, generics: &Generics) -> TokenStream {
    let krate = input.krate();
    let private = quote!(#krate::__private);
    let ident = &input.ident;
    let (_, type_generics, _) = input.generics.split_for_impl();
    let this: syn::Type = parse_quote!(#ident #type_generics);
    let view = lifetime(&input.generics, "'__view");
    let payload = local("payload");
    let seen = if encoding.is_plain() { quote!(&#view Self) } else { seen_for(input, &view) };
    let mut generics = generics.clone();
    generics.make_where_clause().predicates.extend(encoding.view_bounds(input, &private, &view));
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let call = format_ident!("{}", if encoding.is_plain() { "view" } else { "decode" });
    let codec = encoding.decoder(&private, &view, if encoding.is_plain() { quote!(Self) } else { seen.clone() });
    let find_plain = encoding.is_plain().then(|| {
        quote! {
            fn find_plain(
                #payload: &[#private::u8],
            ) -> #private::Result<#private::Option<&Self>, #krate::message::DecodeError> {
                #private::Result::map(<Self as #krate::message::Plain>::of_payload(#payload), #private::Option::Some)
            }
        }
    });
    let view_by = encoding.reads_by_schema().then(|| {
        let schema = local("schema");
        quote! {
            fn view_by<#view>(
                #schema: &#krate::schema::Table,
                #payload: &#view [#private::u8],
            ) -> #private::Result<#seen, #krate::message::DecodeError>
            where
                Self: #view,
            {
                #[allow(unused_imports)]
                use #private::Missing as _;
                #codec::decode_by(#schema, #payload)
            }
        }
    });
    let in_place = quote! {
        #[automatically_derived]
        impl #impl_generics #krate::message::InPlace for #this #where_clause {
            type View<#view> = #seen where Self: #view;

            fn view<#view>(#payload: &#view [#private::u8]) -> #private::Result<#seen, #krate::message::DecodeError>
            where
                Self: #view,
            {
                #[allow(unused_imports)]
                use #private::Missing as _;
                #codec::#call(#payload)
            }

            #view_by
            #find_plain
        }
    };
    if !encoding.is_plain() {
        return in_place;
    }
    quote! {
        #in_place

        #[automatically_derived]
        impl #impl_generics #krate::message::Plain for #this #where_clause {
            fn of_payload(#payload: &[#private::u8]) -> #private::Result<&Self, #krate::message::DecodeError> {
                #[allow(unused_imports)]
                use #private::Missing as _;
                #codec::view(#payload)
            }

            fn as_payload(&self) -> &[#private::u8] {
                #[allow(unused_imports)]
                use #private::Missing as _;
                #codec::bytes(self)
            }

            fn of_payload_mut(
                #payload: &mut [#private::u8],
            ) -> #private::Result<&mut Self, #krate::message::DecodeError> {
                #[allow(unused_imports)]
                use #private::Missing as _;
                #codec::view_mut(#payload)
            }
        }
    }
}

/// The type with `view` in place of each of its lifetimes.
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

impl Input {
    pub(crate) fn name(&self) -> String {
        self.attributes.name.as_ref().map_or_else(|| self.ident.unraw().to_string(), |name| name.value())
    }
}

#[derive(Clone, Copy)]
enum Encoding {
    Postcard,
    Json,
    Zerocopy,
    Bytemuck,
}

impl Encoding {
    fn new(name: &str) -> Self {
        match name {
            "zerocopy" => Self::Zerocopy,
            "bytemuck" => Self::Bytemuck,
            "json" => Self::Json,
            _ => Self::Postcard,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Postcard => "postcard",
            Self::Json => "json",
            Self::Zerocopy => "zerocopy",
            Self::Bytemuck => "bytemuck",
        }
    }

    fn variant(self) -> &'static str {
        match self {
            Self::Postcard => "Postcard",
            Self::Json => "Json",
            Self::Zerocopy => "Zerocopy",
            Self::Bytemuck => "Bytemuck",
        }
    }

    /// The decoder of `this` for a payload that lives for `de`. The encoder has the name of the
    /// variant of `Encoding`.
    fn decoder(self, private: &TokenStream, de: &Lifetime, this: TokenStream) -> TokenStream {
        match self {
            Self::Postcard => quote!(#private::FromPostcard::<#de, #this>),
            Self::Json => quote!(#private::FromJson::<#de, #this>),
            Self::Zerocopy => quote!(#private::Zerocopy::<#this>),
            Self::Bytemuck => quote!(#private::Bytemuck::<#this>),
        }
    }

    /// Whether the payload can be read by the schema of its sender.
    fn reads_by_schema(self) -> bool {
        matches!(self, Self::Postcard)
    }

    /// Whether the payload of the message is its own bytes.
    fn is_plain(self) -> bool {
        matches!(self, Self::Zerocopy | Self::Bytemuck)
    }

    /// The bound that encoding needs on a generic type. Types without parameters need none here:
    /// `Decode` checks them.
    fn encode_bounds(self, input: &Input, private: &TokenStream, this: &syn::Type) -> Option<WherePredicate> {
        input.generics.type_params().next()?;
        Some(match self {
            Self::Postcard | Self::Json => parse_quote!(#this: #private::PostcardEncode),
            Self::Zerocopy => parse_quote!(#this: #private::ZerocopyTraits),
            Self::Bytemuck => parse_quote!(#this: #private::BytemuckTraits),
        })
    }

    /// The bound that reading in place needs on a generic type, in addition to that of encoding.
    fn view_bounds(self, input: &Input, private: &TokenStream, view: &Lifetime) -> Option<WherePredicate> {
        input.generics.type_params().next()?;
        let seen = seen_for(input, view);
        (!self.is_plain()).then(|| parse_quote!(for<#view> #seen: #private::Deserialize<#view>))
    }

    /// The bound that decoding from a payload of lifetime `de` needs on a generic type, in addition
    /// to that of encoding.
    fn decode_bounds(
        self,
        input: &Input,
        private: &TokenStream,
        this: &syn::Type,
        de: &Lifetime,
    ) -> Option<WherePredicate> {
        input.generics.type_params().next()?;
        (!self.is_plain()).then(|| parse_quote!(#this: #private::Deserialize<#de>))
    }

    /// The bound that decoding from any payload needs on a generic type, in addition to that of
    /// encoding.
    fn owned_bounds(
        self,
        input: &Input,
        private: &TokenStream,
        this: &syn::Type,
        de: &Lifetime,
    ) -> Option<WherePredicate> {
        input.generics.type_params().next()?;
        (!self.is_plain()).then(|| parse_quote!(for<#de> #this: #private::Deserialize<#de>))
    }
}

/// The variant for a name: `Query` for `query`.
fn variant(name: &str) -> syn::Ident {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    format_ident!("{}", first.into_iter().chain(letters).collect::<String>())
}
