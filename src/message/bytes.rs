//! Byte vectors as messages.

use super::error::{DecodeError, EncodeError};
use super::traits::{Decode, DecodeOwned, InPlace, Message};
use crate::frame::{Encoding, Kind};

/// A message of any bytes. It must not be empty: only heartbeats have no payload.
#[diagnostic::do_not_recommend]
impl Message for Vec<u8> {
    const NAME: &'static str = "bytes";
    const VERSION: u32 = 1;
    const KIND: Kind = Kind::Event;
    const ENCODING: Encoding = Encoding::Raw;

    fn encode(&self, payload: &mut Vec<u8>) -> Result<(), EncodeError> {
        payload.extend_from_slice(self);
        Ok(())
    }
}

#[diagnostic::do_not_recommend]
impl<'de> Decode<'de> for Vec<u8> {
    fn decode(payload: &'de [u8]) -> Result<Self, DecodeError> {
        Ok(payload.to_vec())
    }
}

#[diagnostic::do_not_recommend]
impl DecodeOwned for Vec<u8> {}

#[diagnostic::do_not_recommend]
impl InPlace for Vec<u8> {
    type View<'a> = &'a [u8];

    fn view<'a>(payload: &'a [u8]) -> Result<&'a [u8], DecodeError>
    where
        Self: 'a,
    {
        Ok(payload)
    }
}
