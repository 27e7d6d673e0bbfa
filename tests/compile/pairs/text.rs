//! Types as Rust, with an implementation of `Sample` beside each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::types::{Body, Field, Fields, Module, Parameter, Style, Ty, Type, Variant};

/// A module, and the same after a change, which declares only the types that are not the same in both.
pub(super) fn modules(before: &Module, after: &Module, name_of_before: &str) -> [(String, String); 2] {
    let [old, new] = [before, after]
        .map(|module| reachable(module, 0).into_iter().map(|at| (at, texts(module, at))).collect::<BTreeMap<_, _>>());
    let is_shared = |at: usize| reachable(after, at).iter().all(|inside| old.get(inside) == new.get(inside));
    [(before, &old, None), (after, &new, Some(is_shared))].map(|(module, texts, is_shared)| {
        let source = texts.values().map(|(source, _)| &**source).collect();
        let mut code =
            format!("pub fn meaning() -> BTreeSet<String> {{ BTreeSet::from([{}]) }}\n", meaning(module).join(", "));
        for (&at, (source, sample)) in texts {
            if is_shared.as_ref().is_some_and(|is_shared| is_shared(at)) {
                writeln!(code, "pub use super::{name_of_before}::{};", module.types[at].ident).unwrap();
            } else {
                write!(code, "{source}{sample}").unwrap();
            }
        }
        (source, code)
    })
}

/// The declaration of a type, and what the test needs beside it.
fn texts(module: &Module, at: usize) -> (String, String) {
    let (mut source, mut extra) = (String::new(), String::new());
    declare(module, &module.types[at], &mut source);
    sample(module, &module.types[at], &mut extra);
    (source, extra)
}

fn declare(module: &Module, ty: &Type, out: &mut String) {
    let clone = if matches!(ty.body, Body::Into(_)) { ", Clone" } else { "" };
    writeln!(out, "#[derive(Schema, Serialize{clone})] {}", ty.attributes.join("\n")).unwrap();
    if let Some(name) = &ty.name {
        writeln!(out, "#[serde(rename = {name:?})] #[message(name = {name:?})]").unwrap();
    }
    let parameters = parameters(ty);
    let ident = format!("{}{parameters}", ty.ident);
    match &ty.body {
        Body::Struct(fields) => {
            let end = if fields.style == Style::Named { "" } else { ";" };
            writeln!(out, "pub struct {ident}{}{end}", fields_text(module, fields, "pub "))
        }
        Body::Enum(variants) => {
            let variants: Vec<_> = variants.iter().map(|variant| variant_text(module, variant)).collect();
            writeln!(out, "pub enum {ident} {{ {} }}", variants.join(", "))
        }
        Body::Transparent(inner) => {
            writeln!(out, "#[serde(transparent)] pub struct {ident}(pub {});", text(module, inner))
        }
        Body::Into(inner) => {
            let inner = text(module, inner);
            writeln!(
                out,
                "#[serde(into = \"{inner}\")] #[message(schema = {inner})] pub struct {ident}(pub {inner});\n\
                 impl{parameters} From<{0}> for {inner} {{ fn from(it: {0}) -> Self {{ it.0 }} }}",
                used(ty)
            )
        }
    }
    .unwrap();
}

fn parameters(ty: &Type) -> &'static str {
    match ty.parameter {
        Parameter::None => "",
        Parameter::Type => "<T>",
        Parameter::Const => "<const N: u8>",
    }
}

/// The type with its parameters as arguments.
fn used(ty: &Type) -> String {
    let arguments = match ty.parameter {
        Parameter::None => "",
        Parameter::Type => "<T>",
        Parameter::Const => "<N>",
    };
    format!("{}{arguments}", ty.ident)
}

fn variant_text(module: &Module, variant: &Variant) -> String {
    let mut text = variant.attributes.join(" ");
    if let Some(name) = &variant.rename {
        write!(text, "#[serde(rename = {name:?})] ").unwrap();
    }
    text.push_str(&variant.ident);
    text.push_str(&fields_text(module, &variant.fields, ""));
    if let Some(value) = &variant.discriminant {
        write!(text, " = {value}").unwrap();
    }
    text
}

fn fields_text(module: &Module, fields: &Fields, visibility: &str) -> String {
    let items = fields.fields.iter().map(|field| {
        let mut text = field.attributes.join(" ");
        if let Some(name) = field.rename.as_ref().filter(|_| fields.style == Style::Named) {
            write!(text, "#[serde(rename = {name:?})] ").unwrap();
        }
        if field.is_skipped {
            text.push_str("#[serde(skip)] ");
        }
        if field.as_text {
            text.push_str("#[serde(serialize_with = \"as_text\")] #[message(schema = String)] ");
        }
        text.push_str(visibility);
        if fields.style == Style::Named {
            write!(text, "{}: ", field.ident).unwrap();
        }
        text.push_str(&self::text(module, &field.ty));
        text
    });
    let items = items.collect::<Vec<_>>().join(", ");
    match fields.style {
        Style::Unit => String::new(),
        Style::Tuple => format!("({items})"),
        Style::Named => format!(" {{ {items} }}"),
    }
}

fn text(module: &Module, ty: &Ty) -> String {
    match ty {
        Ty::Leaf(name) => (*name).to_owned(),
        Ty::Around(around, inner) => {
            let open = if around.contains('<') { "" } else { "<" };
            let close = ">".repeat(around.matches('<').count() + open.len());
            format!("{around}{open}{}{close}", text(module, inner))
        }
        Ty::Array(inner, count) => format!("[{}; {count}]", text(module, inner)),
        Ty::Tuple(items) => {
            let items: Vec<_> = items.iter().map(|item| text(module, item)).collect();
            format!("({},)", items.join(", "))
        }
        Ty::Named(at, None) => module.types[*at].ident.clone(),
        Ty::Named(at, Some(argument)) => format!("{}<{}>", module.types[*at].ident, text(module, argument)),
        Ty::Const(at, value) => format!("{}<{value}>", module.types[*at].ident),
        Ty::Parameter => "T".to_owned(),
    }
}

/// Implements `Sample`.
fn sample(module: &Module, ty: &Type, out: &mut String) {
    let (ident, bounds) = (&ty.ident, parameters(ty).replace("<T>", "<T: Sample>"));
    write!(out, "impl{bounds} Sample for {} {{ ", used(ty)).unwrap();
    match &ty.body {
        Body::Struct(fields) => {
            let value = value(ident, fields);
            let parts = parts(module, fields);
            write!(out, "const PARTS: Parts = &[{parts}]; fn make(_: usize, i: usize, d: u32) -> Self {{ {value} }}")
        }
        Body::Enum(variants) => {
            let parts: Vec<_> = variants.iter().map(|variant| parts(module, &variant.fields)).collect();
            let arms = variants.iter().enumerate().map(|(at, variant)| {
                let value = value(&format!("{ident}::{}", variant.ident), &variant.fields);
                if at + 1 == variants.len() { format!("_ => {value}") } else { format!("{at} => {value}") }
            });
            let (parts, arms) = (parts.join(", "), arms.collect::<Vec<_>>().join(", "));
            write!(
                out,
                "const PARTS: Parts = &[{parts}]; fn make(v: usize, i: usize, d: u32) -> Self {{ match v {{ {arms} }} }}"
            )
        }
        // They are not there on the wire, so they are no level of their own.
        Body::Transparent(inner) | Body::Into(inner) => {
            let inner = text(module, inner);
            write!(
                out,
                "fn count(d: u32) -> usize {{ <{inner}>::count(d) }} fn sample(i: usize, d: u32) -> Self {{ {ident}(Sample::sample(i, d)) }}"
            )
        }
    }
    .unwrap();
    out.push_str(" }\n");
}

fn encoded(fields: &Fields) -> impl Iterator<Item = &Field> {
    fields.fields.iter().filter(|field| !field.is_skipped)
}

fn parts(module: &Module, fields: &Fields) -> String {
    let counts: Vec<_> = encoded(fields).map(|field| format!("<{}>::count", text(module, &field.ty))).collect();
    format!("&[{}]", counts.join(", "))
}

fn value(path: &str, fields: &Fields) -> String {
    let items = fields.fields.iter().enumerate().map(|(at, field)| {
        let value = if field.is_skipped { "Default::default()" } else { "Sample::sample(i, d)" };
        if fields.style == Style::Named { format!("{}: {value}", field.ident) } else { format!("{at}: {value}") }
    });
    format!("{path} {{ {} }}", items.collect::<Vec<_>>().join(", "))
}

/// What the calls of serde do not say and the fingerprint does, as expressions.
fn meaning(module: &Module) -> Vec<String> {
    let mut all = Vec::new();
    for at in reachable(module, 0) {
        let ty = &module.types[at];
        match &ty.body {
            Body::Struct(fields) => logical(module, ty, 0, fields, &mut all),
            Body::Enum(variants) => {
                for (at, variant) in variants.iter().enumerate() {
                    logical(module, ty, at, &variant.fields, &mut all);
                    // The value is what the compiler says.
                    if variants.iter().all(|variant| variant.fields.style == Style::Unit)
                        && ty.parameter == Parameter::None
                    {
                        let (name, ident) = (ty.name(), &ty.ident);
                        all.push(format!("format!(\"{name}.{at}={{}}\", {ident}::{} as i128)", variant.ident));
                    }
                }
            }
            Body::Transparent(_) | Body::Into(_) => {}
        }
    }
    all
}

/// Adds the fields whose values mean more than serde says.
fn logical(module: &Module, ty: &Type, variant: usize, fields: &Fields, all: &mut Vec<String>) {
    for (at, field) in encoded(fields).enumerate().filter(|(_, field)| !field.as_text) {
        let mut found = Vec::new();
        marks(module, &field.ty, &mut found);
        if !found.is_empty() {
            all.push(format!("{:?}.to_owned()", format!("{}.{variant}.{at}: {}", ty.name(), found.join(" "))));
        }
    }
}

fn marks(module: &Module, ty: &Ty, found: &mut Vec<String>) {
    match ty {
        Ty::Leaf("NonZero<u32>") => found.push("NonZero".to_owned()),
        Ty::Leaf(_) | Ty::Parameter => {}
        Ty::Around(around, inner) => {
            found.extend(around.contains("BTreeSet").then(|| "set".to_owned()));
            marks(module, inner, found);
        }
        Ty::Array(inner, _) => marks(module, inner, found),
        Ty::Tuple(items) => items.iter().for_each(|item| marks(module, item, found)),
        Ty::Named(at, argument) => {
            argument.iter().for_each(|argument| marks(module, argument, found));
            inside(module, *at, found);
        }
        Ty::Const(at, value) => {
            if matches!(module.types[*at].body, Body::Struct(_) | Body::Enum(_)) {
                found.push(format!("N={value}"));
            }
            inside(module, *at, found);
        }
    }
}

/// The marks of a type that is not there on the wire.
fn inside(module: &Module, at: usize, found: &mut Vec<String>) {
    if let Body::Transparent(inner) = &module.types[at].body {
        marks(module, inner, found);
    }
}

/// A type, and those that are in its bytes.
pub(super) fn reachable(module: &Module, from: usize) -> BTreeSet<usize> {
    fn visit(module: &Module, ty: &Ty, all: &mut BTreeSet<usize>) {
        match ty {
            Ty::Leaf(_) | Ty::Parameter => {}
            Ty::Around(_, inner) | Ty::Array(inner, _) => visit(module, inner, all),
            Ty::Tuple(items) => items.iter().for_each(|item| visit(module, item, all)),
            Ty::Named(at, argument) => {
                argument.iter().for_each(|argument| visit(module, argument, all));
                enter(module, *at, all);
            }
            Ty::Const(at, _) => enter(module, *at, all),
        }
    }
    fn enter(module: &Module, at: usize, all: &mut BTreeSet<usize>) {
        if !all.insert(at) {
            return;
        }
        let mut fields = |fields: &Fields| {
            encoded(fields).filter(|field| !field.as_text).for_each(|field| visit(module, &field.ty, all));
        };
        match &module.types[at].body {
            Body::Struct(of) => fields(of),
            Body::Enum(variants) => variants.iter().for_each(|variant| fields(&variant.fields)),
            Body::Transparent(inner) | Body::Into(inner) => visit(module, inner, all),
        }
    }
    let mut all = BTreeSet::new();
    enter(module, from, &mut all);
    all
}
