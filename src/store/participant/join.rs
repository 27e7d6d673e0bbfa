//! Becoming a participant.
//!
//! Steps, and what a crash leaves at each of them:
//!
//! 1. Take the kernel's lock on a free entry, or else on the entry of a crashed participant. The kernel releases it.
//! 2. Make the incarnation odd: the entry has an owner now. The next process that joins reaps it.
//! 3. In a file: write the table to the disk, so that a store that was not closed is found unclean after a loss of power.
//! 4. Reap crashed participants. Their marks stay until the next process reaps them, ours with them.

use std::io;
use std::sync::Arc;

use super::entry::{Participant, anybody_is_marked, is_owned};
use super::reap::reap_crashed;
use crate::core::memory::records::{PARTICIPANTS, ParticipantEntry};
use crate::kill_points::{Step, reached};
use crate::os::lock;
use crate::store::mapped::{LockByte, Mapped};
use crate::sync::Ordering;

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
    // SlotRefs that nobody left in a hurry first.
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
