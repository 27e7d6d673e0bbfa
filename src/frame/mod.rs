//! The frame: one message with its envelope, as bytes. Pure; knows neither stores nor message types.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 2 | magic, the bytes `SB` |
//! | 2 | 1 | frame version, 1 |
//! | 3 | 1 | [`Kind`] |
//! | 4 | 1 | [`Encoding`] |
//! | 5 | 1 | flags: bit 0 eof, bit 1 has-ttl, bit 2 no checksum, bit 3 part of a larger frame; readers ignore the others |
//! | 6 | 2 | offset of the payload, a multiple of 16: header, names, padding |
//! | 8 | 8 | schema fingerprint |
//! | 16 | 16 | id |
//! | 32 | 8 | time of sending, nanoseconds since the Unix epoch |
//! | 40 | 4 | ttl in milliseconds |
//! | 44 | 4 | chunk number |
//! | 48 | 4 | length of the payload |
//! | 52 | 4 | CRC-32 of the whole frame with this field zero; zero if there is no checksum |
//! | 56 | 3 | lengths of `from`, `to`, `trace` |
//! | 59 | 5 | zero |
//! | 64 | | `from`, `to`, `trace`, padding, payload |
//!
//! All numbers are little-endian. A frame without a `to` is addressed to all: `*`.
//!
//! Padding is as short as can be with the payload at a multiple of 16, or of the alignment of the message's type if that is 32 or 64. An offset
//! counts from the frame's first byte, and an alignment is one of addresses, of which a frame's is 48 more than a multiple of 64. So for an alignment of
//! 64, the payload's offset is 80, 144, 208 and so on.
//!
//! A frame that does not fit into a cell travels in parts, which are frames themselves: same kind, fingerprint, id and names, without a
//! checksum, `seq` counting the parts from 0, `eof` on the last. Their encoding is raw; their payload is 16 bytes (a number that all
//! parts of one frame share: 8; the length of the whole frame: 4; zero: 4), then that part of the frame's bytes.

mod error;
mod fault_code;
mod header;
mod kind;
mod read;
mod write;

pub use error::{FrameError, NameField};
pub use fault_code::FaultCode;
pub(crate) use header::{FRAME_START, PAYLOAD_ALIGN};
pub use header::{MAX_NAME_LEN, MAX_PAYLOAD_ALIGN};
pub use kind::{Encoding, Kind};
pub use read::Frame;
pub(crate) use read::is_part;
#[doc(hidden)]
pub use write::{Outgoing, write};
pub(crate) use write::{head_len, seal, write_head};
