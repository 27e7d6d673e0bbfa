//! `WorkQueue`: each message of a key goes to one of several workers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::origin::Origin;
use super::recreate::{RECREATE_INTERVAL, recreate_slot};
use super::sender_types::{Reads, check_newest};
use crate::bus::envelope::Envelope;
use crate::bus::error::{AcknowledgeError, RecvError, SubscribeError};
use crate::bus::handle::Bus;
use crate::bus::received::Received;
use crate::bus::shared::Shared;
use crate::frame::{Frame, HEADER_LEN};
use crate::message::DecodeOwned;
use crate::store::directory::WaitLimit;
#[cfg(feature = "async")]
use crate::store::reactor::Want;
use crate::store::slot::lossless::Begin;
use crate::store::slot::queue::{Assignment, Queue};
use crate::store::wait::Deadline;
use crate::store::{GetError, KeyError, KeyOptions, Slot, Store};

/// How long a task with messages that it cannot read waits, before it looks for others that were given back.
#[cfg(feature = "async")]
const REFUSED_INTERVAL: Duration = Duration::from_millis(100);

/// After what time a worker looks again at a job whose type the store did not know.
const UNKNOWN_INTERVAL: Duration = Duration::from_secs(1);

/// Jobs that a worker could not read, and that may become readable, or expire.
#[derive(Debug, Default)]
struct Refused {
    /// By their versions: when the worker looks at them again.
    again_at: BTreeMap<u64, Instant>,
    /// Those that were reported, and at which the worker is about to look again.
    reported: BTreeSet<u64>,
}

impl Refused {
    fn soonest(&self) -> Option<Instant> {
        self.again_at.values().min().copied()
    }

    /// The jobs at which the worker looks again now.
    fn take_due(&mut self, now: Instant) -> Vec<u64> {
        let due: Vec<u64> = self.again_at.extract_if(.., |_, at| *at <= now).map(|(version, _)| version).collect();
        if !due.is_empty() {
            // Those that others have done since the last time do not come back.
            self.reported = due.iter().copied().collect();
        }
        due
    }

    /// Notes a job that was refused. Returns whether it was reported before.
    fn note(&mut self, version: u64, again_at: Option<Instant>) -> bool {
        if let Some(at) = again_at {
            self.again_at.insert(version, at);
        }
        self.reported.remove(&version)
    }
}

/// A worker of a work queue: each message of the key goes to one worker, in any process, in order.
///
/// To receive a message is to lease it. [`Job::acknowledge`] says that it was processed. If the
/// worker dies or drops the job before, a worker gets the message again, as its next
/// [attempt](Job::attempt). So each message is processed at least once, and exactly once if no
/// worker dies.
///
/// Messages that are not acknowledged are not overwritten. Publishers that find no free cell get an
/// error, or wait. That holds from the first worker on until the key is removed, also while there
/// are no workers. Messages that were published before the first worker came may be lost: open the
/// queue in publishers, too, before they publish. If the queue creates the key, it has 256 cells,
/// unless the options say otherwise; a key that a publisher has created before has 24. A message that
/// is damaged, or has expired, is reported once and then acknowledged. A message of a type that this worker
/// cannot read ([`RecvError::OtherType`]) is reported once and left to other workers, until it expires.
///
/// If the key is removed, one receive reports it and the next call creates the queue again. If
/// another process is creating or removing keys at that moment, `try_recv` does not wait and
/// returns `None`; `recv_timeout` waits within its timeout.
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
/// drop(second); // Not acknowledged: another worker gets it.
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
    /// The removal of the key was reported: the next call creates it again.
    removed: bool,
    /// When to try again to create the key, after the directory was busy.
    retry_at: Option<Instant>,
    /// Jobs that it could not read, and when it looks at them again.
    refused: Refused,
    message: PhantomData<fn() -> T>,
}

/// A message that this worker has leased. Dereferences to the message. If it is dropped without
/// [`acknowledge`](Self::acknowledge), another worker gets it.
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
    /// Adds a worker to a work queue. Creates the key if it does not exist. The first worker makes
    /// the key a work queue, which begins at the oldest message that is kept. Waits like
    /// [`subscribe`](Self::subscribe).
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: the key is not valid or cannot be created.
    pub fn work_queue(&self, key: &str) -> Result<WorkQueue<T>, SubscribeError> {
        self.work_queue_with(key, &KeyOptions::new())
    }

    /// Adds a worker to a work queue. If the key does not exist, it is created with these options.
    /// Waits like [`subscribe`](Self::subscribe).
    ///
    /// The first process that uses the key creates it: where publishers come first, they need the
    /// options, too ([`publisher_with`](Self::publisher_with)).
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: the key is not valid or cannot be created, or it exists with less than the
    /// options ask for.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::Bus;
    /// use splinter_bus::store::KeyOptions;
    ///
    /// # let name = format!("splinter-doc-work-queue-with-{}", std::process::id());
    /// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
    /// let _worker = bus.work_queue_with("jobs", &KeyOptions::new().history(1000))?;
    /// for number in 0..1000 {
    ///     bus.publish("jobs", &vec![number as u8])?;
    /// }
    /// # splinter_bus::Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn work_queue_with(&self, key: &str, options: &KeyOptions) -> Result<WorkQueue<T>, SubscribeError> {
        WorkQueue::new(&self.store, &self.shared, key, &options.of_queue())
    }
}

impl<T> WorkQueue<T> {
    fn new(store: &Store, shared: &Arc<Shared>, key: &str, options: &KeyOptions) -> Result<Self, SubscribeError> {
        let queue = store.with_slot_of(key, options, &mut WaitLimit::longest(), |slot| {
            check_newest(store, shared, key, slot.start_of_newest_to_do(HEADER_LEN), Reads::Compatible)?;
            Queue::new(slot, Begin::Oldest).map_err(SubscribeError::of)
        })?;
        Ok(Self {
            store: store.creating_keys_with(*options),
            shared: Arc::clone(shared),
            key: key.into(),
            queue,
            frame: Vec::new(),
            removed: false,
            retry_at: None,
            refused: Refused::default(),
            message: PhantomData,
        })
    }

    /// The key of the work queue.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn slot(&self) -> &Slot {
        self.queue.slot()
    }

    /// Whether a receive would return a message or an error now. Requeues what crashed workers had
    /// leased.
    pub(super) fn is_ready(&self) -> bool {
        let is_due = || self.recheck_at().is_some_and(|at| at <= Instant::now());
        is_due() || !self.removed && self.queue.has_work()
    }

    /// What a task waits for, and when it checks again without a notification. `seen` is the newest version
    /// before it looked for work.
    #[cfg(feature = "async")]
    pub(super) fn wait_of_task(&self, seen: u64) -> (Want, Option<Instant>) {
        let recheck_at = self.recheck_at();
        if self.removed {
            return (Want::Time, recheck_at);
        }
        if !self.queue.has_refused() {
            return (Want::Work, recheck_at);
        }
        // Work that it cannot read must not wake it. What others requeue meanwhile it finds a little later.
        let soon = Instant::now() + REFUSED_INTERVAL;
        (Want::Newer(seen), Some(recheck_at.map_or(soon, |at| at.min(soon))))
    }

    /// When to check again without a notification.
    pub(super) fn recheck_at(&self) -> Option<Instant> {
        let recreate_at = self.removed.then(|| self.retry_at.unwrap_or_else(Instant::now));
        recreate_at.or_else(|| self.refused.soonest())
    }

    /// Creates the queue again; `false` if the directory stayed busy for `limit`.
    #[cold]
    fn recreate(&mut self, limit: Duration) -> Result<bool, RecvError> {
        let Some(slot) = recreate_slot(&self.store, &self.key, limit)? else {
            self.retry_at = Some(Instant::now() + RECREATE_INTERVAL);
            return Ok(false);
        };
        self.retry_at = None;
        match Queue::new(slot, Begin::Oldest) {
            Ok(queue) => (self.queue, self.refused) = (queue, Refused::default()),
            Err(GetError::Key(KeyError::Removed)) => return Ok(false),
            Err(error) => return Err(RecvError::of(error, &self.key)),
        }
        self.removed = false;
        Ok(true)
    }

    #[cold]
    fn failed(&mut self, error: GetError) -> RecvError {
        self.removed |= error == GetError::Key(KeyError::Removed);
        RecvError::of(error, &self.key)
    }
}

impl<T> WorkQueue<T> {
    /// Leases the oldest new message, or one that was given back; waits for one without a limit. Spins
    /// briefly, then sleeps.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call continues after the messages that the error reports.
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

    /// Leases the oldest new message, or one that was given back; waits at most `timeout` for one and
    /// then returns `None`.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call continues after the messages that the error reports.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Job<T>>, RecvError>
    where
        T: DecodeOwned,
    {
        self.recv_until(Deadline::after(Some(timeout)))
    }

    /// Leases the oldest new message, or one that was given back; `None` if there is none. Never blocks.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; the next call continues after the messages that the error reports.
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
        loop {
            for version in self.refused.take_due(Instant::now()) {
                self.queue.retry(version);
            }
            let until = self.refused.soonest().map_or(deadline, |at| deadline.at_latest(at));
            match self.take_until(until) {
                Ok(Some(job)) => return Ok(Some(job)),
                Ok(None) if deadline.left().is_none() => return Ok(None),
                Err(Some(error)) => return Err(error),
                Ok(None) | Err(None) => {}
            }
        }
    }

    /// Takes a message before this deadline. `Err(None)`: a job that still cannot be read, which was reported
    /// before.
    fn take_until(&mut self, deadline: Deadline) -> Result<Option<Job<T>>, Option<RecvError>> {
        let assignment = match self.queue.take(&mut self.frame, deadline) {
            Ok(Some(assignment)) => assignment,
            Ok(None) => return Ok(None),
            Err(error) => return Err(Some(self.failed(error))),
        };
        let version = assignment.version();
        let origin =
            Origin { shared: &self.shared, store: &self.store, key: &self.key, version, reads: Reads::Compatible };
        let received = origin.parse(&mut self.frame).and_then(|frame| origin.message(&frame));
        match received {
            Ok(received) => Ok(Some(Job { received, assignment, key: Arc::clone(&self.key) })),
            // Another worker may have the type of its sender.
            Err(RecvError::OtherType { key, version, source }) => {
                let now = Instant::now();
                let ttl = Frame::parse_mut(&mut self.frame).ok().and_then(|frame| frame.ttl());
                // A message of exactly its ttl is valid, and clocks count milliseconds.
                let expires_at = ttl.and_then(|ttl| now.checked_add(Duration::from_millis(u64::from(ttl) + 2)));
                let known_at = (!source.is_known).then(|| now + UNKNOWN_INTERVAL);
                let again_at = [expires_at, known_at].into_iter().flatten().min();
                let was_reported = self.refused.note(version, again_at);
                self.queue.refuse(assignment);
                Err((!was_reported).then_some(RecvError::OtherType { key, version, source }))
            }
            Err(error) => {
                // Another worker would fail, too. An error means that the key and the message were
                // removed, so it is ignored.
                let _ = assignment.acknowledge();
                Err(Some(error))
            }
        }
    }
}

impl<T: DecodeOwned> Iterator for WorkQueue<T> {
    type Item = Result<Job<T>, RecvError>;

    /// Waits for the next message without a limit, and never ends.
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.recv())
    }
}

impl<T> Job<T> {
    /// How often the message was leased, including this time. 1 unless a worker died or dropped the
    /// job. 255 stands for 255 or more.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.assignment.attempt().into()
    }

    /// Says that the message was processed. No worker gets it again, and its cell may be
    /// overwritten.
    ///
    /// # Errors
    ///
    /// [`AcknowledgeError`]: the key was removed meanwhile, or the parent of this process leased
    /// the message.
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

    /// The envelope: id, sender, recipient, kind and time of sending.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        self.received.envelope()
    }

    /// The message's version of its key.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.received.version()
    }

    /// The message with its envelope, which serializes to JSON.
    ///
    /// This is an associated function, so that it does not hide a method of the message:
    /// `Job::received(&job)`.
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
