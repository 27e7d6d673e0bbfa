//! What the kernel does for a store: files, locks on single bytes, sleeping and waking, clocks.
//!
//! Everything here is a thin, safe wrapper; what the calls are used for is told where they are
//! used.

pub(crate) mod clock;
pub(crate) mod fence;
pub(crate) mod file;
pub(crate) mod file_system;
pub(crate) mod fork;
pub(crate) mod futex;
pub(crate) mod limits;
pub(crate) mod lock;
pub(crate) mod mapping;
#[cfg(feature = "async")]
pub(crate) mod per_process;
