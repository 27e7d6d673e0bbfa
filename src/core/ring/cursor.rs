//! Keeping what somebody is still to receive: cursors of lossless subscribers, and the floor that writers heed.
//!
//! A cursor is written by its owner alone, or by a process that takes it away from a dead one. Writers look at `floor` (`low_water.rs`).

#[cfg(not(loom))]
use super::claim::Keep;
use super::low_water::ComputedLowWater;
use super::reap::{ParticipantSet, Reaper};
use super::{Ring, gap, read};
use crate::kill_points::{Step, reached};
use crate::core::memory::records::CellHeader;
use crate::core::delivery::{Cursor, LowWaterMark, Progress, Queue, Delivery};
use crate::core::word::{MAX_VERSION, Seq};
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
    pub(super) place: usize,
    word: u64,
}

impl Registered {
    /// The version from which on everything is kept.
    pub(crate) fn version(&self) -> u64 {
        self.word & MAX_VERSION
    }

    /// The word in its place once it was evicted.
    pub(super) fn evicted(&self) -> u64 {
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
    /// Whether writers must not overwrite this version, which the cell holds: somebody is still to receive it, or a flush needs it.
    ///
    /// A call that looks at many cells passes what it has computed so far.
    #[inline(always)]
    pub(super) fn is_retained(self, cell: &CellHeader, version: u64, computed: Option<&ComputedLowWater>) -> bool {
        let (floor, queue) = self.receivers();
        // One branch, and all else out of line: the registers of a publish are scarce.
        if floor.version().is_none() && queue.bits() == 0 && !self.terms.checksums {
            return false;
        }
        self.is_retained_slow(cell, version, floor, queue, computed)
    }

    #[cold]
    #[inline(never)]
    fn is_retained_slow(
        self,
        cell: &CellHeader,
        version: u64,
        floor: LowWaterMark,
        queue: Queue,
        computed: Option<&ComputedLowWater>,
    ) -> bool {
        self.is_undelivered_given(cell, version, floor, queue, computed) || self.is_flushed(version)
    }

    /// Whether somebody is still to receive this version, which the cell holds.
    pub(super) fn is_undelivered(self, cell: &CellHeader, version: u64, computed: Option<&ComputedLowWater>) -> bool {
        let (floor, queue) = self.receivers();
        self.is_undelivered_given(cell, version, floor, queue, computed)
    }

    /// As [`is_undelivered`](Self::is_undelivered), going by the smallest cursor, and without changing anything.
    pub(super) fn is_undelivered_now(self, cell: &CellHeader, version: u64, smallest_cursor: Option<u64>) -> bool {
        smallest_cursor.is_some_and(|smallest| version >= smallest)
            || self.is_unfinished(cell, version, self.receivers().1)
    }

    /// What is said of those who are still to receive something.
    #[inline(always)]
    fn receivers(self) -> (LowWaterMark, Queue) {
        let header = self.slot.header;
        // SeqCst: pairs with `register` and `declare_queue`, as the pins do. We change `seq`, then look here; they write here,
        // then look at `seq`.
        let floor = LowWaterMark::from_bits(header.low_water.load(Ordering::SeqCst));
        let queue = Queue::from_bits(header.queue.load(Ordering::SeqCst));
        (floor, queue)
    }

    fn is_undelivered_given(
        self,
        cell: &CellHeader,
        version: u64,
        floor: LowWaterMark,
        queue: Queue,
        computed: Option<&ComputedLowWater>,
    ) -> bool {
        self.is_unread(floor, version, computed) || self.is_unfinished(cell, version, queue)
    }

    /// Whether the version is a message of the work queue that is not done.
    fn is_unfinished(self, cell: &CellHeader, version: u64, queue: Queue) -> bool {
        let is_message = queue.first(self.generation()).is_some_and(|first| version >= first);
        is_message && delivery(cell).progress_of(version) != Progress::Done
    }

    /// From now on, no version from the cursor on is overwritten.
    pub(crate) fn register(
        self,
        begin: Begin,
        generation: u64,
        reaper: &(impl Reaper + ?Sized),
    ) -> Result<Registered, Unregistered> {
        let lowest = self.begin_of(begin).max(1);
        let word = Cursor::new(self.terms.me, generation, lowest).bits();
        let place = self.take_place(word, generation).or_else(|| {
            self.reap_holders(reaper);
            self.take_place(word, generation)
        });
        let mut registered = Registered { place: place.ok_or(Unregistered::Full)?, word };
        reached(Step::CursorPlaced);
        let floor = &self.slot.header.low_water;
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
        if self.generation() != generation {
            self.unregister(registered);
            return Err(Unregistered::Removed);
        }
        // What was kept before may be gone by now; what is kept now, stays, but for what a purge takes that began before our fence and
        // may not have seen our cursor. One that begins later sees it.
        let purged = self.purge_intent();
        let begin = self.begin_of(begin).max(lowest).max(purged + 1);
        let moved = self.move_cursor(&mut registered, begin, generation);
        if purged >= lowest {
            self.finish_purge();
        }
        // What was guarded before we knew where to begin is not any more.
        self.not_full().notify();
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
                Some((version, gap::version_before(cell, version)))
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
    fn take_place(self, word: u64, generation: u64) -> Option<usize> {
        self.slot.cursors.iter().position(|place| {
            let seen = place.load(Ordering::Relaxed);
            let taken = Cursor::from_bits(seen).is_some_and(|cursor| cursor.is_of(generation));
            !taken && place.compare_exchange(seen, word, Ordering::SeqCst, Ordering::Relaxed).is_ok()
        })
    }

    /// Moves the cursor on: older versions may be overwritten. `false` when it is no more: its key was removed, or it was evicted.
    #[inline]
    pub(crate) fn move_cursor(self, registered: &mut Registered, version: u64, generation: u64) -> bool {
        let next = Cursor::new(self.terms.me, generation, version).bits();
        let place: &AtomicU64 = &self.slot.cursors[registered.place];
        // SeqCst: pairs with `room` in `Event::listen`. As a release, it comes after our last read of what may be overwritten now.
        let moved = place.compare_exchange(registered.word, next, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        registered.word = next;
        reached(Step::CursorMoved);
        self.notify_not_full(version);
        moved
    }

    /// Wakes publishers that wait for room: not for each value, as long as there are more to receive at once.
    ///
    /// Woken for each, a publisher would fill the one cell and sleep again, and both would do little else than that. One who stops in the
    /// middle makes them wait until they look by themselves.
    #[inline]
    fn notify_not_full(self, cursor: u64) {
        if self.not_full().has_listeners() && (cursor.is_multiple_of(self.notify_batch()) || self.head().version() < cursor)
        {
            self.not_full().notify();
        }
    }

    /// How much room is worth waking for, and waiting for a little longer: a quarter of history, in values.
    pub(super) fn notify_batch(self) -> u64 {
        u64::from(self.terms.history / 4).max(1)
    }

    /// Whether a writer that is alone could go on for a while.
    #[cfg(not(loom))]
    pub(crate) fn has_free_cells_ahead(self) -> bool {
        let ahead = (1..self.notify_batch()).fold(self.next_in_turn(), |cell, _| self.after(cell));
        let cell = self.slot.cells.get(ahead).header;
        match Seq::from_bits(cell.seq.load(Ordering::Acquire)) {
            Seq::Committed { version } => !self.is_protected(cell, version, Keep::Undelivered, None),
            _ => false,
        }
    }

    /// Takes the cursor away.
    pub(crate) fn unregister(self, registered: Registered) {
        let place: &AtomicU64 = &self.slot.cursors[registered.place];
        // If it is neither our cursor nor our evicted one, our key was removed, and the place may be another's.
        if place.compare_exchange(registered.word, Cursor::FREE, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            let _ = place.compare_exchange(registered.evicted(), Cursor::FREE, Ordering::SeqCst, Ordering::Relaxed);
        }
        reached(Step::CursorRemoved);
        self.not_full().notify();
    }

    /// Zeroes what was said of the deliveries of a key that is gone. It would mean nothing for the next one, but words have room for a few
    /// bits of the generation only, and sooner or later some key would have the same ones.
    pub(super) fn forget_deliveries(self) {
        self.forget_queue();
        // Their owners change them from what they know them to be, and find them changed.
        for cursor in self.slot.cursors {
            cursor.swap(Cursor::FREE, Ordering::AcqRel);
        }
    }

    /// Zeroes what was said of a queue. Done again before the slot is given to another key, in case somebody declared the last one so late
    /// that it was gone, and died before it could undo that.
    pub(crate) fn forget_queue(self) {
        // Release: whoever writes there after us sees that the generation was changed. Acquire: we come after whoever wrote there before.
        self.slot.header.queue.swap(0, Ordering::AcqRel);
    }

    /// Takes the cursors of participants that are dead away; whether there were any.
    pub(super) fn reap_cursors(self, dead: &ParticipantSet) -> bool {
        let mut freed = false;
        for place in self.slot.cursors {
            let seen = place.load(Ordering::Acquire);
            if Cursor::from_bits(seen).is_some_and(|cursor| dead.contains(cursor.participant)) {
                freed |= place.compare_exchange(seen, Cursor::FREE, Ordering::SeqCst, Ordering::Relaxed).is_ok();
            }
        }
        freed
    }

    /// The smallest version that somebody is still to receive, if there is any.
    pub(super) fn first_undelivered(self) -> Option<u64> {
        let first = Queue::from_bits(self.slot.header.queue.load(Ordering::SeqCst)).first(self.generation());
        let unfinished = first.and_then(|first| {
            let messages = self.cells().filter_map(|(_, cell)| {
                read::readable(cell).filter(|&version| delivery(cell.header).progress_of(version) != Progress::Done)
            });
            messages.filter(|&version| version >= first).min()
        });
        unfinished.into_iter().chain(self.fresh_low_water().version()).min()
    }
}

/// Who has taken the message in this cell.
pub(super) fn delivery(cell: &CellHeader) -> Delivery {
    // SeqCst: done is final, and whoever sees it may overwrite the value that was handled before.
    Delivery::from_bits(cell.delivery.load(Ordering::SeqCst))
}
