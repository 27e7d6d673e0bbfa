//! Giving back what nothing needs.

use std::time::Duration;

use super::stored_types;
use crate::store::directory::WaitLimit;
use crate::store::{Forked, Store};

impl Store {
    /// Gives back all space that no value needs: that of long values which are not history any more,
    /// and that of cells which hold short values now. Returns how many bytes were given back; 0 if the
    /// file system cannot give back parts of a file.
    ///
    /// Nothing that is the newest value of a key, history, retained, pinned or kept for a flush is
    /// touched. Of values that are longer than 256 KiB, less is history than of others: see
    /// [`KeyOptions::history`](crate::store::KeyOptions::history).
    ///
    /// Two things stay although no value needs them: pages for values of up to 4 KiB, which readers may be
    /// touching, and the rings of removed keys, which wait for the next key.
    ///
    /// It also removes message types that publishers have left in the store, if no bus publishes them and no
    /// message names them any more. It does so only if no other process is creating or removing keys.
    ///
    /// It may run at any time, beside any other processes, and never waits for them. The next long values of
    /// a key reserve their space again: then publishing 64 KiB takes some 40 µs instead of 4, and 1 MiB
    /// some 700 instead of 30. A publisher that finds no space trims by itself. So there are two reasons to
    /// call it: memory that other programs need, and a file that is to be copied.
    ///
    /// Makes a system call or two for each cell that gives something back; on a disk, each takes up to a
    /// few milliseconds. While a cell with a short value is trimmed, that version cannot be pinned, only
    /// copied, and a lossless subscriber that registers with the oldest message begins after it.
    ///
    /// # Errors
    ///
    /// [`Forked`]: this is a child of the process that opened the store.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-trim-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.set("k", &[7; 10_000_000])?;
    /// store.set("k", b"short")?;
    /// assert!(store.memory()?.reserved > 10_000_000);
    /// assert!(store.trim()? >= 10_000_000);
    /// assert!(store.memory()?.reserved < 1 << 20);
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn trim(&self) -> Result<u64, Forked> {
        self.check_fork()?;
        stored_types::remove_unused(self, &mut WaitLimit::new(Duration::ZERO));
        Ok(self.trim_space())
    }
}
