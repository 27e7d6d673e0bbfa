//! Reading frames from bytes that may have any content.

use std::ops::Range;

use uuid::Uuid;
use zerocopy::FromBytes;

use super::error::{FrameError, NameField};
use super::header::{
    FLAG_EOF, FLAG_NO_CHECKSUM, FLAG_TTL, HEADER_LEN, Header, MAGIC, VERSION, checksum, checksum_in_two, checksum_mut,
};
use super::kind::{Encoding, Kind};

/// A frame whose fields were all checked.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    header: &'a Header,
    kind: Kind,
    encoding: Encoding,
    /// The four names, one after the other. Each is UTF-8.
    names: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a frame, which must occupy all of `bytes`. Never panics.
    ///
    /// # Errors
    ///
    /// [`FrameError`]: what is wrong with the bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let has_checksum = Self::check_version(bytes)?;
        Self::parse_with(bytes, if has_checksum { checksum(bytes) } else { 0 })
    }

    /// Like [`parse`](Self::parse), for bytes that can be changed. The checksum is computed in one
    /// call, which halves the cost for small frames.
    #[inline(always)]
    pub(crate) fn parse_mut(bytes: &'a mut [u8]) -> Result<Self, FrameError> {
        let has_checksum = Self::check_version(bytes)?;
        let sum = if has_checksum { checksum_mut(bytes) } else { 0 };
        Self::parse_with(bytes, sum)
    }

    /// Reads a frame whose payload stays in place. `envelope` is the receiver's copy of the bytes
    /// before the payload.
    ///
    /// Only that copy of the envelope is read. So a process that writes to the frame at the same
    /// time can change nothing but the payload.
    #[inline]
    pub(crate) fn parse_in_place(envelope: &'a mut [u8], payload: &'a [u8]) -> Result<Self, FrameError> {
        let has_checksum = Self::check_version(envelope)?;
        let sum = if has_checksum { checksum_in_two(envelope, payload) } else { 0 };
        Self::check(envelope, payload, sum)
    }

    /// The offset of the payload, if `start` is the start of a frame; 0 if it is too short for a
    /// header.
    #[inline]
    pub(crate) fn payload_offset(start: &[u8]) -> usize {
        Header::ref_from_prefix(start).map_or(0, |(header, _)| header.payload_offset().max(HEADER_LEN))
    }

    /// The fingerprint in the first bytes of a frame, of which nothing else is checked; `None` if they do not
    /// begin a frame.
    pub(crate) fn fingerprint_of(start: &[u8]) -> Option<u64> {
        Self::check_version(start).ok()?;
        Header::ref_from_prefix(start).ok().map(|(header, _)| header.fingerprint.get())
    }

    /// Checks magic number and version. Returns whether the frame has a checksum.
    ///
    /// Nothing else is read before that, because other versions may have another layout.
    #[inline(always)]
    fn check_version(bytes: &[u8]) -> Result<bool, FrameError> {
        let Ok((header, _)) = Header::ref_from_prefix(bytes) else {
            return Err(FrameError::TooShort { len: bytes.len(), header: HEADER_LEN });
        };
        match (header.magic.get(), header.version) {
            (MAGIC, VERSION) => Ok(header.flags & FLAG_NO_CHECKSUM == 0),
            (MAGIC, found) => Err(FrameError::Version { found, newest: VERSION }),
            (found, _) => Err(FrameError::Magic { found }),
        }
    }

    #[inline(always)]
    fn parse_with(bytes: &'a [u8], found: u32) -> Result<Self, FrameError> {
        let (envelope, payload) = bytes.split_at(Self::payload_offset(bytes).min(bytes.len()));
        Self::check(envelope, payload, found)
    }

    #[inline(always)]
    fn check(envelope: &'a [u8], payload: &'a [u8], found: u32) -> Result<Self, FrameError> {
        let Ok((header, names)) = Header::ref_from_prefix(envelope) else {
            return Err(FrameError::TooShort { len: envelope.len(), header: HEADER_LEN });
        };
        let expected = header.crc.get();
        if expected != found {
            return Err(FrameError::Checksum { expected, found });
        }
        let offset = header.payload_offset();
        let ends = header.name_ends();
        let names_len = ends[3];
        let (expected, len) = (offset as u64 + u64::from(header.payload_len.get()), envelope.len() + payload.len());
        if expected != len as u64 {
            return Err(FrameError::Length { expected, found: len });
        }
        let Some(names) = names.get(..names_len).filter(|_| offset == envelope.len()) else {
            return Err(FrameError::PayloadOffset { offset, names: names_len });
        };
        let kind = Kind::from_byte(header.kind).ok_or(FrameError::UnknownKind { found: header.kind })?;
        let encoding =
            Encoding::from_byte(header.encoding).ok_or(FrameError::UnknownEncoding { found: header.encoding })?;
        if payload.is_empty() != (kind == Kind::Heartbeat) {
            return Err(FrameError::Payload { kind, len: payload.len() });
        }
        // Usual names are ASCII, which is checked faster, and for all of them at once.
        if !names.is_ascii() {
            check_names(names, ends)?;
        }
        Ok(Self { header, kind, encoding, names, payload })
    }

    /// The kind of the message: what it is for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The encoding of the payload.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The fingerprint of the message's type.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.header.fingerprint.get()
    }

    /// The id of the message, or of the query that it answers.
    #[must_use]
    pub fn id(&self) -> Uuid {
        let [high, low] = self.header.id;
        Uuid::from_u64_pair(high.get(), low.get())
    }

    /// The time of sending, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn ts(&self) -> u64 {
        self.header.ts.get()
    }

    /// The time of sending on the sender's CLOCK_BOOTTIME, in milliseconds modulo 2^32. Only frames
    /// with a [ttl](Self::ttl) have it.
    #[must_use]
    pub fn sent_boot(&self) -> u32 {
        self.header.sent_boot.get()
    }

    /// The time after which the message expires, in milliseconds; `None` if it does not expire.
    #[must_use]
    pub fn ttl(&self) -> Option<u32> {
        (self.header.flags & FLAG_TTL != 0).then(|| self.header.ttl.get())
    }

    /// The number of the message in its stream, counted from 0.
    #[must_use]
    pub fn seq(&self) -> u32 {
        self.header.seq.get()
    }

    /// Whether this is the last message of its stream.
    #[must_use]
    pub fn eof(&self) -> bool {
        self.header.flags & FLAG_EOF != 0
    }

    /// 1 for the first delivery of what this message answers, more if the answer was begun again.
    /// 255 stands for 255 or more.
    #[must_use]
    #[inline]
    pub fn attempt(&self) -> u8 {
        self.header.attempt.max(1)
    }

    /// Whether the frame has a checksum. It was checked.
    #[must_use]
    pub fn has_checksum(&self) -> bool {
        self.header.flags & FLAG_NO_CHECKSUM == 0
    }

    /// The sender's component id.
    #[must_use]
    pub fn from(&self) -> &'a str {
        let [from, ..] = self.header.name_ends();
        self.name(0..from)
    }

    /// The recipient's component id; `*` if the message is for all.
    #[must_use]
    pub fn to(&self) -> &'a str {
        let [from, to, ..] = self.header.name_ends();
        if from == to { "*" } else { self.name(from..to) }
    }

    /// Whether the message is for this component: for it alone, or for all.
    pub(crate) fn is_for(&self, component: &str) -> bool {
        let [from, to, ..] = self.header.name_ends();
        let to = &self.names[from..to];
        to.is_empty() || to == b"*" || to == component.as_bytes()
    }

    /// `from`, `to`, `trace` and `reply_to`, one after the other, and the lengths of the first
    /// three. An empty `to` means `*`.
    #[inline]
    pub(crate) fn names(&self) -> (&'a [u8], [u8; 3]) {
        (self.names, [self.header.from_len, self.header.to_len, self.header.trace_len])
    }

    /// The trace or span id; may be empty.
    #[must_use]
    pub fn trace(&self) -> &'a str {
        let [_, to, trace, _] = self.header.name_ends();
        self.name(to..trace)
    }

    /// Where the sender expects answers: a key, or `KEY#LANE`; may be empty.
    #[must_use]
    pub fn reply_to(&self) -> &'a str {
        let [_, _, trace, reply_to] = self.header.name_ends();
        self.name(trace..reply_to)
    }

    fn name(&self, range: Range<usize>) -> &'a str {
        // Parsing checked that each name is UTF-8.
        str::from_utf8(&self.names[range]).unwrap_or_default()
    }

    /// The payload: the encoded message.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// Checks that each name is UTF-8.
#[cold]
fn check_names(names: &[u8], [from, to, trace, reply_to]: [usize; 4]) -> Result<(), FrameError> {
    let names = [
        (NameField::From, &names[..from]),
        (NameField::To, &names[from..to]),
        (NameField::Trace, &names[to..trace]),
        (NameField::ReplyTo, &names[trace..reply_to]),
    ];
    match names.into_iter().find(|(_, name)| str::from_utf8(name).is_err()) {
        Some((field, _)) => Err(FrameError::Name { field }),
        None => Ok(()),
    }
}
