//! What is done with a store in a file before the first one uses it after the machine stopped, after the last who had it open
//! were killed, or in a copy.
//!
//! Pages of a file are written to the disk in any order, and copied one after the other while others write. So the pages that are
//! found may be from different moments. In a slot's header and in a participant's entry this cannot mix anything up: each
//! lies in one page. Of values, checksums tell. The directory is made anew from the slots.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::context::context;
use super::directory::{self, LONGEST_WAIT};
use super::error::OpenError;
use super::location::Location;
use super::mapped::{LockByte, Mapped};
use super::open::refused;
use super::participant;
use crate::core::epoch;
use crate::core::index::{self, Indexed};
use crate::core::key::StoredKey;
use crate::core::memory::records::PARTICIPANTS;
use crate::core::ring::{Found, Handle, Moments, Ring, Successor, Unproven};
use crate::core::word::LARGEST_PLAUSIBLE;
use crate::kill_points::{Step, reached};
use crate::os::{file, lock};
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
    /// Keys whose newest value was not whole, and that have an older one now, as a version of its own. Sorted. Work queues are not
    /// among them: an older value would be a job that may be done.
    pub older: Vec<String>,
    /// Keys of whose values none was whole: reading them is an error until they are set. Sorted.
    pub lost: Vec<String>,
    /// Work queues of which jobs may have been lost. Sorted by key. Jobs that are not counted here are there, with the attempts that were
    /// made and with what was acknowledged, as far as that was on the disk: one that was finished since the last flush
    /// may come again.
    pub jobs: Vec<UnprovenJobs>,
}

/// How many jobs of a work queue a recovery could not prove. The two numbers count different jobs; together they are the most that can have
/// been lost of all jobs of which the file has any trace.
///
/// Both may count jobs that were done: those whose acknowledgement did not reach the disk either. A queue whose last jobs were
/// [flushed](super::Store::flush) has none that are missing.
///
/// # Examples
///
/// ```
/// use splinter_bus::Bus;
///
/// # let directory = tempfile::tempdir()?;
/// let (original, copy) = (directory.path().join("original"), directory.path().join("copy"));
/// let bus: Bus<Vec<u8>> = Bus::create(original.as_path())?;
/// let queue = bus.work_queue("jobs")?;
/// bus.publish("jobs", &b"a long letter".to_vec())?;
/// let mut image = std::fs::read(&original)?;
/// let at = image.windows(6).position(|bytes| bytes == b"letter").unwrap();
/// image[at] = b'b';
/// std::fs::write(&copy, &image)?;
///
/// let bus: Bus<Vec<u8>> = Bus::open(copy.as_path())?;
/// let jobs = &bus.store().recovery().unwrap().jobs;
/// assert_eq!((jobs[0].key.as_str(), jobs[0].damaged, jobs[0].missing), ("jobs", 1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct UnprovenJobs {
    /// The key of the queue.
    pub key: String,
    /// Jobs whose cell is there, does not say that they are done, and fails its checksum.
    pub damaged: u32,
    /// Jobs that were published after the last flush, and before others of which there is a trace, and are in no cell: at most so many
    /// of them can have been waiting.
    pub missing: u32,
}

/// What distinguishes this file from any other, in this run of the machine if it is one that outlives it; never 0. `None` if that is unknown: it
/// is different from everything, also from itself.
pub(super) fn home(file: &File, persistent: bool) -> io::Result<Option<u64>> {
    let boot = if persistent { file::boot_id()? } else { Some(Vec::new()) };
    let identity = file::identity(file)?;
    Ok(boot.map(|boot| home_of(&boot, &identity)))
}

fn home_of(boot: &[u8], identity: &[u64]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(boot);
    for part in identity {
        hasher.update(&part.to_ne_bytes());
    }
    hasher.digest().max(UNKNOWN + 1)
}

/// The home of a store in a file when the kernel does not distinguish one run of the machine from another.
pub(super) const UNKNOWN: u64 = 0;

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
pub(super) fn check_or_recover<'a>(mapped: &'a Arc<Mapped>, location: &Location) -> Result<Settled<'a>, OpenError> {
    let home = home(&mapped.file, mapped.checksums).map_err(refused("examine", location))?;
    let books = mapped.directory_header();
    let nobody_is_there = || participant::nobody_is_there(mapped).map_err(refused("examine the locks of", location));
    if !mapped.checksums {
        // Where somebody has the store open, it is no copy: what differs is how we see the file, in another container perhaps.
        let copied = Some(books.clean_epoch.load(Ordering::Relaxed)) != home && nobody_is_there()?;
        return if copied {
            Err(OpenError::Copied { name: location.to_string() })
        } else {
            Ok(Settled { mapped, recovery: None })
        };
    }
    let opening = LockByte::Opening.offset();
    if !lock::lock_within(mapped.fd(), opening, LONGEST_WAIT).map_err(refused("lock", location))? {
        let pid = books.holder.load(Ordering::Relaxed);
        return Err(OpenError::Busy { name: location.to_string(), pid, waited: LONGEST_WAIT });
    }
    books.holder.store(std::process::id(), Ordering::Relaxed);
    reached(Step::OpeningLocked);
    let mut settled = Settled { mapped, recovery: None };
    let at_home = home.is_some_and(|home| books.clean_epoch.load(Ordering::Acquire) == home);
    if (!at_home || participant::anybody_is_marked(mapped)) && nobody_is_there()? {
        let moments = if at_home { Moments::One } else { Moments::Many };
        if moments == Moments::Many {
            // Should we not come to the end, the next one begins again. (At home, it does so because of those who are marked.)
            books.clean_epoch.store(UNKNOWN, Ordering::SeqCst);
            reached(Step::CleanEpochCleared);
        }
        settled.recovery = Some(recover(mapped, moments));
        // Release: pairs with the acquire above; who sees that the store is sound finds it so.
        books.clean_epoch.store(home.unwrap_or(UNKNOWN), Ordering::Release);
        reached(Step::CleanEpochWritten);
        for slot in 0..mapped.used_slots() {
            let header = mapped.slot(slot).header;
            header.recovered_version.store(0, Ordering::Relaxed);
            header.unproven_jobs.store(0, Ordering::Relaxed);
        }
        // Last: a process that finds marks and nobody there recovers the store.
        participant::forget_all(mapped);
    }
    Ok(settled)
}

/// Where versions go on after a loss.
struct NextEpoch<'a> {
    mapped: &'a Mapped,
    /// Larger than all versions that anybody can have seen; 0 if there are no more of those.
    first: u64,
}

impl NextEpoch<'_> {
    fn begin(&self) {
        // Relaxed: nobody else has the store open.
        self.mapped.directory_header().first.fetch_max(self.first, Ordering::Relaxed);
    }
}

impl Successor for NextEpoch<'_> {
    fn version_after(&self, version: u64) -> u64 {
        self.begin();
        let next = self.first.max(version + 1);
        epoch::reach(self.mapped.directory_header(), next, &|| self.mapped.memory.flush_header().is_ok());
        next
    }
}

fn recover(mapped: &Arc<Mapped>, moments: Moments) -> Recovery {
    for entry in mapped.schemas() {
        // Whoever opens a bus remembers its own again.
        entry.len.store(0, Ordering::Relaxed);
        entry.fingerprint.store(0, Ordering::Relaxed);
    }
    let next_epoch = NextEpoch { mapped, first: epoch::first_of_next(mapped.directory_header()) };
    if moments == Moments::Many {
        // What is written there may be damaged.
        mapped.directory_header().first.store(0, Ordering::Relaxed);
        next_epoch.begin();
    }
    // Nobody's: recovering claims nothing.
    let context = context(mapped, PARTICIPANTS as u32);
    let mut recovery = Recovery::default();
    let homes = find_keys(mapped);
    let (mut used, mut highest) = (0, 0);
    for slot in 0..mapped.geometry.slots {
        let view = mapped.slot(slot);
        let handle = Handle::of_present_key(view);
        let ring = Ring::new(&handle, &context);
        if ring.is_untouched() {
            continue;
        }
        used = slot + 1;
        let key = StoredKey::load(&view.header.key);
        if homes.get(&key) == Some(&slot) {
            recovery.keys += 1;
            let (found, Unproven { damaged, missing }) = ring.recover(moments, &next_epoch);
            let keys = match found {
                Found::Sound => None,
                Found::Older => Some(&mut recovery.older),
                Found::Nothing => Some(&mut recovery.lost),
            };
            keys.into_iter().for_each(|keys| keys.extend(key.text()));
            if damaged > 0 || missing > 0 {
                next_epoch.begin();
                recovery.jobs.extend(key.text().map(|key| UnprovenJobs { key, damaged, missing }));
            }
        } else {
            index::unassign(view.header);
            StoredKey::erase(&view.header.key);
            ring.wipe();
        }
        reached(Step::SlotRecovered);
        highest = highest.max(ring.highest_version());
    }
    let first = mapped.directory_header().first.load(Ordering::Relaxed);
    if first == next_epoch.first {
        for slot in 0..used {
            Ring::new(&Handle::of_present_key(mapped.slot(slot)), &context).note_gap(first);
        }
    }
    recovery.older.sort_unstable();
    recovery.lost.sort_unstable();
    recovery.jobs.sort_unstable();
    let books = mapped.directory_header();
    let told = Some(books.highest.load(Ordering::Relaxed)).filter(|&version| version <= LARGEST_PLAUSIBLE);
    books.highest.store(highest.max(told.unwrap_or(0)), Ordering::Relaxed);
    books.journal.store(0, Ordering::Relaxed);
    directory::rebuild(mapped, used);
    recovery
}

/// Which slot has which key. A key that moved from slot to slot between two moments may be in both: the later one has it.
fn find_keys(mapped: &Mapped) -> HashMap<StoredKey, u32> {
    let mut homes: HashMap<StoredKey, u32> = HashMap::new();
    let base_version = |slot: u32| mapped.slot(slot).header.base_version.load(Ordering::Relaxed);
    for slot in 0..mapped.geometry.slots {
        let header = mapped.slot(slot).header;
        let key = StoredKey::load(&header.key);
        let sound = index::has_key(header.generation.load(Ordering::Relaxed))
            && key.hash() == Some(header.key_hash.load(Ordering::Relaxed));
        if sound && homes.get(&key).is_none_or(|&other| base_version(other) < base_version(slot)) {
            homes.insert(key, slot);
        }
    }
    homes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_of_one_file_in_one_run_of_the_machine_and_never_the_unknown_one() {
        let identity = [1, 2, 3, 4];
        let home = home_of(b"one run", &identity);
        assert_eq!(home, home_of(b"one run", &identity));
        assert_ne!(home, home_of(b"another run", &identity));
        assert_ne!(home, home_of(b"one run", &[1, 2, 3, 5]));
        assert_ne!(home, UNKNOWN);
    }
}
