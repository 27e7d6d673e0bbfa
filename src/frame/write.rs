//! From an envelope and a payload to a frame.

use uuid::Uuid;
use zerocopy::IntoBytes;

use super::error::{NameField, WriteError};
use super::header::{
    CRC_AT, FLAG_EOF, FLAG_TTL, HEADER_LEN, Header, MAGIC, MAX_NAME_LEN, PAYLOAD_ALIGN, PAYLOAD_LEN_AT, VERSION,
};
use super::kind::{Encoding, Kind};

/// The envelope of a frame that is to be written.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// What the message is for.
    pub kind: Kind,
    /// How its payload is encoded.
    pub encoding: Encoding,
    /// The fingerprint of its type.
    pub fingerprint: u64,
    /// Its id, or that of the query that it answers.
    pub id: Uuid,
    /// When it is sent: nanoseconds since the Unix epoch.
    pub ts: u64,
    /// Milliseconds after which it is to be discarded.
    pub ttl: Option<u32>,
    /// Its number among the chunks of a stream, from 0.
    pub seq: u32,
    /// Whether it is the last chunk.
    pub eof: bool,
    /// The sender, to 255 bytes.
    pub from: &'a str,
    /// The recipient, to 255 bytes; empty or `*` for all.
    pub to: &'a str,
    /// A trace or span, to 255 bytes; may be empty.
    pub trace: &'a str,
}

/// Makes `frame` a frame of this envelope and the payload that `payload` appends, replacing what it held.
///
/// # Errors
///
/// What `payload` returns, or a [`WriteError`]. `frame` holds no frame then.
#[inline]
pub fn write<E: From<WriteError>>(
    frame: &mut Vec<u8>,
    envelope: &Outgoing<'_>,
    payload: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let to = if envelope.to == "*" { "" } else { envelope.to };
    let from_len = name_len(NameField::From, envelope.from)?;
    let to_len = name_len(NameField::To, to)?;
    let trace_len = name_len(NameField::Trace, envelope.trace)?;
    let names = usize::from(from_len) + usize::from(to_len) + usize::from(trace_len);
    let payload_offset = (HEADER_LEN + names).next_multiple_of(PAYLOAD_ALIGN);
    let (id_high, id_low) = envelope.id.as_u64_pair();
    let header = Header {
        magic: MAGIC.into(),
        version: VERSION,
        kind: envelope.kind as u8,
        encoding: envelope.encoding as u8,
        flags: if envelope.eof { FLAG_EOF } else { 0 } | if envelope.ttl.is_some() { FLAG_TTL } else { 0 },
        // At most 64 + 3 * 255, rounded up.
        payload_offset: (payload_offset as u16).into(),
        fingerprint: envelope.fingerprint.into(),
        id: [id_high.into(), id_low.into()],
        ts: envelope.ts.into(),
        ttl: envelope.ttl.unwrap_or(0).into(),
        seq: envelope.seq.into(),
        payload_len: 0.into(),
        crc: 0.into(),
        from_len,
        to_len,
        trace_len,
        zero: [0; 5],
    };
    // The header first: by the time the checksum reads it, it has long been written.
    frame.clear();
    frame.extend_from_slice(header.as_bytes());
    frame.resize(payload_offset, 0);
    let mut at = HEADER_LEN;
    for name in [envelope.from, to, envelope.trace] {
        frame[at..at + name.len()].copy_from_slice(name.as_bytes());
        at += name.len();
    }
    payload(frame)?;
    // The payload was appended, unless its writer took away what was there.
    let len = frame.len().saturating_sub(payload_offset);
    if (len == 0) != (envelope.kind == Kind::Heartbeat) || frame.len() < payload_offset {
        return Err(WriteError::Payload { kind: envelope.kind, len }.into());
    }
    let payload_len = u32::try_from(len).map_err(|_| WriteError::PayloadTooLong { len })?;
    frame[PAYLOAD_LEN_AT..PAYLOAD_LEN_AT + 4].copy_from_slice(&payload_len.to_le_bytes());
    // Its own field is still zero.
    let crc = crc32fast::hash(frame);
    frame[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

#[inline]
fn name_len(field: NameField, name: &str) -> Result<u8, WriteError> {
    let len = name.len();
    if len > MAX_NAME_LEN { Err(WriteError::NameTooLong { field, len }) } else { Ok(len as u8) }
}
