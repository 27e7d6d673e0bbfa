//! What can be done with a store as a whole.

use std::io;

use super::directory::WaitLimit;
use super::error::DirectoryError;
use super::flags::Flags;
use super::handle::Store;
use super::identity::LAYOUT;
use super::participant::{self, Participant};
use super::recover::Recovery;
use super::snapshot::{Diagnostics, StoreSnapshot};
use super::watch::Watch;
use crate::core::cell_counts::CellCounts;
use crate::core::index::Indexed;
use crate::core::memory::records::Switches;
use crate::core::ring::Handle;
use crate::os::clock;
use crate::sync::Ordering;

impl Store {
    /// What the store says of itself now.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Flags, Store};
    /// # let name = format!("splinter-doc-snapshot-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let snapshot = store.snapshot();
    /// assert_eq!((snapshot.keys, snapshot.flags, snapshot.persistent), (0, Flags::AUTO_VACUUM, false));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> StoreSnapshot {
        let mapped = self.mapped();
        let identity = &mapped.header().identity;
        StoreSnapshot {
            id: identity.id.load(Ordering::Relaxed),
            layout: LAYOUT,
            geometry: mapped.geometry,
            total_len: mapped.memory.region.len() as u64,
            persistent: mapped.checksums,
            created: identity.created.load(Ordering::Relaxed),
            keys: mapped.directory_header().live.load(Ordering::Relaxed).min(mapped.geometry.slots),
            flags: self.flags(),
            diagnostics: self.diagnostics(),
        }
    }

    /// All switches, as they are at one moment.
    ///
    /// # Examples
    ///
    /// See [`Flags`].
    #[must_use]
    pub fn flags(&self) -> Flags {
        Flags::from_bits_retain(self.switches().flags.load(Ordering::SeqCst))
    }

    /// Whether all of these switches are on, at one moment.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Flags, Store};
    /// # let name = format!("splinter-doc-has-flags-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.set_flags(Flags::USR2);
    /// assert!(store.has_flags(Flags::USR2));
    /// assert!(!store.has_flags(Flags::USR2 | Flags::USR3));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn has_flags(&self, flags: Flags) -> bool {
        self.flags().contains(flags)
    }

    /// Turns switches on, in one step; the others stay as they are. Bits that have no name are left alone.
    ///
    /// # Examples
    ///
    /// See [`Flags`].
    pub fn set_flags(&self, flags: Flags) {
        self.switches().flags.fetch_or((flags & Flags::all()).bits(), Ordering::SeqCst);
    }

    /// Turns switches off, in one step; the others stay as they are. Bits that have no name are left alone.
    ///
    /// # Examples
    ///
    /// See [`Flags`].
    pub fn clear_flags(&self, flags: Flags) {
        self.switches().flags.fetch_and(!(flags & Flags::all()).bits(), Ordering::SeqCst);
    }

    /// Whether older values are zeroed as they are overwritten and removed.
    ///
    /// # Examples
    ///
    /// See [`set_auto_vacuum`](Self::set_auto_vacuum).
    #[must_use]
    pub fn auto_vacuum(&self) -> bool {
        self.has_flags(Flags::AUTO_VACUUM)
    }

    /// Has older values zeroed as they are overwritten and removed, by all participants from now on, or not.
    ///
    /// What was left behind while it was off is zeroed when its cell is used next, or at once by [`purge`](Self::purge).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-auto-vacuum-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert!(store.auto_vacuum());
    /// store.set_auto_vacuum(false);
    /// assert!(!Store::open(&name)?.auto_vacuum());
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_auto_vacuum(&self, on: bool) {
        if on {
            self.set_flags(Flags::AUTO_VACUUM);
        } else {
            self.clear_flags(Flags::AUTO_VACUUM);
        }
    }

    /// Removes and zeroes all values but the newest of each key and those that a lossless subscriber or a work queue is still to
    /// receive. Returns the number of cells that could not be zeroed: pinned, in use by a writer or another purge, or retained. 0 if
    /// nobody holds or retains anything.
    ///
    /// Nothing is taken from a lossless subscriber or a work queue. One that registers meanwhile begins either with all that it asked
    /// for, or above what is purged. With auto-vacuum on, a cell that is pinned or in use is zeroed when it is released. Publishers,
    /// readers, and those who create and remove keys go on. Waits until a process that is creating or removing a key is done, ten
    /// seconds at most. Blocks for some tens of milliseconds for each key one of whose writers is stopped between publishing and
    /// releasing its cell.
    ///
    /// In a file, it [flushes](Self::flush) first, so that no older value is needed after the machine stops: it waits for the disk. It
    /// also waits for another flush, a minute at most, and keeps other flushes waiting until it is done.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`]: another process has been creating or removing a key for ten seconds, which the error names; the flush failed, or
    /// others have been flushing for a minute (`Flush`, which names no process); or this is a child of the process that opened the store.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::store::Version;
    ///
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-purge-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let slot = store.slot("k")?;
    /// slot.set(b"old")?;
    /// slot.set(b"new")?;
    /// assert_eq!(store.purge()?, 0);
    /// assert_eq!(slot.get_version_into(1, &mut Vec::new())?, Version::Gone);
    /// assert_eq!(store.get("k")?.as_deref(), Some(&b"new"[..]));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn purge(&self) -> Result<u32, DirectoryError> {
        self.inner.check_fork()?;
        // What a purge takes is needed by no flush then. No other flush begins before it is done.
        let flushes = self.inner.flushes().map_err(DirectoryError::Flush)?;
        flushes.flush().map_err(DirectoryError::Flush)?;
        // To lock the directory empties what a dead remover has left. For the rest the lock is not needed: cells are emptied by those who
        // claim them, and purged are only versions of the present key, or of older ones.
        drop(self.inner.directory(&mut WaitLimit::longest())?);
        let mut busy = 0;
        for slot in 0..self.mapped().used_slots() {
            let handle = Handle::of_present_key(self.mapped().slot(slot));
            let ring = self.inner.ring(&handle);
            // One that never had a key may be about to be made ready for its first, and holds nothing.
            if ring.generation() > 0 {
                busy += ring.purge();
                self.inner.pins.scrub_behind_newest(slot, ring);
            }
        }
        Ok(busy)
    }

    /// Blocks until everything that was published so far is on the disk. Nothing to do for a store in shared memory.
    ///
    /// Of each key, the value that is the newest during the flush is found again after the machine stops, whatever is published
    /// afterwards and however much of that reaches the disk: until the next flush is complete, its cell is not overwritten.
    /// Unfinished jobs of work queues are found again, too. Older values, and what is published later, are found if the disk has them. A key
    /// that is removed is not kept by an earlier flush.
    ///
    /// Without a flush, a store in a file survives whatever happens to processes, but of a machine that loses its power only what
    /// the kernel has written by itself, within about half a minute.
    ///
    /// Writers and readers go on meanwhile. Flushes of one store follow each other.
    ///
    /// # Errors
    ///
    /// What the kernel said: the disk is full or broken. `TimedOut`: others have been flushing or purging for a minute, or a key is
    /// published faster than a flush can mark its value. What the flush before promised still holds then. In a child of the process that
    /// opened the store: [`Forked`](super::Forked).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let directory = tempfile::tempdir()?;
    /// let store = Store::create(directory.path().join("a.store"))?;
    /// store.set("k", b"v")?;
    /// store.flush()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush(&self) -> io::Result<()> {
        self.inner.check_fork()?;
        self.inner.flushes()?.flush()
    }

    /// Has all of the store there for this process, so that whoever is the first to touch a page does not wait for the kernel to bring it.
    ///
    /// Blocks while the kernel does it for all of it, and takes nothing that was not reserved when the store was created, unless that
    /// was [sparse](super::StoreOptions::sparse): then it takes all of its space now. Of a store in a file, the kernel writes everything to the disk once.
    /// Values that are lent are written through a mapping of their own, of which this says nothing.
    ///
    /// Kernels before 5.14 have no call for it. There, this writes to each page what it holds already; a sparse
    /// store whose space runs out ends the process then, as any other write to it does.
    ///
    /// # Errors
    ///
    /// What the kernel said: there is not enough memory, or, for a sparse store, not enough space. In a child of the process that opened the
    /// store: [`Forked`](super::Forked).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-prefault-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.prefault()?;
    /// store.set("k", b"no slower than the next one")?;
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prefault(&self) -> io::Result<()> {
        self.inner.check_fork()?;
        self.mapped().memory.prefault()
    }

    /// What was found when this handle opened the store, if the machine had stopped since it was last used, the last who had it
    /// open were killed, or the file is a copy; `None` if there was no reason to look.
    ///
    /// # Examples
    ///
    /// See [`Recovery`].
    #[must_use]
    pub fn recovery(&self) -> Option<&Recovery> {
        self.inner.recovery.as_ref()
    }

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

    /// How all cells of the store are used now. Looks at every one that was ever used.
    ///
    /// While nobody publishes, holds anything or is dead, none is in flight and none is pinned.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::{Store, StoreOptions};
    /// # let name = format!("splinter-doc-store-cells-{}", std::process::id());
    /// let store = StoreOptions::new().slots(2).history(3).spare(1).create(&name)?;
    /// store.set("k", b"v")?;
    /// let cells = store.cells();
    /// assert_eq!((cells.total(), cells.readable, cells.in_flight, cells.pinned), (8, 1, 0, 0));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cells(&self) -> CellCounts {
        let mapped = self.mapped();
        let used = mapped.used_slots();
        let mut cells: CellCounts = (0..used).map(|slot| self.inner.on_slot(slot, |ring| ring.count_cells())).sum();
        cells.free += u64::from(mapped.geometry.slots - used) * u64::from(mapped.geometry.cells());
        cells
    }

    /// This open handle, as others see it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-participant-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert_eq!(store.participant().pid, std::process::id());
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn participant(&self) -> Participant {
        self.inner.me
    }

    /// Everyone who has the store open now.
    ///
    /// # Errors
    ///
    /// What the kernel said when it was asked for the locks. In a child of the process that opened the store: [`Forked`](super::Forked).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-participants-{}", std::process::id());
    /// let (store, other) = (Store::create(&name)?, Store::open(&name)?);
    /// assert_eq!(store.participants()?, [store.participant(), other.participant()]);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn participants(&self) -> io::Result<Vec<Participant>> {
        self.inner.check_fork()?;
        participant::living(self.mapped(), self.inner.me)
    }

    /// Whether a participant still has the store open. Known from the kernel at once, however it ended.
    ///
    /// A stopped process is alive.
    ///
    /// # Errors
    ///
    /// What the kernel said when it was asked for the lock. In a child of the process that opened the store: [`Forked`](super::Forked).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-is-alive-{}", std::process::id());
    /// let (store, other) = (Store::create(&name)?, Store::open(&name)?);
    /// let participant = other.participant();
    /// assert!(store.is_alive(participant)?);
    /// drop(other);
    /// assert!(!store.is_alive(participant)?);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_alive(&self, participant: Participant) -> io::Result<bool> {
        self.inner.check_fork()?;
        participant::is_alive(self.mapped(), participant, self.inner.me)
    }

    /// What readers of this store rejected so far.
    ///
    /// # Examples
    ///
    /// See [`Diagnostics`].
    #[must_use]
    pub fn diagnostics(&self) -> Diagnostics {
        let diagnostics = &self.mapped().header().diagnostics;
        Diagnostics {
            parse_failures: diagnostics.parse_failures.load(Ordering::Relaxed),
            last_failure_epoch: diagnostics.last_failure_epoch.load(Ordering::Relaxed),
        }
    }

    /// Counts a value that its reader could make no sense of. The typed bus does this by itself.
    ///
    /// # Examples
    ///
    /// See [`Diagnostics`].
    pub fn report_parse_failure(&self) {
        let diagnostics = &self.mapped().header().diagnostics;
        diagnostics.parse_failures.fetch_add(1, Ordering::Relaxed);
        diagnostics.last_failure_epoch.fetch_max(clock::unix_nanos(), Ordering::Relaxed);
    }

    fn switches(&self) -> &Switches {
        &self.mapped().header().switches
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::StoreOptions;

    #[test]
    fn keys_come_and_go_while_a_purge_is_under_way() {
        let name = format!("splinter-unit-purge-{}", std::process::id());
        let store = StoreOptions::new().slots(4).create(&name).unwrap();
        let other = Store::open(&name).unwrap();
        Store::remove(&name).unwrap();
        let slots = ["a", "b"].map(|key| store.slot(key).unwrap());
        for slot in slots.iter().cycle().take(4) {
            slot.set(b"v").unwrap();
        }
        std::thread::scope(|scope| {
            // Without this lock, the purge does not come past the first slot.
            let pins = store.inner.pins.locked();
            let purge = scope.spawn(|| store.purge());
            while slots[0].first_version() == 1 {
                std::thread::yield_now();
            }
            assert!(!purge.is_finished() && slots[1].first_version() == 1);
            other.slot_within("c", &mut WaitLimit::new(Duration::ZERO)).expect("nobody has the directory");
            assert!(other.unset("c").unwrap());
            drop(pins);
            assert_eq!(purge.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).unwrap(), 0);
        });
        assert_eq!(slots[1].first_version(), 2);
    }
}
