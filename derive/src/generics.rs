//! Names, lifetimes and bounds of derived code.

use proc_macro2::Span;
use syn::{GenericParam, Generics, Ident, Lifetime, LifetimeParam, WherePredicate, parse_quote};

use crate::model::Input;

/// A name for a value in derived code, which the user's code can neither see nor shadow.
///
/// The user's types and expressions can come from several macros, each with its own names. So
/// derived code takes the names of all its values from here.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// A lifetime whose name the type does not use. (Unlike values, lifetimes have no hygiene that
/// depends on where they are written.)
pub(crate) fn lifetime(generics: &Generics, name: &str) -> Lifetime {
    let mut lifetime = Lifetime::new(name, Span::call_site());
    while generics.lifetimes().any(|param| param.lifetime.ident == lifetime.ident) {
        lifetime = Lifetime::new(&format!("{lifetime}_"), Span::call_site());
    }
    lifetime
}

/// The type's generics, with the bound `Schema` on each type parameter.
pub(crate) fn with_schema_bounds(input: &Input) -> Generics {
    let krate = input.krate();
    let mut generics = input.generics.clone();
    let bounds: Vec<WherePredicate> = generics
        .type_params()
        .map(|param| {
            let ident = &param.ident;
            parse_quote!(#ident: #krate::schema::Schema)
        })
        .collect();
    if !bounds.is_empty() {
        generics.make_where_clause().predicates.extend(bounds);
    }
    generics
}

/// The type's generics, with an additional lifetime for the payload, which outlives everything that
/// the type borrows.
pub(crate) fn with_payload_lifetime(generics: &Generics) -> (Generics, Lifetime) {
    let de = lifetime(generics, "'__payload");
    let mut param = LifetimeParam::new(de.clone());
    param.bounds.extend(generics.lifetimes().map(|borrowed| borrowed.lifetime.clone()));
    if !param.bounds.is_empty() {
        param.colon_token = Some(parse_quote!(:));
    }
    let mut generics = generics.clone();
    generics.params.insert(0, GenericParam::Lifetime(param));
    (generics, de)
}
