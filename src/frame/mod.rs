//! The frame: one message with its envelope, as bytes. This module knows neither stores nor message
//! types.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 2 | magic, the bytes `SB` |
//! | 2 | 1 | frame version, 1 |
//! | 3 | 1 | [`Kind`] |
//! | 4 | 1 | [`Encoding`] |
//! | 5 | 1 | flags: bit 0 eof, bit 1 has-ttl, bit 2 no checksum; readers ignore the others |
//! | 6 | 1 | offset of the payload in units of 16 bytes: header, names, padding |
//! | 7 | 1 | attempt: 1 for the first; readers take 0 for 1; 255 stands for 255 or more |
//! | 8 | 8 | schema fingerprint |
//! | 16 | 16 | id |
//! | 32 | 8 | time of sending, nanoseconds since the Unix epoch |
//! | 40 | 4 | time of sending on CLOCK_BOOTTIME, in milliseconds modulo 2^32; 0 without a ttl |
//! | 44 | 4 | ttl in milliseconds, at most 2^31 - 1 |
//! | 48 | 4 | chunk number |
//! | 52 | 4 | length of the payload |
//! | 56 | 4 | CRC-32 of the whole frame with this field zero; zero if there is no checksum |
//! | 60 | 4 | lengths of `from`, `to`, `trace`, `reply_to` |
//! | 64 | | `from`, `to`, `trace`, `reply_to`, padding, payload |
//!
//! All numbers are little-endian. If `to` is empty, the frame is for all: `*`. `reply_to` is a key,
//! or `KEY#LANE`. The *envelope* is everything before the payload: header, names and padding.
//!
//! **Extensions.** Readers ignore unknown flags, and all bytes between the names and the payload.
//! So a later version of this crate can put an optional extension there, under a flag of its own.
//!
//! **Boot time.** It is a time of the machine's first time namespace: a sender in a container with
//! a clock of its own subtracts the offset. Half of the range tells times before from times after,
//! which limits the ttl. Without a ttl nobody needs it, so nobody reads the clock.
//!
//! The padding is as short as possible. It aligns the payload's address to 16 bytes, or to the
//! alignment of the message's type if that is 32 or 64. The address of a frame is a multiple of 64.
//! So for an alignment of 64, the payload's offset is 64, 128, 192 and so on.

mod error;
mod fault_code;
mod header;
mod kind;
mod read;
mod write;

pub use error::{FrameError, NameField};
pub use fault_code::FaultCode;
pub(crate) use header::{HEADER_LEN, MAX_TTL, PAYLOAD_ALIGN};
pub use header::{MAX_NAME_LEN, MAX_PAYLOAD_ALIGN};
pub use kind::{Encoding, Kind};
pub use read::Frame;
#[doc(hidden)]
pub use write::{Outgoing, write};
pub(crate) use write::{payload_offset, seal, write_envelope};
