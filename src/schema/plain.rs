//! Where the parts of a plain value are: a value that is its own bytes.

use super::cursor::{Cursor, Read};
use super::error::{ReadError, ReadReason};
use super::table::{Enum, EnumLayout, Fields, Index, Node, Number, Table, Variant};

type Outcome<T> = Result<T, ReadError>;

/// Sizes of types that contain each other this deeply are not computed: no plain type does.
const MAX_NESTING: u32 = 64;

pub(super) fn start(bytes: &[u8], len: usize) -> Outcome<&[u8]> {
    bytes.get(..len).ok_or_else(|| ReadReason::Ended { needed: len, left: bytes.len() }.into())
}

pub(super) fn from(bytes: &[u8], offset: u64) -> Outcome<&[u8]> {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    bytes.get(offset..).ok_or_else(|| ReadReason::Ended { needed: offset, left: bytes.len() }.into())
}

/// How many bytes a plain type has, and its alignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) size: u64,
    align: u64,
}

pub(super) fn extent(table: &Table, index: Index) -> Outcome<Extent> {
    extent_within(table, index, MAX_NESTING)
}

fn extent_within(table: &Table, index: Index, nesting: u32) -> Outcome<Extent> {
    let not_plain = || ReadReason::Invalid("a plain type has a part that is not plain".to_owned()).into();
    let nesting = nesting.checked_sub(1).ok_or(ReadReason::TooDeep)?;
    let both = |size: usize| Extent { size: size as u64, align: size as u64 };
    match table.node(index) {
        Node::Number(number) => Ok(both(number.size())),
        Node::Ordered { number, .. } => Ok(Extent { size: number.size() as u64, align: 1 }),
        Node::Bool => Ok(both(1)),
        Node::Char => Ok(both(4)),
        Node::Unit => Ok(Extent { size: 0, align: 1 }),
        Node::Logical { wire, .. } => extent_within(table, *wire, nesting),
        Node::Array(item, count) => {
            let item = extent_within(table, *item, nesting)?;
            let size = item.size.checked_mul(*count).ok_or_else(not_plain)?;
            Ok(Extent { size, ..item })
        }
        Node::Struct(this) => {
            let layout = this.layout.as_ref().ok_or_else(not_plain)?;
            Ok(Extent { size: layout.size, align: layout.align })
        }
        Node::Enum(this) => {
            let layout = this.layout.as_ref().ok_or_else(not_plain)?;
            Ok(Extent { size: layout.size, align: layout.align })
        }
        Node::Option(_) | Node::Sequence(_) | Node::Map(..) | Node::Tuple(_) | Node::String | Node::Bytes => {
            Err(not_plain())
        }
    }
}

/// The variant of a plain enum, and where its fields are, in bytes from the start of the value.
///
/// With `#[repr(u8)]` and the like, a variant is a `#[repr(C)]` struct of the tag and its fields. With
/// `#[repr(C)]`, the fields of all variants are a union of such structs behind the tag (the Rust
/// reference, "Type layout").
pub(super) fn variant<'s>(table: &'s Table, this: &'s Enum, bytes: &[u8]) -> Outcome<(&'s Variant, Vec<u64>)> {
    let Some(layout) = &this.layout else {
        return Err(ReadReason::Invalid(format!("the enum {} is not plain", this.name)).into());
    };
    let tag = match Cursor::plain_number(start(bytes, layout.tag.size())?, layout.tag, false) {
        Read::Unsigned(tag) => i128::try_from(tag).ok(),
        Read::Signed(tag) => Some(tag),
        Read::F32(_) | Read::F64(_) => None,
    };
    let place = (0..this.variants.len()).find(|&place| tag == Some(discriminant(&this.variants, place)));
    let variant = place.map(|place| &this.variants[place]);
    let variant = variant.ok_or_else(|| ReadReason::Invalid(format!("no variant of the enum {}", this.name)))?;
    Ok((variant, offsets(table, this, layout, &variant.fields)?))
}

/// A variant's value as a number.
fn discriminant(variants: &[Variant], place: usize) -> i128 {
    variants[place].discriminant.unwrap_or(place as i128)
}

pub(super) fn offsets(table: &Table, this: &Enum, layout: &EnumLayout, fields: &Fields) -> Outcome<Vec<u64>> {
    let tag = layout.tag.size() as u64;
    let mut at = tag;
    if layout.is_c {
        let mut align = 1;
        for ty in this.variants.iter().flat_map(|variant| variant.fields.types()) {
            align = align.max(extent(table, ty)?.align);
        }
        at = tag.next_multiple_of(align);
    }
    let mut offsets = Vec::with_capacity(fields.len());
    for ty in fields.types() {
        let Extent { size, align } = extent(table, ty)?;
        let start = at.checked_next_multiple_of(align).ok_or(ReadReason::TooMuch)?;
        offsets.push(start);
        at = start.checked_add(size).ok_or(ReadReason::TooMuch)?;
    }
    Ok(offsets)
}

/// A tag that an enum may have: not a floating point number.
pub(super) fn is_tag(number: Number) -> bool {
    !matches!(number, Number::F32 | Number::F64)
}
