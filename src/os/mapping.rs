//! Mappings of shared memory and of files.
//!
//! The crate `shared_memory` creates segments by their names under `/dev/shm`, and nothing else. It
//! would map all of a segment's length, which for a sparse file is more than is there; it does not
//! lend its descriptor; and it would remove a name that another store has taken meanwhile.

#![allow(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};

use rustix::io::Errno;
use rustix::mm::{
    Advice, MapFlags, MprotectFlags, MremapFlags, MsyncFlags, ProtFlags, madvise, mmap, mprotect, mremap, msync,
    munlock, munmap,
};
use shared_memory::{ShmemConf, ShmemError};

/// Addresses of a range of a file, which need not exist. Unmapped when dropped.
///
/// The crate `memmap2` cannot make one: it always asks for pages that can be accessed, which the
/// kernel populates at once in a process that locks its memory.
///
/// Dropping a mapping never removes the name of what is mapped.
pub(crate) struct Mapping {
    // All accesses go through `base`.
    base: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// Maps pages that cannot be accessed, and that do not count as locked.
    fn unlocked(file: &File, offset: u64, len: usize) -> Result<Self, Errno> {
        let flags = MapFlags::SHARED | MapFlags::NORESERVE;
        // Without access: else a process that locks all its memory would populate every page here,
        // which would allocate the holes of a file on tmpfs.
        // SAFETY: no address is asked for, so no other mapping is replaced.
        let base = unsafe { mmap(ptr::null_mut(), len, ProtFlags::empty(), flags, file, offset) }?;
        let window = Self { base: NonNull::new(base.cast()).ok_or(Errno::INVAL)?, len };
        // SAFETY: the range is this window, whose pages cannot be accessed yet.
        match unsafe { munlock(base, len) } {
            // A sandbox refuses the call. In a process that locks all its memory, the window then
            // counts as locked; but allowing access to it populates no pages either.
            Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS | Errno::INVAL) => {}
            done => done?,
        }
        Ok(window)
    }

    fn grow(&mut self, len: usize) -> Result<(), Errno> {
        // SAFETY: the range is this window, and nothing refers to it yet. It may move.
        let base = unsafe { mremap(self.base.as_ptr().cast(), self.len, len, MremapFlags::MAYMOVE) }?;
        (self.base, self.len) = (NonNull::new(base.cast()).ok_or(Errno::INVAL)?, len);
        Ok(())
    }

    fn allow_access(&mut self) -> Result<(), Errno> {
        let base = self.base.as_ptr().cast();
        // SAFETY: the range is this window, to which nothing refers yet.
        unsafe { mprotect(base, self.len, MprotectFlags::READ | MprotectFlags::WRITE) }?;
        // Only core dumps get longer if this fails.
        // SAFETY: the range is this window; the advice does not change its content.
        let _ = unsafe { madvise(base, self.len, Advice::LinuxDontDump) };
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped for this window alone, and nobody uses its addresses any
        // more. An error would mean that it is not mapped.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// Creates the segment `name`, `len` bytes of zeros, readable and writable by its owner alone.
///
/// # Errors
///
/// `ShmemError::MappingIdExists` if the name is taken, else the kernel's reason.
pub(crate) fn create_segment(name: &str, len: usize) -> Result<(), ShmemError> {
    let mut segment = ShmemConf::new().os_id(name).size(len).create()?;
    // Else the crate would remove the name when the segment is dropped, also if another store has it
    // by then.
    segment.set_owner(false);
    Ok(())
}

/// The outcome of populating a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Populated {
    /// All pages are present.
    All,
    /// The kernel does not support it, or a sandbox refuses it.
    Unsupported,
}

// SAFETY: a mapping is not tied to a thread.
unsafe impl Send for Mapping {}
// SAFETY: a shared mapping lends its address, and no bytes.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of a file from `offset` on, a multiple of the page size. All or a part of
    /// them may lie beyond the end of the file: there the addresses can be used as soon as the file
    /// has grown.
    ///
    /// Takes addresses, and no memory, also in a process that locks all its memory
    /// (`mlockall(MCL_FUTURE)`). A page is present from its first access on. Core dumps do not
    /// contain it.
    ///
    /// A later `mlockall(MCL_CURRENT)` of this process does populate it, holes included, to the end
    /// of the file, unless it is called with `MCL_ONFAULT`. Nothing prevents that.
    ///
    /// # Errors
    ///
    /// The kernel's reason.
    pub(crate) fn window(file: &File, offset: u64, len: usize) -> io::Result<Self> {
        let mut window = match Self::unlocked(file, offset, len) {
            // The process locks all its memory, and the window is longer than what it may lock. A
            // mapping that is not locked may grow by any length.
            Err(Errno::AGAIN) => {
                let mut window = Self::unlocked(file, offset, rustix::param::page_size().min(len))?;
                window.grow(len)?;
                window
            }
            window => window?,
        };
        window.allow_access()?;
        Ok(window)
    }

    /// Where the mapping begins: at the start of a page.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// The length of the mapping in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Writes the pages that hold these bytes to the disk, if the mapping is of a file. Blocks
    /// until they are there.
    pub(crate) fn flush_range(&self, offset: usize, len: usize) -> io::Result<()> {
        let pages = self.pages(offset, len);
        if pages.is_empty() {
            return Ok(());
        }
        let start = self.base.as_ptr().wrapping_add(pages.start).cast();
        // SAFETY: the range lies in this mapping, which lives as long as `self`; writing pages to the
        // disk does not change their content.
        Ok(rustix::io::retry_on_intr(|| unsafe { msync(start, pages.len(), MsyncFlags::SYNC) })?)
    }

    /// Pre-faults the pages that hold these bytes for writing. Blocks until they are there.
    ///
    /// Holes of the file are allocated, so the range should be reserved.
    ///
    /// # Errors
    ///
    /// `EFAULT` where an access would be SIGBUS: beyond the end of the file, or in a hole that
    /// cannot be allocated. Else the kernel's reason.
    pub(crate) fn populate_range(&self, offset: usize, len: usize) -> io::Result<Populated> {
        let pages = self.pages(offset, len);
        let start = self.base.as_ptr().wrapping_add(pages.start).cast();
        // SAFETY: the range lies in this mapping, which lives as long as `self`; the advice
        // populates pages and does not change their content.
        match unsafe { madvise(start, pages.len(), Advice::LinuxPopulateWrite) } {
            // Kernels before 5.14 do not know the advice, and sandboxes may refuse it.
            Err(Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::ACCESS) => Ok(Populated::Unsupported),
            done => {
                done?;
                Ok(Populated::All)
            }
        }
    }

    /// The part of the mapping that holds these bytes, from the start of a page on.
    fn pages(&self, offset: usize, len: usize) -> Range<usize> {
        let start = offset.min(self.len);
        let end = offset.saturating_add(len).min(self.len);
        start / rustix::param::page_size() * rustix::param::page_size()..end
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use rustix::mm::{MlockAllFlags, mlockall};
    use rustix::process::{Resource, Rlimit, setrlimit};

    use super::super::in_child::{in_child, in_child_with_mounts};
    use super::super::seccomp::{Call, refuse};
    use super::super::{file, space};
    use super::*;

    const PAGE: usize = 4096;

    fn files() -> [File; 3] {
        [
            tempfile::tempfile_in("/dev/shm").unwrap(),
            tempfile::tempfile_in(std::env::current_dir().unwrap()).unwrap(),
            file::anonymous("splinter-test").unwrap(),
        ]
    }

    fn set(mapping: &Mapping, at: usize, byte: u8) {
        assert!(at < mapping.len());
        // SAFETY: in the mapping, by the check above, and in a part of the file that exists.
        unsafe { mapping.base().as_ptr().wrapping_add(at).write_volatile(byte) }
    }

    fn get(mapping: &Mapping, at: usize) -> u8 {
        assert!(at < mapping.len());
        // SAFETY: in the mapping, by the check above, and in a part of the file that exists.
        unsafe { mapping.base().as_ptr().wrapping_add(at).read_volatile() }
    }

    #[test]
    fn a_window_can_be_used_as_soon_as_the_file_has_grown() {
        for file in files() {
            file.write_all_at(b"abc", 0).unwrap();
            // One begins in the file, the other far beyond its end. Both end far beyond.
            let first = Mapping::window(&file, 0, 64 << 20).unwrap();
            let second = Mapping::window(&file, 32 << 20, 1 << 30).unwrap();
            assert_eq!((first.len(), get(&first, 1)), (64 << 20, b'b'));
            space::reserve(&file, 48 << 20, (48 << 20) + 2 * PAGE as u64).unwrap();
            set(&first, (48 << 20) + 1, 7);
            assert_eq!(get(&second, (16 << 20) + 1), 7);
            set(&second, (16 << 20) + 2 * PAGE - 1, 8);
            let mut bytes = vec![0; 2 * PAGE + 1];
            assert_eq!(space::read_at(&file, &mut bytes, 48 << 20).unwrap(), 2 * PAGE);
            assert_eq!((bytes[1], bytes[2 * PAGE - 1]), (7, 8));
            first.flush_range(0, usize::MAX).unwrap();
            second.flush_range((16 << 20) + 1, 1).unwrap();
            second.flush_range(usize::MAX, usize::MAX).unwrap();
            second.flush_range(0, 0).unwrap();
            drop(first);
            assert_eq!(get(&second, (16 << 20) + 1), 7);
        }
    }

    #[test]
    fn a_window_begins_at_a_page_and_is_not_empty() {
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        for (offset, len) in [(1, PAGE), (0, 0)] {
            let error = Mapping::window(&file, offset, len).unwrap_err();
            assert_eq!(Errno::from_io_error(&error), Some(Errno::INVAL));
        }
        assert!(Mapping::window(&file, 0, usize::MAX / 2).is_err());
    }

    #[test]
    fn a_dropped_window_leaves_no_addresses() {
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        for _ in 0..1 << 10 {
            // All of them together are more than a process has.
            Mapping::window(&file, 0, 1 << 40).unwrap();
        }
    }

    #[test]
    fn a_range_that_is_reserved_can_be_populated() {
        for file in files() {
            let window = Mapping::window(&file, 0, 1 << 30).unwrap();
            let error = window.populate_range(0, PAGE).unwrap_err();
            assert_eq!(Errno::from_io_error(&error), Some(Errno::FAULT));
            space::reserve(&file, 8 << 20, 9 << 20).unwrap();
            // From the middle of a page to the middle of a page.
            assert_eq!(window.populate_range((8 << 20) + 5, (1 << 20) - 10).unwrap(), Populated::All);
            assert_eq!(window.populate_range(usize::MAX, 1).unwrap(), Populated::All);
            // The file is longer, but the rest of it was not touched.
            file.set_len(1 << 30).unwrap();
            assert!((1 << 20..(1 << 20) + 16 * PAGE as u64).contains(&space::reserved(&file).unwrap()));
            assert_eq!(window.populate_range(0, 3 * PAGE).unwrap(), Populated::All);
            file.sync_all().unwrap();
            assert!(space::reserved(&file).unwrap() >= (1 << 20) + 3 * PAGE as u64);
        }
    }

    #[test]
    fn a_window_takes_no_memory_in_a_process_that_locks_all_its_memory() {
        if !in_child("os::mapping::tests::a_window_takes_no_memory_in_a_process_that_locks_all_its_memory") {
            return;
        }
        let [tmpfs, _, anonymous] = files();
        let ordinary = tempfile::tempfile_in("/dev/shm").unwrap();
        ordinary.set_len(16 << 20).unwrap();
        if let Err(error) = mlockall(MlockAllFlags::FUTURE) {
            println!("not run: this machine does not allow to lock memory: {error}");
            return;
        }
        match memmap2::MmapOptions::new().len(16 << 20).map_raw(&ordinary) {
            // The whole mapping is populated and locked.
            Ok(_mapping) => assert_eq!(space::reserved(&ordinary).unwrap(), 16 << 20),
            Err(error) => {
                println!("not run: this machine does not allow to lock 16 MiB: {error}");
                return;
            }
        }
        let locked = locked_kib();
        let check = |file: &File| {
            // Holes in the file, and addresses beyond its end.
            file.set_len(1 << 30).unwrap();
            let window = Mapping::window(file, 0, 2 << 30).unwrap();
            assert_eq!(space::reserved(file).unwrap(), 0);
            set(&window, 3 * PAGE, 1);
            assert_eq!(space::reserved(file).unwrap(), PAGE as u64);
            space::reserve(file, 1 << 30, (1 << 30) + PAGE as u64).unwrap();
            set(&window, 1 << 30, 1);
            assert_eq!(space::reserved(file).unwrap(), 2 * PAGE as u64);
            window
        };
        let windows = [check(&tmpfs), check(&anonymous)];
        assert!(locked_kib() - locked < 8 << 10, "the windows count as locked");
        drop(windows);
        // Where a sandbox refuses to unlock, the window counts as locked, but takes no memory
        // either.
        tmpfs.set_len(0).unwrap();
        refuse(&[Call::any(libc::SYS_munlock)], libc::EPERM);
        let _window = check(&tmpfs);
        assert!(locked_kib() - locked >= 2 << 20);
    }

    #[test]
    fn a_window_may_be_longer_than_what_the_process_may_lock() {
        const NAME: &str = "os::mapping::tests::a_window_may_be_longer_than_what_the_process_may_lock";
        // As the root of a user namespace of its own, it has the limits of an ordinary user.
        if !in_child_with_mounts(NAME, "true") {
            return;
        }
        let [tmpfs, _, anonymous] = files();
        setrlimit(Resource::Memlock, Rlimit { current: Some(4 << 20), maximum: Some(4 << 20) }).unwrap();
        if let Err(error) = mlockall(MlockAllFlags::FUTURE) {
            println!("not run: this machine does not allow to lock memory: {error}");
            return;
        }
        for file in [tmpfs, anonymous] {
            file.set_len(1 << 30).unwrap();
            assert!(memmap2::MmapOptions::new().len(16 << 20).map_raw(&file).is_err());
            let window = Mapping::window(&file, 4 << 20, 2 << 30).unwrap();
            assert_eq!(space::reserved(&file).unwrap(), 0);
            file.write_all_at(b"a", (512 << 20) + 1).unwrap();
            assert_eq!(get(&window, (508 << 20) + 1), b'a');
            set(&window, 3 * PAGE, 1);
            assert_eq!(space::reserved(&file).unwrap(), 2 * PAGE as u64);
        }
        assert!(locked_kib() <= 4 << 10);
    }

    /// What counts as locked memory of this process: `VmLck` of proc_pid_status(5).
    fn locked_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }
}
