//! `Subscriber`: receiving every message of one key once.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::recreate::{RECREATE_INTERVAL, recreate_slot};
use super::sender_types::Reads;
use crate::bus::error::{RecvError, SubscribeError};
use crate::bus::shared::Shared;
#[cfg(feature = "async")]
use crate::store::reactor::Want;
use crate::store::slot::lossless::{Begin, Lossless, LosslessError};
use crate::store::wait::{Deadline, Spin};
use crate::store::{GetError, KeyError, Slot, Store};

/// Receives the messages of one key in order, each once.
///
/// If publishers are faster by more than the store's history, the next receive reports how many
/// messages were missed. Publishers of a [lossless](crate::SubscribeOptions::lossless) subscriber wait
/// instead, or get an error.
///
/// The iterator waits for each message without a limit, and never ends.
///
/// If the key is removed, one receive reports it and the next call creates the key again. If
/// another process is creating or removing keys at that moment, `try_recv` does not wait and
/// returns `None`; `recv_timeout` waits within its timeout.
///
/// If the process of a publisher dies, the subscriber receives what was published and continues. If
/// the process of the subscriber dies, its cursor is released, so it no longer holds up publishers.
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
    pub(super) store: Store,
    pub(super) shared: Arc<Shared>,
    pub(super) slot: Slot,
    pub(super) key: String,
    /// The version to receive next.
    pub(super) next: u64,
    pub(super) lossless: Option<Lossless>,
    pub(super) reads: Reads,
    /// Receives only messages for this component, and for all. `None`: receives all messages.
    pub(super) addressed_to: Option<Box<str>>,
    pub(super) frame: Vec<u8>,
    pub(super) spin: Spin,
    /// The removal of the key was reported: the next call creates it again.
    pub(super) removed: bool,
    /// When to try again to create the key, after the directory was busy.
    pub(super) retry_at: Option<Instant>,
    /// The subscriber was lossless and was evicted, and that is not reported yet.
    pub(super) evicted: bool,
    pub(super) message: PhantomData<fn() -> T>,
}

impl<T> Subscriber<T> {
    /// The key of the subscriber.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether messages were published that are not received yet. A subscriber that receives only
    /// what is [addressed to it](crate::SubscribeOptions::addressed_to) counts all messages here.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.slot.version() >= self.next
    }

    /// The version to receive next.
    #[must_use]
    pub fn next_version(&self) -> u64 {
        self.next
    }

    /// Whether publishers retain messages until this subscriber receives them. A lossless
    /// subscriber stays lossless until it is evicted.
    #[must_use]
    pub fn is_lossless(&self) -> bool {
        self.lossless.as_ref().is_some_and(|lossless| !lossless.is_evicted())
    }

    /// The slot whose event wakes those that wait for this subscriber.
    pub(super) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Whether a receive would return a message or an error now.
    pub(super) fn is_ready(&self) -> bool {
        !self.removed
            && (self.evicted
                || self.is_behind()
                || self.lossless.as_ref().is_some_and(Lossless::is_evicted)
                || !self.slot.exists())
            || self.recheck_at().is_some_and(|at| at <= Instant::now())
    }

    /// What a task waits for, and when it checks again without a notification.
    #[cfg(feature = "async")]
    pub(super) fn wait_of_task(&self, _: u64) -> (Want, Option<Instant>) {
        match self.recheck_at() {
            Some(at) => (Want::Time, Some(at)),
            None => (Want::Newer(self.next - 1), None),
        }
    }

    /// When to check again without a notification.
    pub(super) fn recheck_at(&self) -> Option<Instant> {
        self.removed.then(|| self.retry_at.unwrap_or_else(Instant::now))
    }

    /// Advances past the version that was received.
    #[inline]
    pub(super) fn advance(&mut self) {
        self.skip_to(self.next + 1);
    }

    #[inline]
    pub(super) fn skip_to(&mut self, next: u64) {
        self.next = next;
        if let Some(lossless) = &mut self.lossless
            && !lossless.move_to(next)
        {
            // The version before `next` was copied or pinned completely, so it is returned. The
            // next receive reports the eviction, or the removal of the key.
            self.notice_eviction();
        }
    }

    /// Ends being lossless if the subscriber was evicted. Returns whether the eviction must be
    /// reported.
    #[cold]
    fn notice_eviction(&mut self) -> bool {
        if self.lossless.as_ref().is_some_and(Lossless::is_evicted) {
            // Frees the cursor.
            self.lossless = None;
            self.evicted = true;
        }
        self.evicted
    }

    /// Returns the error that reports the eviction, once.
    #[cold]
    fn report_eviction(&mut self) -> RecvError {
        self.evicted = false;
        RecvError::Evicted { key: self.key.clone(), next: self.next }
    }

    /// Returns the next message that `receive` finds, if it was published.
    #[inline]
    pub(super) fn try_next<R>(
        &mut self,
        receive: impl Fn(&mut Self) -> Result<Option<R>, RecvError>,
    ) -> Result<Option<R>, RecvError> {
        if (self.removed || self.evicted) && !self.can_continue()? {
            return Ok(None);
        }
        receive(self)
    }

    /// Reports an eviction, or creates the key again; `false` if the directory is busy.
    #[cold]
    fn can_continue(&mut self) -> Result<bool, RecvError> {
        if self.removed && !self.recreate(Duration::ZERO)? {
            return Ok(false);
        }
        if self.evicted { Err(self.report_eviction()) } else { Ok(true) }
    }

    /// Whether a receive that has skipped a message for others goes on to the next one. It skips what
    /// was published before it skipped the first one (`newest`). So it ends, however fast others
    /// publish.
    #[cold]
    pub(super) fn should_continue(&mut self, newest: &mut Option<u64>) -> Result<bool, RecvError> {
        if self.evicted {
            return Err(self.report_eviction());
        }
        Ok(self.next <= *newest.get_or_insert_with(|| self.slot.version()))
    }

    /// Returns `None`, unless an eviction must be reported.
    ///
    /// Each `receive` function calls this itself. If its callers did, each message would be copied
    /// once more.
    #[cold]
    pub(super) fn none_or_error<R>(&mut self) -> Result<Option<R>, RecvError> {
        if self.lossless.is_some() && self.notice_eviction() {
            return Err(self.report_eviction());
        }
        Ok(None)
    }

    /// Like [`try_next`](Self::try_next), but waits.
    #[inline]
    pub(super) fn next_until<R>(
        &mut self,
        deadline: Deadline,
        receive: impl Fn(&mut Self) -> Result<Option<R>, RecvError> + Copy,
    ) -> Result<Option<R>, RecvError> {
        // The fast path: a message is there.
        if !self.removed && !self.evicted {
            let found = receive(self);
            if !matches!(found, Ok(None)) {
                return found;
            }
        }
        self.wait_for_next(deadline, receive)
    }

    fn wait_for_next<R>(
        &mut self,
        deadline: Deadline,
        receive: impl Fn(&mut Self) -> Result<Option<R>, RecvError> + Copy,
    ) -> Result<Option<R>, RecvError> {
        loop {
            while self.removed && !self.recreate(deadline.left().unwrap_or_default())? {
                if deadline.left().is_none() {
                    return Ok(None);
                }
            }
            let found = self.try_next(receive);
            if !matches!(found, Ok(None)) {
                return found;
            }
            match self.slot.wait(self.next - 1, deadline, &mut self.spin) {
                // There may be messages for others without end.
                Ok(Some(_)) if self.addressed_to.is_some() && deadline.left().is_none() => {
                    return self.try_next(receive);
                }
                Ok(Some(_)) => {}
                Ok(None) if deadline.left().is_none() => return Ok(None),
                Ok(None) => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Skips to the oldest message that is kept, and reports how many were missed.
    #[cold]
    pub(super) fn skip_overwritten(&mut self) -> Result<(), RecvError> {
        // The eviction is reported first, then the number of missed messages.
        if self.notice_eviction() {
            return Err(self.report_eviction());
        }
        let oldest = match self.slot.oldest_from(self.next) {
            Ok(oldest) => oldest.unwrap_or_else(|| self.slot.version() + 1),
            Err(error) => return Err(self.failed(error)),
        };
        // A version that is found as oldest but cannot be read is damaged. Skip it, or this would
        // never end.
        let missed = self.slot.published_between(self.next, oldest);
        let damaged = oldest == self.next;
        self.skip_to(oldest.max(self.next + u64::from(damaged)));
        match missed + u64::from(damaged) {
            0 => Ok(()),
            missed => Err(RecvError::Lagged(missed)),
        }
    }

    #[cold]
    pub(super) fn failed(&mut self, error: GetError) -> RecvError {
        match error {
            GetError::Key(KeyError::Removed) => self.removed = true,
            GetError::Lost => self.skip_to(self.slot.version() + 1),
            _ => {}
        }
        RecvError::of(error, &self.key)
    }

    /// Creates the key again; `false` if the directory stayed busy for `limit`.
    #[cold]
    fn recreate(&mut self, limit: Duration) -> Result<bool, RecvError> {
        let Some(slot) = recreate_slot(&self.store, &self.key, limit)? else {
            self.retry_at = Some(Instant::now() + RECREATE_INTERVAL);
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

impl<T> fmt::Debug for Subscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("key", &self.key).field("next", &self.next).finish_non_exhaustive()
    }
}
