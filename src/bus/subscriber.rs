//! Receiving what is published under one key, each message once.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::error::{RecvError, SubscribeError};
use super::handle::Shared;
use super::received::Received;
use crate::message::DecodeOwned;
use crate::store::directory::LONGEST_WAIT;
use crate::store::wait::{Deadline, Spin};
use crate::store::{DirectoryError, GetError, Slot, SlotError, Store, Version};

/// Where a subscriber begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Start {
    /// At the next message that is published.
    #[default]
    Next,
    /// At the newest message, if there is one; else at the next.
    Newest,
    /// At the oldest message that is still kept; else at the next.
    Oldest,
}

/// Receives the messages of one key, in order, each once. Says how many it missed when publishers are faster by more than
/// the store's history.
///
/// As an iterator, it waits for the next message for ever and never ends.
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
    frame: Vec<u8>,
    spin: Spin,
    /// The key was removed, and that was reported: declare it again.
    removed: bool,
    message: PhantomData<fn() -> T>,
}

impl<T: DecodeOwned> Subscriber<T> {
    pub(super) fn new(store: &Store, shared: &Arc<Shared>, key: &str, start: Start) -> Result<Self, SubscribeError> {
        loop {
            let slot = store.slot(key)?;
            let first = slot.first_version();
            let next = match start {
                Start::Next => Ok(slot.version() + 1),
                Start::Newest => Ok(slot.version().max(first)),
                Start::Oldest => slot.oldest_from(first).map(|oldest| oldest.unwrap_or(first)),
            };
            let next = match next {
                Ok(next) => next,
                // Removed in between: as if it had been before.
                Err(GetError::Removed) => continue,
                Err(_) => return Err(SubscribeError::Damaged),
            };
            return Ok(Self {
                slot,
                next,
                store: store.clone(),
                shared: Arc::clone(shared),
                key: key.to_owned(),
                frame: Vec::new(),
                spin: Spin::default(),
                removed: false,
                message: PhantomData,
            });
        }
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

    /// The next message; waits for it, for ever if need be. Spins briefly, then sleeps.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    #[inline]
    pub fn recv(&mut self) -> Result<Received<T>, RecvError> {
        loop {
            if let Some(received) = self.recv_until(Deadline::Never)? {
                return Ok(received);
            }
        }
    }

    /// The next message; `None` if there is none within `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Received<T>>, RecvError> {
        self.recv_until(Deadline::after(Some(timeout)))
    }

    /// The next message; `None` if it was not published yet. Never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    #[inline]
    pub fn try_recv(&mut self) -> Result<Option<Received<T>>, RecvError> {
        if self.removed && !self.declare_again(Duration::ZERO)? {
            return Ok(None);
        }
        match self.slot.get_version_into(self.next, &mut self.frame) {
            Ok(Version::NotYet) => Ok(None),
            Ok(Version::Copied) => {
                let version = self.next;
                self.next += 1;
                self.shared.receive(&self.store, &self.key, version, &mut self.frame).map(Some)
            }
            Ok(Version::Gone) => self.skip_what_is_gone(),
            Err(error) => Err(self.lost(error)),
        }
    }

    #[inline]
    fn recv_until(&mut self, deadline: Deadline) -> Result<Option<Received<T>>, RecvError> {
        loop {
            if self.removed && !self.declare_again(deadline.left().unwrap_or_default().min(LONGEST_WAIT))? {
                return Ok(None);
            }
            if let Some(received) = self.try_recv()? {
                return Ok(Some(received));
            }
            match self.slot.wait(self.next - 1, deadline, &mut self.spin) {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    /// Goes on to what is still there, and tells how much is not.
    #[cold]
    fn skip_what_is_gone(&mut self) -> Result<Option<Received<T>>, RecvError> {
        let oldest = match self.slot.oldest_from(self.next) {
            Ok(oldest) => oldest.unwrap_or_else(|| self.slot.version() + 1),
            Err(error) => return Err(self.lost(error)),
        };
        let missed = oldest.saturating_sub(self.next);
        self.next = oldest.max(self.next);
        if missed == 0 { Ok(None) } else { Err(RecvError::Lagged(missed)) }
    }

    #[cold]
    fn lost(&mut self, error: GetError) -> RecvError {
        match error {
            GetError::Removed => self.removed = true,
            GetError::Lost => self.next = self.slot.version() + 1,
            _ => {}
        }
        RecvError::of(error, &self.key)
    }

    /// Has the key again, which was removed; `false` when others kept the directory of keys for longer than `patience`.
    #[cold]
    fn declare_again(&mut self, patience: Duration) -> Result<bool, RecvError> {
        self.slot = match self.store.slot_within(&self.key, patience) {
            Ok(slot) => slot,
            Err(SlotError::Directory(DirectoryError::Busy { .. })) => return Ok(false),
            Err(error) => return Err(RecvError::Declare(error.into())),
        };
        self.next = self.slot.first_version();
        self.removed = false;
        Ok(true)
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
