//! Receiving what is published under one key, each message once.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::recreate::{RECREATE_INTERVAL, recreate_slot};
use crate::bus::error::{RecvError, SubscribeError};
use crate::bus::parts::Assembler;
use crate::bus::shared::Shared;
use crate::store::lossless::{Begin, Lossless, LosslessError};
use crate::store::wait::{Deadline, Spin};
use crate::store::{GetError, KeyError, Slot, Store};

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
    pub(super) store: Store,
    pub(super) shared: Arc<Shared>,
    pub(super) slot: Slot,
    pub(super) key: String,
    /// The version to be received next.
    pub(super) next: u64,
    pub(super) lossless: Option<Lossless>,
    /// Messages that came in parts, as far as they came.
    pub(super) parts: Assembler,
    pub(super) frame: Vec<u8>,
    pub(super) spin: Spin,
    /// The key was removed, and that was reported: declare it again.
    pub(super) removed: bool,
    /// When to try to declare it again, after the directory of keys was found busy.
    pub(super) retry_at: Option<Instant>,
    /// It was lossless and was evicted, and that was not reported yet.
    pub(super) evicted: bool,
    pub(super) message: PhantomData<fn() -> T>,
}

impl<T> Subscriber<T> {
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
    pub(super) fn pass(&mut self) {
        self.skip_to(self.next + 1);
    }

    #[inline]
    pub(super) fn skip_to(&mut self, next: u64) {
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
    pub(super) fn try_next<R>(
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
        if self.removed && !self.recreate(Duration::ZERO)? {
            return Ok(false);
        }
        if self.evicted { Err(self.report_eviction()) } else { Ok(true) }
    }

    /// Nothing to receive: `None`, unless there is something to report all the same.
    ///
    /// Called by those who look. Were it left to their callers, each message would be copied once more on its way out.
    #[cold]
    pub(super) fn nothing<R>(&mut self) -> Result<Option<R>, RecvError> {
        if self.lossless.is_some() && self.notice_eviction() {
            return Err(self.report_eviction());
        }
        self.parts.overdue().map_or(Ok(None), Err)
    }

    /// As [`try_next`](Self::try_next), and waits.
    #[inline]
    pub(super) fn next_until<R>(
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
            while self.removed && !self.recreate(deadline.left().unwrap_or_default())? {
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
    pub(super) fn skip_what_is_gone(&mut self) -> Result<(), RecvError> {
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
    pub(super) fn lost(&mut self, error: GetError) -> RecvError {
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
    fn recreate(&mut self, patience: Duration) -> Result<bool, RecvError> {
        let Some(slot) = recreate_slot(&self.store, &self.key, patience)? else {
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
