//! A format of serde that writes down which calls a value makes, with the names of types, fields and variants,
//! and without the values of numbers and strings.

use std::fmt::{self, Write};

use serde::ser::{self, Serialize, Serializer};

/// The calls that a value makes.
pub(crate) fn calls<T: Serialize + ?Sized>(value: &T) -> String {
    let mut calls = String::new();
    value.serialize(Recorder(&mut calls)).expect("it only writes a string");
    calls
}

struct Recorder<'a>(&'a mut String);

type Recorded = Result<(), fmt::Error>;

macro_rules! leaves {
    ($($method:ident: $type:ty => $name:literal,)*) => {$(
        fn $method(self, _: $type) -> Recorded {
            self.0.write_str($name)
        }
    )*};
}

impl<'a> Recorder<'a> {
    fn open(self, text: fmt::Arguments<'_>) -> Result<Self, fmt::Error> {
        self.0.write_fmt(text)?;
        Ok(self)
    }

    fn around<T: Serialize + ?Sized>(self, text: fmt::Arguments<'_>, value: &T) -> Recorded {
        let this = self.open(text)?;
        value.serialize(Recorder(this.0))?;
        this.0.write_str(" )")
    }
}

impl<'a> Serializer for Recorder<'a> {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    leaves! {
        serialize_bool: bool => "bool",
        serialize_char: char => "char",
        serialize_str: &str => "str",
        serialize_bytes: &[u8] => "bytes",
        serialize_u8: u8 => "u8",
        serialize_u16: u16 => "u16",
        serialize_u32: u32 => "u32",
        serialize_u64: u64 => "u64",
        serialize_u128: u128 => "u128",
        serialize_i8: i8 => "i8",
        serialize_i16: i16 => "i16",
        serialize_i32: i32 => "i32",
        serialize_i64: i64 => "i64",
        serialize_i128: i128 => "i128",
        serialize_f32: f32 => "f32",
        serialize_f64: f64 => "f64",
    }

    fn serialize_none(self) -> Recorded {
        self.0.write_str("none")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Recorded {
        self.around(format_args!("some( "), value)
    }

    fn serialize_unit(self) -> Recorded {
        self.0.write_str("unit")
    }

    fn serialize_unit_struct(self, name: &'static str) -> Recorded {
        write!(self.0, "unit struct {name}")
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Recorded {
        write!(self.0, "{name}.{index}.{variant}")
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Recorded {
        self.around(format_args!("tuple struct {name} 1( "), value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Recorded {
        self.around(format_args!("{name}.{index}.{variant} 1( "), value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self, fmt::Error> {
        self.open(format_args!("seq {len:?}("))
    }

    fn serialize_tuple(self, len: usize) -> Result<Self, fmt::Error> {
        self.open(format_args!("tuple {len}("))
    }

    // One with one field is a newtype, or a tuple if further fields are skipped. The bytes are the same.
    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Self, fmt::Error> {
        self.open(format_args!("tuple struct {name} {len}("))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self, fmt::Error> {
        self.open(format_args!("{name}.{index}.{variant} {len}("))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self, fmt::Error> {
        self.open(format_args!("map {len:?}("))
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self, fmt::Error> {
        self.open(format_args!("struct {name} {len}("))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self, fmt::Error> {
        self.open(format_args!("{name}.{index}.{variant} struct {len}("))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

macro_rules! compounds {
    ($($trait:ident { $($method:ident($($field:ident)?)),* })*) => {$(
        impl ser::$trait for Recorder<'_> {
            type Ok = ();
            type Error = fmt::Error;

            $(fn $method<T: Serialize + ?Sized>(&mut self, $($field: &'static str,)? value: &T) -> Recorded {
                $(write!(self.0, " {}:", $field)?;)?
                self.0.push(' ');
                value.serialize(Recorder(self.0))
            })*

            fn end(self) -> Recorded {
                self.0.write_str(" )")
            }
        }
    )*};
}

compounds! {
    SerializeSeq { serialize_element() }
    SerializeTuple { serialize_element() }
    SerializeTupleStruct { serialize_field() }
    SerializeTupleVariant { serialize_field() }
    SerializeMap { serialize_key(), serialize_value() }
    SerializeStruct { serialize_field(name) }
    SerializeStructVariant { serialize_field(name) }
}
