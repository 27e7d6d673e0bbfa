//! `Fault`: the message that reports a failure.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::encoding::private;
use super::{Decode, DecodeError, DecodeOwned, EncodeError, Message};
use crate::frame::{Encoding, FaultCode, Kind};
use crate::schema::{FieldItem, FieldList, Schema, SchemaWriter, TypeRef};

/// A message of kind `error`: it reports that processing another message failed. Its frame has the
/// id of that message.
///
/// A subscriber of any type receives it as [`RecvError::Fault`](crate::RecvError::Fault).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The code of the fault: see [`FaultCode`].
    pub code: u16,
    /// The name of the fault, for receivers that do not know the code.
    pub symbol: String,
    /// A description of the failure, for people.
    pub detail: String,
}

impl Fault {
    /// Makes a fault with a known code.
    #[must_use]
    pub fn new(code: FaultCode, detail: impl Into<String>) -> Self {
        Self { code: code.code(), symbol: code.symbol().to_owned(), detail: detail.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.symbol, self.detail)
    }
}

// Written by hand, because derived code calls this crate by its name, from outside.
#[diagnostic::do_not_recommend]
impl Schema for Fault {
    fn describe(schema: &mut SchemaWriter) -> TypeRef {
        schema.structure::<Self>("Fault", |schema| {
            let (u16, string) = (schema.of::<u16>(), schema.of::<String>());
            let fields = [("code", u16), ("symbol", string), ("detail", string)];
            FieldList::named(fields.map(|(name, ty)| FieldItem::new(name, ty)))
        })
    }
}

#[diagnostic::do_not_recommend]
impl Message for Fault {
    const NAME: &'static str = "Fault";
    const VERSION: u32 = 1;
    const KIND: Kind = Kind::Error;
    const ENCODING: Encoding = Encoding::Postcard;

    fn encode(&self, payload: &mut Vec<u8>) -> Result<(), EncodeError> {
        private::Postcard::encode(self, payload)
    }
}

#[diagnostic::do_not_recommend]
impl<'de> Decode<'de> for Fault {
    fn decode(payload: &'de [u8]) -> Result<Self, DecodeError> {
        private::FromPostcard::decode(payload)
    }
}

#[diagnostic::do_not_recommend]
impl DecodeOwned for Fault {}
