//! Purging: removing all older values that are not retained.

use crate::store::directory::WaitLimit;
use crate::store::error::DirectoryError;
use crate::store::store::Store;

impl Store {
    /// Removes and zeroes all values, except the newest of each key and those that are retained for
    /// a lossless subscriber or a work queue. Returns the number of cells that could not be zeroed:
    /// pinned, in use by a writer or another purge, or retained. 0 if nothing is held or retained.
    ///
    /// Nothing is taken from a lossless subscriber or a work queue. One that registers meanwhile
    /// gets either everything that it asked for, or begins above what is purged. With auto-vacuum
    /// on, a cell that is pinned or in use is zeroed when it is released. Publishers, readers, and
    /// processes that create and remove keys continue meanwhile. Waits until a process that is
    /// creating or removing a key is done, ten seconds at most. Blocks for some tens of
    /// milliseconds for each key that has a writer that is stopped between publishing and releasing
    /// its cell.
    ///
    /// In a file, it [flushes](Self::flush) first, so that no older value is needed after the
    /// machine stops: it waits for the disk. It also waits for another flush, a minute at most, and
    /// keeps other flushes waiting until it is done.
    ///
    /// # Errors
    ///
    /// [`DirectoryError`]: another process has been creating or removing a key for ten seconds,
    /// which the error names; the flush failed, or others have been flushing for a minute (`Flush`,
    /// which names no process); or this is a child of the process that opened the store.
    ///
    /// # Examples
    ///
    /// ```
    /// use splinter_bus::store::Lookup;
    ///
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-purge-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// let slot = store.slot("k")?;
    /// slot.set(b"old")?;
    /// slot.set(b"new")?;
    /// assert_eq!(store.purge()?, 0);
    /// assert_eq!(slot.get_version_into(1, &mut Vec::new())?, Lookup::Gone);
    /// assert_eq!(store.get("k")?.as_deref(), Some(&b"new"[..]));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn purge(&self) -> Result<u32, DirectoryError> {
        self.session.check_fork()?;
        // So that no flush needs what the purge takes. No other flush begins before the purge is
        // done.
        let flushes = self.flushes().map_err(DirectoryError::Flush)?;
        flushes.flush().map_err(DirectoryError::Flush)?;
        // Locking the directory finishes what a crashed remover has left. The rest needs no lock: a
        // cell is emptied only after it was claimed, and only versions of the present key, or of
        // older ones, are purged.
        drop(self.session.directory(&mut WaitLimit::longest())?);
        let mut busy = 0;
        for slot in 0..self.mapped().used_slots() {
            let handle = self.mapped().handle_of(slot);
            let ring = self.session.ring(&handle);
            // A slot that never had a key may be being prepared for its first, and holds nothing.
            if ring.generation() > 0 {
                busy += ring.purge();
                self.session.pins.scrub_behind_newest(ring);
            }
        }
        Ok(busy)
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
        let other = Store::open_unshared(&name).unwrap();
        Store::remove(&name).unwrap();
        let slots = ["a", "b"].map(|key| store.slot(key).unwrap());
        for slot in slots.iter().cycle().take(4) {
            slot.set(b"v").unwrap();
        }
        std::thread::scope(|scope| {
            // While this lock is held, the purge cannot pass the first slot.
            let pins = store.session.pins.lock(0);
            let purge = scope.spawn(|| store.purge());
            while slots[0].first_version() == 1 {
                std::thread::yield_now();
            }
            assert!(!purge.is_finished() && slots[1].first_version() == 1);
            other.slot_within("c", &mut WaitLimit::new(Duration::ZERO)).expect("nobody has the directory");
            assert!(other.unset("c").unwrap().is_some());
            drop(pins);
            assert_eq!(purge.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).unwrap(), 0);
        });
        assert_eq!(slots[1].first_version(), 2);
    }
}
