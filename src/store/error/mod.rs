//! What can go wrong with a store: one enum for each kind of operation.
//!
//! Causes that operations share stand once, in [`KeyError`] and [`DirectoryError`], and are nested.
//! A [`KeyError`] is always directly below the operation's enum, never deeper: conversions lift it.
//!
//! Nothing here imports the code that fails. Limits that a text names are numbers in the variant.

mod copy;
mod directory;
mod key;
mod open;
mod value;

use std::io;

use crate::core::ring::SpaceReason;

pub use copy::CopyError;
pub use directory::{DirectoryError, EvictError, PatternError, ShapeError};
pub use key::{Forked, KeyError};
pub use open::{DimensionsError, OpenError};
pub use value::{GetError, SetError, UpdateError};

/// What to do when memory or addresses for a mapping are missing. `limit` is this process's limit
/// on addresses, if there is one.
fn more_memory(limit: Option<u64>) -> String {
    match limit {
        Some(limit) => format!(
            "this process may use {limit} bytes of addresses, and a store needs at least 4.1 GiB (StoreOptions::slots, StoreOptions::span): \
             raise its limit (`ulimit -v`, `LimitAS=` of a service), or create the store with fewer slots"
        ),
        None => "free some memory, raise the limits on mappings (`ulimit -l`, sysctl vm.max_map_count), or create the store with fewer slots"
            .to_owned(),
    }
}

/// What to do when there is no space in memory or on the disk.
fn no_space(needed: u64, available: u64, reason: SpaceReason) -> String {
    match reason {
        SpaceReason::FileSizeLimit { limit } => format!(
            "the store's file would be longer than this process may make one ({limit} bytes): raise the limit (`ulimit -f`, `LimitFSIZE=` of a \
             service); reserving {needed} bytes failed"
        ),
        SpaceReason::Full => format!(
            "no space: {needed} bytes are needed, {available} are available; remove keys (Store::unset), create them \
             with less history (KeyOptions::history), or make the file system larger (for /dev/shm: `mount -o remount,size=`, `docker run --shm-size`)"
        ),
        SpaceReason::Busy { waited } => format!(
            "another process has been reserving space for more than {}, where only one can at a time (no `fallocate`): resume it if it is \
             stopped, or end it; {needed} bytes are needed",
            humantime::format_duration(waited)
        ),
        SpaceReason::Refused { errno } => {
            let source = io::Error::from_raw_os_error(errno);
            let advice = match source.kind() {
                io::ErrorKind::OutOfMemory => {
                    "the memory of the machine, or of this control group (`memory.max`), is used up: free some"
                }
                io::ErrorKind::QuotaExceeded => "remove files, or have the quota raised (see `quota`)",
                _ => "see the log of the kernel (`dmesg`)",
            };
            format!(
                "the operating system refused to reserve {needed} bytes of space: {source}; {available} are available in the file system; \
                 {advice}"
            )
        }
    }
}
