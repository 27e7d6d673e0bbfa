//! Types in a word or two, for errors.

use super::table::{Index, Node, Table};

pub(super) fn describe(table: &Table, index: Index) -> String {
    match table.node(index) {
        Node::Number(number) | Node::Ordered { number, .. } => number.name().to_owned(),
        Node::Bool => "bool".to_owned(),
        Node::Char => "char".to_owned(),
        Node::String => "a string".to_owned(),
        Node::Bytes => "bytes".to_owned(),
        Node::Unit => "()".to_owned(),
        Node::Option(_) => "an option".to_owned(),
        Node::Sequence(_) => "a sequence".to_owned(),
        Node::Map(..) => "a map".to_owned(),
        Node::Array(_, len) => format!("an array of {len}"),
        Node::Tuple(items) => format!("a tuple of {}", items.len()),
        Node::Struct(this) => format!("the struct {}", this.name),
        Node::Enum(this) => format!("the enum {}", this.name),
        Node::Logical { name, .. } => name.clone(),
    }
}
