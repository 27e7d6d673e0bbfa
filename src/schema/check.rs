//! Checking that a value is serialized as its schema says.
//!
//! A hand-written `Serialize`, or a wrong `#[message(schema = Type)]`, gives bytes that the schema does
//! not describe. Receivers would read other values out of them.

use std::fmt;

use serde::ser::{self, Serialize, Serializer};
use thiserror::Error;

use super::path::{Step, ValuePath};
use super::table::{Field, Fields, Index, Node, Number, Table};
use super::words::describe;

/// A value is serialized otherwise than the schema of its type says.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[error(
    "{}the schema says {expected}, but `Serialize` writes {found}: mend the implementation of `Serialize`, or the `#[message(schema = ...)]` there",
    at(path)
)]
pub struct SchemaMismatch {
    /// Where in the value.
    pub path: ValuePath,
    /// What the schema says.
    pub expected: String,
    /// What was written.
    pub found: String,
}

pub(super) fn at(path: &ValuePath) -> String {
    if path.is_empty() { String::new() } else { format!("at `{path}`, ") }
}

impl ser::Error for SchemaMismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { path: ValuePath::default(), expected: "a value".to_owned(), found: format!("none: {message}") }
    }
}

impl SchemaMismatch {
    fn inside(mut self, step: Step) -> Self {
        self.path = self.path.inside(step);
        self
    }
}

/// Checks a value of the type that the table describes.
pub(crate) fn check<T: Serialize + ?Sized>(value: &T, table: &Table) -> Result<(), SchemaMismatch> {
    value.serialize(Checker { table, index: 0 })
}

#[derive(Clone, Copy)]
struct Checker<'t> {
    table: &'t Table,
    index: Index,
}

type Checked = Result<(), SchemaMismatch>;

impl<'t> Checker<'t> {
    /// The node without names that change no byte: those of logical types and of newtypes.
    fn resolved(self) -> Self {
        let mut index = self.index;
        loop {
            index = match self.table.node(index) {
                Node::Logical { wire, .. } => *wire,
                Node::Struct(this) => match &this.fields {
                    Fields::Tuple(items) if items.len() == 1 => items[0],
                    _ => break,
                },
                _ => break,
            };
        }
        Self { index, ..self }
    }

    fn node(self) -> &'t Node {
        self.table.node(self.index)
    }

    fn wrong<T>(self, found: impl Into<String>) -> Result<T, SchemaMismatch> {
        let expected = describe(self.table, self.index);
        Err(SchemaMismatch { path: ValuePath::default(), expected, found: found.into() })
    }

    fn leaf(self, node: &Node, found: &str) -> Checked {
        let this = self.resolved();
        if this.node() == node { Ok(()) } else { this.wrong(found) }
    }

    fn number(self, number: Number) -> Checked {
        self.leaf(&Node::Number(number), number.name())
    }

    fn at(self, index: Index) -> Self {
        Self { index, ..self }
    }

    fn items(self, len: usize) -> Result<Items<'t>, SchemaMismatch> {
        // A struct with one field is a newtype, unless it is written as a tuple.
        let tuple = match self.node() {
            Node::Struct(this) if matches!(this.fields, Fields::Tuple(_)) => self,
            _ => self.resolved(),
        };
        let types = match tuple.node() {
            Node::Array(item, count) if *count == len as u64 => vec![*item; len],
            Node::Tuple(items) if items.len() == len => items.clone(),
            Node::Struct(this) => match &this.fields {
                Fields::Tuple(items) if items.len() == len => items.clone(),
                _ => return tuple.wrong(format!("a tuple of {len}")),
            },
            _ => return tuple.wrong(format!("a tuple of {len}")),
        };
        Ok(Items { checker: self, types, is_sequence: false, next: 0 })
    }

    fn variant(self, index: u32, name: &'static str) -> Result<&'t Fields, SchemaMismatch> {
        let this = self.resolved();
        match this.node() {
            Node::Enum(all) => match all.variants.get(index as usize) {
                Some(variant) if variant.name == name => Ok(&variant.fields),
                _ => this.wrong(format!("variant {index}, `{name}`")),
            },
            _ => this.wrong(format!("variant {index}, `{name}`")),
        }
    }
}

macro_rules! numbers {
    ($($method:ident: $type:ty => $number:ident,)*) => {$(
        fn $method(self, _: $type) -> Checked {
            self.number(Number::$number)
        }
    )*};
}

impl<'t> Serializer for Checker<'t> {
    type Ok = ();
    type Error = SchemaMismatch;
    type SerializeSeq = Items<'t>;
    type SerializeTuple = Items<'t>;
    type SerializeTupleStruct = Items<'t>;
    type SerializeTupleVariant = Items<'t>;
    type SerializeMap = Pairs<'t>;
    type SerializeStruct = Named<'t>;
    type SerializeStructVariant = Named<'t>;

    numbers! {
        serialize_u8: u8 => U8,
        serialize_u16: u16 => U16,
        serialize_u32: u32 => U32,
        serialize_u64: u64 => U64,
        serialize_u128: u128 => U128,
        serialize_i8: i8 => I8,
        serialize_i16: i16 => I16,
        serialize_i32: i32 => I32,
        serialize_i64: i64 => I64,
        serialize_i128: i128 => I128,
        serialize_f32: f32 => F32,
        serialize_f64: f64 => F64,
    }

    fn serialize_bool(self, _: bool) -> Checked {
        self.leaf(&Node::Bool, "bool")
    }

    fn serialize_char(self, _: char) -> Checked {
        self.leaf(&Node::Char, "char")
    }

    fn serialize_str(self, _: &str) -> Checked {
        self.leaf(&Node::String, "a string")
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Checked {
        self.leaf(&Node::String, "a string")
    }

    fn serialize_bytes(self, _: &[u8]) -> Checked {
        self.leaf(&Node::Bytes, "bytes")
    }

    fn serialize_none(self) -> Checked {
        let this = self.resolved();
        if matches!(this.node(), Node::Option(_)) { Ok(()) } else { this.wrong("an option") }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Checked {
        let this = self.resolved();
        match this.node() {
            Node::Option(item) => value.serialize(this.at(*item)),
            _ => this.wrong("an option"),
        }
    }

    fn serialize_unit(self) -> Checked {
        let this = self.resolved();
        match this.node() {
            Node::Unit => Ok(()),
            Node::Struct(all) if all.fields.len() == 0 => Ok(()),
            _ => this.wrong("()"),
        }
    }

    fn serialize_unit_struct(self, _: &'static str) -> Checked {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, name: &'static str) -> Checked {
        match self.variant(index, name)? {
            Fields::Unit => Ok(()),
            _ => self.wrong(format!("the variant `{name}` without fields")),
        }
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Checked {
        match self.node() {
            Node::Struct(this) => match &this.fields {
                Fields::Tuple(items) if items.len() == 1 => value.serialize(self.at(items[0])),
                _ => value.serialize(self),
            },
            _ => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        name: &'static str,
        value: &T,
    ) -> Checked {
        match self.variant(index, name)? {
            Fields::Tuple(items) if items.len() == 1 => {
                value.serialize(self.at(items[0])).map_err(|error| error.inside(Step::Variant(name.to_owned())))
            }
            _ => self.wrong(format!("the variant `{name}` with one field")),
        }
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'t>, SchemaMismatch> {
        let this = self.resolved();
        match this.node() {
            Node::Sequence(item) => Ok(Items { checker: self, types: vec![*item], is_sequence: true, next: 0 }),
            _ => this.wrong("a sequence"),
        }
    }

    fn serialize_tuple(self, len: usize) -> Result<Items<'t>, SchemaMismatch> {
        self.items(len)
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Items<'t>, SchemaMismatch> {
        self.items(len)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        name: &'static str,
        len: usize,
    ) -> Result<Items<'t>, SchemaMismatch> {
        match self.variant(index, name)? {
            Fields::Tuple(types) if types.len() == len => {
                Ok(Items { checker: self, types: types.clone(), is_sequence: false, next: 0 })
            }
            _ => self.wrong(format!("the variant `{name}` with {len} fields without names")),
        }
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Pairs<'t>, SchemaMismatch> {
        let this = self.resolved();
        match this.node() {
            Node::Map(key, value) => Ok(Pairs { key: this.at(*key), value: this.at(*value) }),
            _ => this.wrong("a map"),
        }
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Named<'t>, SchemaMismatch> {
        let this = self.resolved();
        match this.node() {
            Node::Struct(all) => match &all.fields {
                Fields::Named(fields) => Ok(Named { checker: this, fields, next: 0 }),
                _ => this.wrong(format!("the struct {name}")),
            },
            _ => this.wrong(format!("the struct {name}")),
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Named<'t>, SchemaMismatch> {
        match self.variant(index, name)? {
            Fields::Named(fields) => Ok(Named { checker: self, fields, next: 0 }),
            _ => self.wrong(format!("the variant `{name}` with named fields")),
        }
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Items without names.
struct Items<'t> {
    checker: Checker<'t>,
    types: Vec<Index>,
    /// Any number of them, of the first type.
    is_sequence: bool,
    next: usize,
}

impl Items<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Checked {
        match self.types.get(if self.is_sequence { 0 } else { self.next }) {
            Some(&ty) => {
                value.serialize(self.checker.at(ty)).map_err(|error| error.inside(Step::Item(self.next as u64)))?;
                self.next += 1;
                Ok(())
            }
            None => self.checker.wrong(format!("{} items at least", self.next + 1)),
        }
    }

    fn end_of_all(self) -> Checked {
        if self.is_sequence || self.next == self.types.len() {
            return Ok(());
        }
        self.checker.wrong(format!("{} items", self.next))
    }
}

macro_rules! items {
    ($($trait:ident :: $method:ident,)*) => {$(
        impl ser::$trait for Items<'_> {
            type Ok = ();
            type Error = SchemaMismatch;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Checked {
                self.item(value)
            }

            fn end(self) -> Checked {
                self.end_of_all()
            }
        }
    )*};
}

items! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

struct Pairs<'t> {
    key: Checker<'t>,
    value: Checker<'t>,
}

impl ser::SerializeMap for Pairs<'_> {
    type Ok = ();
    type Error = SchemaMismatch;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Checked {
        key.serialize(self.key).map_err(|error| error.inside(Step::Key))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Checked {
        value.serialize(self.value).map_err(|error| error.inside(Step::Value))
    }

    fn end(self) -> Checked {
        Ok(())
    }
}

/// Fields with names.
struct Named<'t> {
    checker: Checker<'t>,
    fields: &'t [Field],
    next: usize,
}

impl Named<'_> {
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Checked {
        match self.fields.get(self.next) {
            Some(field) if field.name == name => {
                self.next += 1;
                value.serialize(self.checker.at(field.ty)).map_err(|error| error.inside(Step::Field(name.to_owned())))
            }
            Some(field) => self.checker.wrong(format!("the field `{name}` where `{}` is due", field.name)),
            None => self.checker.wrong(format!("one field more, `{name}`")),
        }
    }

    fn end_of_all(self) -> Checked {
        match self.fields.get(self.next) {
            None => Ok(()),
            Some(field) => self.checker.wrong(format!("no field `{}`", field.name)),
        }
    }
}

macro_rules! named {
    ($($trait:ident,)*) => {$(
        impl ser::$trait for Named<'_> {
            type Ok = ();
            type Error = SchemaMismatch;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Checked {
                self.field(name, value)
            }

            fn end(self) -> Checked {
                self.end_of_all()
            }
        }
    )*};
}

named! { SerializeStruct, SerializeStructVariant, }
