//! Becoming a participant.
//!
//! Steps, and what a crash leaves at each of them:
//!
//! 1. Take the kernel's lock on a free entry, or else on the entry of a crashed participant. The
//!    kernel releases it.
//! 2. Make the incarnation odd: the entry has an owner now. The next process that joins reaps it.
//! 3. In a file: write the table to the disk, so that a store that was not closed is found unclean
//!    after a loss of power.
//! 4. Reap crashed participants. Their marks stay until the next process reaps them, ours with
//!    them.

use std::io;
use std::sync::Arc;

use super::entry::{Participant, has_owners, is_owned};
use super::reap::reap_crashed;
use crate::core::memory::records::{PARTICIPANTS, ParticipantEntry};
use crate::kill_points::{Step, reached};
use crate::os::lock;
use crate::store::mapped::{LockByte, Mapped};
use crate::sync::Ordering;

/// The outcome of an attempt to join.
pub(crate) enum Joined {
    As(Participant),
    /// Every entry is taken.
    Full,
    /// No participant is there, but something else holds locks on all entries.
    LockedOut,
}

/// Takes an entry of the table, that of a crashed participant if there is no other, and reaps all
/// crashed participants.
pub(crate) fn join(mapped: &Arc<Mapped>) -> io::Result<Joined> {
    // First the entries that were freed properly.
    for owned in [false, true] {
        for (id, entry) in (0..).zip(mapped.participants()) {
            if is_owned(entry) == owned && lock::try_lock(mapped.fd(), LockByte::Participant(id).offset())? {
                let (me, inherited) = take(mapped, id, entry)?;
                reap_crashed(mapped, me, inherited)?;
                return Ok(Joined::As(me));
            }
        }
    }
    Ok(if has_owners(mapped) { Joined::Full } else { Joined::LockedOut })
}

/// Makes an entry ours whose lock we hold. Also returns whether its last owner crashed: its marks
/// are ours now.
fn take(mapped: &Mapped, id: u32, entry: &ParticipantEntry) -> io::Result<(Participant, bool)> {
    reached(Step::ParticipantLocked);
    let incarnation = entry.incarnation.load(Ordering::Acquire);
    let inherited = incarnation % 2 == 1;
    let (incarnation, pid) = (incarnation.wrapping_add(if inherited { 2 } else { 1 }), std::process::id());
    entry.pid.store(pid, Ordering::Relaxed);
    // Release: pairs with the acquire loads of the incarnation; a reader of it sees the process id.
    entry.incarnation.store(incarnation, Ordering::Release);
    reached(Step::ParticipantJoined);
    write_first_mark(mapped, id)?;
    Ok((Participant { id, incarnation, pid }, inherited))
}

/// Blocks until the disk shows that the store is open, if it is in a file: before anything is
/// changed in it.
///
/// Each page of the table is written in one piece. If another entry in our page has an owner, this
/// is not needed: since the first one was written, the page has always had an owner.
fn write_first_mark(mapped: &Mapped, id: u32) -> io::Result<()> {
    if !mapped.checksums {
        return Ok(());
    }
    // The largest piece that every file system and disk writes atomically.
    const PAGE: usize = 4096;
    let page = |index: usize| mapped.tables.participants.offset_of(index) / PAGE;
    let others = mapped.participants().iter().enumerate().filter(|&(index, _)| index != id as usize);
    let mut in_our_page = others.filter(|&(index, _)| page(index) == page(id as usize));
    if in_our_page.any(|(_, entry)| is_owned(entry)) {
        return Ok(());
    }
    // Together with what is before the table: the clean epoch, and which epoch of versions the
    // store has reached.
    let written = mapped.flush_first(mapped.tables.participants.offset_of(PARTICIPANTS));
    written.map_err(|error| {
        io::Error::new(error.kind(), format!("its participants could not be written to the disk: {error}"))
    })
}
