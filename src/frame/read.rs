//! From bytes to a frame, trusting none of them.

use std::ops::Range;

use uuid::Uuid;
use zerocopy::FromBytes;

use super::error::{FrameError, NameField};
use super::header::{
    FLAG_EOF, FLAG_PART, FLAG_TTL, FLAG_UNSUMMED, HEADER_LEN, Header, MAGIC, PAYLOAD_ALIGN, VERSION, checksum,
    checksum_mut, checksum_of_both,
};
use super::kind::{Encoding, Kind};

/// A frame whose every field was checked.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    header: &'a Header,
    kind: Kind,
    encoding: Encoding,
    /// The three names, one after the other.
    names: &'a [u8],
    from: &'a str,
    to: &'a str,
    trace: &'a str,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a frame, which must be all of `bytes`. Never panics, whatever they are.
    ///
    /// # Errors
    ///
    /// [`FrameError`]: what is wrong with the bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let summed = Self::check_version(bytes)?;
        Self::parse_summed(bytes, if summed { checksum(bytes) } else { 0 })
    }

    /// As [`parse`](Self::parse), of bytes that may be changed for a moment: the checksum is taken in one go, which for
    /// small frames is half of the cost.
    #[inline(always)]
    pub(crate) fn parse_mut(bytes: &'a mut [u8]) -> Result<Self, FrameError> {
        let summed = Self::check_version(bytes)?;
        let sum = if summed { checksum_mut(bytes) } else { 0 };
        Self::parse_summed(bytes, sum)
    }

    /// Reads a frame of which the head, all that comes before its payload, is a copy of ours, and the payload stays where it is. Nothing
    /// of the head is read anywhere else: so whoever writes to the frame meanwhile changes no more than the payload.
    #[inline]
    pub(crate) fn parse_in_place(head: &'a mut [u8], payload: &'a [u8]) -> Result<Self, FrameError> {
        let summed = Self::check_version(head)?;
        let sum = if summed { checksum_of_both(head, payload) } else { 0 };
        Self::of_both(head, payload, sum)
    }

    /// How much of a frame comes before its payload, in bytes, if this is the start of one.
    #[inline]
    pub(crate) fn head_len(start: &[u8]) -> usize {
        Header::ref_from_prefix(start).map_or(0, |(header, _)| usize::from(header.payload_offset.get()).max(HEADER_LEN))
    }

    /// Another version may be laid out in another way, so nothing else is looked at before it. Whether there is a checksum.
    #[inline(always)]
    fn check_version(bytes: &[u8]) -> Result<bool, FrameError> {
        let Ok((header, _)) = Header::ref_from_prefix(bytes) else {
            return Err(FrameError::TooShort { len: bytes.len(), header: HEADER_LEN });
        };
        match (header.magic.get(), header.version) {
            (MAGIC, VERSION) => Ok(header.flags & FLAG_UNSUMMED == 0),
            (MAGIC, found) => Err(FrameError::Version { found, newest: VERSION }),
            (found, _) => Err(FrameError::Magic { found }),
        }
    }

    #[inline(always)]
    fn parse_summed(bytes: &'a [u8], found: u32) -> Result<Self, FrameError> {
        let (head, payload) = bytes.split_at(Self::head_len(bytes).min(bytes.len()));
        Self::of_both(head, payload, found)
    }

    #[inline(always)]
    fn of_both(head: &'a [u8], payload: &'a [u8], found: u32) -> Result<Self, FrameError> {
        let Ok((header, names)) = Header::ref_from_prefix(head) else {
            return Err(FrameError::TooShort { len: head.len(), header: HEADER_LEN });
        };
        let expected = header.crc.get();
        if expected != found {
            return Err(FrameError::Checksum { expected, found });
        }
        let offset = header.payload_offset.get();
        let names_len = usize::from(header.from_len) + usize::from(header.to_len) + usize::from(header.trace_len);
        let (expected, len) = (u64::from(offset) + u64::from(header.payload_len.get()), head.len() + payload.len());
        if expected != len as u64 {
            return Err(FrameError::Length { expected, found: len });
        }
        let is_where_it_says = usize::from(offset) == head.len() && usize::from(offset).is_multiple_of(PAYLOAD_ALIGN);
        let Some(names) = names.get(..names_len).filter(|_| is_where_it_says) else {
            return Err(FrameError::PayloadOffset { offset, names: names_len });
        };
        let kind = Kind::from_byte(header.kind).ok_or(FrameError::UnknownKind { found: header.kind })?;
        let encoding =
            Encoding::from_byte(header.encoding).ok_or(FrameError::UnknownEncoding { found: header.encoding })?;
        if payload.is_empty() != (kind == Kind::Heartbeat) {
            return Err(FrameError::Payload { kind, len: payload.len() });
        }
        let (from, to) = (usize::from(header.from_len), usize::from(header.to_len));
        // One look at all three, and whether each of them ends where a character does. If not, each by itself, to say which it is.
        let whole = str::from_utf8(names).unwrap_or_default();
        let name = |field, range: Range<usize>| match whole.get(range.clone()) {
            Some(name) => Ok(name),
            None => faulty_or_not(field, &names[range]),
        };
        Ok(Self {
            header,
            kind,
            encoding,
            names,
            from: name(NameField::From, 0..from)?,
            to: name(NameField::To, from..from + to)?,
            trace: name(NameField::Trace, from + to..names_len)?,
            payload,
        })
    }

    /// What the message is for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How its payload is encoded.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The fingerprint of its type.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.header.fingerprint.get()
    }

    /// Its id, or that of the query that it answers.
    #[must_use]
    pub fn id(&self) -> Uuid {
        let [high, low] = self.header.id;
        Uuid::from_u64_pair(high.get(), low.get())
    }

    /// When it was sent: nanoseconds since the Unix epoch.
    #[must_use]
    pub fn ts(&self) -> u64 {
        self.header.ts.get()
    }

    /// Milliseconds after which it is to be discarded.
    #[must_use]
    pub fn ttl(&self) -> Option<u32> {
        (self.header.flags & FLAG_TTL != 0).then(|| self.header.ttl.get())
    }

    /// Its number among the chunks of a stream, from 0.
    #[must_use]
    pub fn seq(&self) -> u32 {
        self.header.seq.get()
    }

    /// Whether it is the last chunk.
    #[must_use]
    pub fn eof(&self) -> bool {
        self.header.flags & FLAG_EOF != 0
    }

    /// Whether it carries a checksum, which was that of its bytes.
    #[must_use]
    pub fn is_summed(&self) -> bool {
        self.header.flags & FLAG_UNSUMMED == 0
    }

    /// Whether it carries a part of a frame that is larger than a cell.
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.header.flags & FLAG_PART != 0
    }

    /// The sender.
    #[must_use]
    pub fn from(&self) -> &'a str {
        self.from
    }

    /// The recipient; `*` for all.
    #[must_use]
    pub fn to(&self) -> &'a str {
        if self.to.is_empty() { "*" } else { self.to }
    }

    /// `from`, `to` and `trace`, one after the other, and the lengths of the first two. A `to` of no length is `*`.
    #[inline]
    pub(crate) fn names(&self) -> (&'a [u8], [u8; 2]) {
        (self.names, [self.header.from_len, self.header.to_len])
    }

    /// A trace or span; may be empty.
    #[must_use]
    pub fn trace(&self) -> &'a str {
        self.trace
    }

    /// The encoded message.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// Whether bytes say of themselves that they are a part of a larger frame. Nothing else of them was checked.
#[inline]
pub(crate) fn is_part(bytes: &[u8]) -> bool {
    Header::ref_from_prefix(bytes).is_ok_and(|(header, _)| header.flags & FLAG_PART != 0)
}

#[cold]
fn faulty_or_not(field: NameField, bytes: &[u8]) -> Result<&str, FrameError> {
    str::from_utf8(bytes).map_err(|_| FrameError::Name { field })
}
