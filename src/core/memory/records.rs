//! The records of shared memory: every field, its width and its place.
//!
//! Records are made of atomics alone, so any bytes are a valid record. Zeroed memory is the valid
//! state of every record: no head, no key, free cells. So a new store needs no pass over its slots.
//!
//! One slot is eight lines of 64 bytes. Each line has its own readers and writers, so that one group
//! does not take the lines of another:
//!
//! ```text
//! at   line 1       line 2             line 3            line 4
//!      +-----------+------------------+-----------------+-------------------+
//!  0   | head      | length (1 byte), | next_ticket     | generation        |
//!  8   | next_free | key (63 bytes)   | new_version     | base_version      |
//! 16   | key_hash  |                  | low_water       | not_full          |
//! 24   | at_boot   |                  | queue           | recovered_version |
//! 32   | -         |                  | purge_intent    | shape             |
//! 40   | -         |                  | before_recovery | cells_reserved    |
//! 48   | -         |                  | unproven_jobs   | flushed           |
//! 56   | -         |                  | -               | flushing          |
//!      +-----------+------------------+-----------------+-------------------+
//! line 5: 8 cursors      lines 6 to 8: unused      at_boot: version_at_boot
//! ```
//!
//! Line 1 is what readers poll: each publish takes it from them. Line 3 belongs to writers. Line 4
//! hardly ever changes, so every core keeps a copy of it.
//!
//! One cell is a line of 64 bytes, directly before its inline value, so that values begin on a line:
//!
//! ```text
//! 0      8                40         48    52    56    60        64
//! | seq  | pins, 256 bits | delivery | len | crc | gap | residue | value ...
//! ```
//!
//! A value that is longer than the store's inline size is in the key's extents (`core::place`). The
//! side record of its cell says how much is reserved there.
//!
//! The comment of a field says who writes it, and when. *Under the directory's lock* means a
//! process that creates or removes a key. *While nobody has the store open* means the process that
//! creates or recovers the store. *Owner of the cell* means the participant that `seq` names in the
//! state "writing".

#![allow(unsafe_code)]

use super::shared::layout;
use crate::sync::{AtomicU32, AtomicU64, real_or_model};

/// The size and alignment, in bytes, of what one core takes from another at a time.
pub(crate) const CACHE_LINE: usize = 64;

/// How many participants a store has room for. The words have eight bits for the number of one,
/// plus one; and a delivery word says "done" by 255.
pub(crate) const PARTICIPANTS: usize = 254;

/// Words of a cell with one bit for each participant. Fewer under loom, so that its scenarios stay
/// small.
pub(crate) const PIN_WORDS: usize = real_or_model(4, 1);

/// How many cursors of a slot are in its header.
pub(crate) const HEADER_CURSORS: usize = real_or_model(8, 2);

/// How many further cursors the ring of a slot has addresses for.
pub(crate) const FURTHER_CURSORS: usize = 1024 - 8;

/// Words of a key: one byte of length, 63 bytes of text. Fewer under loom, so that its scenarios
/// stay small.
pub(crate) const KEY_WORDS: usize = real_or_model(8, 2);

/// How many of the words that no record uses there are. None under loom, where each word of a record
/// takes time.
const fn unused(words: usize) -> usize {
    real_or_model(words, 0)
}

/// Declares records: atomics alone, in C's layout, aligned to lines of their own.
macro_rules! records {
    ($($(#[$meta:meta])* $name:ident, align $align:literal, size $size:literal {
        $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
    })*) => {$(
        $(#[$meta])*
        #[repr(C, align($align))]
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            $($(#[$field_meta])* pub(crate) $field: $type,)*
        }

        layout!($name, $size, $($type,)*);
    )*};
}

records! {
    /// The identity of the store and its dimensions. The creator writes it once, `magic` last. A
    /// process that opens the store reads it once, checks it, and keeps a private copy.
    Identity, align 64, size 64 {
        /// `MAGIC`, once all the rest is in place.
        magic: AtomicU32,
        /// The version of this layout.
        layout: AtomicU32,
        /// How many keys of users the store has slots for.
        slots: AtomicU32,
        /// Slots for keys of the system, after those.
        system_slots: AtomicU32,
        /// Bit 0: cells carry checksums, as they do in files.
        features: AtomicU32,
        /// How many bytes of a value a cell of a ring holds; longer values are in pages or extents.
        inline_size: AtomicU32,
        /// How many bytes of addresses the extents of one slot take.
        span: AtomicU64,
        /// Where the extents begin: the length of all that is before them.
        extents: AtomicU64,
        /// A random number that distinguishes this store from others of the same name.
        id: AtomicU64,
        /// When it was created: nanoseconds since the Unix epoch.
        created: AtomicU64,
        /// How many cells of each slot lie beside those of other slots, and have a page.
        dense_cells: AtomicU32,
    }

    /// Switches that every participant obeys.
    Switches, align 64, size 64 {
        /// Bit 0: auto-vacuum. Bits 0-15 belong to the system, 16-31 to users. Anybody sets and
        /// clears bits, by `fetch_or` and `fetch_and`. Nobody is notified: each operation reads it
        /// again.
        flags: AtomicU32,
    }

    /// Counters of errors, for people.
    Diagnostics, align 64, size 64 {
        /// Frames that a reader rejected. Any reader adds to it.
        parse_failures: AtomicU64,
        /// When the last frame was rejected: nanoseconds since the Unix epoch. Any reader raises
        /// it, by `fetch_max`.
        last_failure_epoch: AtomicU64,
    }

    /// The header of the directory of keys. Written under the directory's lock, except where a
    /// field says otherwise.
    DirectoryHeader, align 64, size 128 {
        /// How often the index was rebuilt. The lowest bit says which of its two tables is in use.
        /// Readers that look up a key load it without the lock, before and after (see
        /// `core::index`).
        active: AtomicU64,
        /// The index of the slot that is being changed, plus one; 0 while none is. If a process
        /// that takes the lock finds another number, the last owner crashed in the middle of a
        /// change.
        journal: AtomicU32,
        /// The first slot of the list of free slots, plus one; 0 if the list is empty.
        free_list: AtomicU32,
        /// How many slots were ever used. Slots from this index on were not.
        used_slots: AtomicU32,
        /// Slots that have a key of a user.
        key_count: AtomicU32,
        /// Entries of the active table that are tombstones.
        tombstones: AtomicU32,
        /// The process that has the lock, by its own id. For error messages; nothing is decided by
        /// it.
        lock_owner_pid: AtomicU32,
        /// No key that was ever removed had a version larger than this. A key that is created again
        /// goes on above it.
        highest_removed_version: AtomicU64,
        /// In which file, and in which run of the machine, the store was last found sound; 0 when
        /// unknown. Written under the lock for opening, by the process that recovers the store.
        clean_epoch: AtomicU64,
        /// In a file: the largest epoch of versions that is announced, and the largest that is
        /// durable. Any publisher raises it, by compare-and-swap, before it publishes the first
        /// version of an epoch (see `core::epoch`).
        epoch: AtomicU64,
        /// In a file: the first version that may be published. Written while nobody has the store
        /// open: a recovery raises it above all versions that anybody can have seen.
        first_version: AtomicU64,
        /// Slots that have a key of the system.
        system_key_count: AtomicU32,
    }

    /// An eventcount (see `core::event`): the word that waiters sleep on, and a flag that says
    /// whether there may be any.
    Event, align 8, size 8 {
        /// Waiters sleep on it while it does not change. Incremented by the process that notifies.
        word: AtomicU32,
        /// Not 0 when a process may sleep on `word`. Set by a waiter before its last check, cleared
        /// by the process that notifies.
        flag: AtomicU32,
    }

    /// The first bytes of every store.
    StoreHeader, align 64, size 384 {
        identity: Identity,
        switches: Switches,
        diagnostics: Diagnostics,
        directory: DirectoryHeader,
        /// The event of those who wait for any key. On a line of its own: every publisher reads its
        /// flag.
        new_version: Event,
    }

    /// One open handle of one process. Its owner holds the kernel's lock on this entry's byte, and
    /// is the only one that writes here. A process that gets the lock may clear what a crashed
    /// owner left.
    ParticipantEntry, align 64, size 64 {
        /// Incremented when the entry is taken and when it is freed. Odd: it has an owner, or had
        /// one that crashed.
        incarnation: AtomicU64,
        /// The owner's process id, as seen in its own namespace. For people; nothing is decided by
        /// it.
        pid: AtomicU32,
    }

    /// One key, its newest version, and what its subscribers and workers have not received yet.
    ///
    /// The picture of its lines is at the top of this file. A slot never lies in two pages, so that
    /// the disk has all of it from one moment.
    SlotHeader, align 512, size 512 {
        /// The newest value: (cell + 1 : 16 | version : 48), see `word::Head`. A publisher moves it
        /// by compare-and-swap, which *is* publishing, and then notifies `new_version` of the slot
        /// and of the store.
        head: AtomicU64,
        /// The next slot in the list of free slots, plus one. Written under the directory's lock.
        next_free: AtomicU32,
        /// The hash of the present key, which the checksums of its values cover. Written under the
        /// directory's lock, while the slot has no key.
        key_hash: AtomicU64,
        /// In a file: the version of `head` when the store was first recovered in this run of the
        /// machine. Written while nobody has the store open. See `ring::recovering::boot`.
        version_at_boot: AtomicU64,
        unused_line_1: [AtomicU64; unused(4)],
        /// One byte of length, then the key. Written under the directory's lock, while the slot has
        /// no key.
        key: [AtomicU64; KEY_WORDS],
        /// How many tickets were given to writers of free cells: each gets a number of its own. Any
        /// writer increments it.
        next_ticket: AtomicU64,
        /// The event of those who wait for the next version, or for a message of the work queue.
        /// Notified after a publish, a requeue, and when the key is removed.
        new_version: Event,
        /// The low-water mark of the cursors, see `word::LowWaterMark`. A subscriber lowers it when
        /// it registers; any writer computes it again, by compare-and-swap.
        low_water: AtomicU64,
        /// From which version on values are messages of a work queue, see `word::QueueWord`. Any
        /// worker declares it, by compare-and-swap; the process that removes the key zeroes it.
        queue: AtomicU64,
        /// The largest version up to which a purge has gone or is about to go. A purge raises it,
        /// by `fetch_max`, before it retires anything; it never decreases. See `Ring::purge`.
        purge_intent: AtomicU64,
        /// In a file: the version that `head` had when a recovery last skipped versions. Written
        /// while nobody has the store open. See `ring::retaining::gap`.
        before_recovery: AtomicU64,
        /// How many jobs a recovery in progress could not prove, so that one that starts again
        /// after a crash reports the same. Written while nobody has the store open. See
        /// `ring::recovering::unproven`.
        unproven_jobs: AtomicU64,
        unused_line_3: [AtomicU64; unused(1)],
        /// Incremented when a key is created and when it is removed: odd while the slot has one.
        /// Written under the directory's lock. It is not beside `head`: readers check it last, when
        /// the next publish may have taken that line from them.
        generation: AtomicU64,
        /// No value up to this version belongs to the present key, or it was purged. Written under
        /// the directory's lock when a key is created; a purge raises it, by `fetch_max`.
        base_version: AtomicU64,
        /// The event of publishers that wait for free space. Notified after a pin, a cursor, a
        /// lease or a claimed cell was released, and when a flush ends.
        not_full: Event,
        /// The version under which a recovery in progress publishes an older value; 0 otherwise.
        /// Written while nobody has the store open. See `ring::recovering::recover`.
        recovered_version: AtomicU64,
        /// The shape of the present key, or of the last one: see `core::shape`. Written under the
        /// directory's lock, while the slot has no key and all of its cells are free.
        shape: AtomicU64,
        /// How many cells of the ring are reserved. Nobody touches a cell from this index on. Any
        /// writer raises it, by `fetch_max`, after it has reserved their space; it never decreases.
        cells_reserved: AtomicU32,
        /// In a file: the newest version at the last completed flush. Its cell is not overwritten
        /// before the next flush is complete. Written under the lock of flushes. See
        /// `ring::retaining::flush`.
        flushed: AtomicU64,
        /// In a file: the version that a flush in progress, or one that crashed, writes to the
        /// disk. Its cell is not overwritten either. Written under the lock of flushes.
        flushing: AtomicU64,
        /// The first cursors of lossless subscribers, see `word::Cursor`. A key whose shape has more
        /// has the rest in its ring.
        cursors: [AtomicU64; HEADER_CURSORS],
        unused_lines: [AtomicU64; unused(24)],
    }

    /// The header of one value; the value's bytes follow it.
    CellHeader, align 64, size 64 {
        /// Who may touch the cell, and which version it holds: see `word::Seq`. Writers claim the
        /// cell, and any participant commits or reaps it, by compare-and-swap.
        seq: AtomicU64,
        /// One bit for each participant that reads the value in place. Each sets and clears its own
        /// bit, by `fetch_or` and `fetch_and`; a participant that reaps another clears that one's.
        /// Clearing notifies `not_full`.
        pins: [AtomicU64; PIN_WORDS],
        /// Which worker has the message: see `word::Delivery`. Any worker changes it, by
        /// compare-and-swap. `Done` notifies `not_full`, a requeue `new_version`.
        delivery: AtomicU64,
        /// The value's length in bytes. Written by the owner of the cell.
        len: AtomicU32,
        /// The checksum of value, key, version, gap and length, where cells carry one. Written by
        /// the owner of the cell, before it moves `head`.
        crc: AtomicU32,
        /// In a file: which version was published before this one, if that is not the one below.
        /// Written by the owner of the cell, before it moves `head`. See `core::epoch` and
        /// `ring::retaining::gap`.
        gap: AtomicU32,
        /// What is left in the cell of its values: see `word::Residue`. Written by the owner of the
        /// cell. A reader whose pin keeps writers out may lower it, too.
        residue: AtomicU32,
    }

    /// What belongs to a cell beside its header: the space of its place in the extents. Written by
    /// the owner of the cell, except where a field says otherwise.
    SideRecord, align 64, size 64 {
        /// The version after which all changes of the value were appends, up to the one in this
        /// cell: see `ring::publishing::append`. It is first because whole words of 8 bytes are at the
        /// start of each page (`Region::touch_pages`).
        chain_base: AtomicU64,
        /// The version for which `chain_base` was written.
        chain_version: AtomicU64,
        /// How many bytes of the cell's medium and large place are reserved. Raised after the space
        /// was reserved, zeroed before it is given back.
        reserved: [AtomicU32; 2],
        /// How many bytes of the two places may be other than zero. Raised before the bytes are
        /// written, lowered after they are zeroed.
        written: [AtomicU32; 2],
        /// For messages of work queues.
        unused_queue_words: [AtomicU64; unused(4)],
    }
}
