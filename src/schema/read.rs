//! `serde::Deserializer` for a value that is read by its schema.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, Visitor};

use super::cursor::{Cursor, Read};
use super::error::{ReadError, ReadReason};
use super::path::Step;
use super::plain;
use super::table::{Field, Fields, Index, Node, Number, Struct, Table, Variant};
use super::value::Value;

type Outcome<T> = Result<T, ReadError>;

/// Reads a value in postcard that was written by this schema.
pub(crate) fn read<'de, T: Deserialize<'de>>(table: &Table, payload: &'de [u8]) -> Outcome<T> {
    let cursor = Cursor::new(payload);
    let value = T::deserialize(Value::new(table, &cursor))?;
    match cursor.left() {
        0 => Ok(value),
        left => Err(ReadReason::Trailing { left }.into()),
    }
}

impl<'s, 'de> Value<'s, 'de> {
    fn visit_number<V: Visitor<'de>>(self, number: Number, big_endian: bool, visitor: V) -> Outcome<V::Value> {
        match self.number(number, big_endian)? {
            Read::Unsigned(value) => match u64::try_from(value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_u128(value),
            },
            Read::Signed(value) => match i64::try_from(value) {
                Ok(value) => visitor.visit_i64(value),
                Err(_) => visitor.visit_i128(value),
            },
            Read::F32(value) => visitor.visit_f32(value),
            Read::F64(value) => visitor.visit_f64(value),
        }
    }

    fn visit_integer<V: Visitor<'de>>(mut self, wanted: &str, visitor: V) -> Outcome<V::Value> {
        match self.resolve_present(wanted)? {
            Node::Number(Number::F32 | Number::F64) | Node::Ordered { number: Number::F32 | Number::F64, .. } => {
                self.differs(wanted)
            }
            Node::Number(number) => self.visit_number(*number, false, visitor),
            Node::Ordered { big_endian, number } => self.visit_number(*number, *big_endian, visitor),
            _ => self.differs(wanted),
        }
    }

    /// The items of a tuple, an array, a sequence, or a struct without names; of `wanted` of them, or of as
    /// many as there are.
    fn visit_items<V: Visitor<'de>>(mut self, wanted: Option<usize>, visitor: V) -> Outcome<V::Value> {
        let node = self.resolve_present("a sequence")?;
        let kind = match node {
            Node::Sequence(item) => Kind::Same { item: *item, count: self.cursor()?.count()?, size: 0 },
            Node::Array(item, count) => {
                let size = if self.is_plain() { plain::extent(self.table, *item)?.size } else { 0 };
                Kind::Same { item: *item, count: *count, size }
            }
            Node::Bytes => Kind::Bytes(self.cursor()?.byte_string()?),
            Node::Tuple(types) => Kind::Fields { types, offsets: None },
            Node::Struct(Struct { fields: Fields::Tuple(types), layout, .. }) => {
                Kind::Fields { types, offsets: layout.as_ref().map(|layout| layout.offsets.clone()) }
            }
            _ => return self.differs(wanted.map_or("a sequence".to_owned(), |len| format!("a tuple of {len}"))),
        };
        self.visit_kind(kind, wanted, visitor)
    }

    fn visit_kind<V: Visitor<'de>>(self, kind: Kind<'s, 'de>, wanted: Option<usize>, visitor: V) -> Outcome<V::Value> {
        let mut items = Items { value: self, kind, next: 0 };
        let len = items.len();
        if let Some(wanted) = wanted.filter(|&wanted| wanted as u64 != len) {
            return Err(ReadReason::Differs { found: format!("{len} items"), wanted: wanted.to_string() }.into());
        }
        let value = visitor.visit_seq(&mut items)?;
        if items.next != len {
            let found = format!("{len} items");
            return Err(ReadReason::Differs { found, wanted: format!("{} of them", items.next) }.into());
        }
        Ok(value)
    }

    fn visit_fields<V: Visitor<'de>>(
        self,
        fields: &'s [Field],
        offsets: Option<Vec<u64>>,
        visitor: V,
    ) -> Outcome<V::Value> {
        let mut named = NamedFields { value: self, fields, offsets, next: 0, is_due: false };
        let value = visitor.visit_map(&mut named)?;
        named.skip_rest()?;
        Ok(value)
    }

    fn visit_pairs<V: Visitor<'de>>(self, key: Index, item: Index, visitor: V) -> Outcome<V::Value> {
        let left = self.cursor()?.count()?;
        let mut pairs = Pairs { value: self, key, item, left };
        let value = visitor.visit_map(&mut pairs)?;
        if pairs.left > 0 {
            return Err(ReadReason::Invalid("the receiver did not read all of a map".to_owned()).into());
        }
        Ok(value)
    }

    fn visit_byte_string<V: Visitor<'de>>(mut self, visitor: V) -> Outcome<V::Value> {
        match self.resolve_present("bytes")? {
            Node::Bytes => visitor.visit_borrowed_bytes(self.cursor()?.byte_string()?),
            Node::Sequence(item) | Node::Array(item, _) if *self.table.node(*item) == Node::Number(Number::U8) => {
                visitor.visit_byte_buf(Deserialize::deserialize(self)?)
            }
            _ => self.differs("bytes"),
        }
    }

    fn visit_variant<V: Visitor<'de>>(
        mut self,
        known: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Outcome<V::Value> {
        let Node::Enum(this) = self.resolve_present("an enum")? else { return self.differs("an enum") };
        let (variant, offsets) = self.variant(this)?;
        let is_known = known.is_none_or(|known| known.contains(&variant.name.as_str()));
        visitor
            .visit_enum(VariantOf { value: self, variant, offsets, is_known })
            .map_err(|error| error.inside(Step::Variant(variant.name.clone())))
    }
}

macro_rules! integers {
    ($($method:ident => $wanted:literal,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
            self.visit_integer($wanted, visitor)
        }
    )*};
}

impl<'s, 'de> Deserializer<'de> for Value<'s, 'de> {
    type Error = ReadError;

    integers! {
        deserialize_u8 => "u8",
        deserialize_u16 => "u16",
        deserialize_u32 => "u32",
        deserialize_u64 => "u64",
        deserialize_u128 => "u128",
        deserialize_i8 => "i8",
        deserialize_i16 => "i16",
        deserialize_i32 => "i32",
        deserialize_i64 => "i64",
        deserialize_i128 => "i128",
    }

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Outcome<V::Value> {
        match self.resolve()? {
            Node::Number(number) => self.visit_number(*number, false, visitor),
            Node::Ordered { big_endian, number } => self.visit_number(*number, *big_endian, visitor),
            Node::Bool => visitor.visit_bool(self.boolean()?),
            Node::Char => visitor.visit_char(self.character()?),
            Node::String => visitor.visit_borrowed_str(self.cursor()?.string()?),
            Node::Bytes => visitor.visit_borrowed_bytes(self.cursor()?.byte_string()?),
            Node::Unit => visitor.visit_unit(),
            Node::Option(_) => self.deserialize_option(visitor),
            Node::Sequence(_) | Node::Array(..) | Node::Tuple(_) => self.visit_items(None, visitor),
            Node::Map(key, item) => self.visit_pairs(*key, *item, visitor),
            Node::Struct(this) => match &this.fields {
                Fields::Unit => visitor.visit_unit(),
                Fields::Tuple(_) => self.visit_items(None, visitor),
                Fields::Named(_) => self.deserialize_struct("", &[], visitor),
            },
            Node::Enum(_) => self.visit_variant(None, visitor),
            Node::Logical { .. } => unreachable!("resolved"),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Outcome<V::Value> {
        match self.resolve_present("bool")? {
            Node::Bool => visitor.visit_bool(self.boolean()?),
            _ => self.differs("bool"),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(mut self, visitor: V) -> Outcome<V::Value> {
        match self.resolve_present("f32")? {
            Node::Number(Number::F32) => self.visit_number(Number::F32, false, visitor),
            Node::Ordered { big_endian, number: Number::F32 } => self.visit_number(Number::F32, *big_endian, visitor),
            _ => self.differs("f32"),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(mut self, visitor: V) -> Outcome<V::Value> {
        match self.resolve_present("f64")? {
            Node::Number(number @ (Number::F32 | Number::F64)) => self.visit_number(*number, false, visitor),
            Node::Ordered { big_endian, number: number @ (Number::F32 | Number::F64) } => {
                self.visit_number(*number, *big_endian, visitor)
            }
            _ => self.differs("f64"),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(mut self, visitor: V) -> Outcome<V::Value> {
        match self.resolve_present("char")? {
            Node::Char => visitor.visit_char(self.character()?),
            _ => self.differs("char"),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Outcome<V::Value> {
        match self.resolve_present("a string")? {
            Node::String => visitor.visit_borrowed_str(self.cursor()?.string()?),
            _ => self.differs("a string"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.visit_byte_string(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.visit_byte_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Outcome<V::Value> {
        let whole = self;
        match self.resolve()? {
            Node::Option(item) => {
                if self.boolean()? {
                    visitor.visit_some(self.inside(*item, 0)?)
                } else {
                    visitor.visit_none()
                }
            }
            _ => visitor.visit_some(whole),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Outcome<V::Value> {
        match self.resolve_present("()")? {
            Node::Unit => visitor.visit_unit(),
            Node::Struct(this) if this.fields.len() == 0 => visitor.visit_unit(),
            _ => self.differs("()"),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Outcome<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Outcome<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Outcome<V::Value> {
        match self.resolve_present("a sequence")? {
            Node::Sequence(_) | Node::Array(..) | Node::Bytes => self.visit_items(None, visitor),
            _ => self.differs("a sequence"),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Outcome<V::Value> {
        self.visit_items(Some(len), visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, len: usize, visitor: V) -> Outcome<V::Value> {
        if len != 1 {
            return self.visit_items(Some(len), visitor);
        }
        // A newtype, with further fields that are skipped.
        let mut only = Only(Some(self));
        let value = visitor.visit_seq(&mut only)?;
        only.0.map_or(Ok(()), Value::skip)?;
        Ok(value)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Outcome<V::Value> {
        match self.resolve_present("a map")? {
            Node::Map(key, item) => self.visit_pairs(*key, *item, visitor),
            _ => self.differs("a map"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Outcome<V::Value> {
        match self.resolve_present(name)? {
            Node::Struct(Struct { fields: Fields::Named(fields), layout, .. }) => {
                self.visit_fields(fields, layout.as_ref().map(|layout| layout.offsets.clone()), visitor)
            }
            _ => self.differs(format!("the struct {name}")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Outcome<V::Value> {
        self.visit_variant(Some(variants), visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Values one after the other.
struct Items<'s, 'de> {
    value: Value<'s, 'de>,
    kind: Kind<'s, 'de>,
    next: u64,
}

/// The value of a newtype as the only item of a sequence, until it is read.
struct Only<'s, 'de>(Option<Value<'s, 'de>>);

impl<'de> de::SeqAccess<'de> for Only<'_, 'de> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Outcome<Option<T::Value>> {
        self.0.take().map(|value| seed.deserialize(value)).transpose()
    }
}

enum Kind<'s, 'de> {
    /// Of one type. The size of each counts in a plain value.
    Same {
        item: Index,
        count: u64,
        size: u64,
    },
    Bytes(&'de [u8]),
    Fields {
        types: &'s [Index],
        offsets: Option<Vec<u64>>,
    },
}

impl<'s, 'de> Items<'s, 'de> {
    fn len(&self) -> u64 {
        match &self.kind {
            Kind::Same { count, .. } => *count,
            Kind::Bytes(bytes) => bytes.len() as u64,
            Kind::Fields { types, .. } => types.len() as u64,
        }
    }
}

impl<'s, 'de> de::SeqAccess<'de> for Items<'s, 'de> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Outcome<Option<T::Value>> {
        if self.next == self.len() {
            return Ok(None);
        }
        let at = self.next;
        self.next += 1;
        let value = match &self.kind {
            Kind::Bytes(bytes) => {
                return seed.deserialize(de::value::U8Deserializer::new(bytes[at as usize])).map(Some);
            }
            Kind::Same { item, size, .. } => self.value.inside(*item, at.saturating_mul(*size)),
            Kind::Fields { types, offsets } => {
                let offset = offsets.as_ref().and_then(|offsets| offsets.get(at as usize)).copied();
                self.value.inside(types[at as usize], offset.unwrap_or(0))
            }
        };
        value.and_then(|value| seed.deserialize(value)).map(Some).map_err(|error| error.inside(Step::Item(at)))
    }

    fn size_hint(&self) -> Option<usize> {
        // A payload may claim to have more than it has bytes.
        Some((self.len() - self.next).min(self.value.left() as u64) as usize)
    }
}

/// The fields of a struct under their names.
struct NamedFields<'s, 'de> {
    value: Value<'s, 'de>,
    fields: &'s [Field],
    offsets: Option<Vec<u64>>,
    next: usize,
    /// The name of the next field was read, and its value was not.
    is_due: bool,
}

impl<'s, 'de> NamedFields<'s, 'de> {
    fn next_field(&mut self) -> Outcome<Value<'s, 'de>> {
        let at = self.next;
        self.next += 1;
        self.is_due = false;
        let offset = self.offsets.as_ref().and_then(|offsets| offsets.get(at)).copied();
        self.value.inside(self.fields[at].ty, offset.unwrap_or(0))
    }

    fn skip_rest(&mut self) -> Outcome<()> {
        while self.next < self.fields.len() {
            self.next_field()?.skip()?;
        }
        Ok(())
    }
}

impl<'s, 'de> de::MapAccess<'de> for NamedFields<'s, 'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Outcome<Option<K::Value>> {
        if self.is_due {
            self.next_field()?.skip()?;
        }
        let Some(field) = self.fields.get(self.next) else { return Ok(None) };
        self.is_due = true;
        seed.deserialize(StrDeserializer::new(&field.name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Outcome<V::Value> {
        let name = &self.fields[self.next].name;
        let value = self.next_field();
        value.and_then(|value| seed.deserialize(value)).map_err(|error| error.inside(Step::Field(name.clone())))
    }
}

/// The pairs of a map.
struct Pairs<'s, 'de> {
    value: Value<'s, 'de>,
    key: Index,
    item: Index,
    left: u64,
}

impl<'s, 'de> de::MapAccess<'de> for Pairs<'s, 'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Outcome<Option<K::Value>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let key = self.value.inside(self.key, 0);
        key.and_then(|key| seed.deserialize(key)).map(Some).map_err(|error| error.inside(Step::Key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Outcome<V::Value> {
        let item = self.value.inside(self.item, 0);
        item.and_then(|item| seed.deserialize(item)).map_err(|error| error.inside(Step::Value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(self.value.left() as u64) as usize)
    }
}

/// A variant, by its name.
struct VariantOf<'s, 'de> {
    value: Value<'s, 'de>,
    variant: &'s Variant,
    offsets: Option<Vec<u64>>,
    /// The receiver's type has a variant of this name.
    is_known: bool,
}

impl<'s, 'de> de::EnumAccess<'de> for VariantOf<'s, 'de> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Outcome<(V::Value, Self)> {
        let name = seed.deserialize(StrDeserializer::<ReadError>::new(&self.variant.name))?;
        Ok((name, self))
    }
}

impl<'s, 'de> VariantOf<'s, 'de> {
    fn differs<T>(&self, wanted: impl fmt::Display) -> Outcome<T> {
        let found = match &self.variant.fields {
            Fields::Unit => "a variant without fields".to_owned(),
            Fields::Tuple(items) => format!("a variant of {} fields without names", items.len()),
            Fields::Named(_) => "a variant with named fields".to_owned(),
        };
        Err(ReadReason::Differs { found, wanted: wanted.to_string() }.into())
    }
}

impl<'s, 'de> de::VariantAccess<'de> for VariantOf<'s, 'de> {
    type Error = ReadError;

    fn unit_variant(self) -> Outcome<()> {
        match self.variant.fields {
            Fields::Unit => Ok(()),
            // `#[serde(other)]` takes its place.
            _ if !self.is_known => self.value.skip_fields(&self.variant.fields),
            _ => self.differs("one without fields"),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Outcome<T::Value> {
        match &self.variant.fields {
            Fields::Tuple(items) if items.len() == 1 => {
                let offset = self.offsets.as_ref().and_then(|offsets| offsets.first()).copied();
                seed.deserialize(self.value.inside(items[0], offset.unwrap_or(0))?)
            }
            _ => self.differs("one with one field"),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Outcome<V::Value> {
        match &self.variant.fields {
            Fields::Tuple(types) => {
                self.value.visit_kind(Kind::Fields { types, offsets: self.offsets }, Some(len), visitor)
            }
            _ => self.differs(format!("one of {len} fields without names")),
        }
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Outcome<V::Value> {
        match &self.variant.fields {
            Fields::Named(fields) => self.value.visit_fields(fields, self.offsets, visitor),
            _ => self.differs("one with named fields"),
        }
    }
}
