//! Schemas of types of the standard library and of serde.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::{CStr, CString, OsStr, OsString};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{NonZero, Saturating, Wrapping};
use std::ops::{Bound, Range, RangeFrom, RangeInclusive, RangeTo};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
    AtomicUsize,
};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, SystemTime};

use zerocopy::byteorder;

use super::table::{Node, Number};
use super::writer::{FieldItem, FieldList, Schema, SchemaWriter, TypeRef, VariantItem};

/// Implements `Schema` by an expression of the writer.
macro_rules! schemas {
    ($([$($generics:tt)*] $type:ty => |$schema:ident| $described:expr;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<$($generics)*> Schema for $type {
            fn describe($schema: &mut SchemaWriter) -> TypeRef {
                $described
            }
        }
    )*};
}

/// Numbers, those that are not zero, and those that are shared.
macro_rules! numbers {
    ($($type:ty, $atomic:ty => $number:expr;)*) => {
        schemas! {$(
            [] $type => |schema| schema.number($number);
            [] NonZero<$type> => |schema| {
                let number = schema.number($number);
                schema.logical("NonZero", number)
            };
            [] $atomic => |schema| schema.of::<$type>();
        )*}
    };
}

numbers! {
    u8, AtomicU8 => Number::U8;
    u16, AtomicU16 => Number::U16;
    u32, AtomicU32 => Number::U32;
    u64, AtomicU64 => Number::U64;
    i8, AtomicI8 => Number::I8;
    i16, AtomicI16 => Number::I16;
    i32, AtomicI32 => Number::I32;
    i64, AtomicI64 => Number::I64;
    // As serde does.
    usize, AtomicUsize => Number::U64;
    isize, AtomicIsize => Number::I64;
}

schemas! {
    [] u128 => |schema| schema.number(Number::U128);
    [] i128 => |schema| schema.number(Number::I128);
    [] f32 => |schema| schema.number(Number::F32);
    [] f64 => |schema| schema.number(Number::F64);
    [] NonZero<u128> => |schema| logical::<u128>(schema, "NonZero");
    [] NonZero<i128> => |schema| logical::<i128>(schema, "NonZero");
    [] bool => |schema| schema.leaf(Node::Bool);
    [] AtomicBool => |schema| schema.of::<bool>();
    [] char => |schema| schema.leaf(Node::Char);
    [] str => |schema| schema.leaf(Node::String);
    [] String => |schema| schema.of::<str>();
    [] CStr => |schema| schema.bytes();
    [] CString => |schema| schema.bytes();
    [] Path => |schema| logical::<str>(schema, "Path");
    [] PathBuf => |schema| schema.of::<Path>();
    [] OsString => |schema| schema.of::<OsStr>();
    [] () => |schema| schema.leaf(Node::Unit);
    [T: ?Sized] PhantomData<T> => |schema| schema.of::<()>();
    [] Ipv4Addr => |schema| logical::<[u8; 4]>(schema, "Ipv4Addr");
    [] Ipv6Addr => |schema| logical::<[u8; 16]>(schema, "Ipv6Addr");
    [] SocketAddrV4 => |schema| schema.of::<(Ipv4Addr, u16)>();
    [] SocketAddrV6 => |schema| schema.of::<(Ipv6Addr, u16)>();
}

fn logical<T: Schema + ?Sized>(schema: &mut SchemaWriter, name: &str) -> TypeRef {
    let wire = schema.of::<T>();
    schema.logical(name, wire)
}

/// Pointers and wrappers: encoded as the value inside.
macro_rules! transparent {
    ($([$($generics:tt)*] $type:ty;)*) => {
        schemas! {$(
            [$($generics)*] $type => |schema| schema.of::<T>();
        )*}
    };
}

transparent! {
    [T: Schema + ?Sized] &T;
    [T: Schema + ?Sized] &mut T;
    [T: Schema + ?Sized] Box<T>;
    [T: Schema + ?Sized] Rc<T>;
    [T: Schema + ?Sized] Arc<T>;
    [T: Schema + ToOwned + ?Sized] Cow<'_, T>;
    [T: Schema] Cell<T>;
    [T: Schema + ?Sized] RefCell<T>;
    [T: Schema + ?Sized] Mutex<T>;
    [T: Schema + ?Sized] RwLock<T>;
    [T: Schema] Wrapping<T>;
    [T: Schema] Saturating<T>;
    [T: Schema] Reverse<T>;
}

/// Any number of values, in the order of the collection.
macro_rules! sequences {
    ($([$($generics:tt)*] $type:ty;)*) => {
        schemas! {$(
            [$($generics)*] $type => |schema| {
                let item = schema.of::<T>();
                schema.sequence(item)
            };
        )*}
    };
}

sequences! {
    [T: Schema] [T];
    [T: Schema] Vec<T>;
    [T: Schema] VecDeque<T>;
    [T: Schema] LinkedList<T>;
    [T: Schema] BinaryHeap<T>;
}

schemas! {
    [T: Schema, S] HashSet<T, S> => |schema| logical::<[T]>(schema, "set");
    [T: Schema] BTreeSet<T> => |schema| logical::<[T]>(schema, "set");
    [K: Schema, V: Schema, S] HashMap<K, V, S> => |schema| schema.of::<BTreeMap<K, V>>();
    [K: Schema, V: Schema] BTreeMap<K, V> => |schema| {
        let (key, value) = (schema.of::<K>(), schema.of::<V>());
        schema.map(key, value)
    };
    [T: Schema] Option<T> => |schema| {
        let item = schema.of::<T>();
        schema.option(item)
    };
    [T: Schema, const N: usize] [T; N] => |schema| {
        let item = schema.of::<T>();
        schema.array(item, N)
    };
}

/// A variant with one value.
fn holding<T: Schema + ?Sized>(schema: &mut SchemaWriter, name: &str) -> VariantItem {
    let value = schema.of::<T>();
    VariantItem::new(name, FieldList::tuple([value]))
}

fn generic_name<T: Schema>(schema: &mut SchemaWriter, name: &str) -> String {
    SchemaWriter::generic_name(name, &[schema.name_of::<T>()])
}

/// A struct with named fields of one type.
fn range<Range, T: Schema>(schema: &mut SchemaWriter, name: &str, fields: &[&str]) -> TypeRef {
    let name = generic_name::<T>(schema, name);
    schema.structure::<Range>(&name, |schema| {
        let ty = schema.of::<T>();
        FieldList::named(fields.iter().map(|field| FieldItem::new(field, ty)))
    })
}

schemas! {
    [T: Schema, E: Schema] Result<T, E> => |schema| {
        let name = SchemaWriter::generic_name("Result", &[schema.name_of::<T>(), schema.name_of::<E>()]);
        schema.enumeration::<Self, _>(&name, |schema| [holding::<T>(schema, "Ok"), holding::<E>(schema, "Err")])
    };
    [T: Schema] Bound<T> => |schema| {
        let name = generic_name::<T>(schema, "Bound");
        schema.enumeration::<Self, _>(&name, |schema| {
            let unbounded = VariantItem::new("Unbounded", FieldList::unit());
            [unbounded, holding::<T>(schema, "Included"), holding::<T>(schema, "Excluded")]
        })
    };
    [] IpAddr => |schema| {
        schema.enumeration::<Self, _>("IpAddr", |schema| [holding::<Ipv4Addr>(schema, "V4"), holding::<Ipv6Addr>(schema, "V6")])
    };
    [] SocketAddr => |schema| {
        schema.enumeration::<Self, _>("SocketAddr", |schema| {
            [holding::<SocketAddrV4>(schema, "V4"), holding::<SocketAddrV6>(schema, "V6")]
        })
    };
    [] OsStr => |schema| {
        schema.enumeration::<Self, _>("OsString", |schema| [holding::<[u8]>(schema, "Unix"), holding::<[u16]>(schema, "Windows")])
    };
    [T: Schema] Range<T> => |schema| range::<Self, T>(schema, "Range", &["start", "end"]);
    [T: Schema] RangeInclusive<T> => |schema| range::<Self, T>(schema, "RangeInclusive", &["start", "end"]);
    [T: Schema] RangeFrom<T> => |schema| range::<Self, T>(schema, "RangeFrom", &["start"]);
    [T: Schema] RangeTo<T> => |schema| range::<Self, T>(schema, "RangeTo", &["end"]);
    [] Duration => |schema| time::<Self>(schema, "Duration", ["secs", "nanos"]);
    [] SystemTime => |schema| time::<Self>(schema, "SystemTime", ["secs_since_epoch", "nanos_since_epoch"]);
    [] uuid::Uuid => |schema| {
        let wire = if schema.is_plain() { schema.of::<[u8; 16]>() } else { schema.bytes() };
        schema.logical("Uuid", wire)
    };
}

fn time<T>(schema: &mut SchemaWriter, name: &str, [seconds, nanos]: [&str; 2]) -> TypeRef {
    schema.structure::<T>(name, |schema| {
        let (u64, u32) = (schema.of::<u64>(), schema.of::<u32>());
        FieldList::named([FieldItem::new(seconds, u64), FieldItem::new(nanos, u32)])
    })
}

macro_rules! tuples {
    ($(($($item:ident)*))*) => {
        schemas! {$(
            [$($item: Schema),*] ($($item,)*) => |schema| {
                let items = [$(schema.of::<$item>()),*];
                schema.tuple(&items)
            };
        )*}
    };
}

tuples! {
    (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H) (A B C D E F G H I)
    (A B C D E F G H I J) (A B C D E F G H I J K) (A B C D E F G H I J K L) (A B C D E F G H I J K L M)
    (A B C D E F G H I J K L M N) (A B C D E F G H I J K L M N O) (A B C D E F G H I J K L M N O P)
}

/// Numbers with a fixed order of bytes.
macro_rules! ordered {
    ($($type:ident => $number:expr;)*) => {
        schemas! {$(
            [] byteorder::$type<byteorder::LittleEndian> => |schema| {
                schema.leaf(Node::Ordered { big_endian: false, number: $number })
            };
            [] byteorder::$type<byteorder::BigEndian> => |schema| {
                schema.leaf(Node::Ordered { big_endian: true, number: $number })
            };
        )*}
    };
}

ordered! {
    U16 => Number::U16;
    U32 => Number::U32;
    U64 => Number::U64;
    U128 => Number::U128;
    I16 => Number::I16;
    I32 => Number::I32;
    I64 => Number::I64;
    I128 => Number::I128;
    F32 => Number::F32;
    F64 => Number::F64;
}
