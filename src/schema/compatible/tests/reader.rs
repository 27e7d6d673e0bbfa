//! A receiver of any type, as `serde_derive` would make it.

use super::super::*;
use crate::schema::cursor::Cursor;
use crate::schema::error::ReadError;
use crate::schema::value::Value;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, Error, IgnoredAny, Visitor};
use std::fmt;

/// Reads a value as the type of this schema, by the calls that `serde_derive` and the standard types make.
#[derive(Clone, Copy)]
struct As<'a>(&'a Table, Index);

impl<'a> As<'a> {
    fn at(self, index: Index) -> Self {
        Self(self.0, index)
    }
}

fn leaked(names: impl Iterator<Item = String>) -> &'static [&'static str] {
    Box::leak(names.map(|name| &*name.leak()).collect::<Vec<&'static str>>().into_boxed_slice())
}

macro_rules! numbers {
    ($number:expr, $deserializer:expr; $($variant:ident $type:ty,)*) => {
        match $number {$(
            Number::$variant => <$type>::deserialize($deserializer).map(drop),
        )*}
    };
}

impl<'de> DeserializeSeed<'de> for As<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        match self.0.node(self.1) {
            Node::Number(number) | Node::Ordered { number, .. } => numbers! { number, from;
                U8 u8, U16 u16, U32 u32, U64 u64, U128 u128, I8 i8, I16 i16, I32 i32, I64 i64, I128 i128,
                F32 f32, F64 f64,
            },
            Node::Bool => bool::deserialize(from).map(drop),
            Node::Char => char::deserialize(from).map(drop),
            Node::String => String::deserialize(from).map(drop),
            Node::Bytes => from.deserialize_byte_buf(self),
            Node::Unit => <()>::deserialize(from),
            Node::Option(_) => from.deserialize_option(self),
            Node::Sequence(_) => from.deserialize_seq(self),
            Node::Map(..) => from.deserialize_map(self),
            Node::Array(_, count) => from.deserialize_tuple(*count as usize, self),
            Node::Tuple(items) => from.deserialize_tuple(items.len(), self),
            Node::Struct(this) => match &this.fields {
                Fields::Unit => from.deserialize_unit_struct("", self),
                Fields::Tuple(items) if items.len() == 1 => from.deserialize_newtype_struct("", self),
                Fields::Tuple(items) => from.deserialize_tuple_struct("", items.len(), self),
                Fields::Named(_) => from.deserialize_struct("", &[], self),
            },
            Node::Enum(this) => {
                from.deserialize_enum("", leaked(this.variants.iter().flat_map(names_of_variant)), self)
            }
            Node::Logical { wire, .. } => self.at(*wire).deserialize(from),
        }
    }
}

pub(super) fn names_of_variant(variant: &Variant) -> Vec<String> {
    let names = variant.reader.as_ref().map_or(&[][..], |reader| &reader.names);
    if names.is_empty() { vec![variant.name.clone()] } else { names.to_vec() }
}

/// Exactly these items.
struct Items<'a>(As<'a>, Vec<Index>);

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("items")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for (at, &index) in self.1.iter().enumerate() {
            items.next_element_seed(self.0.at(index))?.ok_or_else(|| A::Error::invalid_length(at, &self))?;
        }
        Ok(())
    }
}

/// Exactly these fields, as a derived type reads them.
struct Named<'a>(As<'a>, &'a [Field], bool);

impl<'de> Visitor<'de> for Named<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fields")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = vec![false; self.1.len()];
        while let Some(name) = map.next_key::<String>()? {
            match self.1.iter().position(|field| reads(field.reader.as_ref(), &field.name, &name)) {
                Some(at) if found[at] => return Err(A::Error::custom("twice")),
                Some(at) => {
                    found[at] = true;
                    map.next_value_seed(self.0.at(self.1[at].ty))?;
                }
                None if self.2 => return Err(A::Error::custom("unknown")),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        for (field, found) in self.1.iter().zip(found) {
            let has_default = field.reader.as_ref().is_some_and(|reader| reader.has_default);
            if !found && !has_default && !matches!(self.0.0.node(field.ty), Node::Option(_)) {
                return Err(A::Error::custom("missing"));
            }
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for As<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", describe(self.0, self.1))
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let Node::Option(item) = self.0.node(self.1) else { unreachable!() };
        self.at(*item).deserialize(from)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let Node::Struct(this) = self.0.node(self.1) else { unreachable!() };
        self.at(this.fields.type_at(0)).deserialize(from)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        match self.0.node(self.1) {
            Node::Sequence(item) => {
                while items.next_element_seed(self.at(*item))?.is_some() {}
                Ok(())
            }
            Node::Array(item, count) => Items(self, vec![*item; *count as usize]).visit_seq(items),
            Node::Tuple(types) => Items(self, types.clone()).visit_seq(items),
            Node::Struct(this) => Items(self, this.fields.types().collect()).visit_seq(items),
            _ => Err(A::Error::custom("a sequence")),
        }
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match self.0.node(self.1) {
            Node::Map(key, value) => {
                while map.next_key_seed(self.at(*key))?.is_some() {
                    map.next_value_seed(self.at(*value))?;
                }
                Ok(())
            }
            Node::Struct(Struct { fields: Fields::Named(fields), reader, .. }) => {
                Named(self, fields, reader.as_ref().is_some_and(|reader| reader.denies_unknown_fields)).visit_map(map)
            }
            _ => Err(A::Error::custom("a map")),
        }
    }

    fn visit_enum<A: de::EnumAccess<'de>>(self, from: A) -> Result<(), A::Error> {
        use de::VariantAccess;
        let Node::Enum(this) = self.0.node(self.1) else { unreachable!() };
        let (name, content) = from.variant::<String>()?;
        let known = this.variants.iter().find(|variant| names_of_variant(variant).contains(&name));
        let other = || this.variants.iter().find(|variant| variant.reader.as_ref().is_some_and(|it| it.is_other));
        let variant = known.or_else(other).ok_or_else(|| A::Error::custom("unknown variant"))?;
        match &variant.fields {
            Fields::Unit => content.unit_variant(),
            Fields::Tuple(items) if items.len() == 1 => content.newtype_variant_seed(self.at(items[0])),
            Fields::Tuple(items) => content.tuple_variant(items.len(), Items(self, items.clone())),
            Fields::Named(fields) => {
                let denies = variant.reader.as_ref().is_some_and(|reader| reader.denies_unknown_fields);
                content.struct_variant(&[], Named(self, fields, denies))
            }
        }
    }
}

pub(super) fn read_as(writer: &Table, reader: &Table, payload: &[u8]) -> Result<(), ReadError> {
    let cursor = Cursor::new(payload);
    As(reader, 0).deserialize(Value::new(writer, &cursor))?;
    assert_eq!(cursor.left(), 0, "{writer} as {reader}");
    Ok(())
}
