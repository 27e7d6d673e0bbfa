//! The bytes of a frame that is read in place: a pinned cell, or a copy.

use bytemuck::{Pod, Zeroable};
use smallvec::SmallVec;

use crate::frame::{Frame, MAX_PAYLOAD_ALIGN};
use crate::store::Pinned;

/// The bytes of a frame that is read in place.
pub(super) enum Storage {
    Pinned(Pinned),
    Copied(AlignedBytes),
}

impl Storage {
    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Pinned(pinned) => pinned,
            Self::Copied(bytes) => bytes.as_slice(),
        }
    }
}

/// A copy of the envelope: all bytes of a frame before its payload. Other processes cannot change
/// it.
pub(super) type EnvelopeBytes = SmallVec<[u8; USUAL_ENVELOPE_LEN]>;

/// Enough bytes for an envelope with usual names.
const USUAL_ENVELOPE_LEN: usize = 128;

impl Storage {
    #[inline]
    pub(super) fn envelope(&self) -> EnvelopeBytes {
        // Usually this is the whole envelope.
        let mut start = [0; USUAL_ENVELOPE_LEN];
        let len = self.as_slice().len();
        self.copy_start(&mut start[..len.min(USUAL_ENVELOPE_LEN)]);
        let envelope_len = Frame::payload_offset(&start).min(len);
        if envelope_len <= USUAL_ENVELOPE_LEN {
            return EnvelopeBytes::from_buf_and_len(start, envelope_len);
        }
        let mut envelope = EnvelopeBytes::from_elem(0, envelope_len);
        self.copy_start(&mut envelope);
        envelope
    }

    #[inline]
    fn copy_start(&self, start: &mut [u8]) {
        match self {
            Self::Pinned(pinned) => pinned.copy_start(start),
            Self::Copied(bytes) => start.copy_from_slice(&bytes.as_slice()[..start.len()]),
        }
    }
}

/// A copy of a frame with the same alignment as in a store, so that its payload can be read in
/// place.
pub(super) struct AlignedBytes {
    lines: Vec<Line>,
    len: usize,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; MAX_PAYLOAD_ALIGN]);

impl AlignedBytes {
    pub(super) fn copy_of(bytes: &[u8]) -> Self {
        let mut lines = vec![Line::zeroed(); bytes.len().div_ceil(size_of::<Line>())];
        bytemuck::cast_slice_mut::<Line, u8>(&mut lines)[..bytes.len()].copy_from_slice(bytes);
        Self { lines, len: bytes.len() }
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        &bytemuck::cast_slice::<Line, u8>(&self.lines)[..self.len]
    }
}
