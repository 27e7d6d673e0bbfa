//! What is done with a store in a file before the first one uses it after the machine stopped, after the last who had it open
//! were killed, or in a copy.
//!
//! Pages of a file are written to the disk in any order, and copied one after the other while others write. So the pages that are
//! found may be from different moments. In a slot's header and in a participant's entry this cannot mix anything up: each
//! lies in one page. Of values, checksums tell. The directory is made anew from the slots.

use std::collections::HashMap;
use std::fs::File;
use std::io;

use xxhash_rust::xxh3::Xxh3;

use super::directory::{self, LONGEST_WAIT};
use super::error::OpenError;
use super::index::{self, Indexed};
use super::key::StoredKey;
use super::location::Location;
use super::mapped::{LockByte, Mapped};
use super::open::refused;
use super::participant;
use super::ring::{Found, Ring};
use super::word::LARGEST_PLAUSIBLE;
use crate::kill_points::{Step, reached};
use crate::os::{file, lock};
use crate::region::records::PARTICIPANTS;
use crate::sync::Ordering;

/// What opening a store in a file found, when the machine had stopped since it was last used, the last who had it open were
/// killed, or the file is a copy.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::Store;
///
/// # let directory = tempfile::tempdir()?;
/// let original = directory.path().join("original");
/// let store = Store::create(&original)?;
/// store.set("k", b"v")?;
/// assert!(store.recovery().is_none());
///
/// let copy = directory.path().join("copy");
/// std::fs::copy(&original, &copy)?;
/// let copy = Store::open(&copy)?;
/// assert_eq!(copy.recovery().unwrap().keys, 1);
/// assert_eq!(copy.get("k")?.as_deref(), Some(&b"v"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Recovery {
    /// The number of keys that are there.
    pub keys: u32,
    /// Keys whose newest value was not whole, and that have an older one now, as a version of its own. Sorted.
    pub older: Vec<String>,
    /// Keys of whose values none was whole: reading them is an error until they are set. Sorted.
    pub lost: Vec<String>,
}

/// What tells this file, in this run of the machine, from any other; never 0.
pub(super) fn home(file: &File) -> io::Result<u64> {
    let mut hasher = Xxh3::new();
    hasher.update(&file::boot_id()?.unwrap_or_default());
    for part in file::identity(file)? {
        hasher.update(&part.to_ne_bytes());
    }
    Ok(hasher.digest().max(1))
}

/// A store that is sound. In a file, nobody else can open it until this is dropped.
#[must_use = "whoever is not a participant yet must keep others from making the store sound"]
pub(super) struct Settled<'a> {
    mapped: &'a Mapped,
    pub(super) recovery: Option<Recovery>,
}

impl Drop for Settled<'_> {
    fn drop(&mut self) {
        if self.mapped.checksums {
            // If this fails, closing the file does it.
            let _ = lock::unlock(self.mapped.fd(), LockByte::Opening.offset());
        }
    }
}

/// Makes the store sound if need be: it has not been found so in this place and this run of the machine, or the last who had it
/// open did not close it. (They may have been killed, which does no harm; or else this is a copy that was made while they had
/// it open, and was written over the original.)
pub(super) fn settle<'a>(mapped: &'a Mapped, location: &Location) -> Result<Settled<'a>, OpenError> {
    let home = home(&mapped.file).map_err(refused("examine", location))?;
    let books = mapped.books();
    let nobody_is_there = || participant::nobody_is_there(mapped).map_err(refused("examine the locks of", location));
    if !mapped.checksums {
        // Where somebody has the store open, it is no copy: what differs is how we see the file, in another container perhaps.
        let copied = books.home.load(Ordering::Relaxed) != home && nobody_is_there()?;
        return if copied {
            Err(OpenError::Copied { name: location.to_string() })
        } else {
            Ok(Settled { mapped, recovery: None })
        };
    }
    let opening = LockByte::Opening.offset();
    if !lock::lock_within(mapped.fd(), opening, LONGEST_WAIT).map_err(refused("lock", location))? {
        return Err(OpenError::Busy { name: location.to_string(), pid: books.holder.load(Ordering::Relaxed) });
    }
    books.holder.store(std::process::id(), Ordering::Relaxed);
    reached(Step::OpeningLocked);
    let mut settled = Settled { mapped, recovery: None };
    let doubtful = books.home.load(Ordering::Acquire) != home || participant::anybody_is_marked(mapped);
    if doubtful && nobody_is_there()? {
        // Should we not come to the end, the next one begins anew.
        books.home.store(0, Ordering::SeqCst);
        reached(Step::HomeForgotten);
        settled.recovery = Some(recover(mapped));
        // Release: pairs with the acquire above; who sees that the store is sound finds it so.
        books.home.store(home, Ordering::Release);
        reached(Step::HomeWritten);
        for slot in 0..mapped.used_slots() {
            mapped.slot(slot).header.stand_in.store(0, Ordering::Relaxed);
        }
    }
    Ok(settled)
}

fn recover(mapped: &Mapped) -> Recovery {
    for entry in mapped.participants() {
        let incarnation = entry.incarnation.load(Ordering::Relaxed);
        entry.incarnation.store(incarnation.wrapping_add(incarnation % 2), Ordering::Relaxed);
    }
    for entry in mapped.schemas() {
        // Whoever opens a bus remembers its own again.
        entry.len.store(0, Ordering::Relaxed);
        entry.fingerprint.store(0, Ordering::Relaxed);
    }
    // Nobody's: recovering claims nothing.
    let terms = mapped.terms(PARTICIPANTS as u32);
    let mut recovery = Recovery::default();
    let homes = find_keys(mapped);
    let (mut used, mut highest) = (0, 0);
    for slot in 0..mapped.geometry.slots {
        let view = mapped.slot(slot);
        let ring = Ring::new(&view, &terms);
        if ring.is_untouched() {
            continue;
        }
        used = slot + 1;
        let key = StoredKey::load(&view.header.key);
        if homes.get(&key) == Some(&slot) {
            recovery.keys += 1;
            let keys = match ring.recover() {
                Found::Sound => None,
                Found::Older => Some(&mut recovery.older),
                Found::Nothing => Some(&mut recovery.lost),
            };
            keys.into_iter().for_each(|keys| keys.extend(key.text()));
        } else {
            index::disown(view.header);
            StoredKey::erase(&view.header.key);
            ring.wipe();
        }
        reached(Step::SlotRecovered);
        highest = highest.max(ring.highest_version());
    }
    recovery.older.sort_unstable();
    recovery.lost.sort_unstable();
    let books = mapped.books();
    let told = Some(books.highest.load(Ordering::Relaxed)).filter(|&version| version <= LARGEST_PLAUSIBLE);
    books.highest.store(highest.max(told.unwrap_or(0)), Ordering::Relaxed);
    books.journal.store(0, Ordering::Relaxed);
    directory::make_anew(mapped, used);
    recovery
}

/// Which slot has which key. A key that moved from slot to slot between two moments may be in both: the later one has it.
fn find_keys(mapped: &Mapped) -> HashMap<StoredKey, u32> {
    let mut homes: HashMap<StoredKey, u32> = HashMap::new();
    let born = |slot: u32| mapped.slot(slot).header.born.load(Ordering::Relaxed);
    for slot in 0..mapped.geometry.slots {
        let header = mapped.slot(slot).header;
        let key = StoredKey::load(&header.key);
        let sound = index::has_key(header.generation.load(Ordering::Relaxed))
            && key.hash() == Some(header.key_hash.load(Ordering::Relaxed));
        if sound && homes.get(&key).is_none_or(|&other| born(other) < born(slot)) {
            homes.insert(key, slot);
        }
    }
    homes
}
