//! The resource limits of this process, as `ulimit` sets them.

use rustix::process::{Resource, getrlimit};

/// The longest file, in bytes; `None` for any length.
///
/// A process that makes a file longer is ended by SIGXFSZ, unless it ignores that signal.
pub(crate) fn file_size() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

/// How many files may be open at once; `None` for any number.
pub(crate) fn open_files() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// The size of the address space in bytes; `None` for any size.
pub(crate) fn address_space() -> Option<u64> {
    getrlimit(Resource::As).current
}
