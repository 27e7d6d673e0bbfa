//! The derives on types that macros write. Names, types, numbers, lifetimes and attributes come
//! from the macro and from its caller, and the user's module gives common names another meaning.

#![allow(
    dead_code,
    non_camel_case_types,
    reason = "types of which only the description is used, and names that shadow common ones"
)]

use std::fmt::Debug;

use serde::{Deserialize, Serialize};
use splinter_bus::Message;
use splinter_bus::frame::Kind;
use splinter_bus::message::{Decode, InPlace};

fn round_trip<T: Message + for<'de> Decode<'de> + PartialEq + Debug>(message: &T) {
    let mut payload = vec![];
    message.encode(&mut payload).unwrap();
    assert_eq!(&T::decode(&payload).unwrap(), message);
}

fn description<T: Message>() -> String {
    T::message_type().description().to_owned()
}

#[derive(splinter_bus::Schema, Serialize, Deserialize, PartialEq, Debug, Default)]
struct Inner {
    schema: u8,
}

macro_rules! by_ident {
    ($name:ident { $($field:ident: $ty:ident),* }) => {
        #[derive(Message, Serialize, Deserialize, PartialEq, Debug, Default)]
        struct $name { $($field: $ty),* }
    };
}

macro_rules! by_ty {
    ($name:ident { $($field:ident: $ty:ty),* }) => {
        #[derive(Message, Serialize, Deserialize, PartialEq, Debug, Default)]
        struct $name { $($field: $ty),* }
    };
}

macro_rules! by_path {
    ($name:ident { $($field:ident: $ty:path),* }) => {
        #[derive(Message, Serialize, Deserialize, PartialEq, Debug, Default)]
        struct $name { $($field: $ty),* }
    };
}

macro_rules! by_tt {
    ($name:ident { $($field:ident: $ty:tt),* }) => {
        #[derive(Message, Serialize, Deserialize, PartialEq, Debug, Default)]
        struct $name { $($field: $ty),* }
    };
}

/// The type of one field comes from the macro, that of the other from its caller.
macro_rules! mixed {
    ($name:ident, $ty:ident, $container:ident) => {
        #[derive(Message, Serialize, Deserialize, PartialEq, Debug, Default)]
        struct $name($ty, Inner, $container<$ty>, Vec<$ty>, Option<Box<$name>>, Option<Box<Self>>);
    };
}

/// A type that passes through two macros.
macro_rules! nested {
    ($name:ident, $ty:ident) => {
        by_ident!($name { own: u16, given: $ty });
    };
}

by_ident!(ByIdent { x: f64, inner: Inner, schema: u8, payload: String });
by_ty!(ByTy { x: f64, inner: Inner, list: Vec<Option<Inner>> });
by_path!(ByPath { x: f64, inner: self::Inner, list: std::vec::Vec<Inner> });
by_tt!(ByTt { x: f64, inner: Inner, pair: (u8, Inner), list: [u8; 3] });
mixed!(Mixed, Inner, Vec);
nested!(Nested, Inner);

#[test]
fn types_of_fields_may_come_from_a_macro_in_any_form() {
    round_trip(&ByIdent { payload: "p".into(), ..Default::default() });
    round_trip(&ByTy { list: vec![None, Some(Inner::default())], ..Default::default() });
    round_trip(&ByPath::default());
    round_trip(&ByTt { pair: (1, Inner { schema: 2 }), ..Default::default() });
    round_trip(&Mixed(Inner::default(), Inner::default(), vec![], vec![], None, None));
    round_trip(&Nested { own: 1, given: Inner { schema: 3 } });
    assert_eq!(description::<ByIdent>(), "ByIdent{x:f64,inner:Inner#2,schema:u8,payload:String}; Inner{schema:u8}");
    assert_eq!(
        description::<Mixed>(),
        "Mixed(Inner#2,Inner#2,[Inner#2],[Inner#2],Option<Mixed#1>,Option<Mixed#1>); Inner{schema:u8}"
    );
}

macro_rules! arrays {
    ($name:ident, $literal:literal, $expression:expr, $constant:ident, $tree:tt) => {
        #[derive(
            Message,
            zerocopy::FromBytes,
            zerocopy::IntoBytes,
            zerocopy::Immutable,
            zerocopy::KnownLayout,
            PartialEq,
            Debug,
        )]
        #[message(encoding = "zerocopy")]
        #[repr(C)]
        struct $name {
            a: [u8; $literal],
            b: [u8; $expression],
            c: [u8; $constant],
            d: [u8; $tree],
        }
    };
}

const TWO: usize = 2;
arrays!(Arrays, 1, 1 + 1, TWO, 3);

#[test]
fn lengths_of_arrays_may_come_from_a_macro() {
    round_trip(&Arrays { a: [1], b: [2; 2], c: [3; 2], d: [4; 3] });
    assert_eq!(
        description::<Arrays>(),
        "Arrays{a:[u8;1],b:[u8;2],c:[u8;2],d:[u8;3]} [size 8, align 1, fields at 0,1,3,5]"
    );
}

macro_rules! generics {
    ($visibility:vis $name:ident<$lifetime:lifetime, $param:ident, $bound:ident>) => {
        #[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
        #[serde(bound(serialize = "", deserialize = ""))]
        $visibility struct $name<$lifetime, $param: $bound = u8, const N: usize = 2>
        where
            $param: PartialEq + Debug + Serialize + for<'any> Deserialize<'any>,
        {
            pub(super) text: &$lifetime str,
            pub(super) items: Vec<$param>,
            pub(super) size: Size<N>,
        }
    };
}

mod generic {
    use super::*;
    generics!(pub(crate) Generic<'__view, T, Copy>);
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
struct Defaulted<T = u8, const N: usize = 2>
where
    T: PartialEq,
{
    items: Vec<T>,
    size: Size<N>,
}

#[derive(splinter_bus::Schema, Serialize, Deserialize, PartialEq, Debug)]
struct Size<const N: usize>;

#[test]
fn lifetimes_parameters_bounds_and_visibilities_may_come_from_a_macro() {
    round_trip(&Defaulted::<u16, 3> { items: vec![1], size: Size });
    let defaulted: Defaulted = Defaulted { items: vec![1], size: Size };
    round_trip(&defaulted);
    let sent = generic::Generic::<u16, 3> { text: "text", items: vec![1], size: Size };
    let mut payload = vec![];
    sent.encode(&mut payload).unwrap();
    assert_eq!(generic::Generic::decode(&payload).unwrap(), sent);
    assert_eq!(generic::Generic::<u16, 3>::view(&payload).unwrap(), sent);
}

macro_rules! kinds {
    ($name:ident, $field:ident, $ty:ident, $number:expr, $literal:literal) => {
        #[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
        enum $name {
            Unit,
            Empty {},
            Nothing(),
            Tuple($ty, $ty),
            Named { $field: $ty, schema: $ty, r#type: $ty },
        }

        mod numbers {
            #[derive(
                splinter_bus::Message,
                zerocopy::TryFromBytes,
                zerocopy::IntoBytes,
                zerocopy::KnownLayout,
                zerocopy::Immutable,
                Clone,
                Copy,
                PartialEq,
                Debug,
            )]
            #[message(encoding = "zerocopy")]
            #[repr(i8)]
            pub(crate) enum Numbers {
                A = $number,
                B = $literal,
                C,
            }
        }
    };
}

kinds!(Kinds, field, Inner, -3 + 1, 7);

#[test]
fn variants_of_all_kinds_may_come_from_a_macro() {
    let inner = || Inner { schema: 1 };
    for message in [
        Kinds::Unit,
        Kinds::Empty {},
        Kinds::Nothing(),
        Kinds::Tuple(inner(), inner()),
        Kinds::Named { field: inner(), schema: inner(), r#type: inner() },
    ] {
        round_trip(&message);
    }
    round_trip(&numbers::Numbers::A);
    assert_eq!(
        description::<Kinds>(),
        "Kinds enum{Unit,Empty{},Nothing(),Tuple(Inner#2,Inner#2),\
         Named{field:Inner#2,schema:Inner#2,type:Inner#2}}; Inner{schema:u8}"
    );
    assert_eq!(description::<numbers::Numbers>(), "Numbers enum{A=-2,B=7,C=8} [size 1, align 1, repr i8]");
}

macro_rules! attributes {
    ($name:ident, $kind:literal, $version:expr, $checksum:literal, $schema:ty, $krate:path) => {
        #[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
        #[message(kind = $kind, version = $version, checksum = $checksum, crate = $krate)]
        struct $name {
            #[message(schema = $schema)]
            bound: std::ops::Bound<u32>,
        }
    };
}

attributes!(Attributes, "query", 7, false, std::ops::Bound<u32>, ::splinter_bus);

#[test]
fn values_of_attributes_may_come_from_a_macro() {
    round_trip(&Attributes { bound: std::ops::Bound::Included(3) });
    assert_eq!((Attributes::KIND, Attributes::VERSION, Attributes::CHECKSUM), (Kind::Query, 7, false));
    assert_eq!(
        description::<Attributes>(),
        "Attributes{bound:Bound<u32>#2}; Bound<u32> enum{Unbounded,Included(u32),Excluded(u32)}"
    );
}

/// A crate that exports macros, and through them the bus under a name of its own.
#[macro_use]
mod facade {
    pub(crate) mod reexport {
        pub(crate) use splinter_bus as bus;
    }

    macro_rules! through_the_facade {
        ($name:ident { $($field:ident: $ty:ident),* }) => {
            #[derive($crate::facade::reexport::bus::Message, serde::Serialize, serde::Deserialize, PartialEq, Debug)]
            #[message(crate = $crate::facade::reexport::bus)]
            struct $name { $($field: $ty),* }
        };
    }
}

through_the_facade!(Through { inner: Inner, count: u32 });

#[test]
fn the_path_of_the_crate_may_come_from_a_macro() {
    round_trip(&Through { inner: Inner { schema: 1 }, count: 2 });
}

/// A module without a prelude, in which every name that derived code might use has another meaning.
mod hostile {
    #![no_implicit_prelude]

    type Result = ();
    type Option = ();
    type Vec = ();
    type String = ();
    type Box = ();
    type u8 = ();
    type u32 = ();
    type usize = ();
    type isize = ();
    type i128 = ();
    type bool = ();
    type str = ();
    struct Missing;
    struct Schema;
    struct SchemaWriter;
    struct Decode;
    struct Some;
    fn schema() {}
    fn payload() {}
    fn value() {}
    mod core {}
    mod std {}
    mod splinter_bus {}

    #[::std::prelude::v1::derive(::splinter_bus::Message, ::std::cmp::PartialEq, ::std::fmt::Debug)]
    #[message(kind = "query")]
    #[repr(i16)]
    pub(crate) enum Text {
        Payload { schema: ::std::string::String, payload: ::std::option::Option<i64> } = 1,
    }
}

/// The same as [`hostile`], except for the names that the derives of zerocopy need.
mod hostile_to_plain {
    #![no_implicit_prelude]

    type Result = ();
    type Vec = ();
    type u32 = ();
    type isize = ();
    type bool = ();
    struct Missing;
    mod core {}
    mod std {}
    mod splinter_bus {}

    #[::std::prelude::v1::derive(
        ::splinter_bus::Message,
        ::zerocopy::TryFromBytes,
        ::zerocopy::IntoBytes,
        ::zerocopy::KnownLayout,
        ::zerocopy::Immutable,
        ::std::clone::Clone,
        ::std::marker::Copy,
        ::std::cmp::PartialEq,
        ::std::fmt::Debug
    )]
    #[message(encoding = "zerocopy")]
    #[repr(i8)]
    pub(crate) enum Number {
        One = 1,
        Two,
    }
}

// The derives of serde need names that have another meaning here.
impl Serialize for hostile::Text {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self::Payload { schema, payload } = self;
        (schema, payload).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for hostile::Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer).map(|(schema, payload)| Self::Payload { schema, payload })
    }
}

#[test]
fn derived_code_needs_no_prelude_and_works_with_any_names_around_it() {
    round_trip(&hostile::Text::Payload { schema: "s".into(), payload: Some(1) });
    round_trip(&hostile_to_plain::Number::Two);
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
struct r#Struct<'payload, 'view, '__payload> {
    r#type: &'payload str,
    r#fn: &'view str,
    r#match: &'__payload [u8],
}

#[test]
fn names_may_be_raw_and_lifetimes_may_have_the_names_of_derived_ones() {
    assert_eq!(description::<r#Struct<'_, '_, '_>>(), "Struct{type:String,fn:String,match:[u8]}");
    let mut payload = vec![];
    let sent = r#Struct { r#type: "a", r#fn: "b", r#match: &[1] };
    sent.encode(&mut payload).unwrap();
    assert_eq!(r#Struct::view(&payload).unwrap(), sent);
    assert_eq!(r#Struct::decode(&payload).unwrap(), sent);
}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
struct Tuple(u32, Inner);

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
#[message(kind = "heartbeat")]
struct Braces {}

#[derive(Message, Serialize, Deserialize, PartialEq, Debug)]
#[message(kind = "heartbeat")]
struct Parentheses();

#[test]
fn structs_of_all_kinds_are_messages() {
    round_trip(&Tuple(1, Inner { schema: 2 }));
    round_trip(&Braces {});
    round_trip(&Parentheses());
}
