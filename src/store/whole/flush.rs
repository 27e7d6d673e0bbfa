//! Writing a store in a file to the disk: see [`core::ring`](crate::core::ring) for what is done in
//! each slot. A crash leaves marked versions, which are kept until the next flush; the previous
//! flush still holds.

use std::io::{self, ErrorKind};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::core::index;
use crate::core::ring::{Context, FlushOvertaken, Ring};
use crate::kill_points::{Step, reached};
use crate::os::lock;
use crate::store::mapped::{LockByte, Mapped};
use crate::store::store::Store;

/// How long a flush waits for the flush of another process, which takes as long as the disk does.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The right to flush a store, which no other thread or process has meanwhile.
pub(crate) struct Flushes<'a> {
    mapped: &'a Mapped,
    context: &'a Context,
    /// `Some` for a store in a file.
    _thread: Option<MutexGuard<'a, ()>>,
}

impl Store {
    /// Blocks until everything that was published so far is on the disk. Does nothing for a store
    /// in shared memory.
    ///
    /// For each key, the value that is the newest during the flush is found again after the machine
    /// stops, whatever is published later: its cell is not overwritten until the next flush is
    /// complete. Unfinished jobs of work queues are found again, too. Older values, and what is
    /// published later, are found if the disk has them. A flush does not keep the values of a key
    /// that is removed later.
    ///
    /// Without a flush, a store in a file survives the end of any process. After a loss of power,
    /// only what the kernel has written by itself is left, which it does within about half a
    /// minute.
    ///
    /// Writers and readers continue meanwhile. Only one flush of a store runs at a time.
    ///
    /// # Errors
    ///
    /// The kernel's reason: the disk is full or broken. `TimedOut`: others have been flushing or
    /// purging for a minute, or a key is published faster than a flush can mark its value. What the
    /// previous flush has promised still holds then. In a child of the process that opened the
    /// store: [`Forked`](crate::store::Forked).
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
        self.session.check_fork()?;
        self.flushes()?.flush()
    }

    /// Keeps other flushes from beginning. Waits for those that have begun.
    pub(crate) fn flushes(&self) -> io::Result<Flushes<'_>> {
        lock(&self.session.mapped, &self.session.context, &self.session.flushing)
    }
}

/// Waits until no other thread and no other process flushes the store. A store in shared memory is
/// not flushed, and not locked.
fn lock<'a>(mapped: &'a Mapped, context: &'a Context, mutex: &'a Mutex<()>) -> io::Result<Flushes<'a>> {
    if !mapped.checksums {
        return Ok(Flushes { mapped, context, _thread: None });
    }
    let byte = LockByte::Flush.offset();
    let Some(thread) = lock::lock_among_threads(mapped.fd(), byte, mutex, LONGEST_WAIT)? else {
        let waited = humantime::format_duration(LONGEST_WAIT);
        let reason = format!(
            "others have been flushing the store for more than {waited}: let them go on if they are stopped, or end them"
        );
        return Err(io::Error::new(ErrorKind::TimedOut, reason));
    };
    Ok(Flushes { mapped, context, _thread: Some(thread) })
}

impl Flushes<'_> {
    /// Blocks until the newest value of every key is on the disk, and keeps it until the next
    /// flush.
    pub(crate) fn flush(&self) -> io::Result<()> {
        if !self.mapped.checksums {
            return Ok(());
        }
        // Keys that are created from now on are not covered.
        let slots = 0..self.mapped.used_slots();
        for slot in slots.clone() {
            self.on_ring(slot, |ring| ring.begin_flush()).map_err(|FlushOvertaken| {
                let key = index::key_of(self.mapped, slot).map_or("a key".to_owned(), |key| format!("the key {key:?}"));
                let reason = format!(
                    "{key} is published faster than a flush can mark its value: try again, or pause its publishers"
                );
                io::Error::new(ErrorKind::TimedOut, reason)
            })?;
        }
        self.mapped.flush()?;
        reached(Step::FlushWritten);
        for slot in slots {
            self.on_ring(slot, |ring| ring.end_flush());
        }
        Ok(())
    }

    fn on_ring<R>(&self, slot: u32, act: impl FnOnce(Ring<'_>) -> R) -> R {
        act(Ring::new(&self.mapped.handle_of(slot), self.context))
    }
}

impl Drop for Flushes<'_> {
    fn drop(&mut self) {
        if self.mapped.checksums {
            // If this fails, closing the file releases the lock.
            let _ = lock::unlock(self.mapped.fd(), LockByte::Flush.offset());
        }
    }
}
