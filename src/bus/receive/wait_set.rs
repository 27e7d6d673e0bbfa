//! `WaitSet`: waiting for any of several subscribers and work queues.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::subscriber::Subscriber;
use super::work_queue::WorkQueue;
use crate::bus::error::WaitError;
use crate::core::wait::{Slept, Waiter};
use crate::os::futex;
use crate::store::Slot;
use crate::store::wait::{Deadline, LONGEST_SLEEP, Spin, SpinningWaiter, wait_until_found};

/// Waits until any of up to 127 subscribers and work queues is ready, or a [`Waker`] wakes it. The
/// sources can have any types and stores.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use splinter_bus::bus::{WaitSet, Waited};
/// use splinter_bus::{Bus, Message};
///
/// #[derive(Message, serde::Serialize, serde::Deserialize)]
/// struct Prompt { text: String }
/// #[derive(Message, serde::Serialize, serde::Deserialize)]
/// struct Stop { reason: String }
///
/// # let name = format!("splinter-doc-wait-set-{}", std::process::id());
/// let prompts: Bus<Prompt> = Bus::create(&name)?;
/// let stops: Bus<Stop> = Bus::on(prompts.store().clone());
/// let (mut prompt, mut stop) = (prompts.subscribe("prompt")?, stops.subscribe("stop")?);
/// let mut set = WaitSet::new();
/// stops.publish("stop", &Stop { reason: "done".into() })?;
/// match set.wait(&[&prompt, &stop], Some(Duration::from_secs(5)))? {
///     Waited::Ready(ready) => {
///         assert_eq!(ready, [1]);
///         assert_eq!(stop.recv()?.reason, "done");
///     }
///     Waited::Woken => println!("another thread woke this one"),
///     Waited::TimedOut => println!("nothing happened"),
/// }
/// # assert!(prompt.try_recv()?.is_none());
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WaitSet {
    woken: Arc<AtomicU32>,
    /// The value of `woken` at the last wake-up.
    seen: u32,
    spin: Spin,
}

/// Wakes a [`WaitSet`] from any thread.
///
/// Several calls before the wait returns count as one. If nobody waits, the next wait returns at
/// once.
///
/// # Examples
///
/// ```
/// use splinter_bus::bus::{WaitSet, Waited};
///
/// let mut set = WaitSet::new();
/// let waker = set.waker();
/// std::thread::spawn(move || waker.wake());
/// assert_eq!(set.wait(&[], None)?, Waited::Woken);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Waker {
    woken: Arc<AtomicU32>,
}

/// Why a wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waited {
    /// These sources have a message or an error to receive: their indices, in ascending order.
    Ready(Vec<usize>),
    /// A [`Waker`] woke the set.
    Woken,
    /// The timeout passed.
    TimedOut,
}

/// A source of a [`WaitSet`]: a [`Subscriber`] or a [`WorkQueue`].
pub trait Source: sealed::Sealed {}

mod sealed {
    use super::{Instant, Slot};

    #[allow(private_interfaces, unnameable_types, reason = "sealed")]
    pub trait Sealed {
        fn source_slot(&self) -> &Slot;
        fn ready(&self) -> bool;
        fn recheck_time(&self) -> Option<Instant>;
    }
}

macro_rules! sources {
    ($($receiver:ident),*) => {$(
        impl<T> Source for $receiver<T> {}

        impl<T> sealed::Sealed for $receiver<T> {
            fn source_slot(&self) -> &Slot {
                self.slot()
            }

            fn ready(&self) -> bool {
                self.is_ready()
            }

            fn recheck_time(&self) -> Option<Instant> {
                self.recheck_at()
            }
        }
    )*};
}

sources!(Subscriber, WorkQueue);

impl WaitSet {
    /// The largest number of sources in one wait.
    pub const MAX_SOURCES: usize = futex::MAX_WORDS - 1;

    /// Makes a wait set.
    #[must_use]
    pub fn new() -> Self {
        Self { woken: Arc::default(), seen: 0, spin: Spin::default() }
    }

    /// Makes a handle that wakes this set.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker { woken: Arc::clone(&self.woken) }
    }

    /// Waits until a source has a message or an error to receive, or a [`Waker`] wakes this set.
    /// Waits at most `timeout`; `None` means without a limit. Spins briefly, then sleeps.
    ///
    /// # Errors
    ///
    /// [`WaitError::TooMany`]: more than [`MAX_SOURCES`](Self::MAX_SOURCES) sources.
    /// [`WaitError::Forked`]: the parent of this process made one of the sources.
    ///
    /// # Examples
    ///
    /// See [`WaitSet`].
    pub fn wait(&mut self, sources: &[&dyn Source], timeout: Option<Duration>) -> Result<Waited, WaitError> {
        if sources.len() > Self::MAX_SOURCES {
            return Err(WaitError::TooMany { given: sources.len(), max: Self::MAX_SOURCES });
        }
        sources.iter().try_for_each(|source| source.source_slot().check_fork())?;
        let deadline = Deadline::after(timeout);
        let mut waiter =
            SetWaiter { sources, woken: &self.woken, seen: &mut self.seen, versions: Vec::new(), deadline };
        Ok(wait_until_found(&mut waiter, deadline, &mut self.spin).unwrap_or(Waited::TimedOut))
    }
}

/// A wait for any of several sources, or for a waker.
struct SetWaiter<'a> {
    sources: &'a [&'a dyn Source],
    woken: &'a AtomicU32,
    /// What `woken` was when we were woken last.
    seen: &'a mut u32,
    /// The newest version of each source when spinning began.
    versions: Vec<u64>,
    deadline: Deadline,
}

impl<'a> Waiter for SetWaiter<'a> {
    type Listened = Vec<(&'a AtomicU32, u32)>;
    type Found = Waited;

    fn listen(&mut self) -> Self::Listened {
        let mut words = Vec::with_capacity(self.sources.len() + 1);
        words.push((self.woken, *self.seen));
        words.extend(self.sources.iter().map(|source| {
            let event = source.source_slot().new_version();
            (&event.word, event.listen())
        }));
        words
    }

    fn check(&mut self) -> Option<Waited> {
        let ready: Vec<_> = (0..self.sources.len()).filter(|&index| self.sources[index].ready()).collect();
        if !ready.is_empty() {
            return Some(Waited::Ready(ready));
        }
        // SeqCst: pairs with `Waker::wake`.
        let woken = self.woken.load(Ordering::SeqCst);
        (woken != *self.seen).then(|| {
            *self.seen = woken;
            Waited::Woken
        })
    }

    fn sleep(&mut self, words: Self::Listened) -> Slept {
        let Some(left) = self.deadline.left() else {
            return Slept::TimedOut;
        };
        let soonest = self.sources.iter().filter_map(|source| source.recheck_time()).min();
        let until = soonest.map_or(left, |at| left.min(at.saturating_duration_since(Instant::now())));
        futex::wait_any(&words, until.min(LONGEST_SLEEP));
        Slept::CheckAgain
    }
}

impl SpinningWaiter for SetWaiter<'_> {
    /// Compares versions, which is cheaper than to ask each source whether it is ready.
    fn has_changed(&mut self) -> bool {
        let versions = self.sources.iter().map(|source| source.source_slot().version());
        if self.versions.len() < self.sources.len() {
            self.versions = versions.collect();
            return false;
        }
        versions.ne(self.versions.iter().copied()) || self.woken.load(Ordering::SeqCst) != *self.seen
    }
}

impl Default for WaitSet {
    fn default() -> Self {
        Self::new()
    }
}

impl Waker {
    /// Wakes the thread that waits with the set, or the next one that waits.
    pub fn wake(&self) {
        // Pairs with the load in `WaitSet::check`. A wait that sleeps since before this addition
        // is woken by the futex; a later one does not sleep, because the value has changed.
        self.woken.fetch_add(1, Ordering::SeqCst);
        futex::wake_all(&self.woken);
    }
}

impl fmt::Debug for WaitSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitSet").finish_non_exhaustive()
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").finish_non_exhaustive()
    }
}
