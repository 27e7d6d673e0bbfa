//! Messages as JSON, without their Rust type.
//!
//! The text says all that the bytes say, so that it goes back to the same bytes (`from_json.rs`):
//!
//! | value | JSON |
//! | --- | --- |
//! | numbers of up to 64 bits | a number; a float that is none is `"NaN"`, `"inf"`, `"-inf"`, or `"NaN:"` and its bits |
//! | `u128`, `i128` | a string |
//! | `bool`, `char`, string | `true` or `false`, a string, a string |
//! | bytes | a string in base64 |
//! | `()`, a struct without a body | `null` |
//! | option | `null`, or the value; in a list of its own if the value itself may be `null` |
//! | sequence, array, tuple | a list |
//! | map whose keys are strings; others | an object; a list of pairs |
//! | struct; newtype | an object, or a list if its fields have no names; the value |
//! | variant without fields; others | its name; an object of its name and its content |
//! | UUID, IP address | as people write them |
//! | JSON text | itself |

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use super::cursor::{Cursor, Read};
use super::error::{ReadError, ReadReason};
use super::path::Step;
use super::plain;
use super::table::{Field, Fields, Index, Node, Number, Table};
use super::value::Value;

type Outcome = Result<(), ReadError>;

/// Writes a value in postcard as JSON.
pub(crate) fn to_json(table: &Table, payload: &[u8], out: &mut String) -> Outcome {
    let cursor = Cursor::new(payload);
    Value::new(table, &cursor).write(out)?;
    match cursor.left() {
        0 => Ok(()),
        left => Err(ReadReason::Trailing { left }.into()),
    }
}

/// Writes a value that is its own bytes as JSON.
pub(crate) fn plain_to_json(table: &Table, payload: &[u8], out: &mut String) -> Outcome {
    let size = plain::extent(table, 0)?.size;
    if size != payload.len() as u64 {
        let found = format!("{} bytes", payload.len());
        return Err(ReadReason::Differs { found, wanted: format!("{size}, the size of the type") }.into());
    }
    Value::plain(table, &Cursor::new(payload), payload).write(out)
}

/// Bytes as a JSON string.
pub(crate) fn bytes_to_json(bytes: &[u8], out: &mut String) {
    out.push('"');
    STANDARD.encode_string(bytes, out);
    out.push('"');
}

/// A payload that is JSON.
pub(crate) fn json_text(payload: &[u8]) -> Result<&str, ReadError> {
    let raw = serde_json::from_slice::<&RawValue>(payload).map_err(|error| invalid(error.to_string()))?;
    match std::str::from_utf8(payload) {
        Ok(text) if text == raw.get() => Ok(text),
        _ => Err(invalid("there is space before or after the JSON text")),
    }
}

/// Whether a value of the type may be written as `null`.
pub(super) fn may_be_null(table: &Table, mut index: Index) -> bool {
    loop {
        index = match table.node(index) {
            Node::Option(_) | Node::Unit => return true,
            Node::Logical { name, .. } if name == "json" => return true,
            Node::Logical { wire, .. } => *wire,
            Node::Struct(this) => match &this.fields {
                Fields::Unit => return true,
                Fields::Tuple(items) if items.len() == 1 => items[0],
                _ => return false,
            },
            _ => return false,
        };
    }
}

/// Whether values of the type are strings, as the keys of an object are.
pub(super) fn is_string(table: &Table, mut index: Index) -> bool {
    loop {
        index = match table.node(index) {
            Node::String => return true,
            Node::Logical { name, wire } if name != "json" => *wire,
            Node::Struct(this) => match &this.fields {
                Fields::Tuple(items) if items.len() == 1 => items[0],
                _ => return false,
            },
            _ => return false,
        };
    }
}

fn invalid(what: impl Into<String>) -> ReadError {
    ReadReason::Invalid(what.into()).into()
}

/// What serde_json writes of a value that has a JSON form.
fn push<T: Serialize + ?Sized>(value: &T, out: &mut String) -> Outcome {
    out.push_str(&serde_json::to_string(value).map_err(|error| invalid(error.to_string()))?);
    Ok(())
}

impl Value<'_, '_> {
    fn write(mut self, out: &mut String) -> Outcome {
        self.check_json(out.len())?;
        if let Some(written) = self.write_logical(out) {
            return written;
        }
        match self.resolve()? {
            Node::Number(number) => write_number(self.number(*number, false)?, *number, out),
            Node::Ordered { big_endian, number } => write_number(self.number(*number, *big_endian)?, *number, out),
            Node::Bool => push(&self.boolean()?, out),
            Node::Char => push(&self.character()?, out),
            Node::String => push(self.cursor()?.string()?, out),
            Node::Bytes => {
                bytes_to_json(self.cursor()?.byte_string()?, out);
                Ok(())
            }
            Node::Unit => push(&(), out),
            Node::Option(item) => {
                if !self.boolean()? {
                    return push(&(), out);
                }
                let value = self.inside(*item, 0)?;
                if may_be_null(self.table, *item) { list(out, 1, |out, _| value.write(out)) } else { value.write(out) }
            }
            Node::Sequence(item) => {
                let count = self.cursor()?.count()?;
                list(out, count, |out, at| self.write_item(*item, 0, at, out))
            }
            Node::Array(item, count) => {
                let size = if self.is_plain() { plain::extent(self.table, *item)?.size } else { 0 };
                list(out, *count, |out, at| self.write_item(*item, at.saturating_mul(size), at, out))
            }
            Node::Tuple(items) => self.write_tuple(items, None, out),
            Node::Map(key, value) => self.write_map(*key, *value, out),
            Node::Struct(this) => {
                self.write_fields(&this.fields, this.layout.as_ref().map(|layout| &layout.offsets[..]), out)
            }
            Node::Enum(this) => {
                let (variant, offsets) = self.variant(this)?;
                if variant.fields == Fields::Unit {
                    return push(&variant.name, out);
                }
                out.push('{');
                push(&variant.name, out)?;
                out.push(':');
                self.write_content(&variant.fields, offsets.as_deref(), out)
                    .map_err(|error| error.inside(Step::Variant(variant.name.clone())))?;
                out.push('}');
                Ok(())
            }
            Node::Logical { .. } => unreachable!("resolved"),
        }
    }

    /// A value of a logical type that has a form of its own.
    fn write_logical(mut self, out: &mut String) -> Option<Outcome> {
        let Node::Logical { name, .. } = self.table.node(self.index) else { return None };
        if !matches!(name.as_str(), "Uuid" | "Ipv4Addr" | "Ipv6Addr" | "json") {
            return None;
        }
        Some(self.resolve().and_then(|node| {
            let bytes = match node {
                Node::String => {
                    let text = self.cursor()?.string()?;
                    let raw = serde_json::from_str::<&RawValue>(text).ok().filter(|raw| raw.get() == text);
                    out.push_str(raw.ok_or_else(|| invalid("a text is not JSON"))?.get());
                    return Ok(());
                }
                Node::Bytes => self.cursor()?.byte_string()?.to_vec(),
                Node::Array(item, count @ (4 | 16)) if *self.table.node(*item) == Node::Number(Number::U8) => {
                    let mut bytes = Vec::new();
                    for at in 0..*count {
                        match self.inside(*item, at)?.number(Number::U8, false)? {
                            Read::Unsigned(byte) => bytes.push(byte as u8),
                            _ => unreachable!("U8 is unsigned"),
                        }
                    }
                    bytes
                }
                _ => return Err(invalid(format!("the schema says that a {name} is another type"))),
            };
            let text = match (name.as_str(), bytes.len()) {
                ("Uuid", 16) => uuid::Uuid::from_slice(&bytes).map(|uuid| uuid.to_string()).ok(),
                ("Ipv4Addr", 4) => <[u8; 4]>::try_from(&bytes[..]).map(|bytes| Ipv4Addr::from(bytes).to_string()).ok(),
                ("Ipv6Addr", 16) => {
                    <[u8; 16]>::try_from(&bytes[..]).map(|bytes| Ipv6Addr::from(bytes).to_string()).ok()
                }
                _ => None,
            };
            push(&text.ok_or_else(|| invalid(format!("the bytes are no {name}")))?, out)
        }))
    }

    fn write_item(self, item: Index, offset: u64, at: u64, out: &mut String) -> Outcome {
        self.inside(item, offset).and_then(|item| item.write(out)).map_err(|error| error.inside(Step::Item(at)))
    }

    fn write_tuple(self, types: &[Index], offsets: Option<&[u64]>, out: &mut String) -> Outcome {
        list(out, types.len() as u64, |out, at| {
            self.write_item(types[at as usize], offset_at(offsets, at as usize), at, out)
        })
    }

    fn write_fields(self, fields: &Fields, offsets: Option<&[u64]>, out: &mut String) -> Outcome {
        match fields {
            Fields::Unit => push(&(), out),
            Fields::Tuple(types) => self.write_tuple(types, offsets, out),
            Fields::Named(fields) => self.write_named(fields, offsets, out),
        }
    }

    /// The content of a variant: the value itself, if there is one field.
    fn write_content(self, fields: &Fields, offsets: Option<&[u64]>, out: &mut String) -> Outcome {
        match fields {
            Fields::Tuple(types) if types.len() == 1 => self.inside(types[0], offset_at(offsets, 0))?.write(out),
            _ => self.write_fields(fields, offsets, out),
        }
    }

    fn write_named(self, fields: &[Field], offsets: Option<&[u64]>, out: &mut String) -> Outcome {
        out.push('{');
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            push(&field.name, out)?;
            out.push(':');
            let value = self.inside(field.ty, offset_at(offsets, at));
            value.and_then(|value| value.write(out)).map_err(|error| error.inside(Step::Field(field.name.clone())))?;
        }
        out.push('}');
        Ok(())
    }

    fn write_map(self, key: Index, value: Index, out: &mut String) -> Outcome {
        let count = self.cursor()?.count()?;
        let is_object = is_string(self.table, key);
        let (open, between, close) = if is_object { ("", ":", "") } else { ("[", ",", "]") };
        enclosed(out, if is_object { "{}" } else { "[]" }, count, |out, _| {
            out.push_str(open);
            self.inside(key, 0).and_then(|key| key.write(out)).map_err(|error| error.inside(Step::Key))?;
            out.push_str(between);
            self.inside(value, 0).and_then(|value| value.write(out)).map_err(|error| error.inside(Step::Value))?;
            out.push_str(close);
            Ok(())
        })
    }
}

fn offset_at(offsets: Option<&[u64]>, at: usize) -> u64 {
    offsets.and_then(|offsets| offsets.get(at)).copied().unwrap_or(0)
}

fn list(out: &mut String, count: u64, item: impl FnMut(&mut String, u64) -> Outcome) -> Outcome {
    enclosed(out, "[]", count, item)
}

fn enclosed(
    out: &mut String,
    brackets: &str,
    count: u64,
    mut item: impl FnMut(&mut String, u64) -> Outcome,
) -> Outcome {
    out.push_str(&brackets[..1]);
    for at in 0..count {
        if at > 0 {
            out.push(',');
        }
        item(out, at)?;
    }
    out.push_str(&brackets[1..]);
    Ok(())
}

fn write_number(value: Read, number: Number, out: &mut String) -> Outcome {
    let is_wide = matches!(number, Number::U128 | Number::I128);
    match value {
        Read::Unsigned(value) if is_wide => push(&value.to_string(), out),
        Read::Signed(value) if is_wide => push(&value.to_string(), out),
        Read::Unsigned(value) => push(&(value as u64), out),
        Read::Signed(value) => push(&(value as i64), out),
        Read::F32(value) if value.is_finite() => push(&value, out),
        Read::F64(value) if value.is_finite() => push(&value, out),
        Read::F32(value) if value.is_nan() && value.to_bits() != f32::NAN.to_bits() => {
            push(&format!("NaN:{:08x}", value.to_bits()), out)
        }
        Read::F64(value) if value.is_nan() && value.to_bits() != f64::NAN.to_bits() => {
            push(&format!("NaN:{:016x}", value.to_bits()), out)
        }
        Read::F32(value) => push(&value.to_string(), out),
        Read::F64(value) => push(&value.to_string(), out),
    }
}
