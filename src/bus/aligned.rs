//! Bytes that lie as they would in a cell.

use bytemuck::{Pod, Zeroable};

use crate::frame::{FRAME_START, MAX_PAYLOAD_ALIGN};

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
