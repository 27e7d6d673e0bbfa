//! The protocol, without system calls: words, records and views, the ring of a slot, the index of keys, events, checksums.
//!
//! All of it compiles under loom (`src/loom`), except for the memory that loom's atomics cannot be laid over. What the
//! protocol needs of its surroundings comes in by the trait [`Host`](ring::Host): which participants have crashed, waking
//! sleepers, versions that need a write to the disk first.

pub(crate) mod cell_counts;
pub(crate) mod checksum;
pub(crate) mod delivery;
pub(crate) mod epoch;
pub(crate) mod event;
pub(crate) mod index;
pub(crate) mod key;
pub(crate) mod lookup;
pub(crate) mod memory;
pub(crate) mod participant_set;
pub(crate) mod ring;
pub(crate) mod wait;
pub(crate) mod word;
