//! The model of a type, and random types.

use super::random::Random;

/// Types that mention each other by their place. The first is the root.
#[derive(Clone)]
pub(super) struct Module {
    pub(super) types: Vec<Type>,
}

#[derive(Clone)]
pub(super) struct Type {
    /// Its name in Rust.
    pub(super) ident: String,
    /// Its name in the schema and in serde, if that is another.
    pub(super) name: Option<String>,
    pub(super) parameter: Parameter,
    pub(super) body: Body,
    /// Further attributes and doc comments.
    pub(super) attributes: Vec<String>,
}

impl Type {
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.ident)
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Parameter {
    None,
    /// `T`.
    Type,
    /// `const N: u8`.
    Const,
}

#[derive(Clone)]
pub(super) enum Body {
    Struct(Fields),
    Enum(Vec<Variant>),
    /// `#[serde(transparent)]`.
    Transparent(Ty),
    /// `#[serde(into = "...")]`.
    Into(Ty),
}

#[derive(Clone)]
pub(super) struct Fields {
    pub(super) style: Style,
    pub(super) fields: Vec<Field>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Style {
    Unit,
    Tuple,
    Named,
}

#[derive(Clone)]
pub(super) struct Field {
    pub(super) ident: String,
    pub(super) rename: Option<String>,
    pub(super) ty: Ty,
    pub(super) is_skipped: bool,
    /// Written by a function, as a string.
    pub(super) as_text: bool,
    pub(super) attributes: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Variant {
    pub(super) ident: String,
    pub(super) rename: Option<String>,
    pub(super) discriminant: Option<String>,
    pub(super) fields: Fields,
    pub(super) attributes: Vec<String>,
}

#[derive(Clone, PartialEq)]
pub(super) enum Ty {
    Leaf(&'static str),
    /// A type with an argument, such as `Vec<...>`.
    Around(&'static str, Box<Ty>),
    Array(Box<Ty>, usize),
    Tuple(Vec<Ty>),
    /// Another type of the module, with its argument.
    Named(usize, Option<Box<Ty>>),
    Const(usize, u8),
    /// The parameter of the type.
    Parameter,
}

pub(super) const NUMBERS: [&str; 12] =
    ["u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128", "f32", "f64"];
pub(super) const LEAVES: [&str; 11] =
    ["bool", "char", "String", "()", "u8", "u16", "u32", "u64", "i64", "NonZero<u32>", "Duration"];
/// `Boxed` is a `Box` of anything, the others have any number of values.
pub(super) const AROUND: [&str; 6] = ["Option", "Vec", "Box", "BTreeMap<u16, ", "BTreeMap<String, ", "Option"];
const FIELDS: [&str; 5] = ["id", "text", "user_name", "size", "x"];
const VARIANTS: [&str; 5] = ["Empty", "Text", "UserName", "More", "Stop"];

/// A random root and up to three types that it mentions.
pub(super) fn module(random: &mut Random) -> Module {
    let count = 1 + random.below(4);
    let mut types: Vec<Option<Type>> = vec![None; count];
    for at in (0..count).rev() {
        types[at] = Some(ty_at(random, at, &types));
    }
    Module { types: types.into_iter().flatten().collect() }
}

fn ty_at(random: &mut Random, at: usize, later: &[Option<Type>]) -> Type {
    let parameter = match random.below(8) {
        0 if at > 0 => Parameter::Type,
        1 if at > 0 => Parameter::Const,
        _ => Parameter::None,
    };
    let mut source = Source { random, at, later, parameter };
    let body = match source.random.below(if at > 0 { 12 } else { 9 }) {
        0..5 => Body::Struct(source.fields(4)),
        5..9 => Body::Enum(source.variants()),
        9 | 10 => Body::Transparent(source.ty(1)),
        _ if parameter != Parameter::Type => Body::Into(Ty::Leaf("u64")),
        _ => Body::Transparent(Ty::Parameter),
    };
    let ident = if at == 0 { "Root".to_owned() } else { format!("Inner{at}") };
    let mut this = Type { ident, name: None, parameter, body, attributes: Vec::new() };
    if random.once_in(6) {
        this.name = Some(format!("bus.{}", this.ident));
    }
    if parameter == Parameter::Type {
        hold_parameter(&mut this.body);
    }
    if random.once_in(6) && matches!(this.body, Body::Struct(_) | Body::Enum(_)) {
        this.attributes.push(format!("#[serde(rename_all = {:?})]", random.of(&RULES)));
    }
    this
}

pub(super) const RULES: [&str; 5] = ["lowercase", "UPPERCASE", "PascalCase", "camelCase", "snake_case"];

/// Adds a field of the parameter's type, which the type must have.
fn hold_parameter(body: &mut Body) {
    let fields = match body {
        Body::Struct(fields) => fields,
        Body::Enum(variants) => &mut variants[0].fields,
        Body::Transparent(ty) | Body::Into(ty) => {
            *ty = Ty::Parameter;
            return;
        }
    };
    if fields.style == Style::Unit {
        fields.style = Style::Tuple;
    }
    fields.fields.push(field("held".to_owned(), Ty::Parameter));
}

pub(super) fn field(ident: String, ty: Ty) -> Field {
    Field { ident, rename: None, ty, is_skipped: false, as_text: false, attributes: Vec::new() }
}

pub(super) struct Source<'a> {
    pub(super) random: &'a mut Random,
    /// The place of the type that is made.
    at: usize,
    later: &'a [Option<Type>],
    parameter: Parameter,
}

impl Source<'_> {
    fn fields(&mut self, most: usize) -> Fields {
        let style = self.random.of(&[Style::Unit, Style::Tuple, Style::Named, Style::Named, Style::Named]);
        let count = if style == Style::Unit { 0 } else { self.random.below(most) + usize::from(most > 3) };
        let fields = (0..count).map(|at| {
            let mut field = field(FIELDS[at].to_owned(), self.ty(2));
            if style == Style::Named && self.random.once_in(5) {
                field.rename = Some(format!("{}-1", field.ident));
            }
            if self.random.once_in(12) {
                (field.ty, field.as_text) = (Ty::Leaf("u32"), true);
            }
            field
        });
        Fields { style, fields: fields.collect() }
    }

    fn variants(&mut self) -> Vec<Variant> {
        // The compiler gives the values of variants that have neither fields nor parameters.
        let all_units = self.random.once_in(3) && self.parameter == Parameter::None;
        let count = 1 + self.random.below(4);
        let variants = (0..count).map(|at| {
            let fields = if all_units { Fields { style: Style::Unit, fields: Vec::new() } } else { self.fields(3) };
            let discriminant = (all_units && self.random.once_in(3)).then(|| format!("{}", at * 3));
            let rename = self.random.once_in(5).then(|| format!("{}!", VARIANTS[at]));
            Variant { ident: VARIANTS[at].to_owned(), rename, discriminant, fields, attributes: Vec::new() }
        });
        variants.collect()
    }

    /// A type with at most so many others around it.
    fn ty(&mut self, most: usize) -> Ty {
        let inner = |this: &mut Self| Box::new(this.ty(most - 1));
        match self.random.below(if most == 0 { 8 } else { 16 }) {
            0..3 => Ty::Leaf(self.random.of(&LEAVES)),
            3 => Ty::Leaf(self.random.of(&NUMBERS)),
            4..7 if self.at + 1 < self.later.len() => {
                let at = self.at + 1 + self.random.below(self.later.len() - self.at - 1);
                match self.later[at].as_ref().map(|ty| ty.parameter) {
                    Some(Parameter::Type) => Ty::Named(at, Some(Box::new(Ty::Leaf(self.random.of(&LEAVES))))),
                    Some(Parameter::Const) => Ty::Const(at, 3),
                    _ => Ty::Named(at, None),
                }
            }
            // Recursion, which ends.
            7 if self.parameter == Parameter::None => {
                let root = Box::new(Ty::Named(0, None));
                let around = self.random.of(&["Option<Box<", "Vec"]);
                Ty::Around(around, root)
            }
            8..13 => {
                let around = self.random.of(&AROUND);
                Ty::Around(around, inner(self))
            }
            13 => {
                let count = 1 + self.random.below(3);
                Ty::Array(inner(self), count)
            }
            14 => Ty::Tuple((0..2).map(|_| self.ty(0)).collect()),
            _ => Ty::Leaf(self.random.of(&NUMBERS)),
        }
    }
}
