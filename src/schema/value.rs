//! Reading a value by the schema of its sender, into any type that serde deserializes.
//!
//! A message is presented as a map of names. So serde itself does what makes messages grow: it ignores
//! fields that the receiver does not have, supplies defaults for those that the sender does not have,
//! and finds variants by name. In addition, integers widen, and a `T` becomes an `Option<T>`.
//!
//! Payloads and schemas may come from anybody. Depth is limited, and so is the number of values for each
//! byte of the payload; nothing is allocated for what the payload only claims to have.

use super::cursor::{Cursor, MAX_DEPTH, Read, boolean_of};
use super::error::{ReadError, ReadReason};
use super::plain;
use super::table::{Enum, Fields, Index, Node, Number, Table, Variant};
use super::words::describe;

/// A value in a payload: its type, and where it is.
#[derive(Clone, Copy)]
pub(crate) struct Value<'s, 'de> {
    pub(super) table: &'s Table,
    pub(super) index: Index,
    cursor: &'s Cursor<'de>,
    /// Where a value of a plain type begins. Others are at the cursor.
    plain: Option<&'de [u8]>,
    depth: u32,
}

type Outcome<T> = Result<T, ReadError>;

impl<'s, 'de> Value<'s, 'de> {
    /// The value at the cursor, in postcard.
    pub(crate) fn new(table: &'s Table, cursor: &'s Cursor<'de>) -> Self {
        Self { table, index: 0, cursor, plain: None, depth: 0 }
    }

    /// A value of a plain type, whose payload this is. Only the limits are those of the cursor.
    pub(crate) fn plain(table: &'s Table, cursor: &'s Cursor<'de>, payload: &'de [u8]) -> Self {
        Self { plain: Some(payload), ..Self::new(table, cursor) }
    }

    pub(super) fn is_plain(self) -> bool {
        self.plain.is_some()
    }

    /// The type, without the logical types and newtypes around it.
    #[inline]
    pub(super) fn resolve(&mut self) -> Outcome<&'s Node> {
        self.cursor.burn()?;
        loop {
            let node = self.table.node(self.index);
            self.index = match node {
                Node::Logical { wire, .. } => *wire,
                Node::Struct(this) => match &this.fields {
                    Fields::Tuple(items) if items.len() == 1 => items[0],
                    _ => return Ok(node),
                },
                _ => return Ok(node),
            };
        }
    }

    /// The type without logical types, newtypes and options around it, each of which must hold a value.
    #[inline]
    pub(super) fn resolve_present(&mut self, wanted: &str) -> Outcome<&'s Node> {
        loop {
            match self.resolve()? {
                Node::Option(item) => {
                    if !self.boolean()? {
                        return Err(ReadReason::Differs { found: "none".to_owned(), wanted: wanted.to_owned() }.into());
                    }
                    *self = self.inside(*item, 0)?;
                }
                node => return Ok(node),
            }
        }
    }

    #[cold]
    pub(super) fn differs<T>(&self, wanted: impl Into<String>) -> Outcome<T> {
        Err(ReadReason::Differs { found: describe(self.table, self.index), wanted: wanted.into() }.into())
    }

    /// A value inside of this one: at the cursor, or at an offset of a plain value.
    #[inline]
    pub(super) fn inside(self, index: Index, offset: u64) -> Outcome<Self> {
        let plain = match self.plain {
            Some(bytes) => Some(plain::from(bytes, offset)?),
            None => None,
        };
        let depth = self.depth + 1;
        if depth > MAX_DEPTH { Err(ReadReason::TooDeep.into()) } else { Ok(Self { index, plain, depth, ..self }) }
    }

    /// Checks how many bytes of JSON were written.
    pub(super) fn check_json(self, len: usize) -> Outcome<()> {
        self.cursor.check_json(len)
    }

    /// How many bytes are left, each of which may be a value.
    pub(super) fn left(self) -> usize {
        self.plain.map_or(self.cursor.left(), <[u8]>::len)
    }

    #[inline]
    pub(super) fn number(self, number: Number, big_endian: bool) -> Outcome<Read> {
        match self.plain {
            None => self.cursor.number(number),
            Some(bytes) => Ok(Cursor::plain_number(plain::start(bytes, number.size())?, number, big_endian)),
        }
    }

    pub(super) fn boolean(self) -> Outcome<bool> {
        match self.plain {
            None => self.cursor.boolean(),
            Some(bytes) => boolean_of(plain::start(bytes, 1)?[0]),
        }
    }

    pub(super) fn character(self) -> Outcome<char> {
        let Some(bytes) = self.plain else { return self.cursor.character() };
        let code = Cursor::plain_number(plain::start(bytes, 4)?, Number::U32, false);
        let character = if let Read::Unsigned(code) = code { char::from_u32(code as u32) } else { None };
        character.ok_or_else(|| ReadReason::Invalid("a char is no character".to_owned()).into())
    }

    /// The cursor, for what no plain type has.
    pub(super) fn cursor(self) -> Outcome<&'s Cursor<'de>> {
        match self.plain {
            None => Ok(self.cursor),
            Some(_) => Err(ReadReason::Invalid("a plain type has a part that is not plain".to_owned()).into()),
        }
    }

    /// The variant of an enum, and if it is plain, where its fields are.
    pub(super) fn variant(self, this: &'s Enum) -> Outcome<(&'s Variant, Option<Vec<u64>>)> {
        if let Some(bytes) = self.plain {
            return plain::variant(self.table, this, bytes).map(|(variant, offsets)| (variant, Some(offsets)));
        }
        let index = self.cursor.variant()?;
        match this.variants.get(index as usize) {
            Some(variant) => Ok((variant, None)),
            None => Err(ReadReason::Invalid(format!("the enum {} has no variant {index}", this.name)).into()),
        }
    }

    /// Reads past the value.
    pub(super) fn skip(mut self) -> Outcome<()> {
        if self.plain.is_some() {
            return Ok(());
        }
        match self.resolve()? {
            Node::Number(number) | Node::Ordered { number, .. } => self.number(*number, false).map(drop),
            Node::Bool => self.boolean().map(drop),
            Node::Char => self.character().map(drop),
            Node::String => self.cursor.string().map(drop),
            Node::Bytes => self.cursor.byte_string().map(drop),
            Node::Unit => Ok(()),
            Node::Option(item) => {
                if self.boolean()? {
                    self.inside(*item, 0)?.skip()?;
                }
                Ok(())
            }
            Node::Sequence(item) => {
                let count = self.cursor.count()?;
                self.skip_all(*item, count)
            }
            Node::Array(item, count) => self.skip_all(*item, *count),
            Node::Tuple(items) => items.iter().try_for_each(|&item| self.inside(item, 0)?.skip()),
            Node::Map(key, value) => {
                for _ in 0..self.cursor.count()? {
                    self.inside(*key, 0)?.skip()?;
                    self.inside(*value, 0)?.skip()?;
                }
                Ok(())
            }
            Node::Struct(this) => self.skip_fields(&this.fields),
            Node::Enum(this) => self.skip_fields(&self.variant(this)?.0.fields),
            Node::Logical { .. } => unreachable!("resolved"),
        }
    }

    pub(super) fn skip_fields(self, fields: &Fields) -> Outcome<()> {
        fields.types().try_for_each(|ty| self.inside(ty, 0)?.skip())
    }

    fn skip_all(self, item: Index, count: u64) -> Outcome<()> {
        (0..count).try_for_each(|_| self.inside(item, 0)?.skip())
    }
}
