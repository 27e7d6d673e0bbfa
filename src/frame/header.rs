//! The first 64 bytes of a frame.

use zerocopy::byteorder::big_endian;
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The length of a header in bytes; the names follow.
pub(super) const HEADER_LEN: usize = 64;
/// The longest name in bytes.
pub const MAX_NAME_LEN: usize = 255;
/// The version of the frame that this crate writes, and the newest that it reads.
pub(super) const VERSION: u8 = 1;

/// "SB".
pub(super) const MAGIC: u16 = u16::from_le_bytes(*b"SB");
/// The payload begins at a multiple of this, counted from the header.
pub(crate) const PAYLOAD_ALIGN: usize = 16;
/// The largest alignment of a payload's address in bytes.
pub const MAX_PAYLOAD_ALIGN: usize = 64;
/// A frame begins this many bytes behind a multiple of [`MAX_PAYLOAD_ALIGN`]: behind the header of its cell.
pub(crate) const FRAME_START: usize = 48;
/// The last chunk of its stream.
pub(super) const FLAG_EOF: u8 = 1;
/// The ttl counts.
pub(super) const FLAG_TTL: u8 = 2;
/// Nobody took a checksum.
pub(super) const FLAG_UNSUMMED: u8 = 4;
/// The payload is a part of a frame that is larger than a cell.
pub(super) const FLAG_PART: u8 = 8;
/// Where the time of sending is.
pub(super) const TS_AT: usize = 32;
/// Where the length of the payload is.
pub(super) const PAYLOAD_LEN_AT: usize = 48;
/// Where the checksum is.
pub(super) const CRC_AT: usize = 52;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    pub(super) magic: U16,
    pub(super) version: u8,
    pub(super) kind: u8,
    pub(super) encoding: u8,
    pub(super) flags: u8,
    pub(super) payload_offset: U16,
    pub(super) fingerprint: U64,
    /// The id's bytes in their order, as two words.
    pub(super) id: [big_endian::U64; 2],
    pub(super) ts: U64,
    pub(super) ttl: U32,
    pub(super) seq: U32,
    pub(super) payload_len: U32,
    pub(super) crc: U32,
    pub(super) from_len: u8,
    pub(super) to_len: u8,
    pub(super) trace_len: u8,
    pub(super) zero: [u8; 5],
}

const _: () = {
    assert!(size_of::<Header>() == HEADER_LEN);
    assert!(std::mem::offset_of!(Header, ts) == TS_AT);
    assert!(std::mem::offset_of!(Header, payload_len) == PAYLOAD_LEN_AT);
    assert!(std::mem::offset_of!(Header, crc) == CRC_AT);
};

/// The checksum of a frame whose checksum field is taken for zero. The frame has a header at least.
pub(super) fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..CRC_AT]);
    hasher.update(&[0; 4]);
    hasher.update(&frame[CRC_AT + 4..]);
    hasher.finalize()
}

/// The same, of a frame whose checksum field can be zero for a moment.
#[inline]
pub(super) fn checksum_mut(frame: &mut [u8]) -> u32 {
    let field = CRC_AT..CRC_AT + 4;
    let mut crc = [0; 4];
    frame[field.clone()].swap_with_slice(&mut crc);
    let sum = crc32fast::hash(frame);
    frame[field].copy_from_slice(&crc);
    sum
}

/// The same, of a frame whose head and payload lie in two places.
#[inline]
pub(super) fn checksum_of_both(head: &mut [u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(checksum_mut(head));
    hasher.update(payload);
    hasher.finalize()
}
