//! One type for each rule of `docs/upgrade.md`: version 2.

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
    pub b: Option<u8>,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct AddedDefault {
    pub a: u8,
    #[serde(default)]
    pub b: u8,
    #[serde(default = "seven")]
    pub c: u8,
}

fn seven() -> u8 {
    7
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct AddedRequired {
    pub a: u8,
    pub b: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Removed {
    pub a: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct RemovedOption {
    pub a: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Reordered {
    pub b: String,
    pub a: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct RenamedField {
    #[serde(alias = "old")]
    pub new: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Widened {
    pub a: u32,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Optional {
    pub a: Option<u8>,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub enum VariantAdded {
    One,
    Two,
    Three { a: u8 },
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub enum OtherVariant {
    One,
    Two {
        a: u8,
    },
    #[serde(other)]
    Other,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub enum VariantRemoved {
    One,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub enum VariantsReordered {
    Two(u8),
    One,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
#[message(alias = "Former")]
pub struct Latter {
    pub a: u8,
}

pub type Renamed = Latter;

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct InnerRenamed {
    pub inner: Core,
}

#[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
pub struct Core {
    pub a: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
#[message(version = 2)]
pub struct VersionRaised {
    pub a: u8,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
#[message(encoding = "json")]
pub struct Recoded {
    pub a: u8,
}

#[derive(Message, TryFromBytes, IntoBytes, Immutable, KnownLayout, Debug, PartialEq)]
#[message(encoding = "zerocopy")]
#[repr(C)]
pub struct Plain {
    pub b: u32,
    pub a: u32,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Retyped {
    pub a: Vec<u8>,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Floated {
    pub a: f64,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Strict {
    pub a: u8,
    pub b: Option<u8>,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Signed {
    pub a: i32,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Doubled {
    pub a: f64,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub struct Listed {
    pub a: [u16; 2],
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
pub enum RemovedToOther {
    One,
    #[serde(other)]
    Other,
}

#[derive(Message, Serialize, Deserialize, Debug, PartialEq)]
#[message(alias = "Page<User>")]
pub struct Page<T> {
    pub item: T,
}

#[derive(Schema, Serialize, Deserialize, Debug, PartialEq)]
pub struct Member {
    pub a: u8,
}

pub type Paged = Page<Member>;

samples! {
    AddedOption: _ => Self { a: 2, b: Some(3) };
    AddedDefault: _ => Self { a: 2, b: 3, c: 4 };
    AddedRequired: _ => Self { a: 2, b: 3 };
    Removed: _ => Self { a: 3 };
    RemovedOption: _ => Self { a: 4 };
    Reordered: _ => Self { b: "c".to_owned(), a: 2 };
    RenamedField: _ => Self { new: 2 };
    Widened: number => Self { a: number * 65_535 };
    Optional: number => Self { a: (number == 0).then_some(2) };
    VariantAdded: number => if number == 0 { Self::Two } else { Self::Three { a: 1 } };
    OtherVariant: number => if number == 0 { Self::One } else { Self::Two { a: 1 } };
    VariantRemoved: _ => Self::One;
    VariantsReordered: number => if number == 0 { Self::One } else { Self::Two(4) };
    Renamed: _ => Self { a: 2 };
    InnerRenamed: _ => Self { inner: Core { a: 2 } };
    VersionRaised: _ => Self { a: 2 };
    Recoded: _ => Self { a: 2 };
    Plain: _ => Self { b: 3, a: 4 };
    Retyped: _ => Self { a: vec![1] };
    Floated: _ => Self { a: 0.5 };
    Strict: _ => Self { a: 2, b: Some(3) };
    Signed: number => Self { a: 3 - 4 * number as i32 };
    Doubled: _ => Self { a: 0.25 };
    Listed: _ => Self { a: [2, 3] };
    RemovedToOther: _ => Self::One;
    Paged: _ => Self { item: Member { a: 2 } };
}
