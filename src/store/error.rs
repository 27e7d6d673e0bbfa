//! What can go wrong with a store, one enum for each kind of operation.

use std::io;
use std::time::Duration;

use thiserror::Error;

use super::geometry::{MAX_HISTORY, MAX_LOSSLESS, MAX_SLOTS, MAX_VALUE_SIZE};
use crate::core::cell_counts::CellCounts;
use crate::core::key::KeyError;
use crate::core::memory::records::PARTICIPANTS;
use crate::os::limits;

/// A handle was inherited from the parent process by `fork`, and does nothing in its child.
///
/// What a handle stands for (a place among the store's participants, pins, loans, cursors, jobs) is its process's. So in a child, operations
/// say this, and dropping a handle leaves everything to the parent. Open the store again in the child.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::{Forked, GetError};
///
/// let error = GetError::from(Forked { opened_by: 4711 });
/// assert_eq!(
///     error.to_string(),
///     "this handle was opened by process 4711 before it forked, and cannot be used in its child: open the store again in this process"
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "this handle was opened by process {opened_by} before it forked, and cannot be used in its child: \
     open the store again in this process"
)]
pub struct Forked {
    /// The process that opened the store, as it saw itself.
    pub opened_by: u32,
}

impl From<Forked> for io::Error {
    fn from(error: Forked) -> Self {
        Self::other(error)
    }
}

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
    /// The options ask for a store that cannot be.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// There is no store of this name.
    #[error("there is no store named {name:?}: create it first, or use open_or_create")]
    NotFound {
        /// The name that was looked for.
        name: String,
    },
    /// Something of this name is there already.
    #[error("{name:?} is there already: open it, remove it, or choose another name")]
    AlreadyExists {
        /// The name that was to be created.
        name: String,
    },
    /// The store, or the directory in which it should be, belongs to somebody who did not share it.
    #[error(
        "no permission to {action} {name:?}: {source}; its owner decides who may read and write it, by its mode and that of its \
         directory"
    )]
    PermissionDenied {
        /// What was to be done.
        action: &'static str,
        /// The name or path it was to be done to.
        name: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file system takes no changes.
    #[error(
        "cannot {action} {name:?}: its file system is read-only; a store must be writable, by those who read it too"
    )]
    ReadOnly {
        /// What was to be done.
        action: &'static str,
        /// The path it was to be done to.
        name: String,
    },
    /// The file should be in a directory that is not there.
    #[error("there is no directory {directory:?} for {name:?} to be in: create it first")]
    NoDirectory {
        /// The path of the store.
        name: String,
        /// The directory that is missing, or is none.
        directory: String,
    },
    /// There is not as much space as the store needs.
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
        /// What the operating system said, if it was asked: a quota may be used up, or the numbers of files, while
        /// there is space.
        source: Option<io::Error>,
    },
    /// The store's file would be longer than a file may be.
    #[error("{}", file_too_large(name, *needed, *limit))]
    FileTooLarge {
        /// The name or path that was to be created.
        name: String,
        /// Bytes that the store needs.
        needed: u64,
        /// The longest file that this process may make, in bytes (`RLIMIT_FSIZE`); `None` if the file system is
        /// what sets the limit.
        limit: Option<u64>,
    },
    /// As many files are open as may be.
    #[error("cannot {action} {name:?}: {}", too_many_files(*limit))]
    TooManyFiles {
        /// What was to be done.
        action: &'static str,
        /// The name or path it was to be done to.
        name: String,
        /// How many files this process may have open (`RLIMIT_NOFILE`); `None` if the system as a whole has reached
        /// its limit.
        limit: Option<u64>,
    },
    /// There is no memory, or there are no addresses, to map the store.
    #[error("cannot map the {needed} bytes of {name:?}: {source}; {}", more_memory(*limit))]
    NoMemory {
        /// The name or path of the store.
        name: String,
        /// Bytes that were to be mapped.
        needed: u64,
        /// How many bytes of addresses this process may have (`RLIMIT_AS`); `None` if that is not limited.
        limit: Option<u64>,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file system shares its files with other machines, which have their own copies of pages and their own
    /// locks.
    #[error(
        "{name:?} is on {file_system}, whose files other machines can change: a store needs one kernel that has all of it; \
         choose a local file system, or shared memory (a name without '/')"
    )]
    NetworkFileSystem {
        /// The path of the store.
        name: String,
        /// What kind of file system it is, such as `NFS`.
        file_system: String,
    },
    /// The kernel or the file system lacks something that a store cannot do without, or a sandbox refuses it.
    #[error(
        "cannot {action} {name:?}: {source}; use another file system, or shared memory (a name without '/'), or have the sandbox allow it"
    )]
    Unsupported {
        /// What was to be done.
        action: &'static str,
        /// The name or path it was to be done to.
        name: String,
        /// What is missing.
        source: io::Error,
    },
    /// What has this name is not a splinter store.
    #[error("{name:?} is not a splinter store: {reason}; choose another name")]
    NotAStore {
        /// The name that was to be opened.
        name: String,
        /// What gave it away.
        reason: String,
    },
    /// A store of the C library libsplinter.
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
    /// A store of another version of this crate.
    #[error(
        "{name:?} was made by another version of splinter-bus (layout {layout:#x}, this one speaks {supported:#x}); \
         use that version, or remove the store once nobody uses it"
    )]
    OtherLayout {
        /// The name that was to be opened.
        name: String,
        /// The layout of the store.
        layout: u32,
        /// The layout that this crate speaks.
        supported: u32,
    },
    /// The store's description of itself is impossible.
    #[error("the store {name:?} is damaged: {reason}; remove it and create it anew")]
    Damaged {
        /// The name that was to be opened.
        name: String,
        /// What is impossible about it.
        reason: String,
    },
    /// As many handles as a store can have are open.
    #[error("{name:?} is open {PARTICIPANTS} times already, which is all a store has room for: close one first")]
    TooManyParticipants {
        /// The name that was to be opened.
        name: String,
    },
    /// Something that is no splinter-bus holds locks on the whole file.
    #[error(
        "another program holds locks on {name:?} that a store needs for itself: end that program, or let it unlock the file"
    )]
    LockedOut {
        /// The name that was to be opened.
        name: String,
    },
    /// Somebody else is making the store sound, and does not come to an end.
    #[error(
        "process {pid} has been checking or changing {name:?} for more than 10s: let it go on if it is stopped, or end it"
    )]
    Busy {
        /// The path that was to be opened.
        name: String,
        /// The process as it sees itself; 0 if it is none of splinter-bus.
        pid: u32,
    },
    /// A copy of a store in shared memory. Without checksums nobody can tell what in it is whole.
    #[error(
        "{name:?} is a copy of a store in shared memory, which carries no checksums, so nobody can tell what in it is whole; \
         open the original, or create stores that are to be copied in a file"
    )]
    Copied {
        /// The path that was to be opened.
        name: String,
    },
    /// The name changed hands while we opened it, again and again.
    #[error("{name:?} was removed and created anew each time it was to be opened: try again")]
    Unsettled {
        /// The name that was to be opened.
        name: String,
    },
    /// The operating system refused.
    #[error("the operating system refused to {action} {name:?}: {source}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// The name it was to be done to.
        name: String,
        /// What it said.
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
        _ => "ask for fewer slots, smaller values or less history, free some space, or create it sparse",
    };
    format!("not enough space{said}: {name:?} needs {needed} bytes and {directory} has {available} left; {advice}")
}

fn file_too_large(name: &str, needed: u64, limit: Option<u64>) -> String {
    let (limit, advice) = match limit {
        Some(limit) => (
            format!("this process may make none longer than {limit}"),
            "raise its limit (`ulimit -f`, `LimitFSIZE=` of a service)",
        ),
        None => ("its file system has none that long".to_owned(), "choose another file system"),
    };
    format!(
        "{name:?} needs a file of {needed} bytes, and {limit}: {advice}, or ask for fewer slots, smaller values or less history"
    )
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

fn more_memory(limit: Option<u64>) -> String {
    match limit {
        Some(limit) => format!(
            "this process may use {limit} bytes of addresses: raise its limit (`ulimit -v`, `LimitAS=` of a service), or create a \
             smaller store"
        ),
        None => "free some memory, raise the limits on mappings (`ulimit -l`, sysctl vm.max_map_count), or create a smaller store"
            .to_owned(),
    }
}

/// Says why a store could not be mapped once more, for loans, and what to do.
pub(crate) fn no_second_mapping(source: &io::Error) -> String {
    let advice = if matches!(source.kind(), io::ErrorKind::OutOfMemory | io::ErrorKind::WouldBlock) {
        more_memory(limits::address_space())
    } else {
        "publish without a loan".to_owned()
    };
    format!("the operating system refused to map the store once more, which loans need: {source}; {advice}")
}

/// Why a store cannot have the shape that was asked for.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::StoreOptions;
///
/// let error = StoreOptions::new().slots(0).create("impossible").unwrap_err();
/// assert_eq!(error.to_string(), "slots of 0 is out of range: it must be 1 to 16777216");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// A number is out of its range.
    #[error("{what} of {value} is out of range: it must be 1 to {max}")]
    OutOfRange {
        /// Which of the options.
        what: &'static str,
        /// What was asked for.
        value: u64,
        /// The largest allowed.
        max: u64,
    },
    /// The whole would be larger than a process can map.
    #[error(
        "{slots} slots of {cells} cells of {max_value_size} bytes are more than can be mapped: ask for fewer or smaller ones"
    )]
    TooLarge {
        /// The number of slots.
        slots: u32,
        /// Cells in each slot: history and spare.
        cells: u32,
        /// The largest value in bytes.
        max_value_size: u64,
    },
}

impl GeometryError {
    pub(crate) fn slots(value: u32) -> Self {
        Self::OutOfRange { what: "slots", value: value.into(), max: MAX_SLOTS.into() }
    }

    pub(crate) fn history(value: u32) -> Self {
        Self::OutOfRange { what: "history", value: value.into(), max: MAX_HISTORY.into() }
    }

    pub(crate) fn spare(value: u32) -> Self {
        Self::OutOfRange { what: "spare", value: value.into(), max: MAX_HISTORY.into() }
    }

    pub(crate) fn lossless(value: u32) -> Self {
        Self::OutOfRange { what: "lossless", value: value.into(), max: MAX_LOSSLESS.into() }
    }

    pub(crate) fn max_value_size(value: u64) -> Self {
        Self::OutOfRange { what: "max_value_size", value, max: MAX_VALUE_SIZE }
    }
}

/// Why keys could not be created or removed.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use splinter_bus::store::DirectoryError;
///
/// let error = DirectoryError::Busy { pid: 4711, waited: Duration::from_secs(10) };
/// assert!(error.to_string().starts_with("process 4711 has been creating or removing a key for more than 10s"));
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// Somebody else is creating or removing a key, and does not come to an end. Keys that exist are not affected.
    #[error(
        "process {pid} has been creating or removing a key for more than {}: let it go on if it is stopped, or end it",
        humantime::format_duration(*waited)
    )]
    Busy {
        /// The process as it sees itself; 0 if it is none of splinter-bus.
        pid: u32,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The kernel refused to lock the directory.
    #[error("the operating system refused to lock the directory of keys: {0}")]
    Io(#[from] io::Error),
    /// A store in a file could not be flushed, which comes before a purge. Nothing was purged.
    #[error("the store could not be flushed, which comes before a purge: {0}")]
    Flush(#[source] io::Error),
    /// This is a child of the process that opened the store.
    #[error(transparent)]
    Forked(#[from] Forked),
}

/// Tells what keeps a publisher from all cells of a key, and what to do.
pub(crate) fn no_cell(cells: &CellCounts) -> String {
    let CellCounts { retained, pinned, in_flight, flushed, .. } = cells;
    let evict = if *retained > 0 { "evict a lossless subscriber that is stopped (Store::evict), " } else { "" };
    format!(
        "no cell of this key may be overwritten: of {}, {retained} hold what a lossless subscriber or a work queue is still to receive, \
         {pinned} are pinned, {flushed} are kept for the last flush, {in_flight} are in use by writers or on loan, and one has the newest value; \
         receive, or drop pins and loans, {evict}wait with a timeout, or create the store with more history or spare",
        cells.total()
    )
}

/// Why a value was not set.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::{SetError, Store, StoreOptions};
/// # let name = format!("splinter-doc-set-error-{}", std::process::id());
/// let store = StoreOptions::new().slots(1).create(&name)?;
/// store.set("first", b"")?;
/// let error = store.set("second", b"").unwrap_err();
/// assert!(matches!(error, SetError::Full { slots: 1 }));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SetError {
    /// Not a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The value is larger than the store's cells.
    #[error("value of {len} bytes does not fit: this store's max_value_size is {max}")]
    TooLarge {
        /// The value's length in bytes.
        len: usize,
        /// The largest value of this store in bytes.
        max: usize,
    },
    /// Every slot has a key.
    #[error("all {slots} slots of the store have keys: unset one, or create a store with more slots")]
    Full {
        /// The number of slots.
        slots: u32,
    },
    /// No cell may be overwritten: each is pinned, in the hands of a writer or on loan, or holds a value that a lossless subscriber or
    /// a work queue is still to receive.
    #[error("{}", no_cell(.0))]
    Backpressure(CellCounts),
    /// The key was removed since this handle was made.
    #[error("the key was removed from the store: get a handle on it again")]
    Removed,
    /// The key's slot has published as many versions as it can count.
    #[error("the slot of this key has used up its 2^48 versions: create a new store")]
    Exhausted,
    /// The directory of keys could not be locked.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// This is a child of the process that opened the store.
    #[error(transparent)]
    Forked(#[from] Forked),
}

/// Why no cell was lent.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::{LoanError, SetError, Store, StoreOptions};
/// # let name = format!("splinter-doc-loan-error-{}", std::process::id());
/// let store = StoreOptions::new().max_value_size(16).create(&name)?;
/// let error = store.slot("k")?.loan(17).unwrap_err();
/// assert!(matches!(error, LoanError::Set(SetError::TooLarge { len: 17, max: 16 })));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoanError {
    /// As when a value is set.
    #[error(transparent)]
    Set(#[from] SetError),
    /// The store could not be mapped a second time, for what is lent.
    #[error("{}", no_second_mapping(.0))]
    Mapping(#[source] io::Error),
}

/// Why a key gives no place from which on nothing is overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LosslessError {
    /// All places are taken.
    TooMany { max: u32 },
    /// The key was removed.
    Removed,
    /// This is a child of the process that opened the store.
    Forked(Forked),
}

/// Why a value was not read.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::{GetError, Store};
/// # let name = format!("splinter-doc-get-error-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let slot = store.slot("k")?;
/// store.unset("k")?;
/// assert_eq!(slot.size(), Err(GetError::Removed));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GetError {
    /// Not a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key was removed since this handle was made.
    #[error("the key was removed from the store: get a handle on it again")]
    Removed,
    /// The key had a value, of which no version was whole after the machine stopped or in the copy.
    #[error("the value of this key was lost when the machine stopped, or while its file was copied: set it anew")]
    Lost,
    /// Publishers replaced the key's values, or other workers took them, each time that one was to be read. Nothing is wrong with the key.
    #[error(
        "others replaced or took the values of this key faster than one could be read: try again, or create the store with more \
         history or spare"
    )]
    Overtaken,
    /// The key's words contradict each other.
    #[error("the slot of this key is damaged: something other than splinter-bus wrote into the store; create it anew")]
    Damaged,
    /// A writer that was stopped is about to overwrite this version, so it cannot be pinned.
    #[error("version {version} was chosen by a writer to be overwritten, which was stopped: copy it, or pin another")]
    Claimed {
        /// The version that was to be pinned.
        version: u64,
    },
    /// This is a child of the process that opened the store.
    #[error(transparent)]
    Forked(#[from] Forked),
}

/// Why a value was not appended to.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::{AppendError, SetError, Store, StoreOptions};
/// # let name = format!("splinter-doc-append-error-{}", std::process::id());
/// let store = StoreOptions::new().max_value_size(8).create(&name)?;
/// store.append("k", b"123456")?;
/// let error = store.append("k", b"789").unwrap_err();
/// assert!(matches!(error, AppendError::Set(SetError::TooLarge { len: 9, max: 8 })));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AppendError {
    /// As when the value is set.
    #[error(transparent)]
    Set(#[from] SetError),
    /// As when the value is read.
    #[error(transparent)]
    Get(#[from] GetError),
}

/// Why an integer was not read or changed.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::{IntegerError, Store};
/// # let name = format!("splinter-doc-integer-error-{}", std::process::id());
/// let store = Store::create(&name)?;
/// store.set("k", b"text")?;
/// let error = store.integer("k")?.fetch_add(1).unwrap_err();
/// assert!(matches!(error, IntegerError::NotAnInteger { len: 4 }));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IntegerError {
    /// The key's value is not one of 8 bytes.
    #[error(
        "the value of this key has {len} bytes, which is no integer: integers have 8; use another key, or set it to one"
    )]
    NotAnInteger {
        /// The value's length in bytes.
        len: usize,
    },
    /// As when the value is set.
    #[error(transparent)]
    Set(#[from] SetError),
    /// As when the value is read.
    #[error(transparent)]
    Get(#[from] GetError),
}

/// Why keys were not matched with a pattern.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::Store;
/// # let name = format!("splinter-doc-pattern-error-{}", std::process::id());
/// let store = Store::create(&name)?;
/// let error = store.keys_matching("a[").unwrap_err();
/// assert_eq!(error.pattern, "a[");
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{pattern:?} is not a pattern of keys: {reason}")]
pub struct PatternError {
    /// The pattern as it was given.
    pub pattern: String,
    /// What is wrong with it, and where.
    pub reason: String,
}

/// Why a key was not removed.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::{Store, UnsetError};
/// # let name = format!("splinter-doc-unset-error-{}", std::process::id());
/// let store = Store::create(&name)?;
/// assert!(matches!(store.unset(""), Err(UnsetError::Key(_))));
/// assert!(!store.unset("not there")?, "that is no error");
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UnsetError {
    /// Not a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The directory of keys could not be locked.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// This is a child of the process that opened the store.
    #[error(transparent)]
    Forked(#[from] Forked),
}

/// Why a key could not be declared.
///
/// # Examples
///
/// ```
/// # use splinter_bus::store::{SlotError, Store, StoreOptions};
/// # let name = format!("splinter-doc-slot-error-{}", std::process::id());
/// let store = StoreOptions::new().slots(1).create(&name)?;
/// let first = store.slot("first")?;
/// assert!(matches!(store.slot("second"), Err(SlotError::Full { slots: 1 })));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SlotError {
    /// Not a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Every slot has a key.
    #[error("all {slots} slots of the store have keys: unset one, or create a store with more slots")]
    Full {
        /// The number of slots.
        slots: u32,
    },
    /// The directory of keys could not be locked.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// This is a child of the process that opened the store.
    #[error(transparent)]
    Forked(#[from] Forked),
}

impl From<SlotError> for SetError {
    fn from(error: SlotError) -> Self {
        match error {
            SlotError::Key(error) => Self::Key(error),
            SlotError::Full { slots } => Self::Full { slots },
            SlotError::Directory(error) => Self::Directory(error),
            SlotError::Forked(error) => Self::Forked(error),
        }
    }
}
