//! Sharing the work: each message of a key to one of several workers.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::origin::Origin;
use super::recreate::{RECREATE_INTERVAL, recreate_slot};
use crate::bus::envelope::Envelope;
use crate::bus::error::{AcknowledgeError, RecvError, SubscribeError};
use crate::bus::handle::Bus;
use crate::bus::received::Received;
use crate::bus::shared::Shared;
use crate::message::DecodeOwned;
use crate::store::directory::{REMOVALS, WaitLimit};
use crate::store::lossless::Begin;
use crate::store::queue::{self, Assignment, Queue};
use crate::store::wait::Deadline;
use crate::store::{GetError, KeyError, Slot, Store};

/// A worker on a key that is a work queue: each message goes to one worker, of whatever process, in order.
///
/// A message is taken by receiving it, and done once it is [acknowledged](Job::acknowledge). If its worker dies first, or drops it, another
/// one gets it, as the next [attempt](Job::attempt). So each message is handled at least once, and once only while nobody dies.
///
/// What is not done is not overwritten: publishers that find no room are refused, or wait for it. That holds from the moment in which
/// the key becomes a queue, by its first worker, until the key is removed, also while there is no worker. A message of a queue must fit
/// into a cell. One that is not valid, or too old, is told of once, and done.
///
/// If the key is removed, that is an error once, and the next call makes it a queue again. If others are creating or removing keys at that
/// moment, `try_recv` leaves it at that and answers that there is nothing; `recv_timeout` waits for them as long as for a message.
///
/// # Examples
///
/// ```
/// use splinter_bus::{Bus, Message, Store};
///
/// #[derive(Message, serde::Serialize, serde::Deserialize)]
/// struct Page { url: String }
///
/// # let name = format!("splinter-doc-work-queue-{}", std::process::id());
/// let bus: Bus<Page> = Bus::create(&name)?;
/// let (mut one, mut other) = (bus.work_queue("crawl")?, bus.work_queue("crawl")?);
/// bus.publish("crawl", &Page { url: "/first".into() })?;
/// bus.publish("crawl", &Page { url: "/second".into() })?;
/// let (first, second) = (one.recv()?, other.recv()?);
/// assert_eq!((first.url.as_str(), second.url.as_str()), ("/first", "/second"));
/// first.acknowledge()?;
/// drop(second); // Not done: somebody else gets it.
/// let again = one.recv()?;
/// assert_eq!((again.url.as_str(), again.attempt()), ("/second", 2));
/// # again.acknowledge()?;
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WorkQueue<T> {
    store: Store,
    shared: Arc<Shared>,
    key: Arc<str>,
    queue: Queue,
    frame: Vec<u8>,
    /// The key was removed, and that was reported: declare it again.
    removed: bool,
    /// When to try to declare it again, after the directory of keys was found busy.
    retry_at: Option<Instant>,
    message: PhantomData<fn() -> T>,
}

/// A message that this worker has taken. Dereferences to the message. Dropped without being acknowledged, it goes to another worker.
///
/// # Examples
///
/// See [`WorkQueue`].
#[must_use = "a job that is dropped goes to another worker"]
pub struct Job<T> {
    received: Received<T>,
    assignment: Assignment,
    key: Arc<str>,
}

impl<T> Bus<T> {
    /// Joins the workers of a key, each of whose messages goes to one of them. Makes the key a work queue, and creates it, if need be:
    /// then from the oldest message on that is kept. Waits as [`subscribe`](Self::subscribe) does.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: no key, or no room for it.
    pub fn work_queue(&self, key: &str) -> Result<WorkQueue<T>, SubscribeError> {
        WorkQueue::new(&self.store, &self.shared, key)
    }
}

impl<T> WorkQueue<T> {
    fn new(store: &Store, shared: &Arc<Shared>, key: &str) -> Result<Self, SubscribeError> {
        let mut limit = WaitLimit::longest();
        let mut queue = Queue::new(store.slot_within(key, &mut limit)?, Begin::Oldest);
        for _ in 0..REMOVALS {
            if !matches!(queue, Err(GetError::Key(KeyError::Removed))) {
                break;
            }
            // Removed in between: as if it had been before.
            queue = Queue::new(store.slot_within(key, &mut limit)?, Begin::Oldest);
        }
        let queue = queue.map_err(SubscribeError::of)?;
        Ok(Self {
            store: store.clone(),
            shared: Arc::clone(shared),
            key: key.into(),
            queue,
            frame: Vec::new(),
            removed: false,
            retry_at: None,
            message: PhantomData,
        })
    }

    /// The key that it works on.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn slot(&self) -> &Slot {
        self.queue.slot()
    }

    /// Whether there is a message to take, or something to be told. Takes back what the dead had.
    pub(super) fn is_ready(&self) -> bool {
        match self.recheck_at() {
            Some(at) => at <= Instant::now(),
            None => queue::has_work(self.slot()),
        }
    }

    /// Whether the key was removed, and that was reported.
    #[cfg(feature = "async")]
    pub(super) fn is_removed(&self) -> bool {
        self.removed
    }

    /// When to look again although nothing was published.
    pub(super) fn recheck_at(&self) -> Option<Instant> {
        self.removed.then(|| self.retry_at.unwrap_or_else(Instant::now))
    }

    /// Has the key again, which was removed; `false` when others kept the directory of keys for longer than `patience`.
    #[cold]
    fn recreate(&mut self, patience: Duration) -> Result<bool, RecvError> {
        let Some(slot) = recreate_slot(&self.store, &self.key, patience)? else {
            self.retry_at = Some(Instant::now() + RECREATE_INTERVAL);
            return Ok(false);
        };
        self.retry_at = None;
        match Queue::new(slot, Begin::Oldest) {
            Ok(queue) => self.queue = queue,
            Err(GetError::Key(KeyError::Removed)) => return Ok(false),
            Err(error) => return Err(RecvError::of(error, &self.key)),
        }
        self.removed = false;
        Ok(true)
    }

    #[cold]
    fn lost(&mut self, error: GetError) -> RecvError {
        self.removed |= error == GetError::Key(KeyError::Removed);
        RecvError::of(error, &self.key)
    }
}

impl<T> WorkQueue<T> {
    /// Takes the oldest message that nobody has; waits for one, for ever if need be. Spins briefly, then sleeps.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    pub fn recv(&mut self) -> Result<Job<T>, RecvError>
    where
        T: DecodeOwned,
    {
        loop {
            if let Some(job) = self.recv_until(Deadline::Never)? {
                return Ok(job);
            }
        }
    }

    /// Takes the oldest message that nobody has; `None` if there is none within `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Job<T>>, RecvError>
    where
        T: DecodeOwned,
    {
        self.recv_until(Deadline::after(Some(timeout)))
    }

    /// Takes the oldest message that nobody has; `None` if there is none. Never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call goes on behind what it tells of.
    pub fn try_recv(&mut self) -> Result<Option<Job<T>>, RecvError>
    where
        T: DecodeOwned,
    {
        self.recv_until(Deadline::Now)
    }
}

impl<T: DecodeOwned> WorkQueue<T> {
    fn recv_until(&mut self, deadline: Deadline) -> Result<Option<Job<T>>, RecvError> {
        while self.removed && !self.recreate(deadline.left().unwrap_or_default())? {
            if deadline.left().is_none() {
                return Ok(None);
            }
        }
        let assignment = match self.queue.take(&mut self.frame, deadline) {
            Ok(Some(assignment)) => assignment,
            Ok(None) => return Ok(None),
            Err(error) => return Err(self.lost(error)),
        };
        let version = assignment.version();
        let origin = Origin { shared: &self.shared, store: &self.store, key: &self.key, version };
        let received = origin.parse(&mut self.frame).and_then(|frame| origin.message(&frame));
        match received {
            Ok(received) => Ok(Some(Job { received, assignment, key: Arc::clone(&self.key) })),
            Err(error) => {
                // It is no better for another worker. If the key was removed meanwhile, so was the message.
                let _ = assignment.acknowledge();
                Err(error)
            }
        }
    }
}

impl<T: DecodeOwned> Iterator for WorkQueue<T> {
    type Item = Result<Job<T>, RecvError>;

    /// Waits for the next message for ever, and never ends.
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.recv())
    }
}

impl<T> Job<T> {
    /// How often the message was taken, with this time: 1 unless a worker has died over it, or has given it back. 255 and more are 255.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.assignment.attempt().into()
    }

    /// Says that the message was handled: nobody gets it again, and its cell may be overwritten.
    ///
    /// # Errors
    ///
    /// [`AcknowledgeError`]: the key was removed meanwhile, or this is a child of the process that took the message.
    pub fn acknowledge(self) -> Result<(), AcknowledgeError> {
        self.assignment.acknowledge().map_err(|error| {
            let key = self.key.as_ref().to_owned();
            let source = match error {
                GetError::Key(error) => error,
                _ => KeyError::Damaged,
            };
            AcknowledgeError::Key { key, source }
        })
    }

    /// The envelope: id, sender, recipient, kind, time.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        self.received.envelope()
    }

    /// The version of the key that the message is.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.received.version()
    }

    /// The message with its envelope, which serializes to JSON.
    ///
    /// An associated function, so that it hides no method of the message: `Job::received(&job)`.
    #[must_use]
    pub fn received(this: &Self) -> &Received<T> {
        &this.received
    }
}

impl<T> Deref for Job<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.received
    }
}

impl<T> fmt::Debug for WorkQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkQueue").field("key", &self.key).finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("received", &self.received)
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}
