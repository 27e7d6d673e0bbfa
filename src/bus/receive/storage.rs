//! Where the bytes of a frame lie that is read in place: in a pinned cell, or in a copy.

use bytemuck::{Pod, Zeroable};
use smallvec::SmallVec;

use crate::frame::{FRAME_START, Frame, MAX_PAYLOAD_ALIGN};
use crate::store::Pinned;

/// Where the frame lies.
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

/// A copy of all that comes before a frame's payload, where nobody else can write.
pub(super) type Head = SmallVec<[u8; USUAL_HEAD]>;

/// As much as usual names need, in bytes.
const USUAL_HEAD: usize = 128;

impl Storage {
    #[inline]
    pub(super) fn head(&self) -> Head {
        // Nearly always this is all of it.
        let mut start = [0; USUAL_HEAD];
        let len = self.as_slice().len();
        self.copy_start(&mut start[..len.min(USUAL_HEAD)]);
        let head_len = Frame::head_len(&start).min(len);
        if head_len <= USUAL_HEAD {
            return Head::from_buf_and_len(start, head_len);
        }
        let mut head = Head::from_elem(0, head_len);
        self.copy_start(&mut head);
        head
    }

    #[inline]
    fn copy_start(&self, start: &mut [u8]) {
        match self {
            Self::Pinned(pinned) => pinned.copy_start(start),
            Self::Copied(bytes) => start.copy_from_slice(&bytes.as_slice()[..start.len()]),
        }
    }
}

/// A copy of a frame, aligned like one in a store, so that its payload can be looked at in place.
pub(super) struct AlignedBytes {
    /// The frame begins [`FRAME_START`] bytes behind the start.
    lines: Vec<Line>,
    len: usize,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; MAX_PAYLOAD_ALIGN]);

impl AlignedBytes {
    pub(super) fn copy_of(bytes: &[u8]) -> Self {
        let mut lines = vec![Line::zeroed(); (FRAME_START + bytes.len()).div_ceil(size_of::<Line>())];
        bytemuck::cast_slice_mut::<Line, u8>(&mut lines)[FRAME_START..][..bytes.len()].copy_from_slice(bytes);
        Self { lines, len: bytes.len() }
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[u8] {
        &bytemuck::cast_slice::<Line, u8>(&self.lines)[FRAME_START..][..self.len]
    }
}
