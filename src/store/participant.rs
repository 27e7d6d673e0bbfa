//! Who has the store open, and what becomes of what the dead leave behind.
//!
//! Entry *i* of the table belongs to whoever alone holds the kernel's lock on byte *i* of the participants' range. The kernel
//! takes the lock back however its owner ends, so a lock that can be shared is the proof of a death, whatever has become of
//! the process id; and while it is shared, nobody can take the dead one's place.

use std::io;

use super::mapped::{LockByte, Mapped};
use super::ring::Ring;
use crate::kill_points::{Step, reached};
use crate::os::lock;
use crate::region::records::{PARTICIPANTS, ParticipantEntry};
use crate::sync::Ordering;

/// One open handle of one process on a store.
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
    /// Its place in the store's table: 0 to 127. Places are reused.
    pub id: u32,
    /// Tells it from all who had its place before or will have it after.
    pub incarnation: u64,
    /// The id of its process, as that process sees it. For people: in another PID namespace it means another process.
    pub pid: u32,
}

/// What came of the attempt to join.
pub(crate) enum Joined {
    As(Participant),
    /// Every place is taken.
    Full,
    /// Nobody is there, but something that is no participant holds locks on all places.
    LockedOut,
}

/// Takes a place in the table, a dead participant's if need be, and gives back what all the dead hold.
pub(crate) fn join(mapped: &Mapped) -> io::Result<Joined> {
    // Places that nobody left in a hurry first.
    for owned in [false, true] {
        for (id, entry) in (0..).zip(mapped.participants()) {
            if is_owned(entry) == owned && lock::try_lock(mapped.fd(), LockByte::Participant(id).offset())? {
                let me = take(mapped, id, entry);
                bury_the_dead(mapped, me)?;
                return Ok(Joined::As(me));
            }
        }
    }
    Ok(if anybody_is_marked(mapped) { Joined::Full } else { Joined::LockedOut })
}

/// Makes a place ours whose lock we hold.
fn take(mapped: &Mapped, id: u32, entry: &ParticipantEntry) -> Participant {
    reached(Step::PlaceLocked);
    let incarnation = entry.incarnation.load(Ordering::Acquire);
    let inherited = incarnation % 2 == 1;
    let (incarnation, pid) = (incarnation.wrapping_add(if inherited { 2 } else { 1 }), std::process::id());
    entry.pid.store(pid, Ordering::Relaxed);
    // Release: whoever sees the incarnation sees the process id.
    entry.incarnation.store(incarnation, Ordering::Release);
    reached(Step::PlaceTaken);
    if inherited {
        // Its owner died. The marks that it left are ours now; if we die over them, they are the next one's.
        reap(mapped, id, id);
    }
    Participant { id, incarnation, pid }
}

/// Gives the place back. Its owner has no mark left in any slot.
pub(crate) fn leave(mapped: &Mapped, participant: Participant) {
    let entry = &mapped.participants()[participant.id as usize];
    entry.incarnation.store(participant.incarnation.wrapping_add(1), Ordering::Release);
    reached(Step::PlaceLeft);
    // If this fails, closing the file does it.
    let _ = lock::unlock(mapped.fd(), LockByte::Participant(participant.id).offset());
}

/// Whether the participant's handle is still open, as `observer` sees it.
pub(crate) fn is_alive(mapped: &Mapped, participant: Participant, observer: Participant) -> io::Result<bool> {
    let Some(entry) = mapped.participants().get(participant.id as usize) else {
        return Ok(false);
    };
    if entry.incarnation.load(Ordering::Acquire) != participant.incarnation {
        return Ok(false);
    }
    // The kernel never names our own lock as one that is in our way.
    Ok(participant == observer || lock::is_locked(mapped.fd(), LockByte::Participant(participant.id).offset())?)
}

/// Whether the participant's place in the table is still its own, in life or death.
pub(crate) fn is_current(mapped: &Mapped, participant: Participant) -> bool {
    let entry = mapped.participants().get(participant.id as usize);
    entry.is_some_and(|entry| entry.incarnation.load(Ordering::Acquire) == participant.incarnation)
}

/// The process that has this place, or had it last.
pub(crate) fn pid(mapped: &Mapped, id: u32) -> u32 {
    mapped.participants().get(id as usize).map_or(0, |entry| entry.pid.load(Ordering::Relaxed))
}

/// Everyone whose handle is open.
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

/// Runs `clean` if the participant is dead. Nobody takes its place meanwhile, but others may do the same.
///
/// Threads of one handle share its locks and must not do this at the same time.
pub(crate) fn if_dead(mapped: &Mapped, id: u32, clean: impl FnOnce()) -> io::Result<()> {
    let lock = LockByte::Participant(id).offset();
    // Shared: whoever gets it knows that the owner is gone; and whoever is stopped with it in hand is in nobody's way but
    // newcomers', who take another place.
    if lock::try_lock_shared(mapped.fd(), lock)? {
        clean();
        lock::unlock(mapped.fd(), lock)?;
    }
    Ok(())
}

/// Finds every owner that died without closing, takes its marks off all slots, and frees its place.
fn bury_the_dead(mapped: &Mapped, me: Participant) -> io::Result<()> {
    for (id, entry) in (0..).zip(mapped.participants()) {
        let incarnation = entry.incarnation.load(Ordering::Acquire);
        if incarnation % 2 == 1 && id != me.id {
            if_dead(mapped, id, || {
                reap(mapped, me.id, id);
                reached(Step::DeadReaped);
                // Unless it has closed properly between our look and our lock, or another has buried it.
                let next = incarnation.wrapping_add(1);
                let _ = entry.incarnation.compare_exchange(incarnation, next, Ordering::Release, Ordering::Relaxed);
            })?;
        }
    }
    Ok(())
}

/// Whether the entry has an owner, or had one that died without closing.
fn is_owned(entry: &ParticipantEntry) -> bool {
    entry.incarnation.load(Ordering::Acquire) % 2 == 1
}

/// Whether anybody has the store open, or died without closing it.
pub(crate) fn anybody_is_marked(mapped: &Mapped) -> bool {
    mapped.participants().iter().any(is_owned)
}

/// Whether nobody has the store open, as far as locks tell.
pub(crate) fn nobody_is_there(mapped: &Mapped) -> io::Result<bool> {
    for id in 0..PARTICIPANTS as u32 {
        if lock::is_locked(mapped.fd(), LockByte::Participant(id).offset())? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes the marks of a dead participant off all slots.
fn reap(mapped: &Mapped, me: u32, dead: u32) {
    let terms = mapped.terms(me);
    for slot in 0..mapped.used_slots() {
        Ring::new(&mapped.slot(slot), &terms).reap(dead);
    }
}
