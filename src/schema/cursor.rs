//! The bytes of a value that is read by its schema: how many are left, and how much may still be done.

use std::cell::Cell;
use std::ops::{BitOrAssign, Shl, Shr};

use super::error::{ReadError, ReadReason};
use super::table::Number;

/// How deeply values may be inside of each other.
pub(crate) const MAX_DEPTH: u32 = 128;
/// How many values may be read for each byte of a payload, and how many in any case: values that take no
/// bytes, such as `()`, would otherwise be read without end.
const FUEL_PER_BYTE: u64 = 16;
const LEAST_FUEL: u64 = 1 << 16;
/// How many bytes of JSON may be written for each byte of a payload, and how many in any case: a schema
/// may have long names.
const JSON_PER_BYTE: usize = 256;
const LEAST_JSON: usize = 1 << 20;

/// A number that was read. Integers are as narrow as their value allows, so that each type of integer
/// that can have the value accepts it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Read {
    Unsigned(u128),
    Signed(i128),
    F32(f32),
    F64(f64),
}

/// What is left of a payload.
#[derive(Debug)]
pub(crate) struct Cursor<'de> {
    rest: Cell<&'de [u8]>,
    fuel: Cell<u64>,
    most_json: usize,
}

impl<'de> Cursor<'de> {
    pub(crate) fn new(payload: &'de [u8]) -> Self {
        let fuel = (payload.len() as u64).saturating_mul(FUEL_PER_BYTE).max(LEAST_FUEL);
        let most_json = payload.len().saturating_mul(JSON_PER_BYTE).max(LEAST_JSON);
        Self { rest: Cell::new(payload), fuel: Cell::new(fuel), most_json }
    }

    /// How many bytes are left.
    #[inline]
    pub(crate) fn left(&self) -> usize {
        self.rest.get().len()
    }

    /// Counts one value more.
    #[inline]
    pub(super) fn burn(&self) -> Result<(), ReadError> {
        match self.fuel.get().checked_sub(1) {
            Some(fuel) => {
                self.fuel.set(fuel);
                Ok(())
            }
            None => Err(ReadReason::TooMuch.into()),
        }
    }

    /// Checks how many bytes of JSON were written.
    pub(super) fn check_json(&self, len: usize) -> Result<(), ReadError> {
        if len > self.most_json { Err(ReadReason::TooMuch.into()) } else { Ok(()) }
    }

    #[inline]
    pub(super) fn take(&self, len: usize) -> Result<&'de [u8], ReadError> {
        match self.rest.get().split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest.set(rest);
                Ok(taken)
            }
            None => Err(ReadReason::Ended { needed: len, left: self.left() }.into()),
        }
    }

    #[inline]
    pub(super) fn byte(&self) -> Result<u8, ReadError> {
        match self.rest.get().split_first() {
            Some((&byte, rest)) => {
                self.rest.set(rest);
                Ok(byte)
            }
            None => Err(ReadReason::Ended { needed: 1, left: 0 }.into()),
        }
    }

    fn bytes<const N: usize>(&self) -> Result<[u8; N], ReadError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    /// An unsigned integer of this many bits, in groups of seven bits, the lowest first (LEB128).
    #[inline]
    fn varint(&self, bits: u32) -> Result<u128, ReadError> {
        match self.rest.get().split_first() {
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest.set(rest);
                Ok(byte.into())
            }
            _ if bits <= 64 => self.long_varint::<u64>(bits).map(u128::from),
            _ => self.long_varint::<u128>(bits),
        }
    }

    /// As [`varint`](Self::varint), in an integer of at least so many bits.
    fn long_varint<T>(&self, bits: u32) -> Result<T, ReadError>
    where
        T: From<u8> + Default + PartialEq + Shl<u32, Output = T> + Shr<u32, Output = T> + BitOrAssign + Copy,
    {
        let mut value = T::default();
        for shift in (0..bits).step_by(7) {
            let byte = self.byte()?;
            let group = T::from(byte & 0x7f);
            if shift + 7 > bits && group >> (bits - shift) != T::default() {
                break;
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ReadReason::Invalid("a number is out of its range".to_owned()).into())
    }

    /// A count, or the number of a variant.
    pub(super) fn count(&self) -> Result<u64, ReadError> {
        Ok(self.varint(64)? as u64)
    }

    pub(super) fn variant(&self) -> Result<u32, ReadError> {
        Ok(self.varint(32)? as u32)
    }

    fn signed(&self, bits: u32) -> Result<Read, ReadError> {
        let value = self.varint(bits)?;
        // Zigzag: the lowest bit is the sign.
        Ok(Read::Signed((value >> 1) as i128 ^ -((value & 1) as i128)))
    }

    #[inline]
    pub(super) fn number(&self, number: Number) -> Result<Read, ReadError> {
        Ok(match number {
            Number::U8 => Read::Unsigned(self.byte()?.into()),
            Number::U16 => Read::Unsigned(self.varint(16)?),
            Number::U32 => Read::Unsigned(self.varint(32)?),
            Number::U64 => Read::Unsigned(self.varint(64)?),
            Number::U128 => Read::Unsigned(self.varint(128)?),
            Number::I8 => Read::Signed((self.byte()? as i8).into()),
            Number::I16 => self.signed(16)?,
            Number::I32 => self.signed(32)?,
            Number::I64 => self.signed(64)?,
            Number::I128 => self.signed(128)?,
            Number::F32 => Read::F32(f32::from_le_bytes(self.bytes()?)),
            Number::F64 => Read::F64(f64::from_le_bytes(self.bytes()?)),
        })
    }

    /// A number as it is in memory.
    pub(super) fn plain_number(bytes: &[u8], number: Number, big_endian: bool) -> Read {
        let mut wide = [0; 16];
        for (place, at) in wide.iter_mut().zip(0..bytes.len()) {
            *place = bytes[if big_endian { bytes.len() - 1 - at } else { at }];
        }
        let value = u128::from_le_bytes(wide);
        let unused = 128 - 8 * bytes.len() as u32;
        match number {
            Number::F32 => Read::F32(f32::from_bits(value as u32)),
            Number::F64 => Read::F64(f64::from_bits(value as u64)),
            Number::I8 | Number::I16 | Number::I32 | Number::I64 | Number::I128 => {
                Read::Signed(((value << unused) as i128) >> unused)
            }
            _ => Read::Unsigned(value),
        }
    }

    #[inline]
    pub(super) fn boolean(&self) -> Result<bool, ReadError> {
        boolean_of(self.byte()?)
    }

    #[inline]
    pub(super) fn string(&self) -> Result<&'de str, ReadError> {
        let bytes = self.byte_string()?;
        std::str::from_utf8(bytes).map_err(|_| ReadReason::Invalid("a string is not UTF-8".to_owned()).into())
    }

    #[inline]
    pub(super) fn byte_string(&self) -> Result<&'de [u8], ReadError> {
        let len = self.count()?;
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    pub(super) fn character(&self) -> Result<char, ReadError> {
        let text = self.string()?;
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => Ok(character),
            _ => Err(ReadReason::Invalid("a char is not one character".to_owned()).into()),
        }
    }
}

pub(super) fn boolean_of(byte: u8) -> Result<bool, ReadError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ReadReason::Invalid("a bool or an option is neither 0 nor 1".to_owned()).into()),
    }
}
