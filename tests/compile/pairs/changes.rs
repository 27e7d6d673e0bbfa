//! Random changes of a type.

use super::random::Random;
use super::text::reachable;
use super::types::{
    AROUND, Body, Field, Fields, LEAVES, Module, NUMBERS, Parameter, RULES, Style, Ty, Type, Variant, field,
};

/// Changes the module in one place, and says how. `None`: there is no such place.
pub(super) fn change(random: &mut Random, module: &mut Module) -> Option<&'static str> {
    let there: Vec<_> = reachable(module, 0).into_iter().collect();
    let at = random.of(&there);
    let is_generic = module.types[at].parameter != Parameter::None;
    match random.below(10) {
        0 => change_type(random, module, at),
        1..4 => match &mut module.types[at].body {
            Body::Enum(variants) => change_variants(random, variants, is_generic),
            Body::Struct(fields) => change_fields(random, fields),
            _ => None,
        },
        4..7 => {
            let index = random_index(random);
            change_fields(random, random_fields(index, &mut module.types[at])?)
        }
        _ => change_type_of_field(random, module, at),
    }
}

fn random_index(random: &mut Random) -> usize {
    random.below(1 << 16)
}

/// The fields of a struct, or of one of the variants.
fn random_fields(index: usize, ty: &mut Type) -> Option<&mut Fields> {
    match &mut ty.body {
        Body::Struct(fields) => Some(fields),
        Body::Enum(variants) if variants.iter().all(|variant| variant.discriminant.is_none()) => {
            let count = variants.len();
            Some(&mut variants[index % count].fields)
        }
        _ => None,
    }
}

fn change_type(random: &mut Random, module: &mut Module, at: usize) -> Option<&'static str> {
    let is_root = at == 0;
    let ty = &mut module.types[at];
    let is_there = matches!(ty.body, Body::Struct(_) | Body::Enum(_));
    Some(match random.below(8) {
        0 => {
            ty.name = Some(format!("{}.changed", ty.name()));
            "another name of a type"
        }
        1 if !is_root => {
            ty.name = Some(ty.name().to_owned());
            ty.ident.push_str("Now");
            "another name of a type in Rust alone"
        }
        2 => {
            ty.attributes.push("/// What it is for.".to_owned());
            "a doc comment"
        }
        3 if matches!(ty.body, Body::Struct(Fields { style: Style::Named, .. }) | Body::Enum(_)) => {
            ty.attributes.push("#[serde(deny_unknown_fields)]".to_owned());
            "deny_unknown_fields"
        }
        4 if is_there && ty.attributes.is_empty() => {
            ty.attributes.push(format!("#[serde(rename_all = {:?})]", random.of(&RULES)));
            "rename_all"
        }
        5 if is_there && ty.attributes.is_empty() => {
            ty.attributes.push(format!("#[serde(rename_all(deserialize = {:?}))]", random.of(&RULES)));
            "rename_all for receivers alone"
        }
        6 if matches!(&ty.body, Body::Struct(fields) if !fields.fields.is_empty()) => {
            ty.attributes.push("#[repr(C)]".to_owned());
            "a layout in memory of a type that is not plain"
        }
        7 if !is_root && ty.parameter == Parameter::None => {
            match &mut ty.body {
                Body::Struct(fields) if fields.fields.len() == 1 && fields.fields[0].rename.is_none() => {
                    ty.body = Body::Transparent(fields.fields[0].ty.clone());
                    ty.attributes.clear();
                    if let Body::Transparent(Ty::Named(..) | Ty::Const(..)) = ty.body {
                        return None;
                    }
                }
                Body::Transparent(inner) => {
                    let fields = vec![field("held".to_owned(), inner.clone())];
                    ty.body = Body::Struct(Fields { style: Style::Tuple, fields });
                }
                _ => return None,
            }
            "transparent or not"
        }
        _ => return None,
    })
}

fn change_variants(random: &mut Random, variants: &mut Vec<Variant>, is_generic: bool) -> Option<&'static str> {
    let count = variants.len();
    let at = random.below(count);
    let is_numbered = variants.iter().any(|variant| variant.discriminant.is_some());
    let is_of_units = !is_generic && variants.iter().all(|variant| variant.fields.style == Style::Unit);
    let unit = || Variant {
        ident: "New".to_owned(),
        rename: None,
        discriminant: None,
        fields: Fields { style: Style::Unit, fields: Vec::new() },
        attributes: Vec::new(),
    };
    Some(match random.below(11) {
        0 => {
            variants.push(unit());
            "a variant more at the end"
        }
        1 if !is_numbered => {
            variants.insert(at, unit());
            "a variant more in between"
        }
        2 if count > 1 && !variants[at].fields.fields.iter().any(|field| field.ty == Ty::Parameter) => {
            variants.remove(at);
            "a variant less"
        }
        3 if at > 0 && !is_numbered => {
            variants.swap(at - 1, at);
            "two variants in another order"
        }
        4 => {
            variants[at].rename = Some("renamed".to_owned());
            "another name of a variant"
        }
        5 if variants[at].rename.is_some() => {
            variants[at].ident.push_str("Now");
            "another name of a variant in Rust alone"
        }
        6 if is_of_units && !is_numbered => {
            let (value, what) = random.of(&[
                (0, "the discriminant that it has anyway"),
                (0, "the discriminant that it has anyway"),
                (7, "another discriminant"),
            ]);
            let number = at + value;
            let spellings =
                [number.to_string(), format!("{number:#x}"), format!("ONE * {number}"), format!("!!{number}")];
            variants[at].discriminant = Some(random.of(&spellings));
            what
        }
        7 if is_of_units && is_numbered => {
            // What the last one has may be anything larger.
            variants[count - 1].discriminant = Some(format!("ONE + {}", 20 + random.below(3)));
            "another discriminant at the end"
        }
        8 if is_of_units && count > 1 && !is_numbered => {
            for (at, variant) in variants.iter_mut().enumerate() {
                variant.discriminant = Some((count - at).to_string());
            }
            "discriminants that go down"
        }
        9 => {
            variants[at].attributes.push("#[serde(alias = \"Former\")]".to_owned());
            "an alias of a variant"
        }
        10 if variants[count - 1].fields.style == Style::Unit => {
            variants[count - 1].attributes.push("#[serde(other)]".to_owned());
            "a variant for all others"
        }
        _ => return None,
    })
}

fn change_fields(random: &mut Random, fields: &mut Fields) -> Option<&'static str> {
    let (style, count) = (fields.style, fields.fields.len());
    if count == 0 {
        fields.style = random.of(&[Style::Unit, Style::Tuple, Style::Named]);
        return (fields.style != style).then_some("other braces around no fields");
    }
    let at = random.below(count);
    let is_named = style == Style::Named;
    Some(match random.below(12) {
        0 if is_named => {
            fields.fields[at].rename = Some("renamed".to_owned());
            "another name of a field"
        }
        1 if is_named => {
            let field = &mut fields.fields[at];
            field.rename = Some(field.rename.clone().unwrap_or_else(|| field.ident.clone()));
            field.ident.push_str("_now");
            "another name of a field in Rust alone"
        }
        2 | 3 if at > 0 && is_named => {
            let names = [at - 1, at].map(|at| {
                let field = &fields.fields[at];
                field.rename.clone().unwrap_or_else(|| field.ident.clone())
            });
            let [before, after] = names;
            (fields.fields[at - 1].rename, fields.fields[at].rename) = (Some(after), Some(before));
            "the names of two fields swapped"
        }
        4 if at > 0 => {
            fields.fields.swap(at - 1, at);
            "two fields in another order"
        }
        5 => {
            let ty = Ty::Leaf(random.of(&["u32", "String", "Duration"]));
            fields.fields.insert(at, Field { is_skipped: true, ..field("hidden".to_owned(), ty) });
            "a field that is skipped"
        }
        6 if matches!(fields.fields[at].ty, Ty::Leaf(name) if name != "NonZero<u32>" && name != "u128") => {
            fields.fields[at].is_skipped = true;
            fields.fields[at].as_text = false;
            "a field is skipped now"
        }
        // In a tuple, only fields at the end may have defaults.
        7 if is_named || at + 1 == count => {
            let attribute =
                random.of(&["#[serde(default)]", "/** What it is for. */", "#[serde(default = \"absent\")]"]);
            fields.fields[at].attributes.push(attribute.to_owned());
            "a default or a doc comment of a field"
        }
        8 if is_named => {
            let attribute = random.of(&["#[serde(alias = \"former\")]", "#[serde(rename(deserialize = \"former\"))]"]);
            if fields.fields[at].rename.is_some() && attribute.contains("rename") {
                return None;
            }
            fields.fields[at].attributes.push(attribute.to_owned());
            "another name of a field for receivers alone"
        }
        9 => {
            fields.fields.insert(at, field("more".to_owned(), Ty::Leaf(random.of(&LEAVES))));
            "a field more"
        }
        10 if fields.fields[at].ty != Ty::Parameter => {
            fields.fields.remove(at);
            "a field less"
        }
        11 => {
            fields.style = if is_named { Style::Tuple } else { Style::Named };
            "fields with or without names"
        }
        _ => return None,
    })
}

/// Changes the type of one field, or a part of that type.
fn change_type_of_field(random: &mut Random, module: &mut Module, at: usize) -> Option<&'static str> {
    let index = random_index(random);
    let mut copied = None;
    let types = module.types.clone();
    let (ty, is_field) = match &mut module.types[at].body {
        Body::Transparent(ty) => (ty, false),
        Body::Into(ty) => {
            *ty = Ty::Leaf("u32");
            return Some("another type that it is written as");
        }
        _ => {
            let fields = &mut random_fields(index, &mut module.types[at])?.fields;
            let count = fields.len();
            let field = fields.get_mut(random.below(count.max(1)))?;
            if random.once_in(8) && matches!(field.ty, Ty::Leaf("u32" | "String")) {
                // A number that is written as text is a text.
                field.as_text = field.ty == Ty::Leaf("String");
                field.ty = Ty::Leaf(if field.as_text { "u32" } else { "String" });
                return Some("text, or a number as text; or a number, or a text");
            }
            if field.as_text || field.is_skipped {
                return None;
            }
            (&mut field.ty, true)
        }
    };
    let part = random_part(random, ty);
    let change = match (part.clone(), random.below(8)) {
        (Ty::Leaf("u64"), 0) => (Ty::Leaf("usize"), "u64 is usize"),
        (Ty::Leaf("String"), 0) => (Ty::Leaf(random.of(&["Box<str>", "Cow<'static, str>"])), "another text"),
        (Ty::Leaf(name), 1 | 2) if NUMBERS.contains(&name) => (Ty::Leaf(random.of(&NUMBERS)), "another number"),
        (Ty::Leaf("u32"), 3) => (Ty::Leaf("NonZero<u32>"), "a number that is not zero"),
        (Ty::Leaf("u32"), 4) => (Ty::Leaf("Wrapping<u32>"), "a number that wraps"),
        (Ty::Leaf(_), 5) => (Ty::Leaf(random.of(&LEAVES)), "another leaf"),
        (Ty::Around("Vec", item), 0) => (Ty::Around("VecDeque", item), "another list"),
        (Ty::Around("Vec", item), 1) if matches!(*item, Ty::Leaf("u8" | "u32" | "String" | "char")) => {
            (Ty::Around("BTreeSet", item), "a list is a set")
        }
        (Ty::Around("Option" | "Box", item), 2 | 3) => (*item, "nothing around it"),
        (Ty::Around("Vec", item), 2) => (Ty::Around("Option<Box<", item), "an option for a list"),
        (Ty::Around("BTreeMap<u16, ", item), 2) => (Ty::Around("BTreeMap<u32, ", item), "another key"),
        (Ty::Array(item, count), 0..4) => (Ty::Array(item, count + 1), "a longer array"),
        (Ty::Tuple(mut items), 0..3) => {
            items.reverse();
            (Ty::Tuple(items), "a tuple in another order")
        }
        (Ty::Tuple(items), 3) => (Ty::Tuple(items[1..].to_vec()), "a shorter tuple"),
        (Ty::Const(at, value), 0..4) => (Ty::Const(at, value + 1), "another constant"),
        (Ty::Named(at, Some(_)), 0..4) => {
            let argument = Box::new(Ty::Leaf(random.of(&LEAVES)));
            (Ty::Named(at, Some(argument)), "another argument")
        }
        (Ty::Named(at, None), 0..4) if at > 0 => {
            // Two types of one name and structure are one.
            let mut copy = types[at].clone();
            copy.name = Some(copy.name().to_owned());
            copy.ident.push_str("Copy");
            copied = Some(copy);
            (Ty::Named(types.len(), None), "the same type once more")
        }
        (part, 6) => {
            let around = random.of(&AROUND);
            (Ty::Around(around, Box::new(part)), "something around it")
        }
        (part, 7) if is_field => (Ty::Around("Box", Box::new(part)), "a box around it"),
        _ => return None,
    };
    let is_parameter = part == Ty::Parameter;
    if is_parameter && !matches!(change.0, Ty::Around(..)) {
        return None;
    }
    replace(ty, &part, &change.0);
    module.types.extend(copied);
    Some(change.1)
}

/// The type itself, or one inside of it.
fn random_part(random: &mut Random, ty: &Ty) -> Ty {
    match ty {
        // Recursion needs its box.
        Ty::Around(_, inner) if **inner != Ty::Named(0, None) && random.once_in(2) => random_part(random, inner),
        Ty::Array(inner, _) if random.once_in(2) => random_part(random, inner),
        _ => ty.clone(),
    }
}

fn replace(ty: &mut Ty, part: &Ty, by: &Ty) {
    if ty == part {
        *ty = by.clone();
        return;
    }
    match ty {
        Ty::Around(_, inner) | Ty::Array(inner, _) => replace(inner, part, by),
        _ => {}
    }
}
