//! Messages out of JSON, without their Rust type: the way back of `to_json.rs`.
//!
//! People write such JSON, too: fields may stand in any order, and a field that is an option may be
//! left out. Anything else that does not fit is an error with its path.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use super::check::at;
use super::cursor::MAX_DEPTH;
use super::path::{Step, ValuePath};
use super::plain;
use super::table::{Enum, Field, Fields, Index, Node, Number, StructLayout, Table};
use super::to_json::{is_string, may_be_null};
use super::words::describe;

/// JSON that is no message of a type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
#[error("{}{reason}", at(path))]
pub struct FromJsonError {
    /// Where in the message.
    pub path: ValuePath,
    /// What is wrong there.
    pub reason: String,
}

impl FromJsonError {
    #[cold]
    fn new(reason: impl Into<String>) -> Self {
        Self { path: ValuePath::default(), reason: reason.into() }
    }

    #[cold]
    fn inside(mut self, step: Step) -> Self {
        self.path = self.path.inside(step);
        self
    }
}

/// The longest plain message that is made out of JSON, in bytes.
const MAX_PLAIN_LEN: u64 = 1 << 30;

type Outcome<T = ()> = Result<T, FromJsonError>;

/// A value in postcard.
pub(crate) fn from_json(table: &Table, text: &str) -> Outcome<Vec<u8>> {
    let mut out = Vec::new();
    Encoder { table, place: None, depth: 0 }.encode(0, parse(text, "a value")?, &mut out)?;
    Ok(out)
}

/// A value that is its own bytes. Padding is zero.
pub(crate) fn plain_from_json(table: &Table, text: &str) -> Outcome<Vec<u8>> {
    let size = plain::extent(table, 0).map_err(|error| FromJsonError::new(error.to_string()))?.size;
    if size > MAX_PLAIN_LEN {
        return Err(FromJsonError::new(format!("the type has {size} bytes, and at most {MAX_PLAIN_LEN} are possible")));
    }
    let mut out = vec![0; size as usize];
    Encoder { table, place: Some(0), depth: 0 }.encode(0, parse(text, "a value")?, &mut out)?;
    Ok(out)
}

/// Bytes out of a JSON string.
pub(crate) fn bytes_from_json(text: &str) -> Outcome<Vec<u8>> {
    STANDARD.decode(parse::<String>(text, "bytes in base64")?).map_err(|error| FromJsonError::new(error.to_string()))
}

/// A payload that is JSON.
pub(crate) fn json_payload(text: &str) -> Outcome<Vec<u8>> {
    Ok(parse::<&RawValue>(text, "a value")?.get().as_bytes().to_vec())
}

/// A part of the JSON text, as a type that serde_json knows.
fn parse<'a, T: Deserialize<'a>>(text: &'a str, wanted: &str) -> Outcome<T> {
    serde_json::from_str(text).map_err(|error| {
        let start = text.trim_start();
        let shown: String = start.chars().take(40).collect();
        let dots = if shown.len() < start.len() { "..." } else { "" };
        if error.is_data() {
            FromJsonError::new(format!("{wanted} is due, and not {shown}{dots}"))
        } else {
            FromJsonError::new(format!("{wanted} is due: {error}"))
        }
    })
}

/// The members of an object in their order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(All)
    }
}

/// Writes values of a table's types.
#[derive(Clone, Copy)]
struct Encoder<'t> {
    table: &'t Table,
    /// Where a value of a plain type begins. Others are appended.
    place: Option<u64>,
    depth: u32,
}

impl<'t> Encoder<'t> {
    fn encode(self, mut index: Index, raw: &RawValue, out: &mut Vec<u8>) -> Outcome {
        let text = raw.get();
        let node = loop {
            index = match self.table.node(index) {
                Node::Logical { name, wire } => match self.encode_logical(name, *wire, text, out) {
                    Some(outcome) => return outcome,
                    None => *wire,
                },
                Node::Struct(this) => match &this.fields {
                    Fields::Tuple(items) if items.len() == 1 => items[0],
                    _ => break self.table.node(index),
                },
                node => break node,
            };
        };
        let wanted = describe(self.table, index);
        match node {
            Node::Number(number) => self.put_number(*number, false, text, out),
            Node::Ordered { big_endian, number } => self.put_number(*number, *big_endian, text, out),
            Node::Bool => self.put(&[u8::from(parse::<bool>(text, &wanted)?)], out),
            Node::Char => {
                let character: char = parse(text, &wanted)?;
                match self.place {
                    Some(_) => self.put(&u32::from(character).to_ne_bytes(), out),
                    None => put_byte_string(character.to_string().as_bytes(), out),
                }
            }
            Node::String => put_byte_string(parse::<String>(text, &wanted)?.as_bytes(), out),
            Node::Bytes => put_byte_string(&bytes_from_json(text)?, out),
            Node::Unit => parse(text, "null"),
            Node::Option(item) => {
                if text == "null" {
                    return self.put(&[0], out);
                }
                self.put(&[1], out)?;
                if !may_be_null(self.table, *item) {
                    return self.inside(*item, 0, raw, out);
                }
                match parse::<Vec<&RawValue>>(text, "null, or a list of one value,")?[..] {
                    [value] => self.inside(*item, 0, value, out),
                    _ => Err(FromJsonError::new("null, or a list of one value, is due")),
                }
            }
            Node::Sequence(item) => {
                let items: Vec<&RawValue> = parse(text, "a list")?;
                put_varint(items.len() as u128, out);
                self.items(items.into_iter().map(|value| (*item, 0, value)), out)
            }
            Node::Array(item, count) => {
                let items = self.list(text, *count)?;
                let size = if self.place.is_some() { self.size_of(*item)? } else { 0 };
                self.items(
                    items.into_iter().zip(0_u64..).map(|(value, at)| (*item, at.saturating_mul(size), value)),
                    out,
                )
            }
            Node::Tuple(types) => self.tuple(types, None, text, out),
            Node::Map(key, value) => self.map(*key, *value, text, out),
            Node::Struct(this) => self.fields(&this.fields, this.layout.as_ref().map(offsets_of), text, out),
            Node::Enum(this) => self.variant(this, raw, out),
            Node::Logical { .. } => unreachable!("resolved"),
        }
    }

    /// A value of a logical type that has a form of its own.
    fn encode_logical(self, name: &str, wire: Index, text: &str, out: &mut Vec<u8>) -> Option<Outcome> {
        let address = |wanted: &str| parse::<String>(text, wanted);
        let bytes = match name {
            "json" => return Some(put_byte_string(text.as_bytes(), out)),
            "Uuid" => {
                address("a UUID").and_then(|text| parsed::<uuid::Uuid>(&text)).map(|uuid| uuid.as_bytes().to_vec())
            }
            "Ipv4Addr" => {
                address("an IPv4 address").and_then(|text| parsed::<Ipv4Addr>(&text)).map(|ip| ip.octets().to_vec())
            }
            "Ipv6Addr" => {
                address("an IPv6 address").and_then(|text| parsed::<Ipv6Addr>(&text)).map(|ip| ip.octets().to_vec())
            }
            _ => return None,
        };
        Some(bytes.and_then(|bytes| match self.table.node(wire) {
            Node::Bytes => put_byte_string(&bytes, out),
            _ => self.put(&bytes, out),
        }))
    }

    fn inside(self, index: Index, offset: u64, raw: &RawValue, out: &mut Vec<u8>) -> Outcome {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH {
            return Err(FromJsonError::new("values are inside of each other more than 128 deep"));
        }
        let place = self.place.map(|place| place.saturating_add(offset));
        Self { place, depth, ..self }.encode(index, raw, out)
    }

    /// Writes bytes of fixed length.
    fn put(self, bytes: &[u8], out: &mut Vec<u8>) -> Outcome {
        let Some(place) = self.place else {
            out.extend_from_slice(bytes);
            return Ok(());
        };
        let start = usize::try_from(place).unwrap_or(usize::MAX);
        let room = out.get_mut(start..start.saturating_add(bytes.len()));
        room.ok_or_else(|| FromJsonError::new("the schema puts a field outside of its type"))?.copy_from_slice(bytes);
        Ok(())
    }

    fn put_number(self, number: Number, big_endian: bool, text: &str, out: &mut Vec<u8>) -> Outcome {
        let name = number.name();
        let value = match number {
            Number::F32 => {
                let bits = float(text, name, |value: f32| value.to_bits().into())?;
                return self.put_fixed(bits, 4, big_endian, out);
            }
            Number::F64 => {
                let bits = float(text, name, f64::to_bits)?;
                return self.put_fixed(bits, 8, big_endian, out);
            }
            Number::U8 => Integer::Unsigned(parse::<u8>(text, name)?.into()),
            Number::U16 => Integer::Unsigned(parse::<u16>(text, name)?.into()),
            Number::U32 => Integer::Unsigned(parse::<u32>(text, name)?.into()),
            Number::U64 => Integer::Unsigned(parse::<u64>(text, name)?.into()),
            Number::U128 => Integer::Unsigned(wide(text, name)?),
            Number::I8 => Integer::Signed(parse::<i8>(text, name)?.into()),
            Number::I16 => Integer::Signed(parse::<i16>(text, name)?.into()),
            Number::I32 => Integer::Signed(parse::<i32>(text, name)?.into()),
            Number::I64 => Integer::Signed(parse::<i64>(text, name)?.into()),
            Number::I128 => Integer::Signed(wide(text, name)?),
        };
        if self.place.is_some() || number.size() == 1 {
            let bits = match value {
                Integer::Unsigned(value) => value,
                Integer::Signed(value) => value as u128,
            };
            let mut bytes = bits.to_le_bytes()[..number.size()].to_vec();
            if big_endian {
                bytes.reverse();
            }
            return self.put(&bytes, out);
        }
        put_varint(
            match value {
                Integer::Unsigned(value) => value,
                // Zigzag: the lowest bit is the sign.
                Integer::Signed(value) => ((value << 1) ^ (value >> 127)) as u128,
            },
            out,
        );
        Ok(())
    }

    fn put_fixed(self, bits: u64, size: usize, big_endian: bool, out: &mut Vec<u8>) -> Outcome {
        let mut bytes = bits.to_le_bytes()[..size].to_vec();
        if big_endian {
            bytes.reverse();
        }
        self.put(&bytes, out)
    }

    fn size_of(self, index: Index) -> Outcome<u64> {
        Ok(plain::extent(self.table, index).map_err(|error| FromJsonError::new(error.to_string()))?.size)
    }

    fn list(self, text: &str, count: u64) -> Outcome<Vec<&RawValue>> {
        let items: Vec<&RawValue> = parse(text, &format!("a list of {count}"))?;
        if items.len() as u64 == count {
            return Ok(items);
        }
        Err(FromJsonError::new(format!("a list of {count} is due, and not of {}", items.len())))
    }

    fn items<'a>(self, items: impl Iterator<Item = (Index, u64, &'a RawValue)>, out: &mut Vec<u8>) -> Outcome {
        for (at, (index, offset, value)) in items.enumerate() {
            self.inside(index, offset, value, out).map_err(|error| error.inside(Step::Item(at as u64)))?;
        }
        Ok(())
    }

    fn tuple(self, types: &[Index], offsets: Option<&[u64]>, text: &str, out: &mut Vec<u8>) -> Outcome {
        let items = self.list(text, types.len() as u64)?;
        let places = (0..).map(|at| offset_at(offsets, at));
        self.items(types.iter().zip(places).zip(items).map(|((&ty, offset), value)| (ty, offset, value)), out)
    }

    fn fields(self, fields: &Fields, offsets: Option<&[u64]>, text: &str, out: &mut Vec<u8>) -> Outcome {
        match fields {
            Fields::Unit => parse(text, "null"),
            Fields::Tuple(types) => self.tuple(types, offsets, text, out),
            Fields::Named(fields) => self.named(fields, offsets, text, out),
        }
    }

    fn named(self, fields: &[Field], offsets: Option<&[u64]>, text: &str, out: &mut Vec<u8>) -> Outcome {
        let Members(members) = parse(text, "an object")?;
        let mut values: Vec<Option<&RawValue>> = vec![None; fields.len()];
        for (name, value) in members {
            let known = fields.iter().position(|field| field.name == name);
            let at = known.ok_or_else(|| FromJsonError::new(format!("there is no field `{name}`")))?;
            if values[at].replace(value).is_some() {
                return Err(FromJsonError::new(format!("the field `{name}` is there twice")));
            }
        }
        for (at, field) in fields.iter().enumerate() {
            let outcome = match values[at] {
                Some(value) => self.inside(field.ty, offset_at(offsets, at), value, out),
                None if matches!(self.table.node(field.ty), Node::Option(_)) => self.put(&[0], out),
                None => Err(FromJsonError::new("the field is missing")),
            };
            outcome.map_err(|error| error.inside(Step::Field(field.name.clone())))?;
        }
        Ok(())
    }

    fn map(self, key: Index, value: Index, text: &str, out: &mut Vec<u8>) -> Outcome {
        let keys_are_strings = is_string(self.table, key);
        let pairs: Vec<(Box<RawValue>, &RawValue)> = if keys_are_strings {
            let Members(members) = parse(text, "an object")?;
            let quoted = members.into_iter().map(|(name, value)| {
                let name = serde_json::value::to_raw_value(&name);
                Ok((name.map_err(|error| FromJsonError::new(error.to_string()))?, value))
            });
            quoted.collect::<Outcome<_>>()?
        } else {
            parse::<Vec<(&RawValue, &RawValue)>>(text, "a list of pairs")?
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()
        };
        put_varint(pairs.len() as u128, out);
        for (name, item) in pairs {
            self.inside(key, 0, &name, out).map_err(|error| error.inside(Step::Key))?;
            self.inside(value, 0, item, out).map_err(|error| error.inside(Step::Value))?;
        }
        Ok(())
    }

    fn variant(self, this: &Enum, raw: &RawValue, out: &mut Vec<u8>) -> Outcome {
        let text = raw.get();
        let (name, content) = if text.starts_with('"') {
            (parse::<String>(text, "the name of a variant")?, None)
        } else {
            let Members(members) = parse(text, "the name of a variant, or an object of it and its content,")?;
            match <[_; 1]>::try_from(members) {
                Ok([(name, content)]) => (name, Some(content)),
                Err(_) => return Err(FromJsonError::new("an object of one variant is due")),
            }
        };
        let Some(at) = this.variants.iter().position(|variant| variant.name == name) else {
            let known: Vec<_> = this.variants.iter().map(|variant| format!("`{}`", variant.name)).collect();
            return Err(FromJsonError::new(format!("there is no variant `{name}`: known are {}", known.join(", "))));
        };
        let variant = &this.variants[at];
        let offsets = match (&this.layout, self.place) {
            (Some(layout), Some(_)) => {
                let tag = variant.discriminant.unwrap_or(at as i128);
                self.put(&tag.to_le_bytes()[..layout.tag.size()], out)?;
                let offsets = plain::offsets(self.table, this, layout, &variant.fields);
                Some(offsets.map_err(|error| FromJsonError::new(error.to_string()))?)
            }
            _ => {
                put_varint(at as u128, out);
                None
            }
        };
        let outcome = match (&variant.fields, content) {
            (Fields::Unit, None) => Ok(()),
            (Fields::Unit, Some(_)) => Err(FromJsonError::new("the variant has no content: write its name alone")),
            (_, None) => Err(FromJsonError::new(format!("the variant has content: write {{\"{name}\": ...}}"))),
            (Fields::Tuple(types), Some(content)) if types.len() == 1 => {
                self.inside(types[0], offset_at(offsets.as_deref(), 0), content, out)
            }
            (fields, Some(content)) => self.fields(fields, offsets.as_deref(), content.get(), out),
        };
        outcome.map_err(|error| error.inside(Step::Variant(name)))
    }
}

fn offsets_of(layout: &StructLayout) -> &[u64] {
    &layout.offsets
}

fn offset_at(offsets: Option<&[u64]>, at: usize) -> u64 {
    offsets.and_then(|offsets| offsets.get(at)).copied().unwrap_or(0)
}

enum Integer {
    Unsigned(u128),
    Signed(i128),
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Outcome<T> {
    text.parse().map_err(|error| FromJsonError::new(format!("{text:?}: {error}")))
}

/// A number of 128 bits: a string, or a number if it is small.
fn wide<T: FromStr<Err: std::fmt::Display>>(text: &str, name: &str) -> Outcome<T> {
    if text.starts_with('"') { parsed(&parse::<String>(text, name)?) } else { parsed(text) }
}

/// The bits of a float.
fn float<'a, T: Deserialize<'a> + FromStr<Err: std::fmt::Display>>(
    text: &'a str,
    name: &str,
    bits: impl Fn(T) -> u64,
) -> Outcome<u64> {
    if !text.starts_with('"') {
        // By std, because that is exact for `f32`, too.
        parse::<serde_json::Number>(text, name)?;
        return parsed(text).map(bits);
    }
    let word: String = parse(text, name)?;
    if let Some(hex) = word.strip_prefix("NaN:") {
        return u64::from_str_radix(hex, 16).map_err(|error| FromJsonError::new(format!("{word:?}: {error}")));
    }
    match word.as_str() {
        "NaN" | "inf" | "-inf" => parsed(&word).map(bits),
        _ => Err(FromJsonError::new(format!("{name} is due, and not {word:?}"))),
    }
}

fn put_byte_string(bytes: &[u8], out: &mut Vec<u8>) -> Outcome {
    put_varint(bytes.len() as u128, out);
    out.extend_from_slice(bytes);
    Ok(())
}

/// Groups of seven bits, the lowest first.
fn put_varint(mut value: u128, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
