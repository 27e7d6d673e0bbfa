//! From the bytes of a frame to a message, or to an error.

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use super::expiry::{Times, age};
use super::sample::Sample;
use super::sender_types::{Reads, Unreadable, found_text};
use super::storage::{EnvelopeBytes, Storage};
use crate::bus::envelope::Envelope;
use crate::bus::error::RecvError;
use crate::bus::received::Received;
use crate::bus::shared::Shared;
use crate::frame::{Encoding, Frame, FrameError, Kind};
use crate::message::{DecodeError, DecodeOwned, Fault, InPlace, Message, MessageType};
use crate::os::clock;
use crate::schema::Table;
use crate::store::Store;

/// Where a frame was received: bus, store, key and version.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) shared: &'a Shared,
    pub(super) store: &'a Store,
    pub(super) key: &'a str,
    pub(super) version: u64,
    pub(super) reads: Reads,
}

impl Origin<'_> {
    /// Parses a frame in the receiver's own buffer.
    #[inline]
    pub(super) fn parse<'b>(&self, bytes: &'b mut [u8]) -> Result<Frame<'b>, RecvError> {
        Frame::parse_mut(bytes).map_err(|source| self.invalid_frame(source))
    }

    /// Parses a frame whose payload stays in place.
    #[inline]
    fn parse_in_place<'b>(
        &self,
        envelope: &'b mut EnvelopeBytes,
        storage: &'b Storage,
    ) -> Result<Frame<'b>, RecvError> {
        let payload = &storage.as_slice()[envelope.len()..];
        Frame::parse_in_place(envelope, payload).map_err(|source| self.invalid_frame(source))
    }

    /// Decodes the message in a frame.
    ///
    /// Returns the caller's type `R`: a conversion in the caller would move the message once more,
    /// which costs as much as its checksum.
    #[inline]
    pub(super) fn message<T, R>(&self, frame: &Frame<'_>) -> Result<R, RecvError>
    where
        T: DecodeOwned,
        R: From<Received<T>>,
    {
        let writer = self.check::<T>(frame)?;
        let decoded = match writer.as_ref().or(self.shared.message_type.limits()) {
            None => T::decode(frame.payload()),
            Some(schema) => T::decode_by(schema, frame.payload()),
        };
        match decoded {
            Ok(message) => Ok(Received::new(message, Envelope::of(frame, self.version)).into()),
            Err(source) if writer.is_some() => Err(self.unreadable(frame, &source)),
            Err(source) => Err(self.undecodable(source)),
        }
    }

    /// Makes a sample of a frame whose payload stays in place.
    #[inline]
    pub(super) fn sample<T: InPlace>(&self, storage: Storage) -> Result<Option<Sample<T>>, RecvError> {
        self.sample_if(storage, |_| true)
    }

    /// Makes a sample of a frame whose payload stays in place; `None` if the frame is not wanted.
    #[inline]
    pub(super) fn sample_if<T: InPlace>(
        &self,
        storage: Storage,
        is_wanted: impl FnOnce(&Frame<'_>) -> bool,
    ) -> Result<Option<Sample<T>>, RecvError> {
        let (payload, plain, schema, envelope) = {
            let mut copy = storage.envelope();
            let frame = self.parse_in_place(&mut copy, &storage)?;
            if !is_wanted(&frame) {
                return Ok(None);
            }
            let schema = self.check::<T>(&frame)?.or_else(|| self.shared.message_type.limits().cloned());
            let plain = match find_plain::<T>(frame.payload()) {
                Ok(plain) => plain.map(NonNull::from),
                Err(source) => return Err(self.undecodable(source)),
            };
            (payload_of(storage.as_slice(), &frame), plain, schema, Envelope::of(&frame, self.version))
        };
        Ok(Some(Sample::new(storage, payload, plain, schema, envelope)))
    }

    /// Checks that the frame has a message that can be read, and which has not expired. Returns the schema
    /// of its sender, if it is of another type than the receiver's.
    #[inline]
    fn check<T: Message>(&self, frame: &Frame<'_>) -> Result<Option<Arc<Table>>, RecvError> {
        if let Some(ttl) = frame.ttl() {
            self.check_ttl(frame, ttl)?;
        }
        let is_own = frame.fingerprint() == self.shared.message_type.fingerprint() && frame.encoding() == T::ENCODING;
        let writer = if is_own { None } else { Some(self.schema_of_sender(frame)?) };
        if T::CHECKSUM && !frame.has_checksum() {
            return Err(self.invalid_frame(FrameError::NoChecksum));
        }
        Ok(writer)
    }

    #[inline(never)]
    fn check_ttl(&self, frame: &Frame<'_>, ttl: u32) -> Result<(), RecvError> {
        let ttl = Duration::from_millis(ttl.into());
        let sent = Times { wall: frame.ts(), boot: frame.sent_boot().into() };
        let now = Times { wall: clock::unix_nanos(), boot: clock::boot_millis() };
        let [by_boot, by_wall] = [true, false].map(|is_of_this_boot| age(sent, now, is_of_this_boot));
        if by_boot.max(by_wall) <= ttl {
            return Ok(());
        }
        // Only now it matters which clock decides.
        let age = if self.is_of_this_boot() { by_boot } else { by_wall };
        if age <= ttl {
            return Ok(());
        }
        Err(RecvError::Expired { id: frame.id(), from: frame.from().to_owned(), age, ttl })
    }

    /// Whether the message was published in this run of the machine. `false` if the key was removed
    /// meanwhile, because then it is unknown.
    #[cold]
    fn is_of_this_boot(&self) -> bool {
        let slot = self.store.existing_slot(self.key).ok().flatten();
        slot.is_some_and(|slot| !slot.is_before_boot(self.version))
    }

    #[cold]
    fn schema_of_sender(&self, frame: &Frame<'_>) -> Result<Arc<Table>, RecvError> {
        if let Some(fault) = self.fault_of(frame) {
            return Err(RecvError::Fault(Box::new(fault)));
        }
        let fingerprint = frame.fingerprint();
        if fingerprint == self.shared.message_type.fingerprint() {
            let reason = format!("its frame says that it is in {}", frame.encoding());
            return Err(self.other_type(frame, Some(&self.shared.message_type), reason));
        }
        let schema = self.shared.schema_of_sender(self.store, fingerprint, self.reads);
        schema.map_err(|unreadable| {
            let Unreadable { found, reason } = *unreadable;
            self.other_type(frame, found.as_deref(), reason)
        })
    }

    #[cold]
    fn other_type(&self, frame: &Frame<'_>, found: Option<&MessageType>, reason: String) -> RecvError {
        let is_known = found.is_some();
        let found = format!("{}, from {}", found_text(found, frame.fingerprint()), frame.from());
        let source = self.shared.mismatch(found, is_known, reason);
        self.rejected(RecvError::OtherType { key: self.key.to_owned(), version: self.version, source })
    }

    #[cold]
    #[inline(never)]
    fn unreadable(&self, frame: &Frame<'_>, source: &DecodeError) -> RecvError {
        let found = self.store.message_type(frame.fingerprint()).ok().flatten();
        self.other_type(frame, found.as_ref(), source.to_string())
    }

    fn fault_of(&self, frame: &Frame<'_>) -> Option<Received<Fault>> {
        if frame.kind() != Kind::Error || frame.fingerprint() != self.shared.fault_fingerprint {
            return None;
        }
        let fault = crate::message::Decode::decode(frame.payload()).ok()?;
        Some(Received::new(fault, Envelope::of(frame, self.version)))
    }

    #[cold]
    #[inline(never)]
    fn undecodable(&self, source: DecodeError) -> RecvError {
        self.rejected(RecvError::Decode { key: self.key.to_owned(), version: self.version, source })
    }

    #[cold]
    fn invalid_frame(&self, source: FrameError) -> RecvError {
        self.rejected(RecvError::Frame { key: self.key.to_owned(), version: self.version, source })
    }

    #[cold]
    fn rejected(&self, error: RecvError) -> RecvError {
        self.store.report_parse_failure();
        error
    }
}

/// Checks a plain message in place. `None` if its type is not plain, or its implementation was not
/// derived.
#[inline]
fn find_plain<T: InPlace>(payload: &[u8]) -> Result<Option<&T>, DecodeError> {
    if !matches!(T::ENCODING, Encoding::Zerocopy | Encoding::Bytemuck) {
        return Ok(None);
    }
    match T::find_plain(payload)? {
        Some(message) => Ok(Some(message)),
        None => T::view(payload).map(|_| None),
    }
}

/// The range of the payload: the end of the frame.
fn payload_of(bytes: &[u8], frame: &Frame<'_>) -> Range<usize> {
    bytes.len() - frame.payload().len()..bytes.len()
}
