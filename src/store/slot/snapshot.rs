//! The state of a key at one moment.

use std::sync::Arc;

use super::memory::KeyMemory;
use super::slot::Slot;
use crate::core::index::{Indexed, SlotRef};
use crate::core::ring::Ring;
use crate::store::error::GetError;
use crate::store::participant;
use crate::store::session::Session;
use crate::sync::Ordering;

/// The state of a key at one moment. `version` and `len` belong together.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-slot-snapshot-type-{}", std::process::id());
/// let store = Store::create(&name)?;
/// store.set("k", b"")?;
/// let snapshot = store.slot_snapshot("k")?.unwrap();
/// assert_eq!((snapshot.first_version, snapshot.version, snapshot.len), (1, 1, Some(0)));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotSnapshot {
    /// The index of the slot.
    pub slot: u32,
    /// The newest version. Before the first value, the version after which this key's versions
    /// begin.
    pub version: u64,
    /// The length of the newest value in bytes; `None` while nothing was set yet.
    pub len: Option<usize>,
    /// The first version that this key had, or that a purge left. It may be overwritten by now.
    pub first_version: u64,
    /// The lossless subscribers of the key, the slowest first.
    pub lossless: Vec<LosslessSnapshot>,
    /// The messages that are not done, if the key is a work queue.
    pub queue: Option<QueueSnapshot>,
    /// The memory that the key takes.
    pub memory: KeyMemory,
}

/// The progress of a lossless subscriber.
///
/// # Examples
///
/// ```
/// use splinter_bus::{Bus, bus::SubscribeOptions};
///
/// # let name = format!("splinter-doc-lossless-snapshot-{}", std::process::id());
/// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
/// let mut subscriber = bus.subscribe_with("k", &SubscribeOptions::new().lossless())?;
/// bus.publish("k", &b"first".to_vec())?;
/// bus.publish("k", &b"second".to_vec())?;
/// subscriber.recv()?;
/// let snapshot = bus.store().slot_snapshot("k")?.unwrap();
/// assert_eq!((snapshot.lossless[0].pid, snapshot.lossless[0].behind), (std::process::id(), 1));
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LosslessSnapshot {
    /// The index of its participant in the store's table. All subscribers of a process have the same.
    pub participant: u32,
    /// The id of its process, as that process sees it.
    pub pid: u32,
    /// The version that it receives next. From this one on, none is overwritten.
    pub next: u64,
    /// How many versions were published that it has not received.
    pub behind: u64,
}

/// The progress of a work queue.
///
/// # Examples
///
/// ```
/// # use splinter_bus::Bus;
/// # let name = format!("splinter-doc-queue-snapshot-{}", std::process::id());
/// let bus: Bus<Vec<u8>> = Bus::create(&name)?;
/// let mut queue = bus.work_queue("k")?;
/// bus.publish("k", &b"first".to_vec())?;
/// bus.publish("k", &b"second".to_vec())?;
/// let job = queue.recv()?;
/// let snapshot = bus.store().slot_snapshot("k")?.unwrap().queue.unwrap();
/// assert_eq!((snapshot.waiting, snapshot.taken), (1, 1));
/// # job.acknowledge()?;
/// # splinter_bus::Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueSnapshot {
    /// Messages that no worker has taken.
    pub waiting: u32,
    /// Messages that a worker has taken and not acknowledged.
    pub taken: u32,
}

impl Slot {
    /// The state of the key at one moment, without its value. Never blocks.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the key was removed, its value was lost or damaged, or `Overtaken`, as for
    /// [`get_into`](Self::get_into).
    ///
    /// # Examples
    ///
    /// See [`SlotSnapshot`].
    pub fn snapshot(&self) -> Result<SlotSnapshot, GetError> {
        self.check_fork()?;
        SlotSnapshot::take(self.session(), self.ring(), self.slot_ref)
    }
}

impl SlotSnapshot {
    pub(crate) fn take(session: &Arc<Session>, ring: Ring<'_>, slot_ref: SlotRef) -> Result<Self, GetError> {
        // Read before the version, so that it is never larger.
        let first_version = ring.base_version() + 1;
        let cursors: Vec<_> = ring.cursors().collect();
        let queue = ring.backlog(None).map(|(waiting, taken)| QueueSnapshot { waiting, taken });
        let (version, len) = session.newest_len(ring)?;
        // Versions before the last recovery are counted in their cells, because their numbers have
        // gaps: for a lossless subscriber, all of them are there.
        let first = session.mapped.directory_header().first_version.load(Ordering::Relaxed);
        let behind = |next| match ring.count_stored(next, first) {
            0 => ring.published_between(next, version + 1),
            kept if version < first => kept,
            kept => kept + (version + 1 - first),
        };
        let mut lossless: Vec<_> = cursors
            .into_iter()
            .map(|cursor| LosslessSnapshot {
                participant: cursor.participant,
                pid: participant::pid(&session.mapped, cursor.participant),
                next: cursor.version,
                behind: behind(cursor.version),
            })
            .collect();
        lossless.sort_unstable_by_key(|subscriber| (subscriber.next, subscriber.participant));
        let memory = KeyMemory::of(&session.mapped, ring);
        Ok(Self { slot: slot_ref.slot, version, len, first_version, lossless, queue, memory })
    }
}
