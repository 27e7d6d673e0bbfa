//! Schemas as text, for people.

use std::fmt;

use super::table::{Fields, Index, Node, Table};

/// The longest text, in bytes. That of a table from elsewhere could be much longer than the table.
const MAX_TEXT: usize = 16 << 10;

/// Displays as a list of definitions, at most 16 KiB of it.
///
/// Each type with a name is defined once; all its uses are its name
/// and its number. Numbers count from 1, in the order in which the list first mentions the types. If
/// the type has no name of its own, such as `Vec<User>`, it comes before the list.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = List { table: self, numbers: vec![None; self.nodes.len()], order: Vec::new() };
        let mut text = String::new();
        list.write(0, &mut text);
        if !list.order.is_empty() && is_named(self.root()) {
            // Its definition begins the list, so a reference before it is not needed.
            text.clear();
        }
        let mut next = 0;
        while let Some(&index) = list.order.get(next).filter(|_| text.len() <= MAX_TEXT) {
            if !text.is_empty() {
                text.push_str("; ");
            }
            list.define(index, &mut text);
            next += 1;
        }
        if text.len() > MAX_TEXT {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
            text.push_str("...");
        }
        f.write_str(&text)
    }
}

fn is_named(node: &Node) -> bool {
    matches!(node, Node::Struct(_) | Node::Enum(_))
}

struct List<'a> {
    table: &'a Table,
    /// The number of each type that was mentioned and has a name.
    numbers: Vec<Option<usize>>,
    /// These types, in the order of their numbers.
    order: Vec<Index>,
}

impl<'a> List<'a> {
    fn write(&mut self, index: Index, text: &mut String) {
        if text.len() > MAX_TEXT {
            return;
        }
        let table: &'a Table = self.table;
        match table.node(index) {
            Node::Number(number) => text.push_str(number.name()),
            Node::Bool => text.push_str("bool"),
            Node::Char => text.push_str("char"),
            Node::String => text.push_str("String"),
            Node::Bytes => text.push_str("bytes"),
            Node::Unit => text.push_str("()"),
            Node::Option(item) => self.around("Option<", *item, ">", text),
            Node::Sequence(item) => self.around("[", *item, "]", text),
            Node::Array(item, len) => self.around("[", *item, &format!(";{len}]"), text),
            Node::Map(key, value) => {
                self.around("map[", *key, "=>", text);
                self.around("", *value, "]", text);
            }
            Node::Tuple(items) => self.list(items.iter().copied(), text),
            Node::Logical { name, wire } => self.around(&format!("{name}<"), *wire, ">", text),
            Node::Ordered { big_endian, number } => {
                text.push_str(if *big_endian { "be " } else { "le " });
                text.push_str(number.name());
            }
            Node::Struct(this) => self.mention(index, &this.name, text),
            Node::Enum(this) => self.mention(index, &this.name, text),
        }
    }

    fn around(&mut self, before: &str, index: Index, after: &str, text: &mut String) {
        if text.len() > MAX_TEXT {
            return;
        }
        text.push_str(before);
        self.write(index, text);
        text.push_str(after);
    }

    fn list(&mut self, items: impl Iterator<Item = Index>, text: &mut String) {
        text.push('(');
        for (at, item) in items.enumerate() {
            self.around(if at == 0 { "" } else { "," }, item, "", text);
        }
        text.push(')');
    }

    fn mention(&mut self, index: Index, name: &str, text: &mut String) {
        let number = *self.numbers[index as usize].get_or_insert_with(|| {
            self.order.push(index);
            self.order.len()
        });
        text.push_str(&format!("{name}#{number}"));
    }

    fn define(&mut self, index: Index, text: &mut String) {
        let table: &'a Table = self.table;
        match table.node(index) {
            Node::Struct(this) => {
                text.push_str(&this.name);
                self.fields(&this.fields, text);
                if let Some(layout) = &this.layout {
                    let offsets: Vec<_> = layout.offsets.iter().map(ToString::to_string).collect();
                    let (size, align, at) = (layout.size, layout.align, offsets.join(","));
                    text.push_str(&format!(" [size {size}, align {align}, fields at {at}]"));
                }
            }
            Node::Enum(this) => {
                text.push_str(&this.name);
                text.push_str(" enum{");
                for (at, variant) in this.variants.iter().enumerate() {
                    if at > 0 {
                        text.push(',');
                    }
                    text.push_str(&variant.name);
                    self.fields(&variant.fields, text);
                    if let Some(value) = variant.discriminant {
                        text.push_str(&format!("={value}"));
                    }
                }
                text.push('}');
                if let Some(layout) = &this.layout {
                    let (size, align, tag) = (layout.size, layout.align, layout.tag.name());
                    let repr = if layout.is_c { "C, " } else { "" };
                    text.push_str(&format!(" [size {size}, align {align}, repr {repr}{tag}]"));
                }
            }
            _ => self.write(index, text),
        }
    }

    fn fields(&mut self, fields: &Fields, text: &mut String) {
        match fields {
            Fields::Unit => {}
            Fields::Tuple(items) => self.list(items.iter().copied(), text),
            Fields::Named(fields) => {
                text.push('{');
                for (at, field) in fields.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    self.around(&format!("{comma}{}:", field.name), field.ty, "", text);
                }
                text.push('}');
            }
        }
    }
}
