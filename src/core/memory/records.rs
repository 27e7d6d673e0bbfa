//! The shapes of what lies in shared memory: nothing but atomics, so that any bytes are a valid record.
//!
//! Zeroed memory is the valid state of every record: no head, no key, free cells. A new store needs no pass over its
//! slots.

#![allow(unsafe_code)]

use super::shared::layout;
use crate::sync::{AtomicU32, AtomicU64, real_or_model};

/// The size and alignment of what one core takes from another at a time.
pub(crate) const CACHE_LINE: usize = 64;

/// How many participants a store has room for.
pub(crate) const PARTICIPANTS: usize = 128;

/// How many message types a store remembers by name.
pub(crate) const SCHEMAS: usize = 64;

/// Words of a key: one byte of length, 63 bytes of text. Under loom fewer, so that its scenarios stay small.
pub(crate) const KEY_WORDS: usize = real_or_model(8, 2);

/// Words of a schema's description.
pub(crate) const SCHEMA_WORDS: usize = 14;

/// Declares records: atomics alone, in C's layout, on lines of their own.
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
    /// Who this store is and how it is laid out. Written once by its creator, `magic` last.
    Identity, align 64, size 64 {
        /// `MAGIC`, once all the rest is in place.
        magic: AtomicU32,
        /// The version of this layout.
        layout: AtomicU32,
        /// The number of slots.
        slots: AtomicU32,
        /// How many of the newest values a slot keeps.
        history: AtomicU32,
        /// Cells of a slot beyond `history`.
        spare: AtomicU32,
        /// Bit 0: cells carry checksums, as they do in files.
        features: AtomicU32,
        /// The largest value, in bytes.
        max_value_size: AtomicU64,
        /// The length of the whole store in bytes.
        total_len: AtomicU64,
        /// A random number that tells this store from any other that had its name.
        id: AtomicU64,
        /// When it was made: nanoseconds since the Unix epoch.
        created: AtomicU64,
        /// How many lossless subscribers a slot has room for.
        lossless: AtomicU32,
    }

    /// Switches that every participant obeys.
    Switches, align 64, size 64 {
        /// Bit 0: auto-vacuum. Bits 0-15 belong to the system, 16-31 to users.
        flags: AtomicU32,
    }

    /// What went wrong, counted.
    Diagnostics, align 64, size 64 {
        /// Frames that a reader rejected.
        parse_failures: AtomicU64,
        /// When the last of them was rejected: nanoseconds since the Unix epoch.
        last_failure_epoch: AtomicU64,
    }

    /// The books of the directory. Everything but `active` is touched only under the directory's lock.
    DirectoryHeader, align 64, size 64 {
        /// How often the index was rebuilt; the lowest bit says which of the two tables is in use.
        active: AtomicU64,
        /// The slot that is being changed, plus one; 0 while nothing is. Not 0 for a new holder of the lock means
        /// that the last one died in the middle.
        journal: AtomicU32,
        /// The first slot of the list of given-back slots, plus one.
        free: AtomicU32,
        /// Slots from here on were never used.
        fresh: AtomicU32,
        /// Slots that have a key.
        live: AtomicU32,
        /// Entries of the active table that are tombstones.
        tombstones: AtomicU32,
        /// The process that has the lock, as it sees itself. For people; nothing is decided by it.
        holder: AtomicU32,
        /// No key that was ever removed had a version larger than this.
        highest: AtomicU64,
        /// Which file in which boot of the machine this store was last found sound in; 0 when that is unknown. See `store::recover`.
        clean_epoch: AtomicU64,
        /// In a file: the largest epoch of which versions were published, or are about to be. See `store::epoch`.
        epoch: AtomicU64,
        /// In a file: the first version that may be published. A recovery raises it above all versions that anybody can have seen.
        first: AtomicU64,
    }

    /// What those sleep on who wait for something, and how whoever makes it happen knows of them.
    Event, align 8, size 8 {
        /// Sleepers sleep on this word.
        word: AtomicU32,
        /// Not 0 when somebody may sleep on `word`.
        flag: AtomicU32,
    }

    /// The first bytes of every store.
    StoreHeader, align 64, size 320 {
        identity: Identity,
        switches: Switches,
        diagnostics: Diagnostics,
        directory: DirectoryHeader,
        /// For those who wait for any key. On a line of its own: every publisher looks at its flag.
        new_version: Event,
    }

    /// One open handle of one process. Its owner holds the kernel's lock on this entry's byte.
    ParticipantEntry, align 64, size 64 {
        /// Counts the owners of this entry; odd while it has one, or had one that died without closing.
        incarnation: AtomicU64,
        /// The owner's process id, as seen in its own namespace. For people; nothing is decided by it.
        pid: AtomicU32,
    }

    /// What a fingerprint in a frame stands for, for people who meet a message of another type.
    SchemaEntry, align 64, size 128 {
        /// The fingerprint; 0 while the entry is free.
        fingerprint: AtomicU64,
        /// The length of the text in bytes, once it is whole; 0 before.
        len: AtomicU64,
        /// The text. A fingerprint has one text only, so whoever finds it missing may write it.
        text: [AtomicU64; SCHEMA_WORDS],
    }

    /// One key's home. Readers poll the first line, and each publish takes it from them; the third is the writers'; what is in the fourth hardly
    /// ever changes. Never in two pages, so that whatever a machine that stops has written of it, it has written all of it.
    SlotHeader, align 256, size 256 {
        /// The newest value: (cell + 1 : 16 | version : 48). Moving it is publishing.
        head: AtomicU64,
        /// The next slot in the list of given-back slots, plus one.
        next_free: AtomicU32,
        /// The hash of the present key: what the checksums of its values are bound to.
        key_hash: AtomicU64,
        line_end: [AtomicU64; 5],
        /// One byte of length, then the key.
        key: [AtomicU64; KEY_WORDS],
        /// How many marks were put on cells that were free: each has a number of its own.
        tickets: AtomicU64,
        /// For those who wait for the next version.
        new_version: Event,
        /// From which version on lossless subscribers are still to receive values, at the earliest: see `store::delivery`.
        low_water: AtomicU64,
        /// From which version on values are messages of a work queue, if the key is one.
        queue: AtomicU64,
        unused: AtomicU64,
        /// In a file: the version that `head` had when a recovery last passed versions over. See `store::ring::gap`.
        before_recovery: AtomicU64,
        writers_line_end: [AtomicU64; 2],
        /// Counts creations and removals of the key: odd while the slot has one. Not beside `head`: readers look at it last, when the next publish
        /// may have taken that line from them.
        generation: AtomicU64,
        /// The version that `head` had when the present key was created: no value up to it belongs to this key.
        base_version: AtomicU64,
        /// For publishers that wait for a cell.
        not_full: Event,
        /// The version that stands in for one that was lost, until whoever recovers the store has come to its end.
        recovered_version: AtomicU64,
        /// The largest version up to which a purge meant to go. Only grows; see `Ring::purge`.
        purge_intent: AtomicU64,
        /// The version that was the newest at the last completed flush. In a file, its cell is not overwritten before the next flush is complete.
        flushed: AtomicU64,
        /// The version that a flush in progress, or one whose process died, is writing to the disk. Not overwritten, like `flushed`.
        flushing: AtomicU64,
        /// How many jobs a recovery in progress could not prove, so that one that starts again reports the same. See `Ring::recover`.
        unproven_jobs: AtomicU64,
    }

    /// One value of one key; its bytes follow.
    CellHeader, align 8, size 48 {
        /// Whole, claiming or private: see `store::word`.
        seq: AtomicU64,
        /// One bit for each participant that reads in place.
        pins: [AtomicU64; PARTICIPANTS / 64],
        /// Who has taken the value out of the work queue, or has done with it.
        delivery: AtomicU64,
        /// The value's length in bytes.
        len: AtomicU32,
        /// How far bytes were written since they were last zeroed.
        written_len: AtomicU32,
        /// Over value, key, version, gap and length; in a store whose cells carry checksums.
        crc: AtomicU32,
        /// In a file: which version was published before this one, if not the one below. See `store::epoch` and `store::ring::gap`.
        gap: AtomicU32,
    }
}
