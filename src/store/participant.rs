//! Who has the store open, and what becomes of what the dead leave behind.
//!
//! Entry *i* of the table belongs to whoever alone holds the kernel's lock on byte *i* of the participants' range. The kernel
//! takes the lock back however its owner ends, so a lock that can be shared is the proof of a death, whatever has become of
//! the process id; and while it is shared, nobody can take the dead one's place.

use std::io;
use std::sync::Arc;

use super::context::context;
use super::mapped::{LockByte, Mapped};
use crate::core::memory::records::{PARTICIPANTS, ParticipantEntry};
use crate::core::participant_set::ParticipantSet;
use crate::core::ring::{Handle, Ring};
use crate::kill_points::{Step, reached};
use crate::os::lock;
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
pub(crate) fn join(mapped: &Arc<Mapped>) -> io::Result<Joined> {
    // Places that nobody left in a hurry first.
    for owned in [false, true] {
        for (id, entry) in (0..).zip(mapped.participants()) {
            if is_owned(entry) == owned && lock::try_lock(mapped.fd(), LockByte::Participant(id).offset())? {
                let (me, inherited) = take(mapped, id, entry)?;
                reap_crashed(mapped, me, inherited)?;
                return Ok(Joined::As(me));
            }
        }
    }
    Ok(if anybody_is_marked(mapped) { Joined::Full } else { Joined::LockedOut })
}

/// Makes a place ours whose lock we hold; whether its last owner died, whose marks are ours now.
fn take(mapped: &Mapped, id: u32, entry: &ParticipantEntry) -> io::Result<(Participant, bool)> {
    reached(Step::ParticipantLocked);
    let incarnation = entry.incarnation.load(Ordering::Acquire);
    let inherited = incarnation % 2 == 1;
    let (incarnation, pid) = (incarnation.wrapping_add(if inherited { 2 } else { 1 }), std::process::id());
    entry.pid.store(pid, Ordering::Relaxed);
    // Release: whoever sees the incarnation sees the process id.
    entry.incarnation.store(incarnation, Ordering::Release);
    reached(Step::ParticipantJoined);
    write_first_mark(mapped, id)?;
    Ok((Participant { id, incarnation, pid }, inherited))
}

/// Blocks until the disk says that somebody has the store open, if it is in a file: before anything is changed in it.
///
/// Pages of the table are written each in one piece, so who finds another mark in the page of our entry need not do this: since the first one was
/// written, the page has not been without.
fn write_first_mark(mapped: &Mapped, id: u32) -> io::Result<()> {
    if !mapped.checksums {
        return Ok(());
    }
    // The largest piece that every file system and disk writes at once.
    const PAGE: usize = 4096;
    let page = |index: usize| mapped.tables.participants.offset_of(index) / PAGE;
    let others = mapped.participants().iter().enumerate().filter(|&(index, _)| index != id as usize);
    let mut in_our_page = others.filter(|&(index, _)| page(index) == page(id as usize));
    if in_our_page.any(|(_, entry)| is_owned(entry)) {
        return Ok(());
    }
    // With what is before the table: in which home the store was found sound, and which epoch it has reached.
    let written = mapped.memory.mapping.flush_first(mapped.tables.participants.offset_of(PARTICIPANTS));
    written.map_err(|error| {
        io::Error::new(error.kind(), format!("its participants could not be written to the disk: {error}"))
    })
}

/// Takes the marks off all entries, in a store that nobody has open, and in which nobody's marks are left in any slot.
pub(crate) fn forget_all(mapped: &Mapped) {
    for entry in mapped.participants() {
        let incarnation = entry.incarnation.load(Ordering::Relaxed);
        entry.incarnation.store(incarnation.wrapping_add(incarnation % 2), Ordering::Release);
    }
}

/// Gives the place back. Its owner has no mark left in any slot.
pub(crate) fn leave(mapped: &Mapped, participant: Participant) {
    let entry = &mapped.participants()[participant.id as usize];
    entry.incarnation.store(participant.incarnation.wrapping_add(1), Ordering::Release);
    reached(Step::ParticipantLeft);
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

/// How many crashed participants are reaped at a time. All of them are locked meanwhile, so no more than half: newcomers find an index, also while
/// a process that was doing this is stopped.
const REAPED_AT_ONCE: usize = PARTICIPANTS / 2;

/// Finds every owner that died without closing, takes its marks off all slots, and frees its place. Scans the slots once for all of them, or
/// twice if they are more than [`REAPED_AT_ONCE`].
///
/// If `inherited`, our own place is a dead one's. If we die over its marks, they are the next one's.
fn reap_crashed(mapped: &Arc<Mapped>, me: Participant, inherited: bool) -> io::Result<()> {
    let mut marked = ParticipantSet::default();
    if inherited {
        marked.insert(me.id);
    }
    let mut owned = (0..).zip(mapped.participants()).filter(|&(id, entry)| id != me.id && is_owned(entry));
    loop {
        let mut dead = Vec::new();
        for (id, entry) in owned.by_ref() {
            let incarnation = entry.incarnation.load(Ordering::Acquire);
            // Shared, as in `CrashedLocks`.
            if lock::try_lock_shared(mapped.fd(), LockByte::Participant(id).offset())? {
                marked.insert(id);
                dead.push((id, entry, incarnation));
            }
            if dead.len() == REAPED_AT_ONCE {
                break;
            }
        }
        if marked.is_empty() {
            return Ok(());
        }
        reap(mapped, me.id, &marked);
        for (id, entry, incarnation) in dead {
            reached(Step::ParticipantReaped);
            // Unless it has closed properly between our look and our lock, or another has reaped it.
            if incarnation % 2 == 1 {
                let next = incarnation.wrapping_add(1);
                let _ = entry.incarnation.compare_exchange(incarnation, next, Ordering::Release, Ordering::Relaxed);
            }
            lock::unlock(mapped.fd(), LockByte::Participant(id).offset())?;
        }
        marked = ParticipantSet::default();
    }
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

/// Takes the marks of dead participants off all slots, in one scan.
fn reap(mapped: &Arc<Mapped>, me: u32, dead: &ParticipantSet) {
    #[cfg(test)]
    tests::SCANS.with(|scans| scans.set(scans.get() + 1));
    let context = context(mapped, me);
    for slot in 0..mapped.used_slots() {
        let handle = Handle::of_present_key(mapped.slot(slot));
        let ring = Ring::new(&handle, &context);
        // In one that never had a key, nobody has left a mark since the store was found sound; and a process that prepares it for its first key does
        // not claim its cells.
        if ring.generation() > 0 {
            ring.reap_all(dead);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::core::delivery::Cursor;
    use crate::store::StoreOptions;
    use crate::store::crashed_locks::CrashedLocks;

    thread_local! {
        pub(super) static SCANS: Cell<u32> = const { Cell::new(0) };
    }

    /// Has `count` indexes be those of crashed participants, with pins on each cell of a key and, as far as there are free places, cursors; how many
    /// scans it takes to reap them.
    fn scans_to_reap(count: u32) -> u32 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.store");
        let store = StoreOptions::new().slots(4).history(2).spare(2).create(&path).unwrap();
        store.set("k", b"v").unwrap();
        let mapped = store.mapped();
        let cells = || mapped.slot(0).cells;
        for id in 1..=count {
            mapped.participants()[id as usize].incarnation.store(7, Ordering::Relaxed);
            for index in 0..cells().count() {
                let pins = &cells().get(index).header.pins[id as usize / 64];
                pins.fetch_or(1 << (id % 64), Ordering::Relaxed);
            }
        }
        let slot = mapped.slot(0);
        let generation = slot.header.generation.load(Ordering::Relaxed);
        for (id, cursor) in (1..=count).zip(slot.cursors) {
            cursor.store(Cursor::new(id, generation, 1).bits(), Ordering::Relaxed);
        }
        let before = SCANS.get();
        reap_crashed(&store.inner.mapped, store.participant(), false).unwrap();
        let scans = SCANS.get() - before;
        for entry in &mapped.participants()[1..=count as usize] {
            assert_eq!(entry.incarnation.load(Ordering::Relaxed), 8);
        }
        assert_eq!(store.cells().pinned, 0, "a pin of a dead participant is left");
        assert_eq!(store.slot_snapshot("k").unwrap().unwrap().lossless, [], "a cursor of a dead participant is left");
        assert_eq!(locked_places(&store), 0, "a lock on a dead participant is left");
        scans
    }

    /// How many places, as another open file sees it, are locked that are not the store's own.
    fn locked_places(store: &crate::Store) -> usize {
        let other = crate::Store::open(store.location()).unwrap();
        let fd = other.mapped().fd();
        let me = [store.participant().id, other.participant().id];
        let places = (0..PARTICIPANTS as u32).filter(|id| !me.contains(id));
        places.filter(|&id| !lock::try_lock(fd, LockByte::Participant(id).offset()).unwrap()).count()
    }

    #[test]
    fn all_of_the_dead_are_buried_in_one_scan_of_the_slots() {
        assert_eq!(scans_to_reap(0), 0);
        assert_eq!(scans_to_reap(1), 1);
        assert_eq!(scans_to_reap(40), 1);
        assert_eq!(scans_to_reap(127), 2, "half of the places stay open to newcomers");
    }

    #[test]
    fn the_lock_on_a_dead_participant_is_held_until_the_last_thread_lets_go_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.store");
        let store = StoreOptions::new().slots(1).create(&path).unwrap();
        let other = crate::Store::open(&path).unwrap();
        let (mapped, locks) = (store.mapped(), CrashedLocks::new());
        let is_free = || {
            let byte = LockByte::Participant(9).offset();
            let free = lock::try_lock(other.mapped().fd(), byte).unwrap();
            lock::unlock(other.mapped().fd(), byte).unwrap();
            free
        };
        let mut ran = 0;
        // As two threads do it that overlap.
        locks
            .if_crashed(mapped, 9, || {
                locks.if_crashed(mapped, 9, || ran += 1).unwrap();
                assert!(!is_free(), "a newcomer may take the place while it is being cleaned");
            })
            .unwrap();
        assert_eq!(ran, 1);
        assert!(is_free());
        locks.if_crashed(mapped, other.participant().id, || panic!("it lives")).unwrap();
    }
}
