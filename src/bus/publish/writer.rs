//! Writing messages and their envelopes into frames.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::bus::error::PublishError;
use crate::bus::shared::Shared;
use crate::frame::{self, MAX_TTL, Outgoing};
use crate::message::Message;
use crate::os::clock;

/// The shortest ttl.
const MIN_TTL: Duration = Duration::from_millis(1);

/// The place of a message in its stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    pub(super) seq: u32,
    pub(super) eof: bool,
}

impl Chunk {
    /// A message outside of streams.
    pub(super) const ONLY: Self = Self { seq: 0, eof: true };
}

/// The fields of an envelope that differ from message to message.
#[derive(Clone, Copy)]
pub(super) struct MessageInfo {
    pub(super) fingerprint: u64,
    pub(super) ts: u64,
    pub(super) id: Uuid,
    pub(super) chunk: Chunk,
}

/// Writes one frame after the other into one buffer.
pub(super) struct Writer {
    pub(super) sender: Sender,
    frame: Vec<u8>,
}

impl Writer {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let [from, to, trace] = [const { String::new() }; 3];
        Self {
            sender: Sender { shared: Arc::clone(shared), from, to, trace, ttl: None, refused_ttl: None },
            frame: Vec::new(),
        }
    }

    /// The frame that was written last.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.frame
    }

    #[inline]
    pub(super) fn write<M: Message>(&mut self, message: &M, info: MessageInfo) -> Result<(), PublishError> {
        self.sender.check_ttl()?;
        self.sender.shared.check_schema(message)?;
        let envelope = self.sender.envelope::<M>(info);
        frame::write(&mut self.frame, &envelope, |payload| message.encode(payload).map_err(PublishError::from))
    }
}

/// The fields of an envelope that stay the same.
pub(super) struct Sender {
    pub(super) shared: Arc<Shared>,
    /// Empty: the default sender of the bus.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) trace: String,
    /// In milliseconds.
    ttl: Option<u32>,
    /// The requested ttl, if it is out of range.
    refused_ttl: Option<Duration>,
}

impl Sender {
    pub(super) fn set_ttl(&mut self, ttl: Duration) {
        let millis = ttl.as_nanos().div_ceil(1_000_000);
        self.ttl = u32::try_from(millis).ok().filter(|&millis| ttl >= MIN_TTL && millis <= MAX_TTL);
        self.refused_ttl = if self.ttl.is_none() { Some(ttl) } else { None };
    }

    #[inline]
    pub(super) fn check_ttl(&self) -> Result<(), PublishError> {
        self.refused_ttl.map_or(Ok(()), |ttl| Err(PublishError::Ttl { ttl }))
    }

    // Not a `Result`: one of this size is copied to the caller, which takes a tenth of a publish.
    #[inline]
    pub(super) fn envelope<M: Message>(&self, info: MessageInfo) -> Outgoing<'_> {
        Outgoing {
            kind: M::KIND,
            encoding: M::ENCODING,
            fingerprint: info.fingerprint,
            id: info.id,
            ts: info.ts,
            // Only a ttl needs it.
            sent_boot: self.ttl.map_or(0, |_| clock::boot_millis()),
            ttl: self.ttl,
            seq: info.chunk.seq,
            eof: info.chunk.eof,
            attempt: 1,
            checksum: M::CHECKSUM,
            payload_align: M::PAYLOAD_ALIGN,
            from: if self.from.is_empty() { self.shared.from } else { &self.from },
            to: &self.to,
            trace: &self.trace,
            reply_to: "",
        }
    }
}
