//! The space of a store: reserving what is about to be used, and giving it back.
//!
//! The file of a store is sparse, and grows only by reserving. All that is before the extents is
//! mapped when the store is opened; the extents of a slot are mapped when they are first used.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Mutex;

use rustix::io::Errno;

use crate::core::memory::extents::Extents;
use crate::core::memory::records::HEADER_CURSORS;
use crate::core::ring::{NoSpace, SpaceReason, Unmapped};
use crate::core::shape::Shape;
use crate::os::file;
use crate::os::limits;
use crate::os::lock;
use crate::os::mapping::Populated;
use crate::os::space::{self, Punched, ReserveError};
use crate::store::directory::LONGEST_WAIT;
use crate::store::mapped::{LockByte, Mapped};
use crate::sync::Ordering;

/// What is needed to reserve space.
#[derive(Debug)]
pub(crate) struct Space {
    /// Held with [`LockByte::Space`].
    writing: Mutex<()>,
}

impl Space {
    pub(crate) fn new() -> Self {
        Self { writing: Mutex::new(()) }
    }
}

/// Why the space of a store could not be recovered.
#[derive(Debug)]
pub(crate) enum RecoverSpaceError {
    /// There is no space for what a copy of the file has left out: holes, where there were zeros.
    NoSpace(NoSpace),
    Io(io::Error),
}

impl From<NoSpace> for RecoverSpaceError {
    fn from(space: NoSpace) -> Self {
        Self::NoSpace(space)
    }
}

impl From<io::Error> for RecoverSpaceError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Mapped {
    /// How long the file is, as far as is known; asks the kernel if that is less than `end` bytes.
    #[inline]
    fn len_or(&self, end: u64) -> u64 {
        let known = self.memory.region.reach.len();
        if end <= known { known } else { self.len_now() }
    }

    /// Notes how long the file is, and returns it; 0 if that cannot be found out.
    #[cold]
    pub(crate) fn len_now(&self) -> u64 {
        let len = file::status(&self.file).map_or(0, |status| status.len);
        self.memory.region.reach.note(len);
        len
    }

    /// How many cells of the slot's ring may be touched. The slot's word is trusted only as far as the
    /// file reaches.
    #[inline]
    pub(crate) fn cells_reserved(&self, slot: u32) -> u32 {
        // SeqCst: pairs with `fetch_max` in `reserve_up_to`, and with the generation that the caller
        // has changed.
        let cells = self.slot_header_of(slot).cells_reserved.load(Ordering::SeqCst).min(self.layout.max_cells());
        let [first, further] = self.layout.cells(slot, 0..cells);
        let end = if further.is_empty() { first.end } else { further.end };
        let len = self.len_or(end);
        if cells == 0 || end <= len { cells } else { self.layout.cells_within(slot, cells, len) }
    }

    /// Reserves the cells of the slot's ring.
    pub(crate) fn reserve_cells(&self, slot: u32, cells: Range<u32>) -> Result<(), NoSpace> {
        let ranges = self.layout.cells(slot, cells);
        ranges
            .into_iter()
            .filter(|range| !range.is_empty())
            .try_for_each(|range| self.reserve_shared(range.start, range.end))
    }

    /// Reserves the side record of a cell.
    pub(crate) fn reserve_side(&self, slot: u32, cell: u32) -> Result<(), NoSpace> {
        self.reserve_shared(self.layout.side(slot, cell), self.layout.side(slot, cell + 1))
    }

    /// Reserves the page of one of the slot's first cells.
    pub(crate) fn reserve_page(&self, slot: u32, cell: u32) -> Result<(), NoSpace> {
        self.reserve_shared(self.layout.page(slot, cell), self.layout.page(slot, cell + 1))
    }

    /// Makes the pages of these cells zero, which nobody uses, and gives back their space.
    pub(crate) fn punch_pages(&self, slot: u32, cells: Range<u32>) -> io::Result<Punched> {
        self.empty(self.layout.page(slot, cells.start), self.layout.page(slot, cells.end), u64::MAX)
    }

    /// Reads the page of one of the slot's first cells by a system call.
    pub(crate) fn read_page(&self, slot: u32, cell: u32, out: &mut [u8]) -> bool {
        space::read_at(&self.file, out, self.layout.page(slot, cell)).is_ok_and(|read| read == out.len())
    }

    /// Reserves the further cursors of the slot.
    pub(crate) fn reserve_cursors(&self, slot: u32) -> Result<(), NoSpace> {
        self.reserve_shared(self.layout.further_cursors(slot), self.layout.side(slot, 0))
    }

    /// Reserves what every new store needs: all up to the first headers of slots.
    pub(crate) fn reserve_first(&self) -> Result<(), NoSpace> {
        self.reserve_shared(0, self.layout.headers_end(2))
    }

    /// Reserves the headers of slots up to this one, and one more.
    pub(crate) fn reserve_header(&self, slot: u32) -> Result<(), NoSpace> {
        self.reserve_shared(self.layout.headers_end(slot), self.layout.headers_end(slot + 2))
    }

    /// Reserves the headers of all slots before this one, in a copy of the file or after the machine
    /// stopped: the kernel may not have written some of them.
    pub(crate) fn reserve_headers_before(&self, slot: u32) -> Result<(), NoSpace> {
        self.reserve_shared(self.layout.headers_end(0), self.layout.headers_end(slot))
    }

    /// Reserves bytes that other processes may be using.
    fn reserve_shared(&self, from: u64, to: u64) -> Result<(), NoSpace> {
        match space::reserve(&self.file, from, to) {
            Err(ReserveError::Unsupported) => self.reserve_without_fallocate(from, to),
            outcome => outcome.map_err(|error| self.no_space(to - from, &error)),
        }
    }

    /// Reserves by writing: zeros beyond the end of the file, where nobody has anything, and in pages
    /// before it what is there already. One thread of all processes does so at a time.
    ///
    /// The second kind of write ends the process if there is no space. So the kernel is asked to do it;
    /// if it cannot, free space is checked first. That is the best that such a file system, or sandbox,
    /// allows.
    #[cold]
    fn reserve_without_fallocate(&self, from: u64, to: u64) -> Result<(), NoSpace> {
        let failed = |error: io::Error| self.no_space(to - from, &ReserveError::NoSpace(error));
        let byte = LockByte::Space.offset();
        let locked = lock::lock_among_threads(self.fd(), byte, &self.space.writing, LONGEST_WAIT).map_err(failed)?;
        let Some(_thread) = locked else {
            let available = space::available(&self.file).unwrap_or(0);
            return Err(NoSpace { needed: to - from, available, reason: SpaceReason::Busy { waited: LONGEST_WAIT } });
        };
        let outcome = self.extend(from, to).map_err(failed);
        let _ = lock::unlock(self.fd(), byte);
        outcome
    }

    fn extend(&self, from: u64, to: u64) -> io::Result<()> {
        let len = file::status(&self.file)?.len;
        if len < to {
            space::write_zeros(&self.file, len.max(from), to)?;
        }
        if from >= len {
            return Ok(());
        }
        let (from, to) = (from as usize, len.min(to) as usize);
        match self.memory.populate(from, to - from) {
            Ok(Populated::All) => Ok(()),
            Ok(Populated::Unsupported) if space::available(&self.file)? < (to - from) as u64 => {
                Err(Errno::NOSPC.into())
            }
            Ok(Populated::Unsupported) => {
                let page = rustix::param::page_size();
                self.memory.region.touch_pages(from / page * page, to, page);
                Ok(())
            }
            // Where an access would be SIGBUS.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::FAULT) => Err(Errno::NOSPC.into()),
            Err(error) => Err(error),
        }
    }

    /// Reserves bytes of the slot's extents that no other process uses, and whose content is not
    /// needed.
    pub(crate) fn reserve_extents(&self, slot: u32, bytes: Range<u64>) -> Result<(), NoSpace> {
        self.reserve_private(slot, bytes, |file, from, to| space::reserve_fresh(file, from, to), space::write_zeros)
    }

    /// As [`reserve_extents`](Self::reserve_extents), for bytes that hold a value, which stays.
    pub(crate) fn reserve_extents_again(&self, slot: u32, bytes: Range<u64>) -> Result<(), NoSpace> {
        self.reserve_private(slot, bytes, |file, from, to| space::reserve(file, from, to), space::rewrite)
    }

    /// Reserves bytes of the slot's extents by the first function, or by the second one where the file
    /// system does not have that.
    fn reserve_private(
        &self,
        slot: u32,
        bytes: Range<u64>,
        reserve: fn(&File, u64, u64) -> Result<(), ReserveError>,
        write: fn(&File, u64, u64) -> io::Result<()>,
    ) -> Result<(), NoSpace> {
        if bytes.end > self.layout.span {
            return Err(NoSpace { needed: bytes.end - bytes.start, available: 0, reason: SpaceReason::Full });
        }
        let start = self.layout.extents_of(slot);
        let (from, to) = (start + bytes.start, start + bytes.end);
        let outcome = match reserve(&self.file, from, to) {
            Err(ReserveError::Unsupported) => write(&self.file, from, to).map_err(ReserveError::NoSpace),
            outcome => outcome,
        };
        outcome.map_err(|error| self.no_space(to - from, &error))
    }

    /// Makes bytes of the slot's extents zero that no other process uses, and gives back their space.
    /// Of them, `written` from the first one on may be other than zero. Returns whether the file system
    /// could give back the space.
    pub(crate) fn punch_extents(&self, slot: u32, bytes: Range<u64>, written: u64) -> io::Result<Punched> {
        let (start, end) = (self.layout.extents_of(slot), bytes.end.min(self.layout.span));
        self.empty(start + bytes.start, start + end, written)
    }

    /// The slot's extents, if the file reaches up to `end`, in bytes from their start.
    pub(crate) fn extents(&self, slot: u32, end: u64) -> Result<Extents<'_>, Unmapped> {
        let (start, span) = (self.layout.extents_of(slot), self.layout.span);
        let len = self.len_or(start + end);
        if end > span || start + end > len {
            return Err(Unmapped::Truncated);
        }
        self.memory.extents(slot, &self.file, start, span, len - start).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::NOMEM);
            Unmapped::Refused { errno: errno.raw_os_error() }
        })
    }

    /// Reads bytes of the slot's extents by a system call; `false` if the file ends before.
    pub(crate) fn read_extents(&self, slot: u32, start: u64, out: &mut [u8]) -> bool {
        start + out.len() as u64 <= self.layout.span
            && space::read_at(&self.file, out, self.layout.extents_of(slot) + start).is_ok_and(|read| read == out.len())
    }

    /// Reserves the headers of all slots of which the file has any, in a copy of the file or after the
    /// machine stopped. Returns these slots.
    pub(crate) fn reserve_headers_again(&self) -> Result<Vec<u32>, RecoverSpaceError> {
        self.reserve_first()?;
        let (first, size) = (self.layout.headers_end(0), self.layout.headers_end(1) - self.layout.headers_end(0));
        let end = self.layout.headers_end(self.dimensions.all_slots());
        let mut slots = Vec::new();
        for Range { start: from, end: to } in space::data_ranges(&self.file, first, end)? {
            self.reserve_shared(from, to)?;
            let indexes = (from - first) / size..(to - first).div_ceil(size);
            slots.extend(indexes.map(|slot| slot as u32));
        }
        slots.dedup();
        Ok(slots)
    }

    /// Reserves the ring of a slot as far as its header says, and empties the rest of it. Side records
    /// are zero afterwards: what they said is from another moment than the space of the places.
    pub(crate) fn reserve_ring_again(&self, slot: u32) -> Result<(), RecoverSpaceError> {
        let header = self.slot_header_of(slot);
        let cells = header.cells_reserved.load(Ordering::Relaxed).min(self.layout.max_cells());
        header.cells_reserved.store(cells, Ordering::Relaxed);
        if Shape::from_bits(header.shape.load(Ordering::Relaxed), self.layout.max_cells()).cursors
            > HEADER_CURSORS as u32
        {
            self.reserve_cursors(slot)?;
        }
        self.empty(self.layout.side(slot, 0), self.layout.further_cells(slot), u64::MAX)?;
        self.reserve_cells(slot, 0..cells)?;
        // Cells that were reserved later than the header was written to the disk.
        let [first, further] = self.layout.cells(slot, 0..cells);
        self.clear(first.end, self.layout.first_cells(slot + 1))?;
        self.clear(further.end, self.layout.ring(slot + 1))
    }

    /// Gives back the cells, pages, rings and extents of these slots.
    pub(crate) fn give_back(&self, slots: Range<u32>) -> Result<(), RecoverSpaceError> {
        let Range { start: slot, end: all } = slots;
        if slot >= all {
            return Ok(());
        }
        self.empty(self.layout.page(slot, 0), self.layout.page(all, 0), u64::MAX)?;
        self.clear(self.layout.first_cells(slot), self.layout.first_cells(all))?;
        self.empty(self.layout.ring(slot), self.layout.ring(all), u64::MAX)?;
        self.empty(self.layout.extents_of(slot), self.layout.extents_of(all), u64::MAX)?;
        Ok(())
    }

    /// As [`empty`](Self::empty), for bytes that may begin and end in pages that others use.
    fn clear(&self, from: u64, to: u64) -> Result<(), RecoverSpaceError> {
        let page = rustix::param::page_size() as u64;
        let to = to.min(file::status(&self.file)?.len);
        let (first_page, last_page) = (from.next_multiple_of(page).min(to), to / page * page);
        if first_page < last_page {
            self.empty(first_page, last_page, u64::MAX)?;
        }
        for (from, to) in [(from, first_page), (last_page.max(first_page), to)] {
            let mut bytes = vec![0; to.saturating_sub(from) as usize];
            let read = space::read_at(&self.file, &mut bytes, from)?;
            // Where there is a hole, writing would take space.
            if bytes[..read].iter().any(|&byte| byte != 0) {
                space::write_zeros(&self.file, from, to)?;
            }
        }
        Ok(())
    }

    /// Makes bytes zero that nobody uses, and gives back their space if the file system can. Of them,
    /// `written` from the first one on may be other than zero.
    fn empty(&self, from: u64, to: u64, written: u64) -> io::Result<Punched> {
        // A file system on a disk may need space to give space back.
        if let Ok(Punched::All) = space::punch(&self.file, from, to) {
            return Ok(Punched::All);
        }
        // Where there is data, writing takes no space.
        for range in space::data_ranges(&self.file, from, to.min(from.saturating_add(written)))? {
            space::write_zeros(&self.file, range.start, range.end)?;
        }
        Ok(Punched::Unsupported)
    }

    #[cold]
    fn no_space(&self, needed: u64, error: &ReserveError) -> NoSpace {
        let reason = match error {
            ReserveError::FileSizeLimit { limit } => SpaceReason::FileSizeLimit { limit: *limit },
            ReserveError::NoSpace(error) | ReserveError::Io(error) => reason_of(error),
            ReserveError::Unsupported => SpaceReason::Refused { errno: Errno::OPNOTSUPP.raw_os_error() },
        };
        NoSpace { needed, available: space::available(&self.file).unwrap_or(0), reason }
    }
}

fn reason_of(error: &io::Error) -> SpaceReason {
    match (Errno::from_io_error(error), limits::file_size()) {
        (Some(Errno::NOSPC), _) => SpaceReason::Full,
        // Where zeros are written, because the kernel reserves nothing.
        (Some(Errno::FBIG), Some(limit)) => SpaceReason::FileSizeLimit { limit },
        (errno, _) => SpaceReason::Refused { errno: errno.unwrap_or(Errno::IO).raw_os_error() },
    }
}
