//! The memory of a store: its mappings, and the region that lends its records.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::{Arc, OnceLock};

use crate::core::memory::extents::Extents;
use crate::core::memory::region::Region;
use crate::os::mapping::{Mapping, Populated};

/// A mapping of all but the extents, mappings of the extents of slots, and the region that lends what
/// is there.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    mappings: Arc<Mappings>,
    pub(crate) region: Arc<Region>,
}

#[derive(Debug)]
struct Mappings {
    fixed: Mapping,
    extents: Windows,
}

/// A mapping of the extents of each slot, made at first use.
#[derive(Debug)]
struct Windows(Box<[OnceLock<Mapping>]>);

impl Windows {
    fn new(slots: u32) -> Self {
        Self((0..slots).map(|_| OnceLock::new()).collect())
    }

    /// The slot's extents: `span` bytes from `start` on.
    fn get(&self, slot: u32, file: &File, start: u64, span: u64) -> io::Result<&Mapping> {
        let window = self.0.get(slot as usize).ok_or(ErrorKind::InvalidInput)?;
        if let Some(mapping) = window.get() {
            return Ok(mapping);
        }
        let mapping = Mapping::window(file, start, span as usize)?;
        // Another thread may have been faster.
        Ok(window.get_or_init(|| mapping))
    }

    /// The extents in this mapping.
    fn lent(mapping: &Mapping) -> Extents<'_> {
        // SAFETY: a mapping begins on a page and stays where it is as long as it is borrowed. It is
        // accessed through extents and windows alone: `Mapping` lends no bytes.
        unsafe { Extents::new(mapping.base(), mapping.len()) }
    }
}

impl Memory {
    /// The memory of a store whose slots may have extents.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the mapping is shorter than a header.
    pub(crate) fn new(fixed: Mapping, slots: u32) -> io::Result<Self> {
        let mappings = Arc::new(Mappings { fixed, extents: Windows::new(slots) });
        let fixed = &mappings.fixed;
        // SAFETY: the mapping begins on a page and stays where it is until it is dropped, which the
        // region prevents. It is accessed through this region alone: `Mapping` lends no bytes.
        let region = unsafe { Region::new(fixed.base(), fixed.len(), slots, Arc::clone(&mappings) as _) };
        let region = Arc::new(region.ok_or(ErrorKind::InvalidInput)?);
        Ok(Self { mappings, region })
    }

    /// The slot's extents, `span` bytes of the file from `start` on, which reaches `reach` bytes from
    /// there at least.
    pub(crate) fn extents(&self, slot: u32, file: &File, start: u64, span: u64, reach: u64) -> io::Result<Extents<'_>> {
        let mapping = self.mappings.extents.get(slot, file, start, span)?;
        // SAFETY: a mapping begins on a page. It stays where it is as long as `mappings`, which the
        // region keeps. It is accessed through windows and extents alone.
        unsafe { self.region.note_extents(slot, mapping.base(), reach.min(span) as usize) };
        Ok(Windows::lent(mapping))
    }

    /// How many slots' extents are mapped.
    pub(crate) fn mapped_extents(&self) -> u64 {
        self.mappings.extents.0.iter().filter(|window| window.get().is_some()).count() as u64
    }

    /// Populates the pages of a range: see [`Mapping::populate_range`].
    pub(crate) fn populate(&self, from: usize, len: usize) -> io::Result<Populated> {
        self.mappings.fixed.populate_range(from, len)
    }

    /// Pre-faults the pages of a range for writing, which is reserved. Blocks until they are there.
    pub(crate) fn prefault(&self, from: usize, to: usize) -> io::Result<()> {
        let page = rustix::param::page_size();
        let from = from / page * page;
        if self.populate(from, to - from)? == Populated::Unsupported {
            self.region.touch_pages(from, to, page);
        }
        Ok(())
    }

    /// Writes the first `len` bytes to the disk. Blocks until they are there.
    pub(crate) fn flush_first(&self, len: usize) -> io::Result<()> {
        self.mappings.fixed.flush_range(0, len)
    }
}
