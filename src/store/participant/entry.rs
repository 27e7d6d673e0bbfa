//! The table of participants.

use std::io;

use crate::core::memory::records::{PARTICIPANTS, ParticipantEntry};
use crate::kill_points::{Step, reached};
use crate::os::lock;
use crate::store::mapped::{LockByte, Mapped};
use crate::sync::Ordering;

/// One process's use of a store, from its first handle until its last one is dropped.
///
/// A process that uses two copies of this crate is two participants. So is a process whose file was
/// replaced in place while it had the store open.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-participant-type-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let me = store.participant();
/// assert_eq!((me.id, me.pid), (0, std::process::id()));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Participant {
    /// Its index in the store's table: 0 to 253. Indexes are reused.
    pub id: u32,
    /// Distinguishes it from all other participants that have this index at other times.
    pub incarnation: u64,
    /// The id of its process, as that process sees it. For people to read: in another PID namespace
    /// it means another process.
    pub pid: u32,
}

/// Frees the entry. Its owner has no mark left in any slot.
pub(crate) fn leave(mapped: &Mapped, participant: Participant) {
    let entry = &mapped.participants()[participant.id as usize];
    entry.incarnation.store(participant.incarnation.wrapping_add(1), Ordering::Release);
    reached(Step::ParticipantLeft);
    // If this fails, closing the file releases the lock.
    let _ = lock::unlock(mapped.fd(), LockByte::Participant(participant.id).offset());
}

/// Marks all entries as free, in a store that no process has open and whose slots have no marks of
/// participants.
pub(crate) fn forget_all(mapped: &Mapped) {
    for entry in mapped.participants() {
        let incarnation = entry.incarnation.load(Ordering::Relaxed);
        entry.incarnation.store(incarnation.wrapping_add(incarnation % 2), Ordering::Release);
    }
}

/// Whether the participant still has the store open, as `observer` sees it.
pub(crate) fn is_alive(mapped: &Mapped, participant: Participant, observer: Participant) -> io::Result<bool> {
    let Some(entry) = mapped.participants().get(participant.id as usize) else {
        return Ok(false);
    };
    if entry.incarnation.load(Ordering::Acquire) != participant.incarnation {
        return Ok(false);
    }
    // The kernel does not report our own lock.
    Ok(participant == observer || lock::is_locked(mapped.fd(), LockByte::Participant(participant.id).offset())?)
}

/// Whether the entry still belongs to the participant, alive or crashed.
pub(crate) fn is_current(mapped: &Mapped, participant: Participant) -> bool {
    let entry = mapped.participants().get(participant.id as usize);
    entry.is_some_and(|entry| entry.incarnation.load(Ordering::Acquire) == participant.incarnation)
}

/// The process that has this entry, or had it last.
pub(crate) fn pid(mapped: &Mapped, id: u32) -> u32 {
    mapped.participants().get(id as usize).map_or(0, |entry| entry.pid.load(Ordering::Relaxed))
}

/// All participants that are alive.
pub(crate) fn living(mapped: &Mapped, observer: Participant) -> io::Result<Vec<Participant>> {
    let mut living = Vec::new();
    for (id, entry) in (0..).zip(mapped.participants()) {
        let incarnation = entry.incarnation.load(Ordering::Acquire);
        let participant = Participant { id, incarnation, pid: entry.pid.load(Ordering::Relaxed) };
        if incarnation % 2 == 1 && is_alive(mapped, participant, observer)? {
            living.push(participant);
        }
    }
    Ok(living)
}

/// Whether the entry has an owner, alive or crashed.
pub(super) fn is_owned(entry: &ParticipantEntry) -> bool {
    entry.incarnation.load(Ordering::Acquire) % 2 == 1
}

/// Whether any process has the store open, or crashed while it had.
pub(crate) fn has_owners(mapped: &Mapped) -> bool {
    mapped.participants().iter().any(is_owned)
}

/// Whether no process has the store open, by its locks.
pub(crate) fn nobody_has_it_open(mapped: &Mapped) -> io::Result<bool> {
    for id in 0..PARTICIPANTS as u32 {
        if lock::is_locked(mapped.fd(), LockByte::Participant(id).offset())? {
            return Ok(false);
        }
    }
    Ok(true)
}
