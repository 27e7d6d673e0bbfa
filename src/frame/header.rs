//! The header: the first 64 bytes of a frame.

use zerocopy::byteorder::big_endian;
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The length of a header in bytes. The names follow it.
pub(crate) const HEADER_LEN: usize = 64;
/// The longest name in bytes.
pub const MAX_NAME_LEN: usize = 255;
/// The version of the frame that this crate writes, and the newest that it reads.
pub(super) const VERSION: u8 = 1;

/// The magic number: the bytes `SB`.
pub(super) const MAGIC: u16 = u16::from_le_bytes(*b"SB");
/// The offset of a payload in its frame is a multiple of this number of bytes. The header counts it
/// in these units.
pub(crate) const PAYLOAD_ALIGN: usize = 16;
/// The largest alignment of a payload's address in bytes, and that of every frame in a store.
pub const MAX_PAYLOAD_ALIGN: usize = 64;
/// Flag: the last message of its stream.
pub(super) const FLAG_EOF: u8 = 1;
/// Flag: the message expires after `ttl`.
pub(super) const FLAG_TTL: u8 = 2;
/// Flag: the frame has no checksum.
pub(super) const FLAG_NO_CHECKSUM: u8 = 4;
/// The longest ttl in milliseconds: half of the range of the boot clock in a frame.
pub(crate) const MAX_TTL: u32 = u32::MAX / 2;
/// The offset of the time of sending.
pub(super) const TS_AT: usize = 32;
/// The offset of the time of sending by the boot clock.
pub(super) const SENT_BOOT_AT: usize = 40;
/// The offset of the payload's length.
pub(super) const PAYLOAD_LEN_AT: usize = 52;
/// The offset of the checksum.
pub(super) const CRC_AT: usize = 56;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    pub(super) magic: U16,
    pub(super) version: u8,
    pub(super) kind: u8,
    pub(super) encoding: u8,
    pub(super) flags: u8,
    /// In units of `PAYLOAD_ALIGN` bytes.
    pub(super) payload_offset: u8,
    pub(super) attempt: u8,
    pub(super) fingerprint: U64,
    /// The id's bytes in their order, as two words.
    pub(super) id: [big_endian::U64; 2],
    pub(super) ts: U64,
    pub(super) sent_boot: U32,
    pub(super) ttl: U32,
    pub(super) seq: U32,
    pub(super) payload_len: U32,
    pub(super) crc: U32,
    pub(super) from_len: u8,
    pub(super) to_len: u8,
    pub(super) trace_len: u8,
    pub(super) reply_to_len: u8,
}

const _: () = {
    assert!(size_of::<Header>() == HEADER_LEN);
    assert!(std::mem::offset_of!(Header, ts) == TS_AT);
    assert!(std::mem::offset_of!(Header, sent_boot) == SENT_BOOT_AT);
    assert!(std::mem::offset_of!(Header, payload_len) == PAYLOAD_LEN_AT);
    assert!(std::mem::offset_of!(Header, crc) == CRC_AT);
};

impl Header {
    /// The offset of the payload in bytes.
    #[inline]
    pub(super) fn payload_offset(&self) -> usize {
        usize::from(self.payload_offset) * PAYLOAD_ALIGN
    }

    /// Where the names end, counted from the end of the header: `from`, `to`, `trace`, `reply_to`.
    #[inline]
    pub(super) fn name_ends(&self) -> [usize; 4] {
        let from = usize::from(self.from_len);
        let to = from + usize::from(self.to_len);
        let trace = to + usize::from(self.trace_len);
        [from, to, trace, trace + usize::from(self.reply_to_len)]
    }
}

/// The checksum of a frame, with zero in place of its checksum field. The frame has at least a
/// header.
pub(super) fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..CRC_AT]);
    hasher.update(&[0; 4]);
    hasher.update(&frame[CRC_AT + 4..]);
    hasher.finalize()
}

/// Like [`checksum`], for bytes that can be changed: sets the field to zero for a moment.
#[inline]
pub(super) fn checksum_mut(frame: &mut [u8]) -> u32 {
    let field = CRC_AT..CRC_AT + 4;
    let mut crc = [0; 4];
    frame[field.clone()].swap_with_slice(&mut crc);
    let sum = crc32fast::hash(frame);
    frame[field].copy_from_slice(&crc);
    sum
}

/// Like [`checksum_mut`], for a frame whose envelope and payload are in two places.
#[inline]
pub(super) fn checksum_in_two(envelope: &mut [u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(checksum_mut(envelope));
    hasher.update(payload);
    hasher.finalize()
}
