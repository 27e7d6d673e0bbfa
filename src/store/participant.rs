//! Who has the store open, and what becomes of what the dead leave behind.
//!
//! Entry *i* of the table belongs to whoever holds the kernel's lock on byte *i* of the participants' range. The kernel
//! takes the lock back however its owner ends, so a lock that can be taken is the proof of a death, whatever has become of
//! the process id; and while it is held, nobody can take the dead one's place.

use std::io;

use super::mapped::{LockByte, Mapped};
use super::ring::Ring;
use crate::os::lock;
use crate::region::records::PARTICIPANTS;
use crate::sync::Ordering;

/// One open handle of one process on a store.
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

/// Takes a free place in the table, after giving back what the dead hold. `None` when every place is taken.
pub(crate) fn join(mapped: &Mapped) -> io::Result<Option<Participant>> {
    bury_the_dead(mapped)?;
    for (id, entry) in (0..).zip(mapped.participants()) {
        let owned = |incarnation: u64| incarnation % 2 == 1;
        if owned(entry.incarnation.load(Ordering::Acquire)) || !try_lock(mapped, id)? {
            continue;
        }
        let incarnation = entry.incarnation.load(Ordering::Acquire);
        if owned(incarnation) {
            // It had an owner who died since we looked at the dead.
            reap(mapped, &[id]);
        }
        let incarnation = incarnation.wrapping_add(if owned(incarnation) { 2 } else { 1 });
        let pid = std::process::id();
        entry.pid.store(pid, Ordering::Relaxed);
        // Release: whoever sees the incarnation sees the process id.
        entry.incarnation.store(incarnation, Ordering::Release);
        return Ok(Some(Participant { id, incarnation, pid }));
    }
    Ok(None)
}

/// Gives the place back. Its owner has no mark left in any slot.
pub(crate) fn leave(mapped: &Mapped, participant: Participant) {
    let entry = &mapped.participants()[participant.id as usize];
    entry.incarnation.store(participant.incarnation.wrapping_add(1), Ordering::Release);
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

/// Tries to take the lock of a participant; whoever gets it knows that its owner is gone.
pub(crate) fn try_lock(mapped: &Mapped, id: u32) -> io::Result<bool> {
    lock::try_lock(mapped.fd(), LockByte::Participant(id).offset())
}

/// Lets go of the lock of a participant that was found dead.
pub(crate) fn unlock(mapped: &Mapped, id: u32) -> io::Result<()> {
    lock::unlock(mapped.fd(), LockByte::Participant(id).offset())
}

/// Finds every owner that died without closing, takes all its marks off all slots, and frees its place.
fn bury_the_dead(mapped: &Mapped) -> io::Result<()> {
    let mut dead = Vec::new();
    for (id, entry) in (0..).zip(mapped.participants()) {
        if entry.incarnation.load(Ordering::Acquire) % 2 == 1 && try_lock(mapped, id)? {
            dead.push(id);
        }
    }
    if !dead.is_empty() {
        reap(mapped, &dead);
        for id in dead {
            // Unless it has closed properly between our look and our lock.
            let entry = &mapped.participants()[id as usize];
            let incarnation = entry.incarnation.load(Ordering::Acquire);
            entry.incarnation.store(incarnation.wrapping_add(incarnation % 2), Ordering::Release);
            unlock(mapped, id)?;
        }
    }
    Ok(())
}

/// Takes the marks of participants whose locks we hold off all slots.
fn reap(mapped: &Mapped, dead: &[u32]) {
    // Nobody's: reaping claims nothing.
    let terms = mapped.terms(PARTICIPANTS as u32);
    for slot in 0..mapped.used_slots() {
        let view = mapped.slot(slot);
        let ring = Ring::new(&view, &terms);
        for &id in dead {
            ring.reap(id);
        }
    }
}
