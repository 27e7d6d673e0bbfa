//! The directory: which slot has which key, and how that changes.
//!
//! A look-up takes no lock; see [`index`](crate::core::index). Creating and removing a key is done
//! under the lock of the directory. The kernel releases that lock when its holder dies. A holder
//! that is stopped blocks others that create or remove keys; each of them gives up after its time
//! limit, ten seconds at most.
//!
//! **Crash.** The slots alone are the truth: each says whether it has a key, and which. The index,
//! the list of free slots and the counts are derived from them. The journal in the directory header
//! names the slot that is being changed. It is written before the change and cleared after it. A
//! process that takes the lock and finds the journal open knows that the holder crashed. It empties
//! that slot if it has no key, and rebuilds everything that is derived.
//!
//! | crash | what is left | what the next holder does |
//! | --- | --- | --- |
//! | before the journal is open | nothing | nothing |
//! | `insert`, before the generation is odd | a slot without a key, in no list | empties it, rebuilds |
//! | `insert`, after that | a slot with a key, perhaps not in the index | rebuilds |
//! | `remove`, after the generation is even | a slot without a key, perhaps with values, perhaps in the index | empties it, rebuilds |
//! | `rebuild`, before the tables are switched | a table that is in use, and one that is half filled | fills that one again |
//!
//! # The order of locks
//!
//! All locks of a store, in the order in which they are taken. No process takes one while it holds
//! one that is below it.
//!
//! | lock | kind | held by | held for |
//! | --- | --- | --- | --- |
//! | `Draft` | byte | the creator of a store that has no name yet | the creation |
//! | `Opening` | byte | a process that opens a store in a file, until it is a participant | a recovery, which reads all values |
//! | joining ([`Registry`](super::lifecycle::registry::Registry)) | mutex | a thread that becomes a participant | joining, which reaps crashed participants |
//! | `Participant(me)` | byte | the owner of a participant entry | as long as the session exists |
//! | `Flush` | mutex and byte | a flush; a purge for all of its time | two writes of the file; others wait 60 s at most |
//! | `Directory` | mutex and byte | creating and removing keys, the start of a purge | microseconds, a rebuild reads all slots; others wait 10 s at most |
//! | pins of a session ([`LocalPins`](super::local_pins::LocalPins)) | mutexes, each of some slots, one at a time | pinning, unpinning, one slot of a purge | microseconds |
//! | `Participant(other)`, shared | byte | reaping the marks of that participant, when it has crashed | one slot, or all slots when a process joins |
//! | holders of crashed locks ([`CrashedLocks`](super::participant::crashed_locks::CrashedLocks)) | mutex | reaping | one system call |
//! | `Space` | mutex and byte | reserving by writing, where there is no `fallocate` | the writes; others wait 10 s at most |
//! | state of the reactor | mutex | starting, ending and waking waits of tasks | microseconds; no code of others runs |
//! | files of the [`Registry`](super::lifecycle::registry::Registry) | mutex | opening a store | a look-up |
//! | [`Departure`](super::participant::departure::Departure) | mutex | opening and closing a store | a look |
//!
//! A lock on a byte is a lock of an open file description ([`os::lock`](crate::os::lock)). The
//! mutex beside it keeps the threads of one session apart, which share that description.
//! `Participant(other)` is only tried, never waited for, so it cannot be part of a deadlock.

mod locked;
mod rebuild;
mod wait_limit;

pub(crate) use locked::{InsertError, Locked, lock};
pub(crate) use rebuild::rebuild;
pub(crate) use wait_limit::{LONGEST_WAIT, WaitLimit};
