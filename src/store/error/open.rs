//! Errors of creating, opening and removing a store.

use std::io;
use std::time::Duration;

use thiserror::Error;

use super::more_memory;
use crate::core::ring::SpaceReason;

/// Why a store could not be created, opened or removed.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{OpenError, Store};
///
/// let error = Store::open("no such store").unwrap_err();
/// assert!(matches!(error, OpenError::NotFound { .. }));
/// assert_eq!(error.to_string(), "there is no store named \"no such store\": create it first, or use open_or_create");
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name cannot be a file name under `/dev/shm`, or the path that of a file.
    #[error("{name:?} cannot name a store: {reason}")]
    Name {
        /// The name or path as it was given.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The options ask for an impossible store.
    #[error(transparent)]
    Dimensions(#[from] DimensionsError),
    /// The store exists, and has not what the options ask for.
    #[error(
        "{name:?} exists and does not meet the options: asked for {}, it has {}; open it without these options, or remove it first",
        asked_dimensions(asked, has),
        dimensions(has)
    )]
    OtherOptions {
        /// The name or path of the store.
        name: String,
        /// What the options ask for: slots, inline size, span.
        asked: [Option<u64>; 3],
        /// What the store has.
        has: [u64; 3],
    },
    /// There is no store of this name.
    #[error("there is no store named {name:?}: create it first, or use open_or_create")]
    NotFound {
        /// The name that was looked for.
        name: String,
    },
    /// Something of this name exists already.
    #[error("{name:?} exists already: open it, remove it, or choose another name")]
    AlreadyExists {
        /// The name that was to be created.
        name: String,
    },
    /// This process may not use the store, or the directory in which it should be.
    #[error(
        "no permission to {action} {name:?}: {source}; its owner decides who may read and write it, by its mode and that of its \
         directory"
    )]
    PermissionDenied {
        /// The operation that was refused.
        action: &'static str,
        /// The name or path of the store.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file system takes no changes.
    #[error(
        "cannot {action} {name:?}: its file system is read-only; a store must be writable, also for processes that only read"
    )]
    ReadOnly {
        /// The operation that was refused.
        action: &'static str,
        /// The path of the store.
        name: String,
    },
    /// The directory of the file does not exist, or has no room for new files, as in `/proc`.
    #[error(
        "{name:?} needs the directory {directory:?}, which does not exist, or takes no files: create it, or choose another one"
    )]
    NoDirectory {
        /// The path of the store.
        name: String,
        /// The directory that is missing, or is not a directory.
        directory: String,
    },
    /// There is less free space than the store needs.
    #[error("{}", no_space(name, directory, *needed, *available, source.as_ref()))]
    NoSpace {
        /// The name or path that was to be created.
        name: String,
        /// Where the space is missing.
        directory: String,
        /// Bytes that the store needs.
        needed: u64,
        /// Bytes that were available.
        available: u64,
        /// What the operating system said, if it was asked: a quota may be used up, or the numbers
        /// of files, while there is space.
        source: Option<io::Error>,
    },
    /// The store has to be recovered, because the machine stopped or the file is a copy, and there is
    /// no space for that. Nothing is lost: it can be opened once there is space.
    #[error("{}", no_space_to_recover(name, *needed, *available, *reason))]
    NoSpaceToRecover {
        /// The path that was to be opened.
        name: String,
        /// Bytes that were to be reserved.
        needed: u64,
        /// Bytes that are available.
        available: u64,
        /// What stands in the way.
        reason: SpaceReason,
    },
    /// The store's file would be longer than the limit on files.
    #[error("{}", file_too_large(name, *needed, *limit))]
    FileTooLarge {
        /// The name or path that was to be created.
        name: String,
        /// Bytes that the store needs.
        needed: u64,
        /// The longest file that this process may make, in bytes (`RLIMIT_FSIZE`); `None` if the
        /// file system is what sets the limit.
        limit: Option<u64>,
    },
    /// The limit on open files is reached.
    #[error("cannot {action} {name:?}: {}", too_many_files(*limit))]
    TooManyFiles {
        /// The operation that was refused.
        action: &'static str,
        /// The name or path of the store.
        name: String,
        /// How many files this process may have open (`RLIMIT_NOFILE`); `None` if the system as a
        /// whole has reached its limit.
        limit: Option<u64>,
    },
    /// Memory or addresses are missing to map the store.
    #[error("cannot map the {needed} bytes of {name:?}: {source}; {}", more_memory(*limit))]
    NoMemory {
        /// The name or path of the store.
        name: String,
        /// Bytes that were to be mapped.
        needed: u64,
        /// How many bytes of addresses this process may have (`RLIMIT_AS`); `None` if that is not
        /// limited.
        limit: Option<u64>,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file system shares its files with other machines, which have page caches and locks of
    /// their own.
    #[error(
        "{name:?} is on {file_system}, whose files other machines can change: all users of a store must be on one machine; \
         choose a local file system, or shared memory (a name without '/')"
    )]
    NetworkFileSystem {
        /// The path of the store.
        name: String,
        /// What kind of file system it is, such as `NFS`.
        file_system: String,
    },
    /// The kernel or the file system lacks something that a store needs, or a sandbox refuses it.
    #[error(
        "cannot {action} {name:?}: {source}; use another file system, or shared memory (a name without '/'), or have the sandbox allow it"
    )]
    Unsupported {
        /// The operation that was refused.
        action: &'static str,
        /// The name or path of the store.
        name: String,
        /// What is missing.
        source: io::Error,
    },
    /// The file of this name is not a splinter store.
    #[error("{name:?} is not a splinter store: {reason}; choose another name")]
    NotAStore {
        /// The name that was to be opened.
        name: String,
        /// What shows that.
        reason: String,
    },
    /// The file is a store of the C library libsplinter.
    #[error(
        "{name:?} is a store of the C library libsplinter (layout {layout}), which this crate cannot share; \
         choose another name"
    )]
    CLibrary {
        /// The name that was to be opened.
        name: String,
        /// The layout number that libsplinter wrote.
        layout: u32,
    },
    /// The store was created by another version of this crate.
    #[error(
        "{name:?} was created by another version of splinter-bus (layout {layout:#x}, this version has {supported:#x}); \
         use that version, or remove the store when no process uses it"
    )]
    OtherLayout {
        /// The name that was to be opened.
        name: String,
        /// The layout of the store.
        layout: u32,
        /// The layout of this version of the crate.
        supported: u32,
    },
    /// The store's header contradicts itself.
    #[error("the store {name:?} is damaged: {reason}; remove it and create a new one")]
    Damaged {
        /// The name that was to be opened.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// As many processes as a store can have have it open. Another handle of a process that is one
    /// of them is not refused.
    #[error("{name:?} is open in {max} processes, which is the maximum: close it in one of them first")]
    TooManyParticipants {
        /// The name that was to be opened.
        name: String,
        /// How many participants there can be.
        max: usize,
    },
    /// A program that is not splinter-bus holds locks on the whole file.
    #[error("another program holds locks on {name:?} that a store needs: end that program, or have it unlock the file")]
    LockedOut {
        /// The name that was to be opened.
        name: String,
    },
    /// Another process is checking or changing the store, and does not finish.
    #[error(
        "process {pid} has been checking or changing {name:?} for more than {}: resume it if it is stopped, or end it",
        humantime::format_duration(*waited)
    )]
    Busy {
        /// The path that was to be opened.
        name: String,
        /// The process, by the id that it has in its own pid namespace; 0 if it does not use
        /// splinter-bus.
        pid: u32,
        /// How long this process waited.
        waited: Duration,
    },
    /// A copy of a store in shared memory. It has no checksums, so it is unknown which values are
    /// whole.
    #[error(
        "{name:?} is a copy of a store in shared memory, which has no checksums, so it is unknown which values are whole; \
         open the original, or create stores that are to be copied in a file"
    )]
    Copied {
        /// The path that was to be opened.
        name: String,
    },
    /// Other processes removed and created the store each time that it was to be opened.
    #[error("{name:?} was removed and created again each time it was to be opened: try again")]
    Unsettled {
        /// The name that was to be opened.
        name: String,
    },
    /// The operating system refused.
    #[error("the operating system refused to {action} {name:?}: {source}")]
    Io {
        /// The operation that was refused.
        action: &'static str,
        /// The name or path of the store.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
}

fn no_space(name: &str, directory: &str, needed: u64, available: u64, source: Option<&io::Error>) -> String {
    let said = source.map_or(String::new(), |source| format!(" ({source})"));
    let advice = match source {
        Some(source) if source.kind() == io::ErrorKind::OutOfMemory => {
            "the memory of the machine, or of this control group (`memory.max`), is used up: free some, or create a smaller store"
        }
        Some(_) if available >= needed => "a quota or the numbers of files may be used up: see `quota` and `df -i`",
        _ => "ask for fewer slots, or free some space",
    };
    format!("not enough space{said}: {name:?} needs {needed} bytes and {directory} has {available} left; {advice}")
}

fn no_space_to_recover(name: &str, needed: u64, available: u64, reason: SpaceReason) -> String {
    let reason = match reason {
        SpaceReason::Full => format!(
            "{needed} bytes are needed, {available} are available: free some space in its file system, and open it again"
        ),
        reason => super::no_space(needed, available, reason),
    };
    format!(
        "{name:?} cannot be recovered after the machine stopped, or the file was copied: {reason}; nothing of it is lost"
    )
}

fn file_too_large(name: &str, needed: u64, limit: Option<u64>) -> String {
    let (limit, advice) = match limit {
        Some(limit) => (
            format!("this process may make none longer than {limit}"),
            "raise its limit (`ulimit -f`, `LimitFSIZE=` of a service)",
        ),
        None => ("its file system has none that long".to_owned(), "choose another file system"),
    };
    format!("{name:?} needs a file of {needed} bytes, and {limit}: {advice}, or ask for fewer slots")
}

fn too_many_files(limit: Option<u64>) -> String {
    match limit {
        Some(limit) => format!(
            "this process has as many files open as it may, {limit}: close some, or raise its limit (`ulimit -n`, `LimitNOFILE=` of a \
             service)"
        ),
        None => "the system has as many files open as it may: close some, or raise its limit (sysctl fs.file-max)"
            .to_owned(),
    }
}

/// Why no store can be this large.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::StoreOptions;
///
/// let error = StoreOptions::new().slots(0).create("impossible").unwrap_err();
/// assert_eq!(error.to_string(), "slots of 0 is out of range: it must be 1 to 524288");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DimensionsError {
    /// A number is out of its range.
    #[error("{what} of {value} is out of range: it must be {min} to {max}")]
    OutOfRange {
        /// Which of the options.
        what: &'static str,
        /// What was asked for.
        value: u64,
        /// The smallest allowed.
        min: u64,
        /// The largest allowed.
        max: u64,
    },
    /// A number is not a multiple of what it must be.
    #[error("{what} of {value} is not a multiple of {unit}: choose {} or {}", value / unit * unit, value.div_ceil(*unit) * unit)]
    NotAMultiple {
        /// Which of the options.
        what: &'static str,
        /// What was asked for.
        value: u64,
        /// What it must be a multiple of.
        unit: u64,
    },
    /// All keys together would have more addresses than a process can map.
    #[error(
        "{slots} slots with a span of {span} bytes are more than the 8 TiB of addresses of a store: ask for at most {max_slots} slots, or \
         for a smaller span"
    )]
    TooManyAddresses {
        /// The number of slots.
        slots: u32,
        /// The span of each in bytes.
        span: u64,
        /// How many slots there can be with this span.
        max_slots: u64,
    },
    /// The ring of a key would have too little room.
    #[error(
        "{slots} slots leave too little room for a ring of cells of {inline_size} bytes: ask for fewer slots, or a smaller inline_size"
    )]
    NoRoomForRings {
        /// The number of slots.
        slots: u32,
        /// The inline size in bytes.
        inline_size: u32,
    },
}

/// What was asked for and is not so.
fn asked_dimensions(&[slots, inline_size, span]: &[Option<u64>; 3], has: &[u64; 3]) -> String {
    let slots = slots.filter(|&slots| slots > has[0]).map(|slots| format!("{slots} slots"));
    let inline_size = inline_size.filter(|&size| size != has[1]).map(|size| format!("an inline size of {size} bytes"));
    let span = span.filter(|&span| span > has[2]).map(|span| format!("a span of {span} bytes"));
    [slots, inline_size, span].into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

fn dimensions([slots, inline_size, span]: &[u64; 3]) -> String {
    format!("{slots} slots, an inline size of {inline_size} bytes and a span of {span} bytes")
}
