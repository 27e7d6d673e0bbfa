//! Mappings of shared memory and of files.
//!
//! The crate `shared_memory` is used here, and only here. It creates and opens segments by their
//! names under `/dev/shm`, and maps them. Names, permissions, locks and removal are the business of
//! the store, for two reasons. The crate does not lend its descriptor; and it would remove a name
//! that another store has taken meanwhile.

#![allow(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io;
use std::ptr::NonNull;

use memmap2::{MmapOptions, MmapRaw};
use rustix::io::Errno;
use rustix::mm::{Advice, madvise};
use shared_memory::{Shmem, ShmemConf, ShmemError};

/// One mapping, readable and writable, unmapped when dropped.
///
/// Dropping a mapping never removes the name of what is mapped.
pub(crate) struct Mapping {
    // Keeps the mapping alive. All accesses go through `base`.
    source: Source,
    base: NonNull<u8>,
    len: usize,
}

enum Source {
    Segment { _keeps_it_mapped: Shmem },
    File(MmapRaw),
}

/// The outcome of populating a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Populated {
    /// All pages are present.
    All,
    /// The kernel does not support it, or a sandbox refuses it.
    Unsupported,
}

// SAFETY: the mapping is not tied to a thread, and neither `Shmem` nor `MmapRaw` has other state
// that is.
unsafe impl Send for Mapping {}
// SAFETY: a shared mapping lends its address, and no bytes.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Creates the segment `name`, `len` bytes of zeros, readable and writable by its owner alone,
    /// and maps it.
    ///
    /// # Errors
    ///
    /// `ShmemError::MappingIdExists` if the name is taken, else the kernel's reason.
    pub(crate) fn create_segment(name: &str, len: usize) -> Result<Self, ShmemError> {
        let mut segment = ShmemConf::new().os_id(name).size(len).create()?;
        // Else the crate would remove the name when the segment is dropped, also if another store
        // has it by then.
        segment.set_owner(false);
        Self::of(segment)
    }

    /// Maps the whole of the segment `name`.
    ///
    /// # Errors
    ///
    /// The kernel's reason.
    pub(crate) fn open_segment(name: &str) -> Result<Self, ShmemError> {
        Self::of(ShmemConf::new().os_id(name).open()?)
    }

    fn of(segment: Shmem) -> Result<Self, ShmemError> {
        let (base, len) = (segment.as_ptr(), segment.len());
        let base = NonNull::new(base).ok_or(ShmemError::MapSizeZero)?;
        Ok(Self { source: Source::Segment { _keeps_it_mapped: segment }, base, len })
    }

    /// Maps the first `len` bytes of a file.
    ///
    /// # Errors
    ///
    /// The kernel's reason.
    pub(crate) fn of_file(file: &File, len: usize) -> io::Result<Self> {
        let mapping = MmapOptions::new().len(len).map_raw(file)?;
        let base = NonNull::new(mapping.as_mut_ptr()).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self { source: Source::File(mapping), base, len })
    }

    /// Where the mapping begins: at the start of a page.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// The length of the mapping in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Writes all pages to the disk, if the mapping is of a file. Blocks until they are there.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.flush_first(self.len)
    }

    /// Writes the pages that hold the first `len` bytes to the disk, if the mapping is of a file.
    /// Blocks until they are there.
    pub(crate) fn flush_first(&self, len: usize) -> io::Result<()> {
        match &self.source {
            Source::Segment { .. } => Ok(()),
            Source::File(mapping) => mapping.flush_range(0, len.min(self.len)),
        }
    }

    /// Pre-faults all pages for writing. Blocks until they are there.
    pub(crate) fn populate(&self) -> io::Result<Populated> {
        let base = self.base.as_ptr().cast();
        // SAFETY: the range is this mapping, which lives as long as `self`; the advice populates
        // pages and does not change their content.
        match unsafe { madvise(base, self.len, Advice::LinuxPopulateWrite) } {
            // Kernels before 5.14 do not know the advice, and sandboxes may refuse it.
            Err(Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::ACCESS) => Ok(Populated::Unsupported),
            done => {
                done?;
                Ok(Populated::All)
            }
        }
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping").field("len", &self.len).finish_non_exhaustive()
    }
}
