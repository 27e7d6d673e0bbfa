//! The names in a received envelope, together in one small buffer.

use smallvec::SmallVec;

use crate::frame::Frame;

/// `from`, `to` and `trace`, one after the other. Most fit without an allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    bytes: SmallVec<[u8; 64]>,
    from: u8,
    to: u8,
}

impl Names {
    #[inline]
    pub(super) fn of(frame: &Frame<'_>) -> Self {
        let mut bytes = SmallVec::new();
        bytes.extend_from_slice(frame.from().as_bytes());
        bytes.extend_from_slice(frame.to().as_bytes());
        bytes.extend_from_slice(frame.trace().as_bytes());
        // Each has 255 bytes at most.
        Self { bytes, from: frame.from().len() as u8, to: frame.to().len() as u8 }
    }

    pub(super) fn from(&self) -> &str {
        self.part(0, self.from.into())
    }

    pub(super) fn to(&self) -> &str {
        self.part(self.from.into(), self.to.into())
    }

    pub(super) fn trace(&self) -> &str {
        let start = usize::from(self.from) + usize::from(self.to);
        self.part(start, self.bytes.len() - start)
    }

    fn part(&self, start: usize, len: usize) -> &str {
        // The parts were strings when they were put together.
        str::from_utf8(&self.bytes[start..start + len]).unwrap_or_default()
    }
}
