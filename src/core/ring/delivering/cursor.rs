//! Cursors of lossless subscribers: registering, moving and removing them.
//!
//! The scheme is that of a low-water mark, as in log-structured queues: each reader publishes its
//! position, and writers respect the smallest. The cursor is written by its owner, by a process
//! that evicts it (`evict.rs`), or by one that reaps a crashed owner. Writers read the low-water
//! mark (`low_water.rs`).
//!
//! - **Fast path.** `move_cursor`: one compare-and-swap of a word that only its owner writes, after
//!   the subscriber has copied the value.
//! - **Slow path.** `register`: write the cursor into a free word, lower the low-water mark, fence,
//!   then read what there is to begin with, and move the cursor there. A writer that claimed a cell
//!   before the fence either sees the mark in its second check, or had changed `seq` before we read
//!   it. A purge that began before the fence may not have seen the cursor: the subscriber begins
//!   above the purge's intent.
//!
//! **Crash** after each step:
//!
//! | step | leaves |
//! | --- | --- |
//! | `CursorPlaced` | a cursor that the low-water mark may not include: it retains nothing for certain, and is reaped |
//! | `LowWaterJoined` | a cursor that retains values until it is reaped |
//! | `CursorMoved`, `CursorRemoved` | publishers asleep that could go on; they check again after a tenth of a second |

use crate::core::participant_set::ParticipantSet;
use crate::core::ring::cell::version_before;
use crate::core::ring::ring::Ring;
use crate::core::word::{Cursor, LowWaterMark, MAX_VERSION, Seq};
use crate::kill_points::{Step, reached};
use crate::sync::{Ordering, fence};

/// The first version that a lossless subscriber or a work queue asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// After the newest version.
    Next,
    /// The newest version, if there is one.
    Newest,
    /// The oldest version since which none is missing.
    Oldest,
    /// This version, whether a cell holds it or not.
    At(u64),
}

/// A registered cursor: its index in the slot, and the word that its owner last wrote there.
#[derive(Debug)]
pub(crate) struct RegisteredCursor {
    index: usize,
    word: u64,
}

impl RegisteredCursor {
    /// The first version that is retained.
    pub(crate) fn version(&self) -> u64 {
        self.word & MAX_VERSION
    }

    /// The word after an eviction.
    fn evicted_word(&self) -> u64 {
        self.word & !MAX_VERSION
    }
}

/// Why no cursor was registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RegisterError {
    /// All cursors of the slot are taken by participants that have not crashed.
    Full,
    /// The key was removed.
    Removed,
}

impl<'a> Ring<'a> {
    /// Registers a cursor. From now on, no version from it on is overwritten.
    pub(crate) fn register(self, begin: Begin) -> Result<RegisteredCursor, RegisterError> {
        let lowest = self.resolve_begin(begin).max(1);
        let word = Cursor::new(self.context.me, self.handle.generation(), lowest).bits();
        let index = self.insert_cursor(word).or_else(|| {
            self.reap_holders();
            self.insert_cursor(word)
        });
        let mut registered = RegisteredCursor { index: index.ok_or(RegisterError::Full)?, word };
        reached(Step::CursorPlaced);
        let low_water = &self.slot().header.low_water;
        let mut seen = LowWaterMark::from_bits(low_water.load(Ordering::Relaxed));
        // SeqCst: the cursor is written before the mark. Pairs with `is_undelivered`, which reads
        // the mark after it has changed a `seq`, and with `compute_low_water`.
        while let Err(now) =
            low_water.compare_exchange(seen.bits(), seen.joined_by(lowest).bits(), Ordering::SeqCst, Ordering::Relaxed)
        {
            seen = LowWaterMark::from_bits(now);
        }
        reached(Step::LowWaterJoined);
        // SeqCst: pairs with the claim of a cell and with the fence in `purge`. What is read below
        // is read after the mark was written.
        fence(Ordering::SeqCst);
        if !self.is_current() {
            self.unregister(registered);
            return Err(RegisterError::Removed);
        }
        // Values that were there before may be gone by now. Those that are there now stay, except
        // for what a purge takes that began before our fence and may not have seen our cursor. A
        // purge that begins later sees it.
        let purged = self.purge_intent();
        let begin = self.resolve_begin(begin).max(lowest).max(purged + 1);
        let moved = self.move_cursor(&mut registered, begin);
        if purged >= lowest {
            self.finish_purge();
        }
        // Values between `lowest` and `begin` are not retained any more.
        self.notify(self.not_full());
        if moved {
            return Ok(registered);
        }
        // The key was removed, or the cursor was evicted. We free its word. The caller handles both
        // in the same way: it begins again.
        self.unregister(registered);
        Err(RegisterError::Removed)
    }

    /// The version that `begin` stands for now.
    pub(crate) fn resolve_begin(self, begin: Begin) -> u64 {
        let first = self.base_version() + 1;
        let head = self.head();
        match begin {
            Begin::Next => head.version().max(first - 1) + 1,
            Begin::Newest if head.cell().is_some() => head.version().max(first),
            Begin::Newest => head.version().max(first - 1) + 1,
            Begin::Oldest => self.oldest_contiguous(first).unwrap_or(head.version().max(first - 1) + 1),
            Begin::At(version) => version.min(MAX_VERSION).max(first),
        }
    }

    /// The oldest version from `first` on since which no version is missing or about to be
    /// overwritten; `None` if there is none.
    ///
    /// Writers do not always overwrite the oldest value first, so there may be older versions
    /// before a missing one.
    fn oldest_contiguous(self, first: u64) -> Option<u64> {
        self.help_commit(self.head());
        let mut readable: Vec<_> = self
            .cells()
            .filter_map(|(_, cell)| {
                // Acquire: pairs as in `cell::readable`.
                let version = Seq::from_bits(cell.header.seq.load(Ordering::Acquire)).steady()?;
                Some((version, version_before(cell, version)))
            })
            .filter(|&(version, _)| version >= first)
            .collect();
        readable.sort_unstable();
        let (mut oldest, mut before) = readable.pop()?;
        while let Some((version, before_it)) = readable.pop().filter(|&(version, _)| before == Some(version)) {
            (oldest, before) = (version, before_it);
        }
        Some(oldest)
    }

    /// Writes a cursor into a word that is free, or belongs to a removed key. Returns its index.
    fn insert_cursor(self, word: u64) -> Option<usize> {
        self.cursor_words().position(|cursor| {
            let seen = cursor.load(Ordering::Relaxed);
            let is_taken = Cursor::from_bits(seen).is_some_and(|cursor| cursor.is_of(self.handle.generation()));
            // SeqCst: see `register`, which lowers the mark after it.
            !is_taken && cursor.compare_exchange(seen, word, Ordering::SeqCst, Ordering::Relaxed).is_ok()
        })
    }

    /// Moves the cursor on, so that older versions may be overwritten. `false` if the key was
    /// removed, or the cursor was evicted.
    #[inline]
    pub(crate) fn move_cursor(self, registered: &mut RegisteredCursor, version: u64) -> bool {
        let next = Cursor::new(self.context.me, self.handle.generation(), version).bits();
        let cursor = self.cursor_word(registered.index);
        // SeqCst: pairs with `Event::listen` of a publisher that waits for free space. As a
        // release, it pairs with the acquire in `cursors`: it comes after our last read of what may
        // be overwritten now.
        let moved = cursor.compare_exchange(registered.word, next, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        registered.word = next;
        reached(Step::CursorMoved);
        self.notify_not_full(version);
        moved
    }

    /// Removes the cursor.
    pub(crate) fn unregister(self, registered: RegisteredCursor) {
        let cursor = self.cursor_word(registered.index);
        // SeqCst: pairs with `Event::listen`, as in `move_cursor`. If the word is neither our
        // cursor nor our evicted one, our key was removed, and the word may belong to another
        // subscriber.
        if cursor.compare_exchange(registered.word, Cursor::FREE, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            let evicted = registered.evicted_word();
            let _ = cursor.compare_exchange(evicted, Cursor::FREE, Ordering::SeqCst, Ordering::Relaxed);
        }
        reached(Step::CursorRemoved);
        self.notify(self.not_full());
    }

    /// Whether the cursor was evicted. Its owner learns of it here, after a compare-and-swap of the
    /// cursor has failed, or a version was gone that the cursor should have retained.
    pub(crate) fn is_evicted(self, registered: &RegisteredCursor) -> bool {
        // Acquire: pairs with the compare-and-swap in `evict`. The version was gone because its
        // writer had seen the eviction, and we have seen the writer's mark.
        self.cursor_word(registered.index).load(Ordering::Acquire) == registered.evicted_word()
    }

    /// Zeroes the cursors and the queue word of a removed key.
    ///
    /// They have no meaning for the next key. But the words hold only a few bits of the generation,
    /// and some later key would have the same bits.
    pub(crate) fn forget_deliveries(self) {
        self.forget_queue();
        // The owners change their cursors by compare-and-swap, which fails from now on.
        for cursor in self.cursor_words() {
            // AcqRel: pairs with itself and with the owners' compare-and-swaps.
            cursor.swap(Cursor::FREE, Ordering::AcqRel);
        }
    }

    /// Zeroes the queue word.
    ///
    /// This is done again before the slot is assigned to another key: a worker may have declared
    /// the last key a queue too late, and crashed before it could undo that.
    pub(crate) fn forget_queue(self) {
        // AcqRel: pairs with the compare-and-swap in `declare_queue`. A worker that writes there
        // after us sees that the generation was changed; we come after a worker that wrote before
        // us.
        self.slot().header.queue.swap(0, Ordering::AcqRel);
    }

    /// Removes the cursors of crashed participants. Returns whether there were any.
    pub(crate) fn reap_cursors(self, crashed: &ParticipantSet) -> bool {
        let mut freed = false;
        for cursor in self.cursor_words() {
            // Acquire: pairs with the owner's compare-and-swap.
            let seen = cursor.load(Ordering::Acquire);
            if Cursor::from_bits(seen).is_some_and(|cursor| crashed.contains(cursor.participant)) {
                // SeqCst: pairs with `Event::listen`, as in `move_cursor`.
                freed |= cursor.compare_exchange(seen, Cursor::FREE, Ordering::SeqCst, Ordering::Relaxed).is_ok();
            }
        }
        freed
    }
}
