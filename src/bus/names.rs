//! The names in a received envelope, in one small buffer.

use smallvec::SmallVec;

use crate::frame::Frame;

/// `from`, `to` and `trace`, one after the other as in the frame. Usual names need no allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    bytes: SmallVec<[u8; 36]>,
    /// The lengths of `from` and `to`.
    lens: [u8; 2],
}

impl Names {
    #[inline]
    pub(super) fn of(frame: &Frame<'_>) -> Self {
        let (bytes, lens) = frame.names();
        Self { bytes: SmallVec::from_slice(bytes), lens }
    }

    pub(super) fn from(&self) -> &str {
        self.part(0, self.lens[0].into())
    }

    pub(super) fn to(&self) -> &str {
        match self.part(self.lens[0].into(), self.lens[1].into()) {
            "" => "*",
            to => to,
        }
    }

    pub(super) fn trace(&self) -> &str {
        let start = usize::from(self.lens[0]) + usize::from(self.lens[1]);
        self.part(start, self.bytes.len() - start)
    }

    fn part(&self, start: usize, len: usize) -> &str {
        // Parsing the frame checked that each name is UTF-8.
        str::from_utf8(&self.bytes[start..start + len]).unwrap_or_default()
    }
}
