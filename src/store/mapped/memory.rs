//! The memory of a store: its mapping, and the region that lends its records.

#![allow(unsafe_code)]

use std::io::{self, ErrorKind};
use std::sync::Arc;

use crate::core::memory::region::Region;
use crate::os::mapping::{Mapping, Populated};

/// A mapping, and the region that lends records of it.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    pub(crate) mapping: Arc<Mapping>,
    pub(crate) region: Arc<Region>,
}

impl Memory {
    /// # Errors
    ///
    /// `InvalidInput` if the mapping is shorter than a header.
    pub(crate) fn new(mapping: Mapping) -> io::Result<Self> {
        let mapping = Arc::new(mapping);
        // SAFETY: the mapping begins on a page and stays where it is until it is dropped, which the
        // region prevents. It is accessed through this region alone: `Mapping` lends no bytes.
        let region = unsafe { Region::new(mapping.base(), mapping.len(), Arc::clone(&mapping) as _) };
        let region = Arc::new(region.ok_or(ErrorKind::InvalidInput)?);
        Ok(Self { mapping, region })
    }

    /// Pre-faults the pages of a range for writing, which is reserved. Blocks until they are there.
    pub(crate) fn prefault(&self, from: usize, to: usize) -> io::Result<()> {
        let page = rustix::param::page_size();
        let from = from / page * page;
        if self.mapping.populate_range(from, to - from)? == Populated::Unsupported {
            self.region.touch_pages(from, to, page);
        }
        Ok(())
    }

    /// Writes the first `len` bytes to the disk. Blocks until they are there.
    pub(crate) fn flush_first(&self, len: usize) -> io::Result<()> {
        self.mapping.flush_range(0, len)
    }
}
