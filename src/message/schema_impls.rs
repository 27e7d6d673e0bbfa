//! Schemas of types of the standard library and of a few other crates.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64,
    NonZeroU128,
};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use zerocopy::byteorder;

use super::schema::{Schema, SchemaWriter};

macro_rules! leaves {
    ($($type:ty => $text:literal,)*) => {$(
        #[diagnostic::do_not_recommend]
        impl Schema for $type {
            fn describe(schema: &mut SchemaWriter) {
                schema.text($text);
            }
        }
    )*};
}

leaves! {
    u8 => "u8", u16 => "u16", u32 => "u32", u64 => "u64", u128 => "u128", usize => "usize",
    i8 => "i8", i16 => "i16", i32 => "i32", i64 => "i64", i128 => "i128", isize => "isize",
    f32 => "f32", f64 => "f64", bool => "bool", char => "char", () => "()",
    NonZeroU8 => "NonZero<u8>", NonZeroU16 => "NonZero<u16>", NonZeroU32 => "NonZero<u32>",
    NonZeroU64 => "NonZero<u64>", NonZeroU128 => "NonZero<u128>",
    NonZeroI8 => "NonZero<i8>", NonZeroI16 => "NonZero<i16>", NonZeroI32 => "NonZero<i32>",
    NonZeroI64 => "NonZero<i64>", NonZeroI128 => "NonZero<i128>",
    str => "String", String => "String", Path => "Path", PathBuf => "Path",
    Duration => "Duration", SystemTime => "SystemTime",
    IpAddr => "IpAddr", Ipv4Addr => "Ipv4Addr", Ipv6Addr => "Ipv6Addr", SocketAddr => "SocketAddr",
    uuid::Uuid => "Uuid",
}

/// Pointers: encoded like the value they point to.
macro_rules! transparent {
    ($($type:ty),*) => {$(
        impl<T: Schema + ?Sized> Schema for $type {
            fn describe(schema: &mut SchemaWriter) {
                schema.of::<T>();
            }
        }
    )*};
}

transparent!(&T, &mut T, Box<T>, Rc<T>, Arc<T>);

impl<T: Schema + ToOwned + ?Sized> Schema for Cow<'_, T> {
    fn describe(schema: &mut SchemaWriter) {
        schema.of::<T>();
    }
}

impl<T: ?Sized> Schema for PhantomData<T> {
    fn describe(schema: &mut SchemaWriter) {
        schema.text("()");
    }
}

/// Types with one or two type parameters: text with the descriptions of these in between.
macro_rules! containers {
    ($([$($generics:tt)*] $type:ty => $before:literal $first:ty $(; $between:literal $second:ty)?, $after:literal;)*) => {$(
        impl<$($generics)*> Schema for $type {
            fn describe(schema: &mut SchemaWriter) {
                schema.text($before);
                schema.of::<$first>();
                $(schema.text($between);
                schema.of::<$second>();)?
                schema.text($after);
            }
        }
    )*};
}

containers! {
    [T: Schema] [T] => "[" T, "]";
    [T: Schema] Vec<T> => "[" T, "]";
    [T: Schema] VecDeque<T> => "[" T, "]";
    [T: Schema, S] HashSet<T, S> => "set[" T, "]";
    [T: Schema] BTreeSet<T> => "set[" T, "]";
    [K: Schema, V: Schema, S] HashMap<K, V, S> => "map[" K; "=>" V, "]";
    [K: Schema, V: Schema] BTreeMap<K, V> => "map[" K; "=>" V, "]";
    [T: Schema] Option<T> => "Option<" T, ">";
    [T: Schema, E: Schema] Result<T, E> => "Result<" T; "," E, ">";
}

impl<T: Schema, const N: usize> Schema for [T; N] {
    fn describe(schema: &mut SchemaWriter) {
        schema.text("[");
        schema.of::<T>();
        schema.text(&format!(";{N}]"));
    }
}

macro_rules! tuples {
    ($(($first:ident $($rest:ident)*))*) => {$(
        impl<$first: Schema, $($rest: Schema),*> Schema for ($first, $($rest,)*) {
            fn describe(schema: &mut SchemaWriter) {
                schema.text("(");
                schema.of::<$first>();
                $(schema.text(",");
                schema.of::<$rest>();)*
                schema.text(")");
            }
        }
    )*};
}

tuples! {
    (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H) (A B C D E F G H I)
    (A B C D E F G H I J) (A B C D E F G H I J K) (A B C D E F G H I J K L)
}

/// Numbers with a fixed byte order.
macro_rules! ordered {
    ($($type:ident => $text:literal,)*) => {$(
        #[diagnostic::do_not_recommend]
        impl Schema for byteorder::$type<byteorder::LittleEndian> {
            fn describe(schema: &mut SchemaWriter) {
                schema.text(concat!("le ", $text));
            }
        }

        #[diagnostic::do_not_recommend]
        impl Schema for byteorder::$type<byteorder::BigEndian> {
            fn describe(schema: &mut SchemaWriter) {
                schema.text(concat!("be ", $text));
            }
        }
    )*};
}

ordered! {
    U16 => "u16", U32 => "u32", U64 => "u64", U128 => "u128",
    I16 => "i16", I32 => "i32", I64 => "i64", I128 => "i128",
    F32 => "f32", F64 => "f64",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_with_the_same_encoding_have_the_same_description() {
        let describe = SchemaWriter::describe::<Vec<String>>();
        assert_eq!(describe, "[String]");
        assert_eq!(SchemaWriter::describe::<&[&str]>(), describe);
        assert_eq!(SchemaWriter::describe::<Box<[Cow<'_, str>]>>(), describe);
        assert_eq!(SchemaWriter::describe::<VecDeque<Arc<str>>>(), describe);
    }

    #[test]
    fn descriptions_of_containers_contain_those_of_their_items() {
        type Much = (HashMap<u8, Option<[f32; 3]>>, Result<(), (bool,)>);
        assert_eq!(SchemaWriter::describe::<Much>(), "(map[u8=>Option<[f32;3]>],Result<(),(bool)>)");
    }
}
