//! The protocol, without system calls.
//!
//! | module | concept |
//! | --- | --- |
//! | [`memory`] | shared bytes as records and words that are safe to access |
//! | [`word`] | the words that the protocol turns on, with their legal changes |
//! | [`ring`] | one slot: publishing, reading, retention, work queues, recovery |
//! | [`index`], [`key`] | looking up a key without a lock |
//! | [`event`], [`wait`] | waiting without missing a change |
//! | [`shape`], [`place`] | how many cells a key has, and where its long values are |
//! | [`epoch`] | versions that survive a crash of the machine |
//! | [`lookup`], [`checksum`], [`cell_counts`], [`participant_set`] | small values that several of them use |
//!
//! All of it compiles under loom (`src/loom`), except for the memory that loom's atomics cannot be
//! laid over. What the protocol needs of its surroundings comes in by the trait
//! [`Host`](ring::Host): which participants have crashed, waking sleepers, versions that need a
//! write to the disk first.

pub(crate) mod cell_counts;
pub(crate) mod checksum;
pub(crate) mod epoch;
pub(crate) mod event;
pub(crate) mod index;
pub(crate) mod key;
pub(crate) mod lookup;
pub(crate) mod memory;
pub(crate) mod participant_set;
pub(crate) mod place;
pub(crate) mod ring;
pub(crate) mod shape;
pub(crate) mod wait;
pub(crate) mod word;
