//! A process's use of a store, shared by all its handles on it.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use super::directory::{self, WaitLimit};
use super::error::{DirectoryError, Forked};
use super::local_pins::LocalPins;
use super::mapped::{Mapped, Memory};
use super::participant::departure::Departure;
use super::participant::opener::Opener;
use super::participant::{self, Participant, host};
use super::recovery::Recovery;
use super::wait::notify;
use crate::core::index::SlotRef;
use crate::core::memory::records::Event;
use crate::core::memory::region::Region;
use crate::core::ring::owned_handle::OwnedHandle;
use crate::core::ring::{Context, Handle, Ring};
use crate::kill_points::{Step, reached};
use crate::os::mapping::Mapping;

/// A process's use of a store: one participant, one mapping. Shared by all handles of the process,
/// see [`Registry`](super::lifecycle::registry::Registry), and by everything that was made with
/// them. Closed when the last of these is dropped.
pub(crate) struct Session {
    pub(crate) mapped: Arc<Mapped>,
    pub(crate) me: Participant,
    pub(super) opener: Opener,
    /// Reports that the participant has left.
    pub(super) departure: Arc<Departure>,
    /// The report of the recovery when it was opened, if there was one.
    pub(crate) recovery: Option<Recovery>,
    pub(super) context: Context,
    changing_directory: Mutex<()>,
    pub(super) flushing: Mutex<()>,
    pub(crate) pins: LocalPins,
    /// A second mapping of the store, for loans.
    lending: OnceLock<Arc<Region>>,
}

impl Session {
    pub(super) fn new(mapped: Arc<Mapped>, me: Participant, recovery: Option<Recovery>) -> Self {
        Self {
            context: host::context(&mapped, me.id),
            mapped,
            me,
            opener: Opener::this_process(),
            departure: Arc::default(),
            recovery,
            changing_directory: Mutex::default(),
            flushing: Mutex::default(),
            pins: LocalPins::default(),
            lending: OnceLock::new(),
        }
    }

    /// Refuses to go on in a child of the process that opened the store. Called first by everything
    /// that reads, writes or waits.
    #[inline]
    pub(crate) fn check_fork(&self) -> Result<(), Forked> {
        self.opener.check()
    }

    /// A handle on the key that the slot has in this generation.
    pub(crate) fn handle(&self, slot_ref: SlotRef) -> OwnedHandle {
        OwnedHandle::new(
            &self.mapped.memory.region,
            &self.mapped.tables.slots,
            slot_ref.slot,
            slot_ref.generation,
            self.mapped.cells_reserved(slot_ref.slot),
        )
    }

    #[inline]
    pub(crate) fn ring<'a>(&'a self, handle: &'a Handle<'a>) -> Ring<'a> {
        Ring::new(handle, &self.context)
    }

    #[inline]
    pub(crate) fn on_slot<R>(&self, slot: u32, act: impl FnOnce(Ring<'_>) -> R) -> R {
        act(Ring::new(&self.mapped.handle_of(slot), &self.context))
    }

    /// Acts on the slot on behalf of the key that it has in this generation.
    #[inline]
    pub(crate) fn on_key<R>(&self, slot_ref: SlotRef, act: impl FnOnce(Ring<'_>) -> R) -> R {
        let SlotRef { slot, generation } = slot_ref;
        act(Ring::new(
            &Handle::new(self.mapped.slot(slot), generation, self.mapped.cells_reserved(slot)),
            &self.context,
        ))
    }

    /// A second mapping of the rings, which is used for loans only.
    pub(super) fn lending_region(&self) -> io::Result<&Arc<Region>> {
        if let Some(region) = self.lending.get() {
            return Ok(region);
        }
        let mapping = Mapping::window(&self.mapped.file, 0, self.mapped.memory.region.len())?;
        let region = Memory::new(mapping, 0)?.region;
        Ok(self.lending.get_or_init(|| region))
    }

    /// How many bytes of addresses this process has mapped of the store.
    pub(super) fn mapped_len(&self) -> u64 {
        self.mapped.mapped_len() + self.lending.get().map_or(0, |region| region.len() as u64)
    }

    /// Gives back all space that no value needs. Returns how many bytes that were. Done when space is
    /// short, and by [`Store::trim`](crate::Store::trim).
    #[cold]
    pub(crate) fn trim(&self) -> u64 {
        (0..self.mapped.used_slots()).map(|slot| self.on_slot(slot, |ring| ring.trim())).sum()
    }

    /// Locks the directory; waits for its holder for `limit` at most.
    pub(super) fn directory(&self, limit: &mut WaitLimit) -> Result<directory::Locked<'_>, DirectoryError> {
        directory::lock(&self.mapped, &self.context, &self.changing_directory, limit)
    }

    /// The event of those who wait for any key.
    #[inline]
    pub(super) fn new_version(&self) -> &Event {
        &self.mapped.header().new_version
    }

    /// Wakes those who wait for a change of the slot, which has happened.
    #[inline]
    pub(crate) fn wake(&self, ring: Ring<'_>) {
        ring.notify(ring.new_version());
        reached(Step::SlotNotified);
        notify(self.new_version());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A child has a copy of its parent's handle, but the entry and its lock are the parent's.
        // The process id is compared because of children that were not made by the C library's
        // `fork`.
        if !self.opener.is_parent() && std::process::id() == self.me.pid {
            participant::leave(&self.mapped, self.me);
            self.departure.report();
        }
    }
}
