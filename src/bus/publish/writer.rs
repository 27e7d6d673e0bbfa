//! Writing messages and their envelopes into frames.

use std::sync::Arc;

use uuid::Uuid;

use super::ttl::Ttl;
use crate::bus::error::PublishError;
use crate::bus::shared::Shared;
use crate::frame::{self, Outgoing};
use crate::message::Message;
use crate::os::clock;

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
pub(super) struct MessageInfo<'a> {
    pub(super) fingerprint: u64,
    pub(super) ts: u64,
    pub(super) id: Uuid,
    pub(super) chunk: Chunk,
    /// `None`: all is as the publisher has it.
    pub(super) overrides: Option<&'a Overrides<'a>>,
}

/// What one message has instead of the fields of its publisher, where it has anything.
#[derive(Debug, Default)]
pub(super) struct Overrides<'a> {
    pub(super) from: Option<&'a str>,
    pub(super) to: Option<&'a str>,
    pub(super) trace: Option<&'a str>,
    pub(super) reply_to: Option<&'a str>,
    pub(super) ttl: Option<Ttl>,
    /// 0 counts as 1, which is what all messages of a publisher have.
    pub(super) attempt: u8,
}

impl<'a> Overrides<'a> {
    /// Puts them in place of the publisher's fields. [`Sender::ttl`] has chosen the ttl already.
    fn replace(&self, envelope: &mut Outgoing<'a>) {
        envelope.from = self.from.unwrap_or(envelope.from);
        envelope.to = self.to.unwrap_or(envelope.to);
        envelope.trace = self.trace.unwrap_or(envelope.trace);
        envelope.reply_to = self.reply_to.unwrap_or(envelope.reply_to);
        envelope.attempt = self.attempt;
    }
}

/// Writes one frame after the other into one buffer.
pub(super) struct Writer {
    pub(super) sender: Sender,
    frame: Vec<u8>,
}

impl Writer {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let [from, to, trace, reply_to] = [const { String::new() }; 4];
        Self {
            sender: Sender { shared: Arc::clone(shared), from, to, trace, reply_to, ttl: Ttl::Never },
            frame: Vec::new(),
        }
    }

    /// The frame that was written last.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.frame
    }

    #[inline]
    pub(super) fn write<M: Message>(&mut self, message: &M, info: MessageInfo<'_>) -> Result<(), PublishError> {
        self.sender.ttl(&info).check()?;
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
    pub(super) reply_to: String,
    pub(super) ttl: Ttl,
}

impl Sender {
    /// The ttl of a message.
    #[inline]
    pub(super) fn ttl(&self, info: &MessageInfo<'_>) -> Ttl {
        info.overrides.and_then(|overrides| overrides.ttl).unwrap_or(self.ttl)
    }

    // Not a `Result`: one of this size is copied to the caller, which takes a tenth of a publish.
    #[inline]
    pub(super) fn envelope<'a, M: Message>(&'a self, info: MessageInfo<'a>) -> Outgoing<'a> {
        let ttl = self.ttl(&info).millis();
        let mut envelope = Outgoing {
            kind: M::KIND,
            encoding: M::ENCODING,
            fingerprint: info.fingerprint,
            id: info.id,
            ts: info.ts,
            // Only a ttl needs it.
            sent_boot: ttl.map_or(0, |_| clock::boot_millis() as u32),
            ttl,
            seq: info.chunk.seq,
            eof: info.chunk.eof,
            attempt: 1,
            checksum: M::CHECKSUM,
            payload_align: M::PAYLOAD_ALIGN,
            from: &self.from,
            to: &self.to,
            trace: &self.trace,
            reply_to: &self.reply_to,
        };
        if let Some(overrides) = info.overrides {
            overrides.replace(&mut envelope);
        }
        if envelope.from.is_empty() {
            envelope.from = self.shared.from;
        }
        envelope
    }
}
