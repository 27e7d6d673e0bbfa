//! What all handles of one opening of a store share.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use super::context::context;
use super::directory::{self, Author, WaitLimit};
use super::error::{DirectoryError, Forked, GetError, SetError};
use super::flush::{self, Flushes};
use super::mapped::Mapped;
use super::memory::Memory;
use super::opener::Opener;
use super::participant::{self, Participant};
use super::pin::{LocalPins, Pinned};
use super::recover::Recovery;
use super::wait::{Deadline, LONGEST_SLEEP};
use crate::core::index::Place;
use crate::core::memory::records::Event;
use crate::core::memory::region::Region;
use crate::core::ring::{Claim, CommitError, Context, Handle, OwnedHandle, ReadError, Ring};
use crate::kill_points::{Step, reached};
use crate::os::futex;
use crate::os::mapping::Mapping;
use crate::sync::yield_now;

/// One opening of a store by one process: closed when the last handle on it is dropped.
pub(crate) struct Inner {
    pub(crate) mapped: Arc<Mapped>,
    pub(crate) me: Participant,
    pub(super) opener: Opener,
    /// What was found when it was opened, if there was anything to look for.
    pub(crate) recovery: Option<Recovery>,
    pub(super) context: Context,
    changing_directory: Mutex<()>,
    flushing: Mutex<()>,
    pub(crate) pins: LocalPins,
    /// The store once more, for cells that are lent.
    lending: OnceLock<Arc<Region>>,
}

impl Inner {
    pub(super) fn new(mapped: Arc<Mapped>, me: Participant, recovery: Option<Recovery>) -> Self {
        Self {
            context: context(&mapped, me.id),
            mapped,
            me,
            opener: Opener::this_process(),
            recovery,
            changing_directory: Mutex::default(),
            flushing: Mutex::default(),
            pins: LocalPins::default(),
            lending: OnceLock::new(),
        }
    }

    /// Refuses to go on in a child of the process that opened the store. Asked first by whatever reads, writes or waits.
    #[inline]
    pub(crate) fn check_fork(&self) -> Result<(), Forked> {
        self.opener.check()
    }

    #[inline]
    pub(crate) fn check_len(&self, len: usize) -> Result<(), SetError> {
        let max = self.max_len();
        if len > max { Err(SetError::TooLarge { len, max }) } else { Ok(()) }
    }

    #[inline]
    pub(crate) fn max_len(&self) -> usize {
        self.mapped.geometry.max_value_size as usize
    }

    /// A handle on the key that the slot has in this generation.
    pub(crate) fn handle(&self, place: Place) -> OwnedHandle {
        OwnedHandle::new(&self.mapped.memory.region, &self.mapped.tables.slots, place.slot, place.generation)
    }

    #[inline]
    pub(crate) fn ring<'a>(&'a self, handle: &'a Handle<'a>) -> Ring<'a> {
        Ring::new(handle, &self.context)
    }

    #[inline]
    pub(crate) fn on_slot<R>(&self, slot: u32, act: impl FnOnce(Ring<'_>) -> R) -> R {
        act(Ring::new(&Handle::of_present_key(self.mapped.slot(slot)), &self.context))
    }

    /// Acts on the slot on behalf of the key that it has in this generation.
    #[inline]
    pub(crate) fn on_key<R>(&self, place: Place, act: impl FnOnce(Ring<'_>) -> R) -> R {
        act(Ring::new(&Handle::new(self.mapped.slot(place.slot), place.generation), &self.context))
    }

    /// Copies the newest value of a slot into `value`, replacing what it held, and gives the version; `None` if there is none.
    #[inline]
    pub(super) fn copy_newest(
        self: &Arc<Self>,
        ring: Ring<'_>,
        place: &Place,
        value: &mut Vec<u8>,
    ) -> Result<Option<u64>, GetError> {
        ring.copy_newest(value).or_else(|error| self.copy_newest_pinned(error, place, value))
    }

    #[cold]
    fn copy_newest_pinned(
        self: &Arc<Self>,
        error: ReadError,
        place: &Place,
        value: &mut Vec<u8>,
    ) -> Result<Option<u64>, GetError> {
        if error != ReadError::Overtaken {
            return Err(error.into());
        }
        Ok(Pinned::newest(self, *place)?.map(|pinned| {
            pinned.copy_into(value);
            pinned.version()
        }))
    }

    /// The newest version of a slot and the length of its value in bytes; no length if there is no value.
    pub(super) fn newest_len(self: &Arc<Self>, ring: Ring<'_>, place: Place) -> Result<(u64, Option<usize>), GetError> {
        match ring.newest_len() {
            Err(ReadError::Overtaken) => Ok(match Pinned::newest(self, place)? {
                Some(pinned) => (pinned.version(), Some(pinned.len())),
                None => (ring.head().version(), None),
            }),
            newest => Ok(newest?),
        }
    }

    /// A mapping of the store through which nothing is reached but cells that are lent.
    pub(super) fn lending_region(&self) -> io::Result<&Arc<Region>> {
        if let Some(region) = self.lending.get() {
            return Ok(region);
        }
        let mapping = Mapping::of_file(&self.mapped.file, self.mapped.memory.region.len())?;
        let region = Memory::new(mapping)?.region;
        Ok(self.lending.get_or_init(|| region))
    }

    /// Locks the directory, waiting for whoever has it, at most for `limit`.
    pub(super) fn directory(&self, limit: &mut WaitLimit) -> Result<directory::Locked<'_>, DirectoryError> {
        let author = Author { mapped: &self.mapped, context: &self.context };
        directory::lock(author, &self.changing_directory, limit)
    }

    /// Keeps other flushes from beginning, waiting for those that have.
    pub(super) fn flushes(&self) -> io::Result<Flushes<'_>> {
        flush::lock(&self.mapped, &self.context, &self.flushing)
    }

    /// What those sleep on who wait for any key.
    #[inline]
    pub(super) fn new_version(&self) -> &Event {
        &self.mapped.header().new_version
    }

    /// Publishes a value that is not too long, and wakes who waits for it.
    #[inline]
    pub(super) fn set(&self, ring: Ring<'_>, value: &[u8]) -> Result<u64, SetError> {
        let version = ring.publish(value)?;
        self.wake(ring);
        Ok(version)
    }

    /// As [`set`](Self::set), and waits for a cell.
    pub(super) fn set_within(&self, ring: Ring<'_>, value: &[u8], deadline: Deadline) -> Result<u64, SetError> {
        let version = self.retry_until_not_full(ring, deadline, || ring.publish(value))?;
        self.wake(ring);
        Ok(version)
    }

    /// Takes a cell, and waits for one.
    pub(super) fn claim_within(&self, ring: Ring<'_>, deadline: Deadline) -> Result<Claim, CommitError> {
        self.retry_until_not_full(ring, deadline, || ring.claim_for_key())
    }

    /// Tries again whenever somebody has made room, until the deadline.
    fn retry_until_not_full<T>(
        &self,
        ring: Ring<'_>,
        deadline: Deadline,
        mut attempt: impl FnMut() -> Result<T, CommitError>,
    ) -> Result<T, CommitError> {
        let mut has_yielded = false;
        loop {
            let outcome = attempt();
            if !is_refused(&outcome) || deadline.left().is_none() {
                return outcome;
            }
            // Those who make room may have nothing but this core to do it on. Once: whatever looks like room and is none is waited for asleep.
            let looks_like_room = || {
                yield_now();
                ring.has_free_cells_ahead()
            };
            if !has_yielded && (0..YIELDS).any(|_| looks_like_room()) {
                has_yielded = true;
                continue;
            }
            has_yielded = false;
            let word = ring.not_full().listen();
            let outcome = attempt();
            let (true, Some(left)) = (is_refused(&outcome), deadline.left()) else {
                return outcome;
            };
            // Whoever dies, or stops, between making room and telling, costs a tenth of a second.
            futex::wait(&ring.not_full().word, word, left.min(LONGEST_SLEEP));
        }
    }

    /// Wakes whoever sleeps until something happens to the slot, which has happened.
    #[inline]
    pub(crate) fn wake(&self, ring: Ring<'_>) {
        ring.notify(ring.new_version());
        reached(Step::SlotNotified);
        if self.new_version().notify() {
            futex::wake_all(&self.new_version().word);
        }
    }
}

/// How often a publisher without room lets others run before it sleeps: some ten microseconds, about what sleeping costs.
const YIELDS: u32 = 16;

fn is_refused<T>(outcome: &Result<T, CommitError>) -> bool {
    matches!(outcome, Err(CommitError::Backpressure(_)))
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A child has its parent's handle, but the place is the parent's, and so is the lock. The process id is for children that were not
        // made by the C library's `fork`.
        if !self.opener.is_parent() && std::process::id() == self.me.pid {
            participant::leave(&self.mapped, self.me);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::core::ring::scans;
    use crate::store::{SetError, StoreOptions};
    use crate::{Bus, SubscribeOptions};

    #[test]
    fn a_refused_publish_reads_the_cursors_as_often_however_many_cells_there_are() {
        let scans = [(2, 2), (16, 8), (512, 512)].map(|(history, spare)| {
            let name = format!("splinter-unit-refused-{}-{history}", std::process::id());
            let options = StoreOptions::new().slots(1).max_value_size(128).history(history).spare(spare);
            let store = options.create(&name).unwrap();
            crate::Store::remove(&name).unwrap();
            let bus = Bus::<Vec<u8>>::on(store.clone());
            let _stalled = bus.subscribe_with("k", &SubscribeOptions::new().lossless()).unwrap();
            let slot = store.slot("k").unwrap();
            while slot.set(b"v").is_ok() {}
            scans::take();
            assert!(matches!(slot.set(b"v"), Err(SetError::Backpressure(_))));
            scans::take()
        });
        assert!(scans.iter().all(|&count| count == scans[0] && count <= 8), "{scans:?}");
    }
}
