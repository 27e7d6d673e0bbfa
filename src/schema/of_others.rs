//! Schemas of types of other crates, each behind the feature of its name.
//!
//! Each is what the crate's `Serialize` writes in a format that is not for people, as the encodings of
//! this crate are. `tests/schemas.rs` compares both.

#![cfg_attr(
    not(any(
        feature = "bytes",
        feature = "chrono",
        feature = "indexmap",
        feature = "serde_bytes",
        feature = "time",
        feature = "url"
    )),
    expect(unused_imports, reason = "no feature is on")
)]

use super::writer::{Schema, SchemaWriter, TypeRef};

/// Implements `Schema` by an expression of the writer.
macro_rules! schemas {
    ($($feature:literal: [$($generics:tt)*] $type:ty => |$schema:ident| $described:expr;)*) => {$(
        #[cfg(feature = $feature)]
        #[diagnostic::do_not_recommend]
        impl<$($generics)*> Schema for $type {
            fn describe($schema: &mut SchemaWriter) -> TypeRef {
                $described
            }
        }
    )*};
}

/// Types that are written as another one, under a name of their own.
macro_rules! named {
    ($($feature:literal: [$($generics:tt)*] $type:ty => $name:literal, $wire:ty;)*) => {
        schemas! {$(
            $feature: [$($generics)*] $type => |schema| {
                let wire = schema.of::<$wire>();
                schema.logical($name, wire)
            };
        )*}
    };
}

schemas! {
    "bytes": [] bytes::Bytes => |schema| schema.bytes();
    "bytes": [] bytes::BytesMut => |schema| schema.bytes();
    "serde_bytes": [] serde_bytes::Bytes => |schema| schema.bytes();
    "serde_bytes": [] serde_bytes::ByteBuf => |schema| schema.bytes();
    "serde_bytes": [const N: usize] serde_bytes::ByteArray<N> => |schema| schema.bytes();
    "indexmap": [K: Schema, V: Schema, S] indexmap::IndexMap<K, V, S> => |schema| {
        let (key, value) = (schema.of::<K>(), schema.of::<V>());
        schema.map(key, value)
    };
    "indexmap": [T: Schema, S] indexmap::IndexSet<T, S> => |schema| {
        let items = schema.of::<[T]>();
        schema.logical("set", items)
    };
}

named! {
    "url": [] url::Url => "Url", str;
    "chrono": [Tz: chrono::TimeZone] chrono::DateTime<Tz> => "DateTime", str;
    "chrono": [] chrono::NaiveDateTime => "NaiveDateTime", str;
    "chrono": [] chrono::NaiveDate => "NaiveDate", str;
    "chrono": [] chrono::NaiveTime => "NaiveTime", str;
    "chrono": [] chrono::Weekday => "Weekday", str;
    "chrono": [] chrono::Month => "Month", str;
    "chrono": [] chrono::TimeDelta => "TimeDelta", (i64, i32);
    "time": [] time::Date => "Date", (i32, u16);
    "time": [] time::Time => "Time", (u8, u8, u8, u32);
    "time": [] time::PrimitiveDateTime => "PrimitiveDateTime", (i32, u16, u8, u8, u8, u32);
    "time": [] time::UtcDateTime => "UtcDateTime", (i32, u16, u8, u8, u8, u32);
    "time": [] time::OffsetDateTime => "OffsetDateTime", (i32, u16, u8, u8, u8, u32, i8, i8, i8);
    "time": [] time::UtcOffset => "UtcOffset", (i8, i8, i8);
    "time": [] time::Duration => "Duration", (i64, i32);
    "time": [] time::Weekday => "Weekday", u8;
    "time": [] time::Month => "Month", u8;
}
