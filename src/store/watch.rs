//! Waiting for any key of a store.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::Forked;
use super::handle::Store;
use super::wait::{Deadline, LONGEST_SLEEP, Spin};
use crate::core::index;
use crate::core::ring::Handle;
use crate::os::futex;

/// Waits for any key of a store to be set, and says which were.
///
/// No update is missed between the making of the watch and its first call, nor between two calls; of several updates of one key
/// in that time, the newest is told. A call looks at every slot that is in use, at about the cost of one cache line each.
/// Removals are not told.
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
    /// Generation and version of each slot when it was last looked at.
    seen: Vec<(u64, u64)>,
    spin: Spin,
}

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

impl Watch {
    pub(super) fn new(store: Store) -> Self {
        let mut watch = Self { store, seen: Vec::new(), spin: Spin::default() };
        watch.look();
        watch
    }

    /// Waits until any key is set that was not told of yet, and tells of all there are, sorted; of none if that did not happen
    /// in time. Without a `timeout`, waits for ever.
    ///
    /// Spins briefly, then sleeps. A writer that dies in the instant between publishing and waking delays those who sleep by a
    /// tenth of a second at most.
    ///
    /// # Errors
    ///
    /// [`Forked`]: this is a child of the process that opened the store.
    ///
    /// # Examples
    ///
    /// See [`Watch`].
    pub fn poll(&mut self, timeout: Option<Duration>) -> Result<Vec<Change>, Forked> {
        self.store.inner.check_fork()?;
        let deadline = Deadline::after(timeout);
        let inner = Arc::clone(&self.store.inner);
        let event = inner.new_version();
        loop {
            let word = event.listen();
            let changes = self.look();
            if !changes.is_empty() {
                return Ok(changes);
            }
            let Some(left) = deadline.left() else {
                return Ok(changes);
            };
            if !self.spin.until(|| !event.is_quiet(word)) {
                let start = Instant::now();
                futex::wait(&event.word, word, left.min(LONGEST_SLEEP));
                self.spin.slept(start.elapsed());
            }
        }
    }

    /// What has changed since the last look.
    fn look(&mut self) -> Vec<Change> {
        let mapped = self.store.mapped();
        // Looks, and changes nothing.
        self.seen.resize(self.seen.len().max(mapped.used_slots() as usize), (0, 0));
        let mut changes = Vec::new();
        for (slot, seen) in (0..).zip(&mut self.seen) {
            let handle = Handle::of_present_key(mapped.slot(slot));
            let ring = self.store.inner.ring(&handle);
            let (generation, head) = (ring.generation(), ring.head());
            if *seen == (generation, head.version()) || head.cell().is_none() {
                continue;
            }
            // The slot may have been given to another key since: then its generation is another, and the next look tells.
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
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("store", &self.store).finish_non_exhaustive()
    }
}
