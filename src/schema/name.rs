//! Names of types as arguments of generic types: `Page<User>`.
//!
//! A name depends on the schema alone, so types with the same encoding have the same name: `Page<String>` and
//! `Page<&str>` are both `Page<String>`. It is never a name that the compiler chose.

use std::collections::HashMap;

use super::table::{Index, Node};

/// The name of the type at `index`. `named` has the names of structs and enums, also of those that are being
/// described.
pub(super) fn name(nodes: &[Option<Node>], named: &HashMap<Index, String>, index: Index) -> String {
    let of = |index: Index| name(nodes, named, index);
    if let Some(name) = named.get(&index) {
        return name.clone();
    }
    match &nodes[index as usize] {
        None => String::new(),
        Some(Node::Number(number)) => number.name().to_owned(),
        Some(Node::Ordered { big_endian, number }) => {
            format!("{} {}", if *big_endian { "be" } else { "le" }, number.name())
        }
        Some(Node::Bool) => "bool".to_owned(),
        Some(Node::Char) => "char".to_owned(),
        Some(Node::String) => "String".to_owned(),
        Some(Node::Bytes) => "bytes".to_owned(),
        Some(Node::Unit) => "()".to_owned(),
        Some(Node::Option(item)) => generic("Option", &[of(*item)]),
        Some(Node::Sequence(item)) => generic("Vec", &[of(*item)]),
        Some(Node::Map(key, value)) => generic("Map", &[of(*key), of(*value)]),
        Some(Node::Array(item, len)) => format!("[{}; {len}]", of(*item)),
        Some(Node::Tuple(items)) => match &items[..] {
            [item] => format!("({},)", of(*item)),
            items => format!("({})", items.iter().map(|&item| of(item)).collect::<Vec<_>>().join(", ")),
        },
        Some(Node::Struct(this)) => this.name.clone(),
        Some(Node::Enum(this)) => this.name.clone(),
        Some(Node::Logical { name, wire }) => match (&name[..], &nodes[*wire as usize]) {
            ("set", Some(Node::Sequence(item))) => generic("Set", &[of(*item)]),
            ("NonZero", _) => generic("NonZero", &[of(*wire)]),
            _ => name.clone(),
        },
    }
}

/// A name with arguments.
pub(super) fn generic(name: &str, arguments: &[String]) -> String {
    format!("{name}<{}>", arguments.join(", "))
}
