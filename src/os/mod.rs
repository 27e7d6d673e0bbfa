//! The operating system: files, mappings, locks on single bytes, sleeping and waking, clocks,
//! `fork`.
//!
//! Everything here is a thin, safe wrapper. The comments where it is used explain what it is used
//! for.

pub(crate) mod clock;
#[cfg(feature = "eventfd")]
pub(crate) mod eventfd;
pub(crate) mod file;
pub(crate) mod file_system;
pub(crate) mod fork;
pub(crate) mod futex;
#[cfg(test)]
mod in_child;
pub(crate) mod limits;
pub(crate) mod lock;
pub(crate) mod mapping;
pub(crate) mod per_process;
#[cfg(test)]
#[allow(unreachable_pub, reason = "the tests of the whole crate use it, too")]
#[path = "../../tests/support/seccomp.rs"]
mod seccomp;
pub(crate) mod space;
