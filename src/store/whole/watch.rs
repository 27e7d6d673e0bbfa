//! Waiting for any key of a store.

use std::fmt;
use std::time::Duration;

use crate::core::index;
use crate::core::wait::{Slept, Waiter};
use crate::os::futex;
use crate::store::error::Forked;
use crate::store::store::Store;
use crate::store::wait::{Deadline, LONGEST_SLEEP, Spin, SpinningWaiter, wait_until_found};

/// Waits until any key of a store is set, and reports which keys were.
///
/// No update is missed between the creation of the watch and its first call, nor between two calls.
/// Of several updates of one key in that time, the newest is reported. A call reads every slot that
/// is in use, about one cache line each. Removals are not reported.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-watch-type-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let mut watch = store.watch();
/// store.set("a", b"1")?;
/// store.set("b", b"1")?;
/// store.set("a", b"2")?;
/// let changes = watch.poll(None)?;
/// assert_eq!((changes[0].key.as_str(), changes[0].version), ("a", 2));
/// assert_eq!((changes[1].key.as_str(), changes[1].version), ("b", 1));
/// assert_eq!(watch.poll(Some(Duration::ZERO))?, []);
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Watch {
    store: Store,
    seen: Vec<Seen>,
    spin: Spin,
}

/// Generation and version of a slot when it was last looked at.
type Seen = (u64, u64);

/// A key that was set.
///
/// # Examples
///
/// See [`Watch`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Change {
    /// The key.
    pub key: String,
    /// Its newest version.
    pub version: u64,
}

impl Store {
    /// Watches all keys: see [`Watch`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-watch-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let mut watch = store.watch();
    /// store.set("k", b"v")?;
    /// assert_eq!(watch.poll(None)?[0].key, "k");
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch::new(self.clone())
    }
}

impl Watch {
    pub(crate) fn new(store: Store) -> Self {
        let mut seen = Vec::new();
        look(&store, &mut seen);
        Self { store, seen, spin: Spin::default() }
    }

    /// Waits until any key is set, and returns all that were set since the last call, sorted; none
    /// if that did not happen in time. Without a `timeout`, there is no time limit.
    ///
    /// Spins briefly, then sleeps. A writer that dies between publishing and waking delays sleepers
    /// by a tenth of a second at most.
    ///
    /// # Errors
    ///
    /// [`Forked`]: this is a child of the process that opened the store.
    ///
    /// # Examples
    ///
    /// See [`Watch`].
    pub fn poll(&mut self, timeout: Option<Duration>) -> Result<Vec<Change>, Forked> {
        self.store.check_fork()?;
        let deadline = Deadline::after(timeout);
        let mut waiter = WatchWaiter { store: &self.store, seen: &mut self.seen, next: 0, deadline };
        Ok(wait_until_found(&mut waiter, deadline, &mut self.spin).unwrap_or_default())
    }
}

/// A wait for any key of a store.
struct WatchWaiter<'a> {
    store: &'a Store,
    seen: &'a mut Vec<Seen>,
    /// The slot that is looked at next while spinning.
    next: usize,
    deadline: Deadline,
}

impl Waiter for WatchWaiter<'_> {
    type Listened = u32;
    type Found = Vec<Change>;

    fn listen(&mut self) -> u32 {
        self.store.session.new_version().listen()
    }

    fn check(&mut self) -> Option<Vec<Change>> {
        Some(look(self.store, self.seen)).filter(|changes| !changes.is_empty())
    }

    fn sleep(&mut self, word: u32) -> Slept {
        let Some(left) = self.deadline.left() else {
            return Slept::TimedOut;
        };
        futex::wait(&self.store.session.new_version().word, word, left.min(LONGEST_SLEEP));
        Slept::CheckAgain
    }
}

impl SpinningWaiter for WatchWaiter<'_> {
    /// Looks at one slot after the other, one in each call.
    fn has_changed(&mut self) -> bool {
        self.next = (self.next + 1) % self.seen.len().max(1);
        let Some(&seen) = self.seen.get(self.next) else {
            return false;
        };
        let handle = self.store.mapped().handle_of(self.next as u32);
        let ring = self.store.session.ring(&handle);
        let head = ring.head();
        head.cell().is_some() && seen != (ring.generation(), head.version())
    }
}

/// The keys that were set since the last look, sorted.
fn look(store: &Store, seen: &mut Vec<Seen>) -> Vec<Change> {
    let mapped = store.mapped();
    // Reads only: `seen` has an entry for each slot.
    seen.resize(seen.len().max(mapped.used_slots() as usize), (0, 0));
    let mut changes = Vec::new();
    for (slot, seen) in (0..).zip(seen) {
        let handle = mapped.handle_of(slot);
        let ring = store.session.ring(&handle);
        let (generation, head) = (ring.generation(), ring.head());
        if *seen == (generation, head.version()) || head.cell().is_none() {
            continue;
        }
        // The slot may have got another key since: then its generation has changed, and the next
        // look reports it.
        if let Some(key) = index::key_of(mapped, slot)
            && ring.generation() == generation
        {
            *seen = (generation, head.version());
            changes.push(Change { key, version: head.version() });
        }
    }
    changes.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    changes
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("store", &self.store).finish_non_exhaustive()
    }
}
