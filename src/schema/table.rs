//! A schema as data: a table of types that name each other by their place in the table.
//!
//! A schema has two parts. The *wire part* says which bytes a value has, and what they are called:
//! fields in their order and with their names, variants with their discriminants, and for plain types
//! where each field lies. It is what fingerprints cover. The *reader part* says what a receiver of the
//! type accepts beyond that: other names of a field, a default for a field that is missing.
//! [`Table::wire`] leaves it out.
//!
//! Tables are in a normal form: two types that cannot be told apart by names and structure are one
//! entry, and entries stand in the order in which a walk from the root meets them. So equal types have
//! equal tables in every program, however they are written.

use std::collections::HashMap;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

/// The place of a type in a table.
pub(crate) type Index = u32;

/// A type, and all types that it consists of. The first entry is the type itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Table {
    pub(crate) nodes: Vec<Node>,
}

/// One type. Others are named by their place in the table.
///
/// Postcard's bytes of this type are what is hashed: an entry that is added goes to the end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Node {
    Number(Number),
    Bool,
    Char,
    String,
    Bytes,
    Unit,
    Option(Index),
    /// Any number of values, after their count.
    Sequence(Index),
    /// Any number of pairs, after their count.
    Map(Index, Index),
    /// This many values.
    Array(Index, u64),
    Tuple(Vec<Index>),
    Struct(Struct),
    Enum(Enum),
    /// A type whose values mean more than their bytes say, such as a UUID, or a set.
    Logical {
        name: String,
        wire: Index,
    },
    /// A number of a plain type, of this order of bytes, at any address.
    Ordered {
        big_endian: bool,
        number: Number,
    },
}

/// The type of a number. In postcard, all but the one-byte ones are of variable length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Number {
    U8,
    U16,
    U32,
    U64,
    U128,
    I8,
    I16,
    I32,
    I64,
    I128,
    F32,
    F64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) fields: Fields,
    /// Where the fields are, if the type is plain.
    pub(crate) layout: Option<StructLayout>,
    /// `None`: nothing beyond the wire part.
    pub(crate) reader: Option<StructReader>,
}

/// The fields of a struct or of a variant. A single field without a name is what serde calls a newtype.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Fields {
    Unit,
    Tuple(Vec<Index>),
    Named(Vec<Field>),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) ty: Index,
    pub(crate) reader: Option<FieldReader>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Enum {
    pub(crate) name: String,
    pub(crate) variants: Vec<Variant>,
    pub(crate) layout: Option<EnumLayout>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Variant {
    pub(crate) name: String,
    /// Its value as a number, unless that is its place among the variants.
    pub(crate) discriminant: Option<i128>,
    pub(crate) fields: Fields,
    pub(crate) reader: Option<VariantReader>,
}

/// Where the fields of a plain struct are, in bytes from its start.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct StructLayout {
    pub(crate) size: u64,
    pub(crate) align: u64,
    pub(crate) offsets: Vec<u64>,
}

/// How the variants of a plain enum lie in memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct EnumLayout {
    pub(crate) size: u64,
    pub(crate) align: u64,
    /// The type of the discriminant, which is at the start.
    pub(crate) tag: Number,
    /// `#[repr(C)]`: the fields of all variants begin at the same place.
    pub(crate) is_c: bool,
}

/// What a receiver accepts for a struct or a variant with named fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct StructReader {
    pub(crate) denies_unknown_fields: bool,
    pub(crate) docs: String,
}

/// What a receiver accepts for a field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct FieldReader {
    /// The names under which it is found. Empty: its name alone.
    pub(crate) names: Vec<String>,
    /// It may be missing.
    pub(crate) has_default: bool,
    pub(crate) docs: String,
}

/// What a receiver accepts for a variant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct VariantReader {
    /// The names by which it is found. Empty: its name alone.
    pub(crate) names: Vec<String>,
    /// It stands for all variants that are not known.
    pub(crate) is_other: bool,
    pub(crate) denies_unknown_fields: bool,
    pub(crate) docs: String,
}

impl Table {
    /// The table of the type at `root`, in normal form.
    pub(crate) fn normal(nodes: &[Node], root: Index) -> Self {
        let classes = classes(nodes);
        let mut places: HashMap<usize, Index> = HashMap::new();
        let mut order: Vec<Index> = Vec::new();
        let mut place_of = |index: Index, order: &mut Vec<Index>| {
            let next = places.len() as Index;
            *places.entry(classes[index as usize]).or_insert_with(|| {
                order.push(index);
                next
            })
        };
        place_of(root, &mut order);
        let mut normal = Vec::new();
        while let Some(&index) = order.get(normal.len()) {
            normal.push(nodes[index as usize].map(|other| place_of(other, &mut order)));
        }
        Self { nodes: normal }
    }

    /// The wire part alone.
    pub(crate) fn wire(&self) -> Self {
        let nodes: Vec<_> = self.nodes.iter().map(Node::wire).collect();
        Self::normal(&nodes, 0)
    }

    /// Whether types that differ only by types inside of them are told apart within so many levels.
    pub(super) fn differs_within(&self, levels: usize) -> bool {
        let nodes: Vec<_> = self.nodes.iter().map(Node::wire).collect();
        classes_within(&nodes, levels).is_some()
    }

    /// The wire part without the name of the type itself, but with those of the types inside of it.
    pub(crate) fn wire_without_name(&self) -> Self {
        let mut wire = self.wire();
        match &mut wire.nodes[0] {
            Node::Struct(this) => this.name.clear(),
            Node::Enum(this) => this.name.clear(),
            _ => {}
        }
        Self::normal(&wire.nodes, 0)
    }

    pub(crate) fn root(&self) -> &Node {
        &self.nodes[0]
    }

    pub(crate) fn node(&self, index: Index) -> &Node {
        &self.nodes[index as usize]
    }
}

impl Node {
    /// The node with `change` applied to each type that it names.
    pub(crate) fn map(&self, mut change: impl FnMut(Index) -> Index) -> Self {
        let mut node = self.clone();
        node.for_each_mut(&mut |index| *index = change(*index));
        node
    }

    /// The types that the node names, in their order.
    pub(crate) fn children(&self) -> Vec<Index> {
        let mut children = Vec::new();
        self.clone().for_each_mut(&mut |index| children.push(*index));
        children
    }

    fn for_each_mut(&mut self, visit: &mut impl FnMut(&mut Index)) {
        match self {
            Self::Number(_)
            | Self::Bool
            | Self::Char
            | Self::String
            | Self::Bytes
            | Self::Unit
            | Self::Ordered { .. } => {}
            Self::Option(item) | Self::Sequence(item) | Self::Array(item, _) | Self::Logical { wire: item, .. } => {
                visit(item);
            }
            Self::Map(key, value) => {
                visit(key);
                visit(value);
            }
            Self::Tuple(items) => items.iter_mut().for_each(visit),
            Self::Struct(this) => this.fields.for_each_mut(visit),
            Self::Enum(this) => this.variants.iter_mut().for_each(|variant| variant.fields.for_each_mut(visit)),
        }
    }

    fn wire(&self) -> Self {
        let mut node = self.clone();
        match &mut node {
            Self::Struct(this) => {
                this.reader = None;
                this.fields.leave_out_reader();
            }
            Self::Enum(this) => {
                for variant in &mut this.variants {
                    variant.reader = None;
                    variant.fields.leave_out_reader();
                }
            }
            _ => {}
        }
        node
    }
}

impl Fields {
    fn for_each_mut(&mut self, visit: &mut impl FnMut(&mut Index)) {
        match self {
            Self::Unit => {}
            Self::Tuple(items) => items.iter_mut().for_each(visit),
            Self::Named(fields) => fields.iter_mut().for_each(|field| visit(&mut field.ty)),
        }
    }

    fn leave_out_reader(&mut self) {
        if let Self::Named(fields) = self {
            fields.iter_mut().for_each(|field| field.reader = None);
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Unit => 0,
            Self::Tuple(items) => items.len(),
            Self::Named(fields) => fields.len(),
        }
    }

    /// The types of the fields, in their order.
    pub(crate) fn types(&self) -> impl Iterator<Item = Index> + '_ {
        (0..self.len()).map(|at| self.type_at(at))
    }

    /// The type of the field at `at`, which exists.
    pub(crate) fn type_at(&self, at: usize) -> Index {
        match self {
            Self::Unit => unreachable!("a unit has no fields"),
            Self::Tuple(items) => items[at],
            Self::Named(fields) => fields[at].ty,
        }
    }
}

impl Number {
    /// How many bytes it has in a plain type.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
            Self::U128 | Self::I128 => 16,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::U128 => "u128",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::I128 => "i128",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }
}

/// Divides nodes into classes: two are in one class if they have the same names and structure,
/// including the types that they use.
///
/// This is Moore's algorithm, which minimises an automaton by refinement. At first, nodes are in one
/// class if they are equal without the types that they name. Then they are separated if these are in
/// different classes, until no class is divided any more.
fn classes(nodes: &[Node]) -> Vec<usize> {
    classes_within(nodes, usize::MAX).unwrap_or_default()
}

/// As [`classes`]; `None` if it takes more than so many rounds.
fn classes_within(nodes: &[Node], rounds: usize) -> Option<Vec<usize>> {
    let (mut classes, mut count) = numbered(nodes.iter().map(|node| node.map(|_| 0)));
    let children: Vec<_> = nodes.iter().map(Node::children).collect();
    for _ in 0..rounds {
        let leads = children.iter().enumerate().map(|(index, children)| {
            (classes[index], children.iter().map(|&child| classes[child as usize]).collect::<Vec<_>>())
        });
        let (finer, finer_count) = numbered(leads);
        if finer_count == count {
            return Some(classes);
        }
        (classes, count) = (finer, finer_count);
    }
    None
}

/// Numbers the items, with one number for equal items; and returns how many numbers there are.
fn numbered<T: Eq + Hash>(items: impl Iterator<Item = T>) -> (Vec<usize>, usize) {
    let mut numbers = HashMap::new();
    let all = items
        .map(|item| {
            let next = numbers.len();
            *numbers.entry(item).or_insert(next)
        })
        .collect();
    (all, numbers.len())
}
