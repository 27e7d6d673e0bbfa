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

    /// Pre-faults all pages for writing. Blocks until they are there.
    pub(crate) fn prefault(&self) -> io::Result<()> {
        if self.mapping.populate()? == Populated::Unsupported {
            self.region.touch_every_page(rustix::param::page_size());
        }
        Ok(())
    }

    /// Writes the header to the disk, if the store is in a file. Blocks until it is there.
    pub(crate) fn flush_header(&self) -> io::Result<()> {
        self.mapping.flush_first(size_of_val(self.region.header()))
    }
}
