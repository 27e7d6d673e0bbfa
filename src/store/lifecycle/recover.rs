//! Recovery of a store in a file: after the machine stopped, after its last participants were killed, or in a copy.
//!
//! Pages of a file reach the disk in any order, and a copy takes them one after the other while others write. So the pages that
//! are found may be from different moments. A slot's header and a participant's entry lie in one page each, so they are
//! consistent in themselves. Checksums show which values are whole. The directory is rebuilt from the slots.
//!
//! The lock `Opening` is held from the check until the process is a participant. A crash releases it:
//!
//! | crash | what is left | what the next process does |
//! | --- | --- | --- |
//! | before the clean epoch is cleared | the store as it was | the same check |
//! | while slots are recovered | no clean epoch, or entries with owners that are gone | recovers again; a recovered slot stays as it is |
//! | after the clean epoch is written | entries with owners that are gone | recovers again, and finds everything sound |

use std::collections::HashMap;
use std::sync::Arc;

use super::clean_epoch::{self, UNKNOWN};
use super::refused::refused;
use crate::core::epoch;
use crate::core::index::{self, Indexed};
use crate::core::key::StoredKey;
use crate::core::memory::records::{PARTICIPANTS, SlotHeader};
use crate::core::ring::{NoSpace, Pages, Recovered, Ring, UnprovenCount, VersionSource};
use crate::core::word::MAX_PLAUSIBLE_VERSION;
use crate::kill_points::{Step, reached};
use crate::os::lock;
use crate::store::directory::{self, LONGEST_WAIT};
use crate::store::error::OpenError;
use crate::store::location::Location;
use crate::store::mapped::space::RecoverSpaceError;
use crate::store::mapped::{LockByte, Mapped};
use crate::store::participant;
use crate::store::participant::host::context;
use crate::store::recovery::{Recovery, UnprovenJobs};
use crate::sync::Ordering;

/// A store that is sound. In a file, no other process can open it until this is dropped.
#[must_use = "until the process is a participant, this keeps other processes from recovering the store"]
pub(crate) struct Checked<'a> {
    mapped: &'a Mapped,
    pub(crate) recovery: Option<Recovery>,
}

impl Drop for Checked<'_> {
    fn drop(&mut self) {
        if self.mapped.checksums {
            // If this fails, closing the file releases the lock.
            let _ = lock::unlock(self.mapped.fd(), LockByte::Opening.offset());
        }
    }
}

/// Recovers the store if it was not found sound in this file and this run of the machine, or if its
/// last participants did not close it. (They may have been killed, which does no harm; or this is a
/// copy that was made while they had it open, and was written over the original.)
pub(crate) fn check_or_recover<'a>(mapped: &'a Arc<Mapped>, location: &Location) -> Result<Checked<'a>, OpenError> {
    let clean_epoch = clean_epoch::of_file(&mapped.file, mapped.checksums).map_err(refused("examine", location))?;
    let directory_header = mapped.directory_header();
    let nobody_has_it_open =
        || participant::nobody_has_it_open(mapped).map_err(refused("examine the locks of", location));
    if !mapped.checksums {
        // A store that is open is no copy: only our view of the file differs, perhaps in another
        // container.
        let copied = Some(directory_header.clean_epoch.load(Ordering::Relaxed)) != clean_epoch && nobody_has_it_open()?;
        return if copied {
            Err(OpenError::Copied { name: location.to_string() })
        } else {
            Ok(Checked { mapped, recovery: None })
        };
    }
    let opening = LockByte::Opening.offset();
    if !lock::lock_within(mapped.fd(), opening, LONGEST_WAIT).map_err(refused("lock", location))? {
        let pid = directory_header.lock_owner_pid.load(Ordering::Relaxed);
        return Err(OpenError::Busy { name: location.to_string(), pid, waited: LONGEST_WAIT });
    }
    directory_header.lock_owner_pid.store(std::process::id(), Ordering::Relaxed);
    reached(Step::OpeningLocked);
    let mut checked = Checked { mapped, recovery: None };
    let is_clean = clean_epoch.is_some_and(|epoch| directory_header.clean_epoch.load(Ordering::Acquire) == epoch);
    if (!is_clean || participant::has_owners(mapped)) && nobody_has_it_open()? {
        let moments = if is_clean { Pages::OneMoment } else { Pages::MixedMoments };
        if moments == Pages::MixedMoments {
            // If we crash, the next process starts again. (If the clean epoch is right, it does so
            // because entries have owners.)
            directory_header.clean_epoch.store(UNKNOWN, Ordering::SeqCst);
            reached(Step::CleanEpochCleared);
        }
        let recovery = recover(mapped, moments).map_err(|error| match error {
            RecoverSpaceError::NoSpace(NoSpace { needed, available, reason }) => {
                OpenError::NoSpaceToRecover { name: location.to_string(), needed, available, reason }
            }
            RecoverSpaceError::Io(error) => refused("recover", location)(error),
        })?;
        checked.recovery = Some(recovery);
        // Release: pairs with the acquire above; a process that sees the clean epoch finds the
        // store sound.
        directory_header.clean_epoch.store(clean_epoch.unwrap_or(UNKNOWN), Ordering::Release);
        reached(Step::CleanEpochWritten);
        for slot in 0..mapped.used_slots() {
            let header = mapped.slot(slot).header;
            header.recovered_version.store(0, Ordering::Relaxed);
            header.unproven_jobs.store(0, Ordering::Relaxed);
        }
        // Last, because a process that finds entries with owners, none of which is alive, recovers
        // the store.
        participant::forget_all(mapped);
    }
    Ok(checked)
}

/// The epoch in which versions continue after a loss.
struct NextEpoch<'a> {
    mapped: &'a Mapped,
    /// Larger than all versions that any process can have seen; 0 if there are no larger ones.
    first: u64,
}

impl NextEpoch<'_> {
    fn begin(&self) {
        // Relaxed: no other process has the store open.
        self.mapped.directory_header().first_version.fetch_max(self.first, Ordering::Relaxed);
    }
}

impl VersionSource for NextEpoch<'_> {
    fn version_after(&self, version: u64) -> u64 {
        self.begin();
        let next = self.first.max(version + 1);
        epoch::reach(self.mapped.directory_header(), next, &|| self.mapped.flush_header().is_ok());
        next
    }
}

fn recover(mapped: &Arc<Mapped>, moments: Pages) -> Result<Recovery, RecoverSpaceError> {
    let slots = mapped.reserve_headers_again()?;
    let next_epoch = NextEpoch { mapped, first: epoch::first_of_next(mapped.directory_header()) };
    if moments == Pages::MixedMoments {
        // The recorded number may be damaged.
        mapped.directory_header().first_version.store(0, Ordering::Relaxed);
        next_epoch.begin();
    }
    // The context of no participant: a recovery claims nothing.
    let context = context(mapped, PARTICIPANTS as u32);
    let mut recovery = Recovery::default();
    let slots_of_keys = find_keys(mapped, &slots);
    let (mut used, mut highest) = (0, 0);
    for slot in slots {
        let view = mapped.slot(slot);
        if is_untouched(view.header) {
            continue;
        }
        // Slots whose headers did not reach the disk may have cells that did.
        mapped.give_back(used..slot)?;
        used = slot + 1;
        mapped.reserve_ring_again(slot)?;
        let handle = mapped.handle_of(slot);
        let ring = Ring::new(&handle, &context);
        let key = StoredKey::load(&view.header.key);
        if slots_of_keys.get(&key) == Some(&slot) {
            recovery.keys += u32::from(!key.is_of_system());
            let (found, UnprovenCount { damaged, missing }) = ring.recover(moments, &next_epoch)?;
            let keys = match found {
                Recovered::Sound => None,
                Recovered::Older => Some(&mut recovery.older),
                Recovered::Lost => Some(&mut recovery.lost),
            };
            keys.into_iter().for_each(|keys| keys.extend(key.text()));
            if damaged > 0 || missing > 0 {
                next_epoch.begin();
                recovery.jobs.extend(key.text().map(|key| UnprovenJobs { key, damaged, missing }));
            }
        } else {
            index::unassign(view.header);
            StoredKey::erase(&view.header.key);
            ring.wipe()?;
        }
        if moments == Pages::MixedMoments {
            ring.note_boot();
        }
        reached(Step::SlotRecovered);
        highest = highest.max(ring.highest_version());
    }
    mapped.give_back(used..mapped.dimensions.all_slots())?;
    mapped.reserve_headers_before(used)?;
    let first = mapped.directory_header().first_version.load(Ordering::Relaxed);
    if first == next_epoch.first {
        for slot in 0..used {
            Ring::new(&mapped.handle_of(slot), &context).record_gap(first);
        }
    }
    recovery.older.sort_unstable();
    recovery.lost.sort_unstable();
    recovery.jobs.sort_unstable();
    let directory_header = mapped.directory_header();
    let recorded = Some(directory_header.highest_removed_version.load(Ordering::Relaxed))
        .filter(|&version| version <= MAX_PLAUSIBLE_VERSION);
    directory_header.highest_removed_version.store(highest.max(recorded.unwrap_or(0)), Ordering::Relaxed);
    directory_header.journal.store(0, Ordering::Relaxed);
    directory::rebuild(mapped, used);
    directory_header.used_slots.store(used, Ordering::Relaxed);
    Ok(recovery)
}

/// Whether the slot was never used.
fn is_untouched(header: &SlotHeader) -> bool {
    let SlotHeader { head, generation, base_version, key_hash, next_ticket, .. } = header;
    [head, generation, base_version, key_hash, next_ticket].iter().all(|word| word.load(Ordering::Relaxed) == 0)
}

/// Which slot has which key. A key that moved to another slot between two moments may be in both:
/// it belongs to the later one.
fn find_keys(mapped: &Mapped, slots: &[u32]) -> HashMap<StoredKey, u32> {
    let mut slots_of_keys: HashMap<StoredKey, u32> = HashMap::new();
    let base_version = |slot: u32| mapped.slot(slot).header.base_version.load(Ordering::Relaxed);
    for &slot in slots {
        let header = mapped.slot(slot).header;
        let key = StoredKey::load(&header.key);
        let is_valid = index::has_key(header.generation.load(Ordering::Relaxed))
            && key.hash() == Some(header.key_hash.load(Ordering::Relaxed));
        if is_valid && slots_of_keys.get(&key).is_none_or(|&other| base_version(other) < base_version(slot)) {
            slots_of_keys.insert(key, slot);
        }
    }
    slots_of_keys
}
