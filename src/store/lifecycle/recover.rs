//! What is done with a store in a file before the first one uses it after the machine stopped, after the last who had it open
//! were killed, or in a copy.
//!
//! Pages of a file are written to the disk in any order, and copied one after the other while others write. So the pages that are
//! found may be from different moments. In a slot's header and in a participant's entry this cannot mix anything up: each
//! lies in one page. Of values, checksums tell. The directory is made anew from the slots.

use std::collections::HashMap;
use std::sync::Arc;

use super::clean_epoch::{self, UNKNOWN};
use super::refused::refused;
use crate::core::epoch;
use crate::core::index::{self, Indexed};
use crate::core::key::StoredKey;
use crate::core::memory::records::PARTICIPANTS;
use crate::core::ring::{Found, Handle, Moments, Ring, Successor, Unproven};
use crate::core::word::LARGEST_PLAUSIBLE;
use crate::kill_points::{Step, reached};
use crate::os::lock;
use crate::store::directory::{self, LONGEST_WAIT};
use crate::store::error::OpenError;
use crate::store::location::Location;
use crate::store::mapped::{LockByte, Mapped};
use crate::store::participant;
use crate::store::participant::host::context;
use crate::store::recovery::{Recovery, UnprovenJobs};
use crate::sync::Ordering;

/// A store that is sound. In a file, nobody else can open it until this is dropped.
#[must_use = "whoever is not a participant yet must keep others from making the store sound"]
pub(crate) struct Settled<'a> {
    mapped: &'a Mapped,
    pub(crate) recovery: Option<Recovery>,
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
pub(crate) fn check_or_recover<'a>(mapped: &'a Arc<Mapped>, location: &Location) -> Result<Settled<'a>, OpenError> {
    let home = clean_epoch::home(&mapped.file, mapped.checksums).map_err(refused("examine", location))?;
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
        return Err(OpenError::Busy { name: location.to_string(), pid: books.holder.load(Ordering::Relaxed) });
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
