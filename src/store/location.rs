//! Where a store is: a segment of shared memory, a file, or memory without a name.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::os::file::Links;
use crate::store::error::OpenError;

/// The directory in which segments of shared memory are files.
const SHARED_MEMORY: &str = "/dev/shm";
/// The prefix of the file names of drafts: stores that are not complete yet.
pub(crate) const DRAFT_PREFIX: &str = ".splinter-draft-";
/// The longest file name in bytes.
const MAX_NAME_LEN: usize = 255;

/// Where a store is: in shared memory, in a file, or in memory without a name.
///
/// A text that contains a `/` is the path of a file. Any other text is the name of a segment of
/// shared memory: `"llm_bus"` is in memory, `"/var/lib/llm/bus"` and `"./bus"` are files. So is
/// `"/llm_bus"`, the form in which POSIX names shared memory: a file in the root directory. A
/// [`Path`] or [`PathBuf`] is always a file.
///
/// # Examples
///
/// ```
/// use std::path::Path;
/// use splinter_bus::store::Location;
///
/// assert_eq!(Location::from("llm_bus"), Location::Memory("llm_bus".into()));
/// assert_eq!(Location::from("./llm_bus"), Location::File("./llm_bus".into()));
/// assert_eq!(Location::from(Path::new("llm_bus")), Location::File("llm_bus".into()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Location {
    /// A segment of shared memory, by its name under `/dev/shm`. It is gone when the machine stops.
    Memory(String),
    /// A file, by its path. It stays until it is removed.
    File(PathBuf),
    /// Somewhere without a name: see [`Store::anonymous`](super::Store::anonymous). It is opened by a
    /// descriptor, and not by its location.
    Anonymous,
}

impl Location {
    /// The file that the store is. Empty if it has no name.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::path::Path;
    /// use splinter_bus::store::Location;
    ///
    /// assert_eq!(Location::from("llm_bus").path(), Path::new("/dev/shm/llm_bus"));
    /// ```
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self {
            Self::Memory(name) => Path::new(SHARED_MEMORY).join(name),
            Self::File(path) => path.clone(),
            Self::Anonymous => PathBuf::new(),
        }
    }

    /// The directory that the file is in.
    pub(crate) fn directory(&self) -> PathBuf {
        match self {
            Self::Memory(_) => PathBuf::from(SHARED_MEMORY),
            Self::File(path) => match path.parent() {
                Some(parent) if parent != Path::new("") => parent.to_owned(),
                _ => PathBuf::from("."),
            },
            Self::Anonymous => PathBuf::from("/proc/self/fd"),
        }
    }

    /// Whether a store that exists may be opened through a symbolic link. Segments have none.
    pub(crate) fn links(&self) -> Links {
        match self {
            Self::Memory(_) => Links::Refuse,
            Self::File(_) | Self::Anonymous => Links::Follow,
        }
    }

    /// Checks that a store can be here.
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let path = self.path();
        let name = match self {
            Self::Memory(name) => OsStr::new(name),
            Self::File(path) => path.file_name().unwrap_or_default(),
            Self::Anonymous => OsStr::new(""),
        };
        let reason = if *self == Self::Anonymous {
            "it has no name; open it by Store::from_fd, it ends with its last handle"
        } else if matches!(self, Self::Memory(name) if name.is_empty()) || name.is_empty() {
            "it is empty, or ends in no name"
        } else if name == "." {
            "it is a directory"
        } else if matches!(self, Self::Memory(name) if name.contains('/')) {
            "it has a '/', which no segment of shared memory may have in its name"
        } else if path.as_os_str().as_bytes().contains(&0) {
            "it has a NUL byte"
        } else if name.len() > MAX_NAME_LEN {
            "it has more than 255 bytes"
        } else if name.as_bytes().starts_with(DRAFT_PREFIX.as_bytes()) {
            "it begins as the names of unfinished stores do"
        } else if name == ".." {
            "it is a directory"
        } else {
            return Ok(());
        };
        Err(OpenError::Name { name: self.to_string(), reason })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(name) => f.write_str(name),
            Self::File(path) => path.display().fmt(f),
            Self::Anonymous => f.write_str("anonymous store"),
        }
    }
}

impl From<&str> for Location {
    fn from(text: &str) -> Self {
        if text.contains('/') { Self::File(text.into()) } else { Self::Memory(text.to_owned()) }
    }
}

impl From<String> for Location {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&String> for Location {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&PathBuf> for Location {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&Location> for Location {
    fn from(location: &Location) -> Self {
        location.clone()
    }
}
