//! The operating system: files, mappings, locks on single bytes, sleeping and waking, clocks,
//! `fork`.
//!
//! Everything here is a thin, safe wrapper. The comments where it is used explain what it is used
//! for.

pub(crate) mod clock;
pub(crate) mod file;
pub(crate) mod file_system;
pub(crate) mod fork;
pub(crate) mod futex;
pub(crate) mod limits;
pub(crate) mod lock;
pub(crate) mod mapping;
pub(crate) mod per_process;
