//! Checking tables that come from a store: anybody may have written them.

use std::collections::HashSet;

use thiserror::Error;

use super::plain;
use super::table::{Fields, Index, Node, Number, Table};

/// The most types of a schema that a store keeps.
pub(crate) const MAX_TYPES: usize = 4096;
/// The most bytes of it.
pub(crate) const MAX_LEN: usize = 64 << 10;

/// How deeply types that look alike may differ. Comparing them takes as many rounds.
const MAX_LIKENESS: usize = 32;

/// How deeply types without names may be inside of each other.
const MAX_UNNAMED_HEIGHT: u32 = 64;
/// How many types a type without a name may mention, those that it mentions twice counted twice.
const MAX_UNNAMED_TEXT: u64 = 1 << 14;

/// A type without a name, up to types with names.
#[derive(Debug, Clone, Copy)]
struct Unnamed {
    height: u32,
    text: u64,
}

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// It is longer than 64 KiB, or has more than 4,096 types.
    #[error("the schema is too large: {found} {unit}, of at most {max}")]
    TooLarge {
        /// How many it has.
        found: usize,
        /// The most.
        max: usize,
        /// Bytes or types.
        unit: &'static str,
    },
    /// It was written by another version of this crate.
    #[error("the schema has format {found}, this version of splinter-bus reads {known}: update the older program")]
    Format {
        /// The format of the schema.
        found: u8,
        /// The one that is read.
        known: u8,
    },
    /// Its bytes are not a schema.
    #[error("the schema is damaged: {what}")]
    Damaged {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A type contains itself in each of its values, so that none ends.
    #[error("the schema is damaged: {name} contains itself without end")]
    Endless {
        /// The type.
        name: String,
    },
}

/// Whether fields, and variants, are told apart by their names.
fn names_differ(node: &Node) -> bool {
    fn all_differ<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
        let mut seen = HashSet::new();
        names.all(|name| seen.insert(name))
    }
    let of_fields = |fields: &Fields| match fields {
        Fields::Named(fields) => all_differ(fields.iter().map(|field| field.name.as_str())),
        Fields::Unit | Fields::Tuple(_) => true,
    };
    match node {
        Node::Struct(this) => of_fields(&this.fields),
        Node::Enum(this) => {
            all_differ(this.variants.iter().map(|variant| variant.name.as_str()))
                && this.variants.iter().all(|variant| of_fields(&variant.fields))
        }
        _ => true,
    }
}

impl Table {
    /// Checks that the table can be read by: its types exist, and each has a value that ends.
    pub(crate) fn validate(&self) -> Result<(), SchemaError> {
        let count = self.nodes.len();
        if count == 0 {
            return Err(SchemaError::Damaged { what: "it has no type" });
        }
        if count > MAX_TYPES {
            return Err(SchemaError::TooLarge { found: count, max: MAX_TYPES, unit: "types" });
        }
        if self.nodes.iter().flat_map(Node::children).any(|child| child as usize >= count) {
            return Err(SchemaError::Damaged { what: "it names a type that it does not have" });
        }
        for node in &self.nodes {
            let layouts_fit = match node {
                Node::Struct(this) => this
                    .layout
                    .as_ref()
                    .is_none_or(|layout| layout.offsets.len() == this.fields.len() && layout.align.is_power_of_two()),
                Node::Enum(this) => this
                    .layout
                    .as_ref()
                    .is_none_or(|layout| layout.align.is_power_of_two() && plain::is_tag(layout.tag)),
                _ => true,
            };
            if !layouts_fit {
                return Err(SchemaError::Damaged { what: "the layout of a plain type does not fit its fields" });
            }
            if !names_differ(node) {
                return Err(SchemaError::Damaged { what: "two fields or variants of a type have one name" });
            }
            if !self.is_known_form(node) {
                return Err(SchemaError::Damaged { what: "a type with a form of its own in JSON is another type" });
            }
        }
        if !self.differs_within(MAX_LIKENESS) {
            return Err(SchemaError::Damaged {
                what: "types of one name differ only more than 32 levels inside of them",
            });
        }
        let mut unnamed = vec![None; count];
        for index in 0..count {
            self.unnamed(index as Index, 0, &mut unnamed)?;
        }
        match self.ends().iter().position(|ends| !ends) {
            None => Ok(()),
            Some(endless) => {
                let name = match &self.nodes[endless] {
                    Node::Struct(this) => this.name.clone(),
                    Node::Enum(this) => this.name.clone(),
                    _ => "a type".to_owned(),
                };
                Err(SchemaError::Endless { name })
            }
        }
    }

    /// Whether a logical type that has a form of its own in JSON has the bytes for it.
    fn is_known_form(&self, node: &Node) -> bool {
        let Node::Logical { name, wire } = node else { return true };
        let wire = self.node(*wire);
        let is_bytes = |len: u64| match wire {
            Node::Array(item, count) => *count == len && *self.node(*item) == Node::Number(Number::U8),
            _ => false,
        };
        match name.as_str() {
            "json" => *wire == Node::String,
            "Uuid" => *wire == Node::Bytes || is_bytes(16),
            "Ipv4Addr" => is_bytes(4),
            "Ipv6Addr" => is_bytes(16),
            _ => true,
        }
    }

    /// The height of a type without a name, and the length of its text, both up to types with names. In Rust,
    /// only types with names contain themselves.
    fn unnamed(&self, index: Index, depth: u32, known: &mut [Option<Unnamed>]) -> Result<Unnamed, SchemaError> {
        const TOO_LARGE: SchemaError =
            SchemaError::Damaged { what: "types without names are inside of each other without end" };
        if let Some(unnamed) = known[index as usize] {
            return Ok(unnamed);
        }
        if depth > MAX_UNNAMED_HEIGHT {
            return Err(TOO_LARGE);
        }
        let mut unnamed = Unnamed { height: 1, text: 1 };
        if !matches!(self.node(index), Node::Struct(_) | Node::Enum(_)) {
            for child in self.node(index).children() {
                let Unnamed { height, text } = self.unnamed(child, depth + 1, known)?;
                unnamed.height = unnamed.height.max(height + 1);
                unnamed.text += text;
            }
        }
        if unnamed.height > MAX_UNNAMED_HEIGHT || unnamed.text > MAX_UNNAMED_TEXT {
            return Err(TOO_LARGE);
        }
        known[index as usize] = Some(unnamed);
        Ok(unnamed)
    }

    /// Whether each type has a value that ends: the least fixed point, found by rounds.
    fn ends(&self) -> Vec<bool> {
        let mut ends = vec![false; self.nodes.len()];
        loop {
            let mut changed = false;
            for (index, node) in self.nodes.iter().enumerate() {
                let does = |child: Index| ends[child as usize];
                let fields = |fields: &Fields| fields.types().all(does);
                let now = match node {
                    Node::Array(item, count) => *count == 0 || does(*item),
                    Node::Tuple(items) => items.iter().all(|&item| does(item)),
                    Node::Struct(this) => fields(&this.fields),
                    Node::Enum(this) => {
                        this.variants.is_empty() || this.variants.iter().any(|variant| fields(&variant.fields))
                    }
                    Node::Logical { wire, .. } => does(*wire),
                    _ => true,
                };
                changed |= now && !ends[index];
                ends[index] |= now;
            }
            if !changed {
                return ends;
            }
        }
    }

    /// Whether reading a value of the type needs limits: it may contain itself, or any number of values
    /// that take no bytes.
    pub(crate) fn needs_limits(&self) -> bool {
        let lens = self.least_lens();
        let of_nothing = self.nodes.iter().any(|node| match node {
            Node::Sequence(item) => lens[*item as usize] == 0,
            Node::Map(key, value) => lens[*key as usize] == 0 && lens[*value as usize] == 0,
            _ => false,
        });
        of_nothing || self.is_recursive()
    }

    /// The least number of bytes of a value of each type, as far as it is told from none.
    fn least_lens(&self) -> Vec<u8> {
        // From 1 down: only what is shown to take nothing does.
        let mut lens = vec![1; self.nodes.len()];
        loop {
            let mut changed = false;
            for (index, node) in self.nodes.iter().enumerate() {
                let empty = match node {
                    Node::Unit => true,
                    Node::Array(item, count) => *count == 0 || lens[*item as usize] == 0,
                    Node::Tuple(items) => items.iter().all(|&item| lens[item as usize] == 0),
                    Node::Struct(this) => this.fields.types().all(|ty| lens[ty as usize] == 0),
                    Node::Logical { wire, .. } => lens[*wire as usize] == 0,
                    _ => false,
                };
                changed |= empty && lens[index] != 0;
                lens[index] = if empty { 0 } else { lens[index] };
            }
            if !changed {
                return lens;
            }
        }
    }

    /// Whether a type contains itself.
    fn is_recursive(&self) -> bool {
        // A depth-first walk that meets a type that it has not left yet. Without recursion: a hostile
        // table is deep.
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            New,
            Entered,
            Left,
        }
        let mut states = vec![State::New; self.nodes.len()];
        let mut way: Vec<(usize, Vec<Index>)> = vec![(0, self.nodes[0].children())];
        states[0] = State::Entered;
        while let Some((index, children)) = way.last_mut() {
            match children.pop() {
                None => {
                    states[*index] = State::Left;
                    way.pop();
                }
                Some(child) => match states[child as usize] {
                    State::Entered => return true,
                    State::Left => {}
                    State::New => {
                        states[child as usize] = State::Entered;
                        way.push((child as usize, self.nodes[child as usize].children()));
                    }
                },
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::SchemaWriter;
    use crate::schema::table::Struct;

    fn structure(fields: Vec<Index>) -> Node {
        let (name, fields) = ("S".to_owned(), Fields::Tuple(fields));
        Node::Struct(Struct { name, fields, layout: None, reader: None })
    }

    fn table(nodes: Vec<Node>) -> Table {
        Table { nodes }
    }

    #[test]
    fn tables_that_cannot_be_read_by_are_refused() {
        let byte = Node::Number(Number::U8);
        let damaged = |nodes| matches!(table(nodes).validate(), Err(SchemaError::Damaged { .. }));
        assert!(damaged(vec![]));
        assert!(damaged(vec![Node::Option(1)]));
        assert!(damaged(vec![Node::Map(0, u32::MAX), byte.clone()]));
        let endless = |nodes| matches!(table(nodes).validate(), Err(SchemaError::Endless { .. }));
        assert!(endless(vec![structure(vec![0])]));
        assert!(endless(vec![structure(vec![1, 1]), Node::Tuple(vec![0])]));
        assert!(damaged(vec![Node::Logical { name: String::new(), wire: 0 }]));
        assert!(damaged(vec![Node::Option(1), Node::Sequence(0)]));
        let pair = |at: Index| Node::Tuple(vec![at + 1, at + 1]);
        assert!(damaged((0..30).map(pair).chain([byte.clone()]).collect()));
        assert!(damaged(vec![Node::Logical { name: "json".to_owned(), wire: 1 }, byte.clone()]));
        let many = vec![byte.clone(); MAX_TYPES + 1];
        assert!(matches!(table(many).validate(), Err(SchemaError::TooLarge { found: 4097, .. })));
        assert_eq!(table(vec![structure(vec![1]), Node::Option(0)]).validate(), Ok(()));
    }

    #[test]
    fn types_that_contain_themselves_or_nothing_need_limits() {
        assert!(table(vec![structure(vec![1]), Node::Option(0)]).needs_limits());
        assert!(table(vec![structure(vec![1, 2]), Node::Unit, Node::Sequence(0)]).needs_limits());
        assert!(SchemaWriter::table_of::<Vec<((), [(); 4])>>().needs_limits());
        assert!(SchemaWriter::table_of::<Vec<[u8; 0]>>().needs_limits());
        assert!(!SchemaWriter::table_of::<Vec<(u8, [(); 4])>>().needs_limits());
        assert!(!SchemaWriter::table_of::<std::collections::BTreeMap<(), u8>>().needs_limits());
        let both: Table = SchemaWriter::table_of::<(Vec<String>, Vec<String>, Option<Vec<String>>)>();
        assert!(!both.needs_limits());
    }

    /// Types of one name, each of which has the next one as its only field.
    fn nested(count: u32) -> Table {
        let structure = |index: u32| {
            let fields = if index + 1 < count { Fields::Tuple(vec![index + 1, index + 1]) } else { Fields::Unit };
            Node::Struct(Struct { name: "A".to_owned(), fields, layout: None, reader: None })
        };
        Table { nodes: (0..count).map(structure).collect() }
    }

    #[test]
    fn types_that_differ_only_deep_inside_are_refused_at_once() {
        assert_eq!(nested(20).validate(), Ok(()));
        let error = nested(4096).validate().unwrap_err();
        assert!(matches!(error, SchemaError::Damaged { what } if what.contains("32 levels")), "{error}");
    }

    #[test]
    fn the_text_of_a_small_table_is_short_however_often_it_mentions_a_name() {
        let tuple = |item: u32| Node::Tuple(vec![item; 11]);
        let name = "A".repeat(600);
        let root = Fields::Tuple(vec![2; 11]);
        let mut nodes = vec![Node::Struct(Struct { name: "R".to_owned(), fields: root, layout: None, reader: None })];
        nodes.push(Node::Struct(Struct { name, fields: Fields::Unit, layout: None, reader: None }));
        nodes.extend([tuple(3), tuple(4), tuple(1)]);
        let table = Table { nodes };
        assert_eq!(table.validate(), Ok(()));
        let text = table.to_string();
        assert!(text.len() < 17 << 10 && text.ends_with("..."), "{} bytes", text.len());
    }
}
