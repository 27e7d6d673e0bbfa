//! Participants: which processes have the store open, and reaping what crashed ones left behind.
//!
//! Entry *i* of the table belongs to the process that holds the kernel's lock on byte *i* of the
//! participants' range. The kernel releases the lock however its owner ends. So a lock that can be
//! shared proves that the owner has crashed, whatever became of the process id; and while the lock
//! is shared, nobody can take the entry.

pub(crate) mod crashed_locks;
pub(crate) mod departure;
mod entry;
pub(crate) mod host;
pub(crate) mod join;
pub(crate) mod opener;
mod reap;

pub use entry::Participant;
pub(crate) use entry::{forget_all, has_owners, is_alive, is_current, leave, living, nobody_has_it_open, pid};
