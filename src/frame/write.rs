//! Writing frames.

use uuid::Uuid;
use zerocopy::IntoBytes;

use super::error::{FrameError, NameField};
use super::header::{
    CRC_AT, FLAG_EOF, FLAG_NO_CHECKSUM, FLAG_TTL, HEADER_LEN, Header, MAGIC, MAX_NAME_LEN, MAX_PAYLOAD_ALIGN,
    PAYLOAD_ALIGN, PAYLOAD_LEN_AT, SENT_BOOT_AT, TS_AT, VERSION,
};
use super::kind::{Encoding, Kind};

/// The envelope of a frame to write.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The kind of the message: what it is for.
    pub kind: Kind,
    /// The encoding of the payload.
    pub encoding: Encoding,
    /// The fingerprint of the message's type.
    pub fingerprint: u64,
    /// The id of the message, or of the query that it answers.
    pub id: Uuid,
    /// The time of sending, in nanoseconds since the Unix epoch.
    pub ts: u64,
    /// The time of sending on CLOCK_BOOTTIME, in milliseconds modulo 2^32. Written only with a ttl.
    pub sent_boot: u32,
    /// The time after which the message expires, in milliseconds; `None` if it does not expire.
    pub ttl: Option<u32>,
    /// The number of the message in its stream, counted from 0.
    pub seq: u32,
    /// Whether this is the last message of its stream.
    pub eof: bool,
    /// 1 for the first delivery of what this message answers, which 0 means, too.
    pub attempt: u8,
    /// Whether the frame gets a checksum.
    pub checksum: bool,
    /// The alignment of the payload's address in bytes: a power of two up to 64. All values up to
    /// 16 have the same effect.
    pub payload_align: usize,
    /// The sender's component id, at most 255 bytes.
    pub from: &'a str,
    /// The recipient's component id, at most 255 bytes; empty or `*` for all.
    pub to: &'a str,
    /// The trace or span id, at most 255 bytes; may be empty.
    pub trace: &'a str,
    /// Where the sender expects answers, a key or `KEY#LANE`: at most 255 bytes; may be empty.
    pub reply_to: &'a str,
}

/// Replaces the content of `frame` by a frame: this envelope, and the payload that `payload`
/// appends.
///
/// # Errors
///
/// Those of `payload`, or a [`FrameError`]. Then `frame` holds no frame.
#[inline]
pub fn write<E: From<FrameError>>(
    frame: &mut Vec<u8>,
    envelope: &Outgoing<'_>,
    payload: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let names = Names::of(envelope)?;
    let payload_offset = names.payload_offset();
    // The header is written first: a checksum that reads bytes just written would stall.
    frame.clear();
    frame.extend_from_slice(names.header(envelope, 0).as_bytes());
    frame.resize(payload_offset, 0);
    names.write(envelope, frame);
    payload(frame)?;
    // `payload` must only append. If it removed bytes, that is an error.
    let len = frame.len().saturating_sub(payload_offset);
    if frame.len() < payload_offset {
        return Err(FrameError::Payload { kind: envelope.kind, len }.into());
    }
    let payload_len = payload_len(envelope.kind, len)?;
    frame[PAYLOAD_LEN_AT..PAYLOAD_LEN_AT + 4].copy_from_slice(&payload_len.to_le_bytes());
    if envelope.checksum {
        write_checksum(frame);
    }
    Ok(())
}

/// The offset of the payload in a frame: the length of its envelope.
pub(crate) fn payload_offset(envelope: &Outgoing<'_>) -> Result<usize, FrameError> {
    Names::of(envelope).map(|names| names.payload_offset())
}

/// Writes the envelope of a frame whose payload has `len` bytes into the start of `frame`.
pub(crate) fn write_envelope(frame: &mut [u8], envelope: &Outgoing<'_>, len: usize) -> Result<(), FrameError> {
    let names = Names::of(envelope)?;
    let payload_len = payload_len(envelope.kind, len)?;
    let bytes = &mut frame[..names.payload_offset()];
    bytes.fill(0);
    bytes[..HEADER_LEN].copy_from_slice(names.header(envelope, payload_len).as_bytes());
    names.write(envelope, bytes);
    Ok(())
}

/// Completes a frame whose envelope and payload are written: sets the time of sending, that of the
/// boot clock if the frame has a ttl, and the checksum.
pub(crate) fn seal(frame: &mut [u8], ts: u64, sent_boot: Option<u32>, checksum: bool) {
    frame[TS_AT..TS_AT + 8].copy_from_slice(&ts.to_le_bytes());
    if let Some(sent_boot) = sent_boot {
        frame[SENT_BOOT_AT..SENT_BOOT_AT + 4].copy_from_slice(&sent_boot.to_le_bytes());
    }
    if checksum {
        write_checksum(frame);
    }
}

/// The checksum field must be zero.
#[inline]
fn write_checksum(frame: &mut [u8]) {
    let crc = crc32fast::hash(frame);
    frame[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
}

#[inline]
fn payload_len(kind: Kind, len: usize) -> Result<u32, FrameError> {
    if (len == 0) != (kind == Kind::Heartbeat) {
        return Err(FrameError::Payload { kind, len });
    }
    u32::try_from(len).map_err(|_| FrameError::PayloadTooLong { len })
}

/// The lengths of the names, and the alignment of the payload.
struct Names {
    from: u8,
    to: u8,
    trace: u8,
    reply_to: u8,
    payload_align: usize,
}

impl Names {
    #[inline]
    fn of(envelope: &Outgoing<'_>) -> Result<Self, FrameError> {
        let payload_align = envelope.payload_align;
        if !payload_align.is_power_of_two() || payload_align > MAX_PAYLOAD_ALIGN {
            return Err(FrameError::Alignment { align: payload_align, max: MAX_PAYLOAD_ALIGN });
        }
        Ok(Self {
            from: name_len(NameField::From, envelope.from)?,
            to: name_len(NameField::To, recipient(envelope))?,
            trace: name_len(NameField::Trace, envelope.trace)?,
            reply_to: name_len(NameField::ReplyTo, envelope.reply_to)?,
            payload_align: payload_align.max(PAYLOAD_ALIGN),
        })
    }

    /// At most 64 + 4 * 255, plus less than 64 of padding.
    #[inline]
    fn payload_offset(&self) -> usize {
        let names =
            usize::from(self.from) + usize::from(self.to) + usize::from(self.trace) + usize::from(self.reply_to);
        // The alignment is a power of two, so this is an addition and a mask.
        let mask = self.payload_align - 1;
        (HEADER_LEN + names + mask) & !mask
    }

    #[inline]
    fn header(&self, envelope: &Outgoing<'_>, payload_len: u32) -> Header {
        let flag = |flag: u8, set: bool| if set { flag } else { 0 };
        let (id_high, id_low) = envelope.id.as_u64_pair();
        Header {
            magic: MAGIC.into(),
            version: VERSION,
            kind: envelope.kind as u8,
            encoding: envelope.encoding as u8,
            flags: flag(FLAG_EOF, envelope.eof)
                | flag(FLAG_TTL, envelope.ttl.is_some())
                | flag(FLAG_NO_CHECKSUM, !envelope.checksum),
            payload_offset: (self.payload_offset() / PAYLOAD_ALIGN) as u8,
            attempt: envelope.attempt.max(1),
            fingerprint: envelope.fingerprint.into(),
            id: [id_high.into(), id_low.into()],
            ts: envelope.ts.into(),
            sent_boot: envelope.ttl.map_or(0, |_| envelope.sent_boot).into(),
            ttl: envelope.ttl.unwrap_or(0).into(),
            seq: envelope.seq.into(),
            payload_len: payload_len.into(),
            crc: 0.into(),
            from_len: self.from,
            to_len: self.to,
            trace_len: self.trace,
            reply_to_len: self.reply_to,
        }
    }

    /// Writes the names behind the header.
    #[inline]
    fn write(&self, envelope: &Outgoing<'_>, frame: &mut [u8]) {
        let from = HEADER_LEN + envelope.from.len();
        frame[HEADER_LEN..from].copy_from_slice(envelope.from.as_bytes());
        // Most messages have no other name.
        if self.to | self.trace | self.reply_to != 0 {
            let mut at = from;
            for name in [recipient(envelope), envelope.trace, envelope.reply_to] {
                frame[at..at + name.len()].copy_from_slice(name.as_bytes());
                at += name.len();
            }
        }
    }
}

/// The recipient as it is written: empty for all.
#[inline]
fn recipient<'a>(envelope: &Outgoing<'a>) -> &'a str {
    if envelope.to == "*" { "" } else { envelope.to }
}

#[inline]
fn name_len(field: NameField, name: &str) -> Result<u8, FrameError> {
    let len = name.len();
    if len > MAX_NAME_LEN { Err(FrameError::NameTooLong { field, len, max: MAX_NAME_LEN }) } else { Ok(len as u8) }
}
