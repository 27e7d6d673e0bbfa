//! Pairs of types whose values are their own bytes.

use std::fmt::Write;

use super::Pair;
use super::random::Random;

/// Types of one size each, so that none has padding: a struct has two fields of 4 bytes, two of 2 and four of 1.
#[derive(Clone)]
struct Plain {
    encoding: &'static str,
    attribute: &'static str,
    /// A field's name and type.
    fields: Vec<(String, &'static str)>,
    inner_name: &'static str,
    inner: [(&'static str, &'static str); 2],
    repr: &'static str,
    variants: Vec<(&'static str, &'static str)>,
    style: &'static str,
}

const FOUR: [&str; 5] = ["u32", "i32", "f32", "[u8; 4]", "[u16; 2]"];
const TWO: [&str; 4] = ["u16", "i16", "[u8; 2]", "Inner"];
const ONE: [&str; 4] = ["u8", "i8", "bool", "Choice"];

pub(super) fn pair(random: &mut Random) -> Pair {
    let before = random_type(random);
    loop {
        let mut after = before.clone();
        if let Some(change) = change(random, &mut after) {
            let types = [text(&before), text(&after)];
            if types[0].0 != types[1].0 {
                return Pair { change, types, seen: "seen_plain" };
            }
        }
    }
}

fn random_type(random: &mut Random) -> Plain {
    let mut fields = Vec::new();
    for (count, types) in [(2, &FOUR[..]), (2, &TWO[..]), (4, &ONE[..])] {
        for _ in 0..count {
            fields.push((format!("f{}", fields.len()), random.of(types)));
        }
    }
    Plain {
        encoding: random.of(&["zerocopy", "bytemuck"]),
        attribute: "#[repr(C)]",
        fields,
        inner_name: "Inner",
        inner: [("a", "u8"), ("b", "bool")],
        repr: "u8",
        variants: vec![("Off", ""), ("On", "")],
        style: "named",
    }
}

fn change(random: &mut Random, plain: &mut Plain) -> Option<&'static str> {
    let at = random.below(8);
    let has = |plain: &Plain, name: &str| plain.fields.iter().any(|field| field.1 == name);
    Some(match random.below(14) {
        0 => {
            plain.encoding = if plain.encoding == "zerocopy" { "bytemuck" } else { "zerocopy" };
            "another encoding"
        }
        1 => {
            plain.fields[at].0 = "renamed".to_owned();
            "another name of a field"
        }
        2 | 3 => {
            let same = [0..2, 2..4, 4..8].into_iter().find(|same| same.contains(&at))?;
            let other = same.start + random.below(same.len());
            plain.fields.swap(at, other);
            "two fields in another order"
        }
        4..6 => {
            plain.fields[at].1 = match at {
                0..2 => random.of(&FOUR),
                2..4 => random.of(&TWO),
                _ => random.of(&ONE),
            };
            "another type of a field"
        }
        6 => {
            plain.attribute = random.of(&["#[repr(C, align(8))]", "#[repr(C, align(4))]", "#[repr(C, align(16))]"]);
            "another alignment"
        }
        7 if has(plain, "Inner") => {
            plain.inner_name = "Part";
            "another name of a type inside"
        }
        8 if has(plain, "Inner") => {
            plain.inner.swap(0, 1);
            "another order of fields inside"
        }
        9 if has(plain, "Choice") => {
            plain.repr = "i8";
            "another tag"
        }
        10 if has(plain, "Choice") => {
            // bytemuck wants numbers.
            let one = if plain.encoding == "zerocopy" { "= ONE as u8" } else { "= 0x1" };
            plain.variants = vec![("Off", "= 0"), ("On", one)];
            "discriminants that are there anyway"
        }
        11 if has(plain, "Choice") => {
            plain.variants[1].1 = random.of(&["= 7", "= 0x7"]);
            "another discriminant"
        }
        12 if has(plain, "Choice") => {
            plain.variants.push(("More", ""));
            "a variant more"
        }
        13 => {
            plain.style = "tuple";
            "fields without names"
        }
        _ => return None,
    })
}

fn text(plain: &Plain) -> (String, String) {
    let has = |name: &str| plain.fields.iter().any(|field| field.1 == name);
    let (derives, enums) = if plain.encoding == "zerocopy" {
        ("TryFromBytes, IntoBytes, KnownLayout, Immutable", "TryFromBytes, IntoBytes, KnownLayout, Immutable")
    } else {
        ("Clone, Copy, NoUninit, CheckedBitPattern", "Clone, Copy, NoUninit, CheckedBitPattern")
    };
    let mut source = String::new();
    let is_tuple = plain.style == "tuple";
    let list = |fields: &mut dyn Iterator<Item = (&str, &str)>| {
        let items = fields.map(|(name, ty)| if is_tuple { format!("pub {ty}") } else { format!("pub {name}: {ty}") });
        let items = items.collect::<Vec<_>>().join(", ");
        if is_tuple { format!("({items});") } else { format!(" {{ {items} }}") }
    };
    let (attribute, encoding, name, repr) = (plain.attribute, plain.encoding, plain.inner_name, plain.repr);
    let fields = list(&mut plain.fields.iter().map(|(name, ty)| (&**name, *ty)));
    writeln!(source, "#[derive(Message, Serialize, {derives})] #[message(encoding = {encoding:?})] {attribute} pub struct Root{fields}").unwrap();
    let mut meaning = vec![format!("{encoding:?}.to_owned()")];
    let mut extra = String::new();
    layout("Root", &mut plain.fields.iter().map(|field| &*field.0), is_tuple, &mut meaning);
    sample("Root", &mut plain.fields.iter().map(|field| &*field.0), is_tuple, &mut extra);
    if has("Inner") {
        let fields = list(&mut plain.inner.into_iter());
        let named = format!("#[serde(rename = {name:?})] #[message(name = {name:?})]");
        writeln!(source, "#[derive(Schema, Serialize, {derives})] {named} #[repr(C)] pub struct Inner{fields}")
            .unwrap();
        layout("Inner", &mut plain.inner.iter().map(|field| field.0), is_tuple, &mut meaning);
        sample("Inner", &mut plain.inner.iter().map(|field| field.0), is_tuple, &mut extra);
    }
    if has("Choice") {
        let variants: Vec<_> = plain.variants.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let variants = variants.join(", ").replace("u8", repr);
        writeln!(source, "#[derive(Schema, Serialize, {enums})] #[repr({repr})] pub enum Choice {{ {variants} }}")
            .unwrap();
        let arms = plain.variants.iter().map(|variant| format!("Choice::{}", variant.0)).collect::<Vec<_>>();
        let parts = vec!["&[]"; arms.len()].join(", ");
        let values: Vec<_> = arms.iter().map(|arm| format!("{arm} as i128")).collect();
        meaning.push(format!("format!(\"{repr} {{:?}}\", [{}])", values.join(", ")));
        let arms: Vec<_> = arms.iter().enumerate().map(|(at, arm)| format!("{at} => {arm}")).collect();
        writeln!(
            extra,
            "impl Sample for Choice {{ const PARTS: Parts = &[{parts}]; fn make(v: usize, _: usize, _: u32) -> Self {{ match v {{ {}, _ => unreachable!() }} }} }}",
            arms.join(", ")
        )
        .unwrap();
    }
    writeln!(extra, "pub fn meaning() -> BTreeSet<String> {{ BTreeSet::from([{}]) }}", meaning.join(", ")).unwrap();
    let code = format!("{source}{extra}");
    (source, code)
}

/// Adds where the compiler puts the fields.
fn layout(ident: &str, names: &mut dyn Iterator<Item = &str>, is_tuple: bool, meaning: &mut Vec<String>) {
    let offsets = names.enumerate().map(|(at, name)| {
        let name = if is_tuple { at.to_string() } else { name.to_owned() };
        format!("offset_of!({ident}, {name})")
    });
    let offsets = offsets.collect::<Vec<_>>().join(", ");
    meaning.push(format!("format!(\"{{:?}}\", [size_of::<{ident}>(), align_of::<{ident}>(), {offsets}])"));
}

fn sample(ident: &str, names: &mut dyn Iterator<Item = &str>, is_tuple: bool, extra: &mut String) {
    let values = names.enumerate().map(|(at, name)| {
        if is_tuple { format!("{at}: Sample::sample(i, d)") } else { format!("{name}: Sample::sample(i, d)") }
    });
    let values = values.collect::<Vec<_>>().join(", ");
    // As many as the enum inside may have variants.
    writeln!(
        extra,
        "impl Sample for {ident} {{ fn count(_: u32) -> usize {{ 6 }} fn sample(i: usize, d: u32) -> Self {{ {ident} {{ {values} }} }} }}"
    )
    .unwrap();
}
