//! One type for each rule of `docs/upgrade.md`: version 1.

use serde::{Deserialize, Serialize};
use splinter_bus::{Message, Schema};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Makes a message of its number, as the programs publish it.
macro_rules! samples {
    ($($type:ident: $number:pat => $sample:expr;)*) => {
        $(impl $type {
            pub fn sample($number: u32) -> Self {
                $sample
            }
        })*
    };
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct AddedOption {
    pub a: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct AddedDefault {
    pub a: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct AddedRequired {
    pub a: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Removed {
    pub a: u8,
    pub b: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct RemovedOption {
    pub a: u8,
    pub b: Option<u8>,
    #[serde(default)]
    pub c: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Reordered {
    pub a: u8,
    pub b: String,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct RenamedField {
    pub old: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Widened {
    pub a: u16,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Optional {
    pub a: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub enum VariantAdded {
    One,
    Two,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub enum OtherVariant {
    One,
    #[serde(other)]
    Other,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub enum VariantRemoved {
    One,
    Two,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub enum VariantsReordered {
    One,
    Two(u8),
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Former {
    pub a: u8,
}

pub type Renamed = Former;

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct InnerRenamed {
    pub inner: Inner,
}

#[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
pub struct Inner {
    pub a: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct VersionRaised {
    pub a: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Recoded {
    pub a: u8,
}

#[derive(Message, TryFromBytes, IntoBytes, Immutable, KnownLayout, Debug, PartialEq)]
#[message(encoding = "zerocopy")]
#[repr(C)]
pub struct Plain {
    pub a: u32,
    pub b: u32,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Retyped {
    pub a: String,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Floated {
    pub a: u64,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Strict {
    pub a: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Signed {
    pub a: u16,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Doubled {
    pub a: f32,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Listed {
    pub a: Vec<u16>,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub enum RemovedToOther {
    One,
    Two,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Page<T> {
    pub item: T,
}

#[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
pub struct User {
    pub a: u8,
}

pub type Paged = Page<User>;

samples! {
    AddedOption: _ => Self { a: 1 };
    AddedDefault: _ => Self { a: 1 };
    AddedRequired: _ => Self { a: 1 };
    Removed: _ => Self { a: 1, b: 2 };
    RemovedOption: _ => Self { a: 1, b: Some(2), c: 3 };
    Reordered: _ => Self { a: 1, b: "b".to_owned() };
    RenamedField: _ => Self { old: 1 };
    Widened: number => Self { a: number as u16 };
    Optional: number => Self { a: number as u8 };
    VariantAdded: number => if number == 0 { Self::One } else { Self::Two };
    OtherVariant: number => if number == 0 { Self::One } else { Self::Other };
    VariantRemoved: number => if number == 0 { Self::One } else { Self::Two };
    VariantsReordered: number => if number == 0 { Self::One } else { Self::Two(3) };
    Renamed: _ => Self { a: 1 };
    InnerRenamed: _ => Self { inner: Inner { a: 1 } };
    VersionRaised: _ => Self { a: 1 };
    Recoded: _ => Self { a: 1 };
    Plain: _ => Self { a: 1, b: 2 };
    Retyped: _ => Self { a: "a".to_owned() };
    Floated: _ => Self { a: 1 };
    Strict: _ => Self { a: 1 };
    Signed: number => Self { a: number as u16 };
    Doubled: _ => Self { a: 0.5 };
    Listed: number => Self { a: vec![1; 1 + number as usize] };
    RemovedToOther: number => if number == 0 { Self::One } else { Self::Two };
    Paged: _ => Self { item: User { a: 1 } };
}
