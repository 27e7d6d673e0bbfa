//! Receiving what is published under one key, each message once.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::aligned::AlignedBytes;
use super::error::{RecvError, SubscribeError};
use super::handle::Shared;
use super::options::{Start, SubscribeOptions};
use super::parts::Assembler;
use super::receive::{DECLARE_AGAIN, Origin, declare_again};
use super::received::Received;
use super::sample::{Sample, Storage};
use crate::frame::{self, Frame};
use crate::message::{DecodeOwned, InPlace};
use crate::store::directory::{REMOVALS, WaitLimit};
use crate::store::lossless::{Begin, Lossless, LosslessError};
use crate::store::pin::PinnedVersion;
use crate::store::wait::{Deadline, Spin};
use crate::store::{GetError, KeyError, Slot, Store, Version};

/// Receives the messages of one key, in order, each once. Says how many it missed when publishers are faster by more than
/// the store's history; or, if it is [lossless](SubscribeOptions::lossless), has them wait.
///
/// As an iterator, it waits for the next message for ever and never ends.
///
/// If the key is removed, that is an error once, and the next call creates the key again. If others are creating or removing keys at that
/// moment, `try_recv` leaves it at that and answers that there is nothing; `recv_timeout` waits for them as long as for a message.
///
/// # Examples
///
/// ```
/// use splinter_bus::{Bus, Message, RecvError, Start, Store};
///
/// #[derive(Message, serde::Serialize, serde::Deserialize)]
/// struct Token { text: String }
///
/// # let name = format!("splinter-doc-subscriber-{}", std::process::id());
/// let bus: Bus<Token> = Bus::create(&name)?;
/// bus.publish("tokens", &Token { text: "The".into() })?;
/// bus.publish("tokens", &Token { text: " sky".into() })?;
/// let mut text = String::new();
/// for token in bus.subscribe_from("tokens", Start::Oldest)?.take(2) {
///     match token {
///         Ok(token) => text.push_str(&token.text),
///         Err(RecvError::Lagged(missed)) => eprintln!("missed {missed}"),
///         Err(error) => return Err(error.into()),
///     }
/// }
/// assert_eq!(text, "The sky");
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Subscriber<T> {
    store: Store,
    shared: Arc<Shared>,
    slot: Slot,
    key: String,
    /// The version to be received next.
    next: u64,
    lossless: Option<Lossless>,
    /// Messages that came in parts, as far as they came.
    parts: Assembler,
    frame: Vec<u8>,
    spin: Spin,
    /// The key was removed, and that was reported: declare it again.
    removed: bool,
    /// When to try to declare it again, after the directory of keys was found busy.
    retry_at: Option<Instant>,
    /// It was lossless and was evicted, and that was not reported yet.
    evicted: bool,
    message: PhantomData<fn() -> T>,
}

impl<T> Subscriber<T> {
    pub(super) fn new(
        store: &Store,
        shared: &Arc<Shared>,
        key: &str,
        options: &SubscribeOptions,
    ) -> Result<Self, SubscribeError> {
        let mut limit = WaitLimit::longest();
        for _ in 0..REMOVALS {
            let slot = store.slot_within(key, &mut limit)?;
            let begin = match options.start {
                Start::Next => Begin::Next,
                Start::Newest => Begin::Newest,
                Start::Oldest | Start::Time(_) => Begin::Oldest,
                Start::Version(version) => Begin::At(version),
            };
            let lossless = match options.lossless.then(|| Lossless::new(&slot, begin)).transpose() {
                Ok(lossless) => lossless,
                // Removed in between: as if it had been before.
                Err(LosslessError::Key(KeyError::Removed)) => continue,
                Err(LosslessError::TooMany { max }) => return Err(SubscribeError::TooManyLossless { max }),
                Err(LosslessError::Key(error)) => return Err(error.into()),
            };
            let next = match &lossless {
                Some(lossless) => Ok(lossless.version()),
                None => slot.begin(begin),
            };
            let mut subscriber = Self {
                slot,
                next: match next {
                    Ok(next) => next,
                    Err(GetError::Key(KeyError::Removed)) => continue,
                    Err(error) => return Err(SubscribeError::of(error)),
                },
                lossless,
                store: store.clone(),
                shared: Arc::clone(shared),
                key: key.to_owned(),
                parts: Assembler::new(options.part_timeout),
                frame: Vec::new(),
                spin: Spin::default(),
                removed: false,
                retry_at: None,
                evicted: false,
                message: PhantomData,
            };
            if let Start::Time(time) = options.start {
                let nanos = time.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
                match subscriber.skip_to_time(u64::try_from(nanos).unwrap_or(u64::MAX)) {
                    Ok(()) => {}
                    Err(GetError::Key(KeyError::Removed)) => continue,
                    Err(error) => return Err(SubscribeError::of(error)),
                }
            }
            return Ok(subscriber);
        }
        Err(KeyError::Removed.into())
    }

    /// Passes what was sent earlier. Looks once at each cell, and copies each version at most once.
    fn skip_to_time(&mut self, nanos: u64) -> Result<(), GetError> {
        let newest = self.slot.version();
        for kept in self.slot.kept_from(self.next)? {
            // What is no frame has no time: it is received, and reported.
            if kept.version <= newest
                && self.slot.copy_kept(kept, &mut self.frame)?
                && Frame::parse(&self.frame).map_or(true, |frame| frame.ts() >= nanos)
            {
                self.skip_to(kept.version);
                return Ok(());
            }
        }
        self.skip_to(self.next.max(newest + 1));
        Ok(())
    }

    /// The key that it receives from.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether there is anything that was published and not received yet.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.slot.version() >= self.next
    }

    /// The version that is to be received next.
    #[must_use]
    pub fn next_version(&self) -> u64 {
        self.next
    }

    /// Whether publishers keep for it what it has not received. A subscriber that was made lossless is so until it reports
    /// [`RecvError::Evicted`].
    #[must_use]
    pub fn is_lossless(&self) -> bool {
        self.lossless.as_ref().is_some_and(|lossless| !lossless.is_evicted())
    }

    /// What those sleep on who wait for it.
    pub(super) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Whether there is something to receive, or to be told.
    pub(super) fn is_ready(&self) -> bool {
        !self.removed
            && (self.evicted
                || self.is_behind()
                || self.lossless.as_ref().is_some_and(Lossless::is_evicted)
                || !self.slot.exists())
            || self.recheck_at().is_some_and(|at| at <= Instant::now())
    }

    /// Whether the key was removed, and that was reported.
    #[cfg(feature = "async")]
    pub(super) fn is_removed(&self) -> bool {
        self.removed
    }

    /// When to look again although nothing was published.
    pub(super) fn recheck_at(&self) -> Option<Instant> {
        if self.removed { Some(self.retry_at.unwrap_or_else(Instant::now)) } else { self.parts.deadline() }
    }

    /// The version that was to be received was.
    #[inline]
    fn pass(&mut self) {
        self.skip_to(self.next + 1);
    }

    #[inline]
    fn skip_to(&mut self, next: u64) {
        self.next = next;
        if let Some(lossless) = &mut self.lossless
            && !lossless.move_to(next)
        {
            // The value before `next` was copied or pinned, and is whole; the next receive reports. If the key was removed, it finds that out.
            self.notice_eviction();
        }
    }

    /// Ends being lossless if the subscriber was evicted; whether that is still to be reported.
    #[cold]
    fn notice_eviction(&mut self) -> bool {
        if self.lossless.as_ref().is_some_and(Lossless::is_evicted) {
            // Frees the cursor's place.
            self.lossless = None;
            self.evicted = true;
        }
        self.evicted
    }

    /// Reports the eviction, once.
    #[cold]
    fn report_eviction(&mut self) -> RecvError {
        self.evicted = false;
        RecvError::Evicted { key: self.key.clone(), next: self.next }
    }

    /// The next message, as `look` finds it, if it was published.
    #[inline]
    fn try_next<R>(
        &mut self,
        look: impl Fn(&mut Self) -> Result<Option<R>, RecvError>,
    ) -> Result<Option<R>, RecvError> {
        if (self.removed || self.evicted) && !self.can_go_on()? {
            return Ok(None);
        }
        look(self)
    }

    /// Reports an eviction, or declares the key again; `false` if others kept the directory of keys.
    #[cold]
    fn can_go_on(&mut self) -> Result<bool, RecvError> {
        if self.removed && !self.declare_again(Duration::ZERO)? {
            return Ok(false);
        }
        if self.evicted { Err(self.report_eviction()) } else { Ok(true) }
    }

    /// Nothing to receive: `None`, unless there is something to report all the same.
    ///
    /// Called by those who look. Were it left to their callers, each message would be copied once more on its way out.
    #[cold]
    fn nothing<R>(&mut self) -> Result<Option<R>, RecvError> {
        if self.lossless.is_some() && self.notice_eviction() {
            return Err(self.report_eviction());
        }
        self.parts.overdue().map_or(Ok(None), Err)
    }

    /// As [`try_next`](Self::try_next), and waits.
    #[inline]
    fn next_until<R>(
        &mut self,
        deadline: Deadline,
        look: impl Fn(&mut Self) -> Result<Option<R>, RecvError> + Copy,
    ) -> Result<Option<R>, RecvError> {
        // All that receiving is when there is something.
        if !self.removed && !self.evicted {
            let found = look(self);
            if !matches!(found, Ok(None)) {
                return found;
            }
        }
        self.wait_for_next(deadline, look)
    }

    fn wait_for_next<R>(
        &mut self,
        deadline: Deadline,
        look: impl Fn(&mut Self) -> Result<Option<R>, RecvError> + Copy,
    ) -> Result<Option<R>, RecvError> {
        loop {
            while self.removed && !self.declare_again(deadline.left().unwrap_or_default())? {
                if deadline.left().is_none() {
                    return Ok(None);
                }
            }
            let found = self.try_next(look);
            if !matches!(found, Ok(None)) {
                return found;
            }
            let until = deadline.or_earlier(self.parts.deadline());
            match self.slot.wait(self.next - 1, until, &mut self.spin) {
                Ok(Some(_)) => {}
                Ok(None) if deadline.left().is_none() => return Ok(None),
                Ok(None) => {}
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    /// Goes on to what is still there, and tells how much is not.
    #[cold]
    fn skip_what_is_gone(&mut self) -> Result<(), RecvError> {
        // First the reason, then how much was missed.
        if self.notice_eviction() {
            return Err(self.report_eviction());
        }
        let oldest = match self.slot.oldest_from(self.next) {
            Ok(oldest) => oldest.unwrap_or_else(|| self.slot.version() + 1),
            Err(error) => return Err(self.lost(error)),
        };
        // One that is gone and there, too, is damage: it is passed, or we would look at it for ever.
        let missed = self.slot.published_between(self.next, oldest);
        let damaged = oldest == self.next;
        self.skip_to(oldest.max(self.next + u64::from(damaged)));
        match missed + u64::from(damaged) {
            0 => Ok(()),
            missed => Err(RecvError::Lagged(missed)),
        }
    }

    #[cold]
    fn lost(&mut self, error: GetError) -> RecvError {
        match error {
            GetError::Key(KeyError::Removed) => {
                self.removed = true;
                self.parts.clear();
            }
            GetError::Lost => self.skip_to(self.slot.version() + 1),
            _ => {}
        }
        RecvError::of(error, &self.key)
    }

    /// Has the key again, which was removed; `false` when others kept the directory of keys for longer than `patience`.
    #[cold]
    fn declare_again(&mut self, patience: Duration) -> Result<bool, RecvError> {
        let Some(slot) = declare_again(&self.store, &self.key, patience)? else {
            self.retry_at = Some(Instant::now() + DECLARE_AGAIN);
            return Ok(false);
        };
        self.retry_at = None;
        if self.lossless.is_some() {
            match Lossless::new(&slot, Begin::Oldest) {
                Ok(lossless) => self.lossless = Some(lossless),
                Err(LosslessError::Key(KeyError::Removed)) => return Ok(false),
                Err(LosslessError::TooMany { max }) => {
                    return Err(RecvError::Declare(SubscribeError::TooManyLossless { max }));
                }
                Err(LosslessError::Key(error)) => return Err(RecvError::of(error.into(), &self.key)),
            }
        }
        self.next = slot.first_version();
        self.slot = slot;
        self.removed = false;
        Ok(true)
    }
}

impl<T> Subscriber<T> {
    /// The next message; waits for it, for ever if need be. Spins briefly, then sleeps.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    #[inline]
    pub fn recv(&mut self) -> Result<Received<T>, RecvError>
    where
        T: DecodeOwned,
    {
        loop {
            if let Some(received) = self.next_until(Deadline::Never, Self::look)? {
                return Ok(received);
            }
        }
    }

    /// The next message; `None` if there is none within `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Received<T>>, RecvError>
    where
        T: DecodeOwned,
    {
        self.next_until(Deadline::after(Some(timeout)), Self::look)
    }

    /// The next message; `None` if it was not published yet. Never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    #[inline]
    pub fn try_recv(&mut self) -> Result<Option<Received<T>>, RecvError>
    where
        T: DecodeOwned,
    {
        self.try_next(Self::look)
    }
}

impl<T: DecodeOwned> Subscriber<T> {
    #[inline(never)]
    fn look(&mut self) -> Result<Option<Received<T>>, RecvError> {
        loop {
            match self.slot.get_version_into(self.next, &mut self.frame) {
                Ok(Version::NotYet) => return self.nothing(),
                Ok(Version::Copied) => {
                    let version = self.next;
                    self.pass();
                    let origin = Origin { shared: &self.shared, store: &self.store, key: &self.key, version };
                    let frame = origin.parse(&mut self.frame)?;
                    if !frame.is_part() {
                        return origin.message(&frame);
                    }
                    let message = self.look_at_part(version);
                    if !matches!(message, Ok(None)) {
                        return message;
                    }
                }
                Ok(Version::Gone) => self.skip_what_is_gone()?,
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    /// The message that the part which was copied completes.
    #[cold]
    fn look_at_part(&mut self, version: u64) -> Result<Option<Received<T>>, RecvError> {
        let origin = Origin { shared: &self.shared, store: &self.store, key: &self.key, version };
        let part = origin.parse(&mut self.frame)?;
        let Some(mut whole) = self.parts.accept(&part)? else {
            return Ok(None);
        };
        let frame = origin.parse(&mut whole)?;
        origin.message(&frame)
    }
}

impl<T> Subscriber<T> {
    /// The next message, to be read in place; waits for it, for ever if need be.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    #[inline]
    pub fn recv_sample(&mut self) -> Result<Sample<T>, RecvError>
    where
        T: InPlace,
    {
        loop {
            if let Some(sample) = self.next_until(Deadline::Never, Self::look_in_place)? {
                return Ok(sample);
            }
        }
    }

    /// The next message, to be read in place; `None` if there is none within `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    pub fn recv_sample_timeout(&mut self, timeout: Duration) -> Result<Option<Sample<T>>, RecvError>
    where
        T: InPlace,
    {
        self.next_until(Deadline::after(Some(timeout)), Self::look_in_place)
    }

    /// The next message, to be read in place; `None` if it was not published yet. Never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    #[inline]
    pub fn try_recv_sample(&mut self) -> Result<Option<Sample<T>>, RecvError>
    where
        T: InPlace,
    {
        self.try_next(Self::look_in_place)
    }
}

impl<T: InPlace> Subscriber<T> {
    #[inline]
    fn look_in_place(&mut self) -> Result<Option<Sample<T>>, RecvError> {
        loop {
            let version = self.next;
            let storage = match self.slot.try_pin(version) {
                Ok(PinnedVersion::NotYet) => return self.nothing(),
                Ok(PinnedVersion::Pinned(pinned)) => Storage::Pinned(pinned),
                Ok(PinnedVersion::Gone) => {
                    self.skip_what_is_gone()?;
                    continue;
                }
                Ok(PinnedVersion::Claimed) => match self.slot.get_version_into(version, &mut self.frame) {
                    Ok(Version::Copied) => Storage::Copied(AlignedBytes::copy_of(&self.frame)),
                    Ok(Version::NotYet | Version::Gone) => {
                        self.skip_what_is_gone()?;
                        continue;
                    }
                    Err(error) => return Err(self.lost(error)),
                },
                Err(error) => return Err(self.lost(error)),
            };
            self.pass();
            let origin = Origin { shared: &self.shared, store: &self.store, key: &self.key, version };
            if !frame::is_part(storage.as_slice()) {
                return origin.sample(storage).map(Some);
            }
            if let Storage::Pinned(pinned) = &storage {
                pinned.copy_into(&mut self.frame);
            }
            let part = origin.parse(&mut self.frame)?;
            if !part.is_part() {
                // It was one a moment ago: somebody writes to what is pinned.
                return origin.sample(Storage::Copied(AlignedBytes::copy_of(&self.frame))).map(Some);
            }
            if let Some(whole) = self.parts.accept(&part)? {
                return origin.sample(Storage::Copied(AlignedBytes::copy_of(&whole))).map(Some);
            }
        }
    }
}

impl<T: DecodeOwned> Iterator for Subscriber<T> {
    type Item = Result<Received<T>, RecvError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.recv())
    }
}

impl<T> fmt::Debug for Subscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("key", &self.key).field("next", &self.next).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::Bus;
    use crate::core::ring::looks as ring_looks;
    use crate::store::StoreOptions;

    /// More would be more than a few looks at each cell.
    const LOOKS_AT_A_CELL: u64 = 4;

    #[test]
    fn starting_at_a_time_and_getting_a_message_in_parts_look_a_few_times_at_each_cell() {
        let name = format!("splinter-test-history-{}", std::process::id());
        let store = StoreOptions::new().slots(2).max_value_size(256).history(1024).spare(1024).create(&name).unwrap();
        Store::remove(&name).unwrap();
        let bus: Bus<Vec<u8>> = Bus::on(store);
        let mut publisher = bus.publisher("k").unwrap();
        for number in 0..5000u32 {
            publisher.publish(&number.to_le_bytes().to_vec()).unwrap();
        }
        let cells = bus.store().slot("k").unwrap().cells().total();
        ring_looks::take();
        let mut from_now = bus.subscribe_from("k", Start::Time(SystemTime::now())).unwrap();
        let looks = ring_looks::take();
        assert!(looks <= LOOKS_AT_A_CELL * cells, "{looks} looks at {cells} cells");
        assert_eq!(from_now.next_version(), 5001);
        // It is larger than a cell, and nothing is received of it, so `get` looks for its beginning.
        publisher.publish(&vec![7; 400]).unwrap();
        ring_looks::take();
        assert_eq!(bus.get("k").unwrap().unwrap().len(), 400);
        let looks = ring_looks::take();
        assert!(looks <= LOOKS_AT_A_CELL * cells, "{looks} looks at {cells} cells");
        assert_eq!(from_now.recv().unwrap().len(), 400);
    }
}
