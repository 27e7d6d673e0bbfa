//! Publishing under one key.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::error::PublishError;
use super::handle::Shared;
use super::ids::Ids;
use super::loan::{self, Loan, LoanUninit};
use super::parts;
use crate::frame::{self, Encoding, FrameError, Outgoing};
use crate::message::{Fault, Message, Plain};
use crate::os::clock;
use crate::store::directory::{REMOVALS, WaitLimit};
use crate::store::loan::Lending;
use crate::store::wait::Deadline;
use crate::store::{self, KeyError, SetError, Slot, Store};

/// The shortest ttl.
const MIN_TTL: Duration = Duration::from_millis(1);

/// A message that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Its id.
    pub id: Uuid,
    /// Its version under its key.
    pub version: u64,
}

/// Publishes messages under one key, with envelopes of its own making. Keeps the key's slot and a buffer, so that a publish
/// allocates nothing once the buffer has grown.
///
/// A message that is larger than a cell goes in parts, and comes back as one message. It may have as many as the store keeps versions of
/// a key; more only with a timeout, on a key with lossless subscribers; and on a work queue it must fit into a cell.
///
/// If the key is removed, the next publish or loan creates it again. That waits for others that create or remove keys, ten seconds at most,
/// or no longer than the timeout of that publish.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use splinter_bus::{Bus, Message, Store};
///
/// #[derive(Message, serde::Serialize, serde::Deserialize)]
/// struct Tick { count: u64 }
///
/// # let name = format!("splinter-doc-publisher-{}", std::process::id());
/// let bus: Bus<Tick> = Bus::create(&name)?;
/// let mut ticks = bus.publisher("ticks")?.from("clock").to("display").ttl(Duration::from_secs(5));
/// ticks.publish(&Tick { count: 1 })?;
/// let tick = bus.get("ticks")?.expect("one was published");
/// assert_eq!((tick.envelope().from(), tick.envelope().to(), tick.count), ("clock", "display", 1));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Publisher<T> {
    store: Store,
    slot: Slot,
    key: Arc<str>,
    ids: Ids,
    writer: Writer,
    message: PhantomData<fn(&T)>,
}

/// A message's place in its stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    seq: u32,
    eof: bool,
}

impl Chunk {
    /// A message of its own.
    pub(super) const ONLY: Self = Self { seq: 0, eof: true };
}

/// Makes frames, one after the other, in one buffer.
pub(super) struct Writer {
    sender: Sender,
    frame: Vec<u8>,
}

/// The parts of an envelope that stay.
struct Sender {
    shared: Arc<Shared>,
    /// Empty: that of the bus.
    from: String,
    to: String,
    trace: String,
    /// In milliseconds.
    ttl: Option<u32>,
    /// What was asked for as a ttl and is outside of what a frame can say.
    refused_ttl: Option<Duration>,
}

/// What a message is sent as, beside its content.
#[derive(Clone, Copy)]
pub(super) struct Stamp {
    pub(super) fingerprint: u64,
    pub(super) ts: u64,
    pub(super) id: Uuid,
    pub(super) chunk: Chunk,
}

impl<T: Message> Publisher<T> {
    pub(super) fn new(store: &Store, shared: &Arc<Shared>, key: &str) -> Result<Self, PublishError> {
        Ok(Self {
            slot: store.slot(key)?,
            store: store.clone(),
            key: key.into(),
            ids: Ids::new(),
            writer: Writer::new(shared),
            message: PhantomData,
        })
    }

    /// The sender's component id, to 255 bytes. Program name, cut at 200 bytes, and process id, if none is set or it is empty.
    ///
    /// With a longer one, and so with a longer recipient or trace, each publish fails with [`PublishError::Frame`].
    #[must_use]
    pub fn from(mut self, component: impl Into<String>) -> Self {
        self.writer.sender.from = component.into();
        self
    }

    /// The recipient's component id, to 255 bytes. `*`, which means all, if none is set or it is empty.
    #[must_use]
    pub fn to(mut self, component: impl Into<String>) -> Self {
        self.writer.sender.to = component.into();
        self
    }

    /// After how long messages are to be discarded: 1 millisecond to 2^32 - 1 milliseconds, which are 49.7 days. A fraction of a millisecond is
    /// rounded up. Never, if not set.
    ///
    /// With a shorter or longer one, each publish fails with [`PublishError::Ttl`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use splinter_bus::{Bus, PublishError};
    ///
    /// # let name = format!("splinter-doc-ttl-{}", std::process::id());
    /// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
    /// let mut publisher = bus.publisher("k")?.ttl(Duration::from_micros(1500));
    /// publisher.publish(&b"message".to_vec())?;
    /// assert_eq!(bus.get("k")?.unwrap().envelope().ttl(), Some(Duration::from_millis(2)));
    /// let mut publisher = publisher.ttl(Duration::from_micros(500));
    /// assert!(matches!(publisher.publish(&b"message".to_vec()), Err(PublishError::Ttl { .. })));
    /// # splinter_bus::Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        let millis = ttl.as_nanos().div_ceil(1_000_000);
        let millis = u32::try_from(millis).ok().filter(|_| ttl >= MIN_TTL);
        self.writer.sender.ttl = millis;
        self.writer.sender.refused_ttl = if millis.is_none() { Some(ttl) } else { None };
        self
    }

    /// The trace or span that messages belong to, to 255 bytes.
    #[must_use]
    pub fn trace(mut self, trace: impl Into<String>) -> Self {
        self.writer.sender.trace = trace.into();
        self
    }

    /// Another recipient from now on.
    pub fn set_to(&mut self, component: &str) {
        self.writer.sender.to.clear();
        self.writer.sender.to.push_str(component);
    }

    /// The key that it publishes under.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Publishes a message of its own, with a new id.
    ///
    /// Lock-free; makes system calls only if a subscriber sleeps, or if every cell of the key is in somebody's hands. In a file, it also
    /// waits for one small write to the disk in every 67 million versions of a key, and at the first publish after a recovery.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published then.
    #[inline]
    pub fn publish(&mut self, message: &T) -> Result<Sent, PublishError> {
        self.publish_within(message, Deadline::Now)
    }

    /// As [`publish`](Self::publish), and waits for a cell, at most for `timeout`, while none may be overwritten: until lossless
    /// subscribers and workers of a queue have received what they are to receive, and readers have let go of what they have pinned.
    ///
    /// Of a message that goes in parts, each part is waited for that long.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published then. (Of a message that goes in parts, some may have been: whoever receives them is told
    /// that the message is incomplete.)
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use splinter_bus::bus::SubscribeOptions;
    /// use splinter_bus::store::SetError;
    /// use splinter_bus::{Bus, PublishError};
    ///
    /// # let name = format!("splinter-doc-publish-timeout-{}", std::process::id());
    /// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
    /// let mut log = bus.subscribe_with("log", &SubscribeOptions::new().lossless())?;
    /// let mut publisher = bus.publisher("log")?;
    /// let line = b"line".to_vec();
    /// while publisher.publish(&line).is_ok() {}
    /// let waited = publisher.publish_timeout(&line, Duration::from_millis(5));
    /// assert!(matches!(waited, Err(PublishError::Set(SetError::Backpressure(_)))));
    /// log.recv()?;
    /// publisher.publish_timeout(&line, Duration::from_millis(5))?;
    /// # splinter_bus::Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish_timeout(&mut self, message: &T, timeout: Duration) -> Result<Sent, PublishError> {
        self.publish_within(message, Deadline::after(Some(timeout)))
    }

    #[inline]
    fn publish_within(&mut self, message: &T, deadline: Deadline) -> Result<Sent, PublishError> {
        let ts = clock::unix_nanos();
        let id = self.ids.next_mut(ts);
        let stamp = Stamp { fingerprint: self.fingerprint(), ts, id, chunk: Chunk::ONLY };
        self.send(message, stamp, deadline)
    }

    /// A stream of messages with one id: that of the query that they answer, or one of the caller's own.
    pub fn stream(&mut self, id: Uuid) -> Stream<'_, T> {
        Stream { publisher: self, id, seq: 0 }
    }

    /// Tells whoever subscribes to this key that something went wrong with the message `id`.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published then.
    pub fn fault(&mut self, id: Uuid, fault: &Fault) -> Result<Sent, PublishError> {
        let fingerprint = self.writer.sender.shared.fault_fingerprint;
        let stamp = Stamp { fingerprint, ts: clock::unix_nanos(), id, chunk: Chunk::ONLY };
        self.send(fault, stamp, Deadline::Now)
    }

    #[inline]
    fn send<M: Message>(&mut self, message: &M, stamp: Stamp, deadline: Deadline) -> Result<Sent, PublishError> {
        self.writer.write(message, stamp)?;
        let frame = self.writer.bytes();
        if frame.len() > self.slot.max_len() {
            return self.send_parts::<M>(stamp, deadline);
        }
        let id = stamp.id;
        match self.slot.set_within(frame, deadline) {
            Ok(version) => Ok(Sent { id, version }),
            Err(SetError::Key(KeyError::Removed)) => {
                let (version, slot) = publish_frame(&self.store, &self.key, self.writer.bytes(), deadline)?;
                self.slot = slot;
                Ok(Sent { id, version })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Publishes the frame that was written in as many frames as it takes.
    #[cold]
    fn send_parts<M: Message>(&mut self, stamp: Stamp, deadline: Deadline) -> Result<Sent, PublishError> {
        self.slot.check_fork()?;
        let (len, max) = (self.writer.bytes().len(), self.slot.max_len());
        let mut envelope = self.writer.sender.part_envelope::<M>(stamp);
        let overhead = frame::head_len(&envelope)? + parts::PREFIX_LEN;
        let Some(room) = max.checked_sub(overhead).filter(|&room| room > 0) else {
            return Err(SetError::TooLarge { len, max }.into());
        };
        let total = u32::try_from(len).map_err(|_| SetError::TooLarge { len, max })?;
        let number = self.ids.next_mut(stamp.ts).as_u64_pair().1;
        let parts = len.div_ceil(room);
        let mut part = Vec::with_capacity(max);
        let mut limit = limit_of(deadline);
        'again: for _ in 0..REMOVALS {
            self.check_parts(len, parts, deadline)?;
            let mut version = 0;
            for (seq, bytes) in (0..).zip(self.writer.frame.chunks(room)) {
                envelope = Outgoing { seq, eof: seq as usize + 1 == parts, ..envelope };
                frame::write::<PublishError>(&mut part, &envelope, |payload| {
                    payload.extend_from_slice(&parts::prefix(number, total));
                    payload.extend_from_slice(bytes);
                    Ok(())
                })?;
                version = match self.slot.set_within(&part, deadline) {
                    Ok(version) => version,
                    Err(SetError::Key(KeyError::Removed)) => {
                        self.slot = self.store.slot_within(&self.key, &mut limit)?;
                        continue 'again;
                    }
                    Err(error) => return Err(error.into()),
                };
            }
            return Ok(Sent { id: stamp.id, version });
        }
        Err(KeyError::Removed.into())
    }

    /// Whether a message of so many parts can be received, and sent without waiting if nobody wants to wait.
    fn check_parts(&self, len: usize, parts: usize, deadline: Deadline) -> Result<(), PublishError> {
        if self.slot.is_queue() {
            return Err(SetError::TooLarge { len, max: self.slot.max_len() }.into());
        }
        let history = self.store.geometry().history;
        let waits = !matches!(deadline, Deadline::Now) && self.slot.has_lossless();
        if parts > history as usize && !waits {
            return Err(PublishError::TooManyParts { len, parts, history });
        }
        let cells = self.slot.cells();
        let room = cells.total().saturating_sub(cells.retained + cells.pinned + cells.in_flight);
        if matches!(deadline, Deadline::Now) && cells.retained > 0 && (room as usize) < parts {
            return Err(SetError::Backpressure(Box::new(cells)).into());
        }
        Ok(())
    }

    fn fingerprint(&self) -> u64 {
        self.writer.sender.shared.message_type.fingerprint()
    }
}

impl<T> Publisher<T> {
    /// Room for a message, all zeros, to be written in place and [sent](Loan::send).
    ///
    /// The first loan of an open store maps it a second time. Any number of loans may be held, as long as there are cells.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: larger than a cell, no cell, no key, or zeros are no message.
    pub fn loan_zeroed(&mut self) -> Result<Loan<T>, PublishError>
    where
        T: Plain,
    {
        let (raw, terms) = self.lend(size_of::<T>(), Lending::Zeroed)?;
        Loan::zeroed(raw, terms)
    }

    /// Room for a message, whatever is in it, to be [written](LoanUninit::write) in place and sent.
    ///
    /// # Errors
    ///
    /// As [`loan_zeroed`](Self::loan_zeroed).
    pub fn loan(&mut self) -> Result<LoanUninit<T>, PublishError>
    where
        T: Plain,
    {
        let (raw, terms) = self.lend(size_of::<T>(), Lending::AsItIs)?;
        Ok(LoanUninit::new(raw, terms))
    }
}

impl Publisher<Vec<u8>> {
    /// Room for `len` bytes, all zero, to be written in place and [sent](Loan::send).
    ///
    /// # Errors
    ///
    /// [`PublishError`]: larger than a cell, none at all, no cell, or no key.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::Bus;
    /// # let name = format!("splinter-doc-loan-bytes-{}", std::process::id());
    /// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
    /// let mut bytes = bus.publisher("k")?.loan_bytes(5)?;
    /// bytes.copy_from_slice(b"bytes");
    /// bytes.send()?;
    /// assert_eq!(bus.sample("k")?.unwrap().payload(), b"bytes");
    /// # splinter_bus::Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn loan_bytes(&mut self, len: usize) -> Result<Loan<[u8]>, PublishError> {
        let (raw, terms) = self.lend(len, Lending::Zeroed)?;
        Ok(Loan::bytes(raw, terms))
    }

    /// Room for `len` bytes, whatever is in it, to be [written](LoanUninit::write) in place and sent.
    ///
    /// # Errors
    ///
    /// As [`loan_bytes`](Self::loan_bytes).
    pub fn loan_bytes_uninit(&mut self, len: usize) -> Result<LoanUninit<[u8]>, PublishError> {
        let (raw, terms) = self.lend(len, Lending::AsItIs)?;
        Ok(LoanUninit::new(raw, terms))
    }
}

impl<T: Message> Publisher<T> {
    /// A cell with everything in it but the payload of `len` bytes, the time of sending and the checksum.
    fn lend(&mut self, len: usize, lending: Lending) -> Result<(store::Loan, loan::Terms), PublishError> {
        let id = self.ids.next_mut(clock::unix_nanos());
        let stamp = Stamp { fingerprint: self.fingerprint(), ts: 0, id, chunk: Chunk::ONLY };
        self.writer.sender.check_ttl()?;
        let envelope = self.writer.sender.envelope::<T>(stamp);
        let head = frame::head_len(&envelope)?;
        let frame_len = head.checked_add(len).ok_or(FrameError::PayloadTooLong { len })?;
        let mut lent = self.slot.loan_within(frame_len, lending, Deadline::Now);
        let mut limit = WaitLimit::longest();
        for _ in 0..REMOVALS {
            if !matches!(lent, Err(SetError::Key(KeyError::Removed))) {
                break;
            }
            self.slot = self.store.slot_within(&self.key, &mut limit)?;
            lent = self.slot.loan_within(frame_len, lending, Deadline::Now);
        }
        let mut raw = lent?;
        frame::write_head(&mut raw, &envelope, len)?;
        let (store, key) = (self.store.clone(), Arc::clone(&self.key));
        Ok((raw, loan::Terms { store, key, id, head, summed: T::CHECKSUM }))
    }
}

/// Publishes a frame under a key that was removed, which is created again.
#[cold]
pub(super) fn publish_frame(
    store: &Store,
    key: &str,
    frame: &[u8],
    deadline: Deadline,
) -> Result<(u64, Slot), PublishError> {
    let mut limit = limit_of(deadline);
    for _ in 0..REMOVALS {
        let slot = store.slot_within(key, &mut limit)?;
        match slot.set_within(frame, deadline) {
            Ok(version) => return Ok((version, slot)),
            Err(SetError::Key(KeyError::Removed)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(KeyError::Removed.into())
}

/// How long a publisher waits for the directory of keys: as long as for a cell, if it waits for one.
fn limit_of(deadline: Deadline) -> WaitLimit {
    match deadline {
        Deadline::Now => WaitLimit::longest(),
        _ => WaitLimit::until(deadline),
    }
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
    pub(super) fn write<M: Message>(&mut self, message: &M, stamp: Stamp) -> Result<(), PublishError> {
        self.sender.check_ttl()?;
        let envelope = self.sender.envelope::<M>(stamp);
        frame::write(&mut self.frame, &envelope, |payload| message.encode(payload).map_err(PublishError::from))
    }
}

impl Sender {
    #[inline]
    fn check_ttl(&self) -> Result<(), PublishError> {
        self.refused_ttl.map_or(Ok(()), |ttl| Err(PublishError::Ttl { ttl }))
    }

    // Not a `Result`: one of this size is copied on its way, which takes a tenth of a publish.
    #[inline]
    fn envelope<M: Message>(&self, stamp: Stamp) -> Outgoing<'_> {
        Outgoing {
            kind: M::KIND,
            encoding: M::ENCODING,
            fingerprint: stamp.fingerprint,
            id: stamp.id,
            ts: stamp.ts,
            ttl: self.ttl,
            seq: stamp.chunk.seq,
            eof: stamp.chunk.eof,
            summed: M::CHECKSUM,
            part: false,
            payload_align: M::PAYLOAD_ALIGN,
            from: if self.from.is_empty() { &self.shared.from } else { &self.from },
            to: &self.to,
            trace: &self.trace,
        }
    }

    /// The envelope of the parts of a message.
    fn part_envelope<M: Message>(&self, stamp: Stamp) -> Outgoing<'_> {
        Outgoing { encoding: Encoding::Raw, summed: false, part: true, payload_align: 1, ..self.envelope::<M>(stamp) }
    }
}

/// Messages that belong together: one id, numbered from 0, the last one marked.
///
/// A stream that is dropped without its last message leaves those who receive it waiting: finish it, or report a
/// [fault](Publisher::fault).
pub struct Stream<'a, T> {
    publisher: &'a mut Publisher<T>,
    id: Uuid,
    seq: u32,
}

impl<T: Message> Stream<'_, T> {
    /// Publishes the next message of the stream, after which there will be others.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; the number is used again for the next one.
    pub fn send(&mut self, message: &T) -> Result<Sent, PublishError> {
        // The last number is left for the last message.
        let next = self.seq.checked_add(1).ok_or(PublishError::StreamTooLong)?;
        let sent = self.publish(message, Chunk { seq: self.seq, eof: false })?;
        self.seq = next;
        Ok(sent)
    }

    /// Publishes the last message of the stream.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; the stream has no end then.
    pub fn finish(mut self, message: &T) -> Result<Sent, PublishError> {
        self.publish(message, Chunk { seq: self.seq, eof: true })
    }

    fn publish(&mut self, message: &T, chunk: Chunk) -> Result<Sent, PublishError> {
        let stamp = Stamp { fingerprint: self.publisher.fingerprint(), ts: clock::unix_nanos(), id: self.id, chunk };
        self.publisher.send(message, stamp, Deadline::Now)
    }

    /// How many messages were sent.
    #[must_use]
    pub fn sent(&self) -> u32 {
        self.seq
    }
}

impl<T> fmt::Debug for Publisher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("key", &self.key).field("slot", &self.slot).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Stream<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("id", &self.id).field("seq", &self.seq).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bus;

    #[test]
    fn a_stream_ends_at_the_last_number_instead_of_counting_from_zero_again() {
        let name = format!("splinter-test-long-stream-{}", std::process::id());
        let bus: Bus<Vec<u8>> = Bus::create(&name).unwrap();
        Store::remove(&name).unwrap();
        let mut publisher = bus.publisher("k").unwrap();
        let mut stream = publisher.stream(Uuid::nil());
        stream.seq = u32::MAX - 1;
        stream.send(&vec![1]).unwrap();
        assert!(matches!(stream.send(&vec![2]), Err(PublishError::StreamTooLong)));
        stream.finish(&vec![3]).unwrap();
        let last = bus.get("k").unwrap().unwrap();
        assert_eq!((last.envelope().seq(), last.envelope().eof()), (u32::MAX, true));
    }
}
