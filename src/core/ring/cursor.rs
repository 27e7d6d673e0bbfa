//! Keeping what somebody is still to receive: cursors of lossless subscribers, and the floor that writers heed.
//!
//! A cursor is written by its owner alone, or by a process that takes it away from a dead one. Writers look at `floor` (`low_water.rs`).

use super::cell::version_before;
use super::ring::Ring;
use crate::core::delivery::{Cursor, LowWaterMark};
use crate::core::participant_set::ParticipantSet;
use crate::core::word::{MAX_VERSION, Seq};
use crate::kill_points::{Step, reached};
use crate::sync::{AtomicU64, Ordering, fence};

/// Where those who are to receive everything begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Behind the newest version.
    Next,
    /// At the newest version, if there is one.
    Newest,
    /// At the oldest since which all are kept.
    Oldest,
    /// At this one, whether it is kept or not.
    At(u64),
}

/// A registered cursor: its place, and the word that its owner last wrote there.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) place: usize,
    word: u64,
}

impl Registered {
    /// The version from which on everything is kept.
    pub(crate) fn version(&self) -> u64 {
        self.word & MAX_VERSION
    }

    /// The word in its place once it was evicted.
    pub(crate) fn evicted(&self) -> u64 {
        self.word & !MAX_VERSION
    }
}

/// Why no cursor was registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unregistered {
    /// All places are taken, by the living.
    Full,
    /// The key was removed.
    Removed,
}

impl<'a> Ring<'a> {
    /// From now on, no version from the cursor on is overwritten.
    pub(crate) fn register(self, begin: Begin) -> Result<Registered, Unregistered> {
        let lowest = self.begin_of(begin).max(1);
        let word = Cursor::new(self.context.me, self.handle.generation(), lowest).bits();
        let place = self.take_place(word).or_else(|| {
            self.reap_holders();
            self.take_place(word)
        });
        let mut registered = Registered { place: place.ok_or(Unregistered::Full)?, word };
        reached(Step::CursorPlaced);
        let floor = &self.slot().header.low_water;
        let mut seen = LowWaterMark::from_bits(floor.load(Ordering::Relaxed));
        // SeqCst: the cursor is in place; pairs with `is_undelivered`, which looks here after it has changed a `seq`, and with
        // `fresh_low_water`.
        while let Err(now) =
            floor.compare_exchange(seen.bits(), seen.joined_by(lowest).bits(), Ordering::SeqCst, Ordering::Relaxed)
        {
            seen = LowWaterMark::from_bits(now);
        }
        reached(Step::LowWaterJoined);
        // SeqCst: what is read below is read after `floor` was written.
        fence(Ordering::SeqCst);
        if !self.is_current() {
            self.unregister(registered);
            return Err(Unregistered::Removed);
        }
        // What was kept before may be gone by now; what is kept now, stays, but for what a purge takes that began before our fence and
        // may not have seen our cursor. One that begins later sees it.
        let purged = self.purge_intent();
        let begin = self.begin_of(begin).max(lowest).max(purged + 1);
        let moved = self.move_cursor(&mut registered, begin);
        if purged >= lowest {
            self.finish_purge();
        }
        // What was guarded before we knew where to begin is not any more.
        self.notify(self.not_full());
        if moved {
            return Ok(registered);
        }
        // Removed with its key, or evicted: then the place is ours to free. To the caller both are the same, it begins again.
        self.unregister(registered);
        Err(Unregistered::Removed)
    }

    /// The first version that counts for those who begin there.
    pub(crate) fn begin_of(self, begin: Begin) -> u64 {
        let first = self.base_version() + 1;
        let head = self.head();
        match begin {
            Begin::Next => head.version().max(first - 1) + 1,
            Begin::Newest if head.cell().is_some() => head.version().max(first),
            Begin::Newest => head.version().max(first - 1) + 1,
            Begin::Oldest => self.oldest_of_all_since(first).unwrap_or(head.version().max(first - 1) + 1),
            Begin::At(version) => version.min(MAX_VERSION).max(first),
        }
    }

    /// The oldest version from `first` on since which all are kept, and nobody is about to overwrite any; `None` if there is none.
    ///
    /// Writers do not always overwrite the oldest first, so there may be older ones still.
    fn oldest_of_all_since(self, first: u64) -> Option<u64> {
        self.help_commit(self.head());
        let mut whole: Vec<_> = self
            .cells()
            .filter_map(|(_, cell)| {
                let version = Seq::from_bits(cell.header.seq.load(Ordering::Acquire)).steady()?;
                Some((version, version_before(cell, version)))
            })
            .filter(|&(version, _)| version >= first)
            .collect();
        whole.sort_unstable();
        let (mut oldest, mut before) = whole.pop()?;
        while let Some((version, before_it)) = whole.pop().filter(|&(version, _)| before == Some(version)) {
            (oldest, before) = (version, before_it);
        }
        Some(oldest)
    }

    /// Writes a cursor into a place that is free, or whose key is no more.
    fn take_place(self, word: u64) -> Option<usize> {
        self.slot().cursors.iter().position(|place| {
            let seen = place.load(Ordering::Relaxed);
            let taken = Cursor::from_bits(seen).is_some_and(|cursor| cursor.is_of(self.handle.generation()));
            !taken && place.compare_exchange(seen, word, Ordering::SeqCst, Ordering::Relaxed).is_ok()
        })
    }

    /// Moves the cursor on: older versions may be overwritten. `false` when it is no more: its key was removed, or it was evicted.
    #[inline]
    pub(crate) fn move_cursor(self, registered: &mut Registered, version: u64) -> bool {
        let next = Cursor::new(self.context.me, self.handle.generation(), version).bits();
        let place: &AtomicU64 = &self.slot().cursors[registered.place];
        // SeqCst: pairs with `room` in `Event::listen`. As a release, it comes after our last read of what may be overwritten now.
        let moved = place.compare_exchange(registered.word, next, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        registered.word = next;
        reached(Step::CursorMoved);
        self.notify_not_full(version);
        moved
    }

    /// Takes the cursor away.
    pub(crate) fn unregister(self, registered: Registered) {
        let place: &AtomicU64 = &self.slot().cursors[registered.place];
        // If it is neither our cursor nor our evicted one, our key was removed, and the place may be another's.
        if place.compare_exchange(registered.word, Cursor::FREE, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            let _ = place.compare_exchange(registered.evicted(), Cursor::FREE, Ordering::SeqCst, Ordering::Relaxed);
        }
        reached(Step::CursorRemoved);
        self.notify(self.not_full());
    }

    /// Zeroes what was said of the deliveries of a key that is gone. It would mean nothing for the next one, but words have room for a few
    /// bits of the generation only, and sooner or later some key would have the same ones.
    pub(crate) fn forget_deliveries(self) {
        self.forget_queue();
        // Their owners change them from what they know them to be, and find them changed.
        for cursor in self.slot().cursors {
            cursor.swap(Cursor::FREE, Ordering::AcqRel);
        }
    }

    /// Zeroes what was said of a queue. Done again before the slot is given to another key, in case somebody declared the last one so late
    /// that it was gone, and died before it could undo that.
    pub(crate) fn forget_queue(self) {
        // Release: whoever writes there after us sees that the generation was changed. Acquire: we come after whoever wrote there before.
        self.slot().header.queue.swap(0, Ordering::AcqRel);
    }

    /// Takes the cursors of participants that are dead away; whether there were any.
    pub(crate) fn reap_cursors(self, dead: &ParticipantSet) -> bool {
        let mut freed = false;
        for place in self.slot().cursors {
            let seen = place.load(Ordering::Acquire);
            if Cursor::from_bits(seen).is_some_and(|cursor| dead.contains(cursor.participant)) {
                freed |= place.compare_exchange(seen, Cursor::FREE, Ordering::SeqCst, Ordering::Relaxed).is_ok();
            }
        }
        freed
    }
}
