//! The names in a received envelope, in one small buffer.

use std::ops::Range;

use smallvec::SmallVec;

use crate::frame::Frame;

/// `from`, `to`, `trace` and `reply_to`, one after the other as in the frame. Usual names need no
/// allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    bytes: SmallVec<[u8; 40]>,
    /// The lengths of `from`, `to` and `trace`.
    lens: [u8; 3],
}

impl Names {
    #[inline]
    pub(super) fn of(frame: &Frame<'_>) -> Self {
        let (bytes, lens) = frame.names();
        Self { bytes: SmallVec::from_slice(bytes), lens }
    }

    pub(super) fn from(&self) -> &str {
        let [from, ..] = self.ends();
        self.part(0..from)
    }

    pub(super) fn to(&self) -> &str {
        let [from, to, _] = self.ends();
        match self.part(from..to) {
            "" => "*",
            to => to,
        }
    }

    pub(super) fn trace(&self) -> &str {
        let [_, to, trace] = self.ends();
        self.part(to..trace)
    }

    pub(super) fn reply_to(&self) -> &str {
        let [.., trace] = self.ends();
        self.part(trace..self.bytes.len())
    }

    /// Where `from`, `to` and `trace` end.
    fn ends(&self) -> [usize; 3] {
        let [from, to, trace] = self.lens.map(usize::from);
        [from, from + to, from + to + trace]
    }

    fn part(&self, range: Range<usize>) -> &str {
        // Parsing the frame checked that each name is UTF-8.
        str::from_utf8(&self.bytes[range]).unwrap_or_default()
    }
}
