//! The frame: one message with its envelope, as bytes. Pure; knows neither stores nor message types.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 2 | magic, the bytes `SB` |
//! | 2 | 1 | frame version, 1 |
//! | 3 | 1 | [`Kind`] |
//! | 4 | 1 | [`Encoding`] |
//! | 5 | 1 | flags: bit 0 eof, bit 1 has-ttl; readers ignore the others |
//! | 6 | 2 | offset of the payload: header, names, padding to 16 |
//! | 8 | 8 | schema fingerprint |
//! | 16 | 16 | id |
//! | 32 | 8 | time of sending, nanoseconds since the Unix epoch |
//! | 40 | 4 | ttl in milliseconds |
//! | 44 | 4 | chunk number |
//! | 48 | 4 | length of the payload |
//! | 52 | 4 | CRC-32 of the whole frame with this field zero |
//! | 56 | 3 | lengths of `from`, `to`, `trace` |
//! | 59 | 5 | zero |
//! | 64 | | `from`, `to`, `trace`, padding to 16, payload |
//!
//! All numbers are little-endian. A frame without a `to` is addressed to all: `*`.

mod error;
mod fault_code;
mod header;
mod kind;
mod read;
mod write;

pub use error::{FrameError, NameField, WriteError};
pub use fault_code::{FaultCode, Recovery};
pub use header::{HEADER_LEN, MAX_NAME_LEN, VERSION};
pub use kind::{Encoding, Kind};
pub use read::Frame;
pub use write::{Outgoing, write};
