//! Whether a receiver can read what a sender writes, by their schemas alone.
//!
//! The rules are those by which `read.rs` presents a value to `serde`, and by which `serde` reads it into a
//! derived type. Types that contain themselves are compared as if they were compatible where they are met
//! again; that is repeated with the pairs that turned out not to be, until no more are found (the greatest
//! fixed point).

use std::collections::{HashMap, HashSet};

use thiserror::Error;

use super::check::at;
use super::cursor::MAX_DEPTH;
use super::path::{Step, ValuePath};
use super::table::{Enum, Field, FieldReader, Fields, Index, Node, Number, Struct, Table, Variant};
use super::words::describe;

/// Whether a receiver can read the messages of a sender: see
/// [`MessageType::compatible_with`](crate::message::MessageType::compatible_with).
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Compatibility {
    /// All of them.
    Yes,
    /// Those without the values that are listed, of which there is at least one. The fields of a type that is
    /// in several places are listed in the first of them.
    Partly(Vec<Difference>),
    /// None.
    No(Difference),
}

/// A part of a message that a receiver cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[error("{}{reason}", at(path))]
pub struct Difference {
    /// Where in the message.
    pub path: ValuePath,
    /// Why.
    pub reason: String,
}

impl Difference {
    /// Of a message as a whole.
    pub(crate) fn whole(reason: String) -> Self {
        Self { path: ValuePath::default(), reason }
    }
}

/// Compares the types of a sender and of a receiver, whose values are in postcard.
pub(crate) fn compatible(writer: &Table, reader: &Table) -> Compatibility {
    let mut failed = HashMap::new();
    loop {
        let known = failed.len();
        let mut comparison =
            Comparison { writer, reader, failed, path: Vec::new(), partly: Vec::new(), met: HashSet::new() };
        let outcome = comparison.compare(0, 0);
        let Comparison { partly, failed: found, .. } = comparison;
        if found.len() == known {
            return match outcome {
                Err(difference) => Compatibility::No(difference),
                Ok(()) if partly.is_empty() => Compatibility::Yes,
                Ok(()) => Compatibility::Partly(partly),
            };
        }
        failed = found;
    }
}

type Outcome = Result<(), Difference>;

struct Comparison<'a> {
    writer: &'a Table,
    reader: &'a Table,
    /// The pairs that are not compatible: where inside of them, the last step first, and why.
    failed: HashMap<(Index, Index), (Vec<Step>, String)>,
    path: Vec<Step>,
    partly: Vec<Difference>,
    /// The pairs that were compared, or are being compared.
    met: HashSet<(Index, Index)>,
}

impl<'a> Comparison<'a> {
    fn difference(&self, reason: String) -> Difference {
        Difference { path: ValuePath::of_steps(self.path.iter().rev().cloned().collect()), reason }
    }

    fn fails(&self, reason: impl Into<String>) -> Outcome {
        Err(self.difference(reason.into()))
    }

    fn partly(&mut self, reason: impl Into<String>) {
        self.partly.push(self.difference(reason.into()));
    }

    fn differs(&self, writer: Index, reader: Index) -> Outcome {
        let (found, wanted) = (describe(self.writer, writer), describe(self.reader, reader));
        self.fails(format!("the sender has {found}, the receiver wants {wanted}"))
    }

    fn at(&mut self, step: Step, compare: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        self.path.push(step);
        let outcome = compare(self);
        self.path.pop();
        outcome
    }

    fn compare(&mut self, writer: Index, reader: Index) -> Outcome {
        let pair = (writer, reader);
        if let Some((inside, reason)) = self.failed.get(&pair) {
            let steps = inside.iter().chain(self.path.iter().rev()).cloned().collect();
            return Err(Difference { path: ValuePath::of_steps(steps), reason: reason.clone() });
        }
        // Types that end here are compared in each place, so that each is listed.
        let ends = matches!(
            self.reader.node(reader),
            Node::Number(_) | Node::Ordered { .. } | Node::Bool | Node::Char | Node::String | Node::Bytes | Node::Unit
        );
        // Values that are deeper are refused, whatever their types are.
        if !(self.met.insert(pair) || ends) || self.path.len() > MAX_DEPTH as usize {
            return Ok(());
        }
        let outcome = self.compare_types(writer, reader);
        if let Err(difference) = &outcome {
            let steps = difference.path.steps();
            let inside = steps[..steps.len() - self.path.len()].to_vec();
            self.failed.insert(pair, (inside, difference.reason.clone()));
        }
        outcome
    }

    /// Removes what the reader's type has around it, then what the writer's has.
    fn compare_types(&mut self, writer: Index, reader: Index) -> Outcome {
        match self.reader.node(reader) {
            Node::Logical { name, wire } => self.compare_logical(writer, name, *wire),
            Node::Struct(Struct { fields: Fields::Tuple(items), .. }) if items.len() == 1 => {
                self.compare(writer, items[0])
            }
            Node::Option(item) => match self.writer.node(self.resolved(writer)) {
                Node::Option(held) => self.compare(*held, *item),
                _ => self.compare(writer, *item),
            },
            Node::Tuple(types) => self.compare_items(writer, types, reader),
            Node::Struct(Struct { fields: Fields::Tuple(types), .. }) => self.compare_items(writer, types, reader),
            wanted => {
                let writer = self.present(writer);
                self.compare_nodes(writer, wanted, reader)
            }
        }
    }

    /// The type without the logical types and newtypes around it.
    fn resolved(&self, mut index: Index) -> Index {
        loop {
            index = match self.writer.node(index) {
                Node::Logical { wire, .. } => *wire,
                Node::Struct(Struct { fields: Fields::Tuple(items), .. }) if items.len() == 1 => items[0],
                _ => return index,
            }
        }
    }

    /// The same, without options: their `None` cannot be read.
    fn present(&mut self, index: Index) -> Index {
        let (mut index, mut seen) = (self.resolved(index), HashSet::new());
        // A type may be an option of itself, however often: then no value is ever present.
        while let Node::Option(item) = self.writer.node(index)
            && seen.insert(index)
        {
            self.partly("the sender may have none, the receiver wants a value");
            index = self.resolved(*item);
        }
        index
    }

    fn compare_logical(&mut self, writer: Index, name: &str, wire: Index) -> Outcome {
        let mut held = writer;
        loop {
            match self.writer.node(held) {
                Node::Logical { name: found, wire: inner } if found == name => return self.compare(*inner, wire),
                Node::Struct(Struct { fields: Fields::Tuple(items), .. }) if items.len() == 1 => held = items[0],
                _ => break,
            }
        }
        self.compare(writer, wire)?;
        // Whatever is a list is a set, and whatever is a text is a path.
        if !matches!(name, "set" | "Path") {
            self.partly(format!("not each value of the sender may be a {name}"));
        }
        Ok(())
    }

    fn compare_items(&mut self, writer: Index, types: &[Index], reader: Index) -> Outcome {
        let held = self.present(writer);
        let found: Vec<Index> = match self.writer.node(held) {
            Node::Tuple(items) | Node::Struct(Struct { fields: Fields::Tuple(items), .. }) => items.clone(),
            Node::Array(item, count) if *count == types.len() as u64 => vec![*item; types.len()],
            Node::Sequence(item) => {
                self.partly(format!("the sender may have another number of items than {}", types.len()));
                vec![*item; types.len()]
            }
            Node::Bytes => {
                self.partly(format!("the sender may have another number of bytes than {}", types.len()));
                for (at, &wanted) in (0..).zip(types) {
                    self.at(Step::Item(at), |this| this.compare_bytes(wanted))?;
                }
                return Ok(());
            }
            _ => return self.differs(held, reader),
        };
        if found.len() != types.len() {
            return self.differs(held, reader);
        }
        for (at, (&found, &wanted)) in (0..).zip(found.iter().zip(types)) {
            self.at(Step::Item(at), |this| this.compare(found, wanted))?;
        }
        Ok(())
    }

    fn compare_nodes(&mut self, writer: Index, wanted: &'a Node, reader: Index) -> Outcome {
        match (self.writer.node(writer), wanted) {
            (
                Node::Number(found) | Node::Ordered { number: found, .. },
                Node::Number(wanted) | Node::Ordered { number: wanted, .. },
            ) => self.compare_numbers(*found, *wanted),
            (Node::Bool, Node::Bool) | (Node::Char, Node::Char) | (Node::String, Node::String) => Ok(()),
            (Node::Bytes, Node::Bytes) | (Node::Unit, Node::Unit) => Ok(()),
            (Node::Sequence(item) | Node::Array(item, _), Node::Bytes)
                if *self.writer.node(*item) == Node::Number(Number::U8) =>
            {
                Ok(())
            }
            // No item is ever read.
            (Node::Array(_, 0), Node::Sequence(_) | Node::Array(_, 0)) => Ok(()),
            (Node::Sequence(found) | Node::Array(found, _), Node::Sequence(wanted)) => {
                self.at(Step::Items, |this| this.compare(*found, *wanted))
            }
            (Node::Bytes, Node::Sequence(wanted)) => self.compare_bytes(*wanted),
            (Node::Array(found, count), Node::Array(wanted, wanted_count)) if count == wanted_count => {
                self.at(Step::Items, |this| this.compare(*found, *wanted))
            }
            (Node::Sequence(found), Node::Array(wanted, count)) => {
                self.partly(format!("the sender may have another number of items than {count}"));
                self.at(Step::Items, |this| this.compare(*found, *wanted))
            }
            (Node::Bytes, Node::Array(wanted, count)) => {
                self.partly(format!("the sender may have another number of bytes than {count}"));
                self.compare_bytes(*wanted)
            }
            (
                Node::Tuple(items) | Node::Struct(Struct { fields: Fields::Tuple(items), .. }),
                Node::Array(wanted, count),
            ) if items.len() as u64 == *count => {
                for (at, item) in (0..).zip(items) {
                    self.at(Step::Item(at), |this| this.compare(*item, *wanted))?;
                }
                Ok(())
            }
            (Node::Map(key, value), Node::Map(wanted_key, wanted_value)) => {
                self.at(Step::Key, |this| this.compare(*key, *wanted_key))?;
                self.at(Step::Value, |this| this.compare(*value, *wanted_value))
            }
            (Node::Struct(found), Node::Unit | Node::Struct(Struct { fields: Fields::Unit, .. }))
                if found.fields.len() == 0 =>
            {
                Ok(())
            }
            (Node::Unit, Node::Struct(Struct { fields: Fields::Unit, .. })) => Ok(()),
            (
                Node::Struct(Struct { fields: Fields::Named(found), .. }),
                Node::Struct(Struct { fields: Fields::Named(wanted), reader, .. }),
            ) => self.compare_fields(found, wanted, reader.as_ref().is_some_and(|reader| reader.denies_unknown_fields)),
            (Node::Enum(found), Node::Enum(wanted)) => self.compare_enums(found, wanted),
            _ => self.differs(writer, reader),
        }
    }

    fn compare_numbers(&mut self, found: Number, wanted: Number) -> Outcome {
        let (found_name, wanted_name) = (found.name(), wanted.name());
        match (range(found), range(wanted)) {
            (Some(found), Some(wanted)) => {
                if found.0 < wanted.0 || found.1 > wanted.1 {
                    self.partly(format!("the sender's {found_name} may not fit into the receiver's {wanted_name}"));
                }
                Ok(())
            }
            (None, None) if found == wanted || wanted == Number::F64 => Ok(()),
            _ => self.fails(format!("the sender has {found_name}, the receiver wants {wanted_name}")),
        }
    }

    /// Bytes that are read one by one.
    fn compare_bytes(&mut self, wanted: Index) -> Outcome {
        let mut wanted = wanted;
        loop {
            wanted = match self.reader.node(wanted) {
                Node::Logical { wire, .. } => *wire,
                Node::Struct(Struct { fields: Fields::Tuple(items), .. }) if items.len() == 1 => items[0],
                Node::Number(number) if range(*number).is_some() => {
                    return self.compare_numbers(Number::U8, *number);
                }
                _ => {
                    let wanted = describe(self.reader, wanted);
                    return self.fails(format!("the sender has bytes, the receiver wants a sequence of {wanted}"));
                }
            }
        }
    }

    fn compare_fields(&mut self, found: &[Field], wanted: &[Field], denies_unknown: bool) -> Outcome {
        for field in wanted {
            let mut sent = found.iter().filter(|sent| reads(field.reader.as_ref(), &field.name, &sent.name));
            match (sent.next(), sent.next()) {
                (Some(sent), None) => {
                    self.at(Step::Field(sent.name.clone()), |this| this.compare(sent.ty, field.ty))?;
                }
                (Some(sent), Some(other)) => {
                    let (one, other, name) = (&sent.name, &other.name, &field.name);
                    return self.fails(format!("both {one} and {other} of the sender are {name} of the receiver"));
                }
                (None, _) => {
                    let has_default = field.reader.as_ref().is_some_and(|reader| reader.has_default);
                    if !has_default && !matches!(self.reader.node(field.ty), Node::Option(_)) {
                        let step = Step::Field(field.name.clone());
                        return self.at(step, |this| this.fails("the sender does not have it, and it has no default"));
                    }
                }
            }
        }
        let is_known = |sent: &Field| wanted.iter().any(|field| reads(field.reader.as_ref(), &field.name, &sent.name));
        match found.iter().find(|sent| denies_unknown && !is_known(sent)) {
            None => Ok(()),
            Some(sent) => {
                let step = Step::Field(sent.name.clone());
                self.at(step, |this| this.fails("the receiver refuses fields that it does not have"))
            }
        }
    }

    fn compare_enums(&mut self, found: &Enum, wanted: &Enum) -> Outcome {
        let mut readable = 0;
        let mut last = None;
        for variant in &found.variants {
            let known = wanted.variants.iter().find(|known| {
                let names = known.reader.as_ref().map_or(&[][..], |reader| &reader.names);
                if names.is_empty() { known.name == variant.name } else { names.contains(&variant.name) }
            });
            let other =
                wanted.variants.iter().find(|known| known.reader.as_ref().is_some_and(|reader| reader.is_other));
            let step = Step::Variant(variant.name.clone());
            let outcome = match known {
                Some(known) => self.at(step, |this| this.compare_variants(variant, known)),
                None if other.is_some() => Ok(()),
                None => self.at(step, |this| this.fails("the receiver has no such variant")),
            };
            match outcome {
                Ok(()) => readable += 1,
                Err(difference) => {
                    self.partly.push(difference.clone());
                    last = Some(difference);
                }
            }
        }
        match last {
            Some(difference) if readable == 0 => Err(difference),
            _ => Ok(()),
        }
    }

    fn compare_variants(&mut self, found: &Variant, wanted: &Variant) -> Outcome {
        let denies = wanted.reader.as_ref().is_some_and(|reader| reader.denies_unknown_fields);
        match (&found.fields, &wanted.fields) {
            (Fields::Unit, Fields::Unit) => Ok(()),
            (Fields::Tuple(found), Fields::Tuple(wanted)) if found.len() == wanted.len() => {
                for (at, (&found, &wanted)) in (0..).zip(found.iter().zip(wanted)) {
                    self.at(Step::Item(at), |this| this.compare(found, wanted))?;
                }
                Ok(())
            }
            (Fields::Named(found), Fields::Named(wanted)) => self.compare_fields(found, wanted, denies),
            _ => self.fails("the receiver has other fields in it"),
        }
    }
}

/// Whether a field or a variant of the receiver is found under the name that the sender has written.
fn reads(reader: Option<&FieldReader>, name: &str, written: &str) -> bool {
    match reader.map(|reader| &reader.names).filter(|names| !names.is_empty()) {
        Some(names) => names.iter().any(|name| name == written),
        None => name == written,
    }
}

/// The smallest number of an integer, and the largest; `None` for a float.
fn range(number: Number) -> Option<(i128, u128)> {
    let bits = 8 * number.size() as u32;
    match number {
        Number::U8 | Number::U16 | Number::U32 | Number::U64 | Number::U128 => Some((0, u128::MAX >> (128 - bits))),
        Number::I8 | Number::I16 | Number::I32 | Number::I64 | Number::I128 => {
            Some((i128::MIN >> (128 - bits), u128::MAX >> (129 - bits)))
        }
        Number::F32 | Number::F64 => None,
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
