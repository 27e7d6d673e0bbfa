//! Detecting `fork`, and closing files in its children.
//!
//! A child has copies of its parent's handles, but what they stand for (locks, pins, threads)
//! belongs to the parent. A handle stores the [`count`] of forks at its creation, so one comparison
//! shows whether it was inherited.
//!
//! Locks belong to an open file description, which lives as long as any descriptor of it: a child
//! that kept a descriptor would keep its dead parent's locks. So the handler that `fork` runs in
//! the child closes every [`UninheritedFile`]. The handler makes only calls that are allowed in the
//! child of a process with several threads: atomics and `close`.
//!
//! The C library runs the handler in `fork`, and not in `vfork` and `posix_spawn`, whose children
//! do nothing but `exec`: that closes the descriptors, which are all close-on-exec. A child made by
//! the raw system call `clone` is not noticed.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU64, Ordering};

/// On a line of its own: every operation reads it.
#[repr(align(64))]
struct Count(AtomicU64);

static FORKS: Count = Count(AtomicU64::new(0));

/// Calls of `fork` in this process that began, and those that ended.
static STARTED: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);

/// A number that changes in the child of every fork, and in no other way.
///
/// Forks count only from the first call of [`watch`] on; a child made by the raw system call is not
/// counted.
#[inline]
pub(crate) fn count() -> u64 {
    // Relaxed: a child has one thread when it changes.
    FORKS.0.load(Ordering::Relaxed)
}

/// Counts forks from now on. May be called any number of times.
///
/// # Errors
///
/// The C library has no memory for the handlers. The next call tries again.
pub(crate) fn watch() -> io::Result<()> {
    static WATCHING: AtomicBool = AtomicBool::new(false);
    if WATCHING.load(Ordering::Acquire) {
        return Ok(());
    }
    // No lock: a child could find it held by a thread that it does not have. Two threads that get
    // here at once both register the handlers, which then run twice in each fork. That changes
    // nothing: the count only has to differ.
    //
    // SAFETY: the handlers are functions of this program that only use atomics and `close`, which
    // is allowed in the child of any fork.
    let error = unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    WATCHING.store(true, Ordering::Release);
    Ok(())
}

extern "C" fn before() {
    // SeqCst: pairs with `UninheritedFile::open`.
    STARTED.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn in_parent() {
    ENDED.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn in_child() {
    FORKS.0.fetch_add(1, Ordering::Relaxed);
    // Other threads may have been in the middle of a fork, too; they do not exist here.
    ENDED.store(STARTED.load(Ordering::SeqCst), Ordering::SeqCst);
    REGISTRY.close_all();
}

/// A file that children of this process do not inherit: its descriptor is closed in them before
/// `fork` returns.
///
/// Its owner checks that it is not in a child before it uses the file.
#[derive(Debug)]
pub(crate) struct UninheritedFile {
    /// `Some` until it is dropped.
    file: Option<File>,
    entry: &'static AtomicI32,
    forks: u64,
}

impl UninheritedFile {
    /// Registers the file that `open` opens. Calls `open` again if this process forked meanwhile:
    /// that child may have a descriptor that was not registered yet.
    ///
    /// # Errors
    ///
    /// As `open`; or the C library has no memory for the handlers of `fork`.
    pub(crate) fn open(open: impl Fn() -> io::Result<File>) -> io::Result<Self> {
        /// After this many attempts, a process that forks all the time gets a file that one of its
        /// children may keep.
        const ATTEMPTS: u32 = 1000;
        watch()?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            // SeqCst: pairs with `before`. Either the fork began after the descriptor was
            // registered, and its child closes it; or we see here that a fork is under way, or
            // began meanwhile.
            let started = STARTED.load(Ordering::SeqCst);
            let quiet = ENDED.load(Ordering::SeqCst) == started;
            let file = open()?;
            let entry = REGISTRY.register(file.as_raw_fd());
            let file = Self { file: Some(file), entry, forks: count() };
            if quiet && STARTED.load(Ordering::SeqCst) == started || attempt == ATTEMPTS {
                return Ok(file);
            }
            drop(file);
            std::thread::yield_now();
        }
    }

    /// The descriptor.
    ///
    /// # Panics
    ///
    /// In a child of the process that opened the file: there the number may be that of another file
    /// by now.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        let file = self.file.as_ref().filter(|_| self.forks == count());
        file.expect("a file that was not inherited").as_fd()
    }
}

impl Drop for UninheritedFile {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        if self.forks == count() {
            // Before it is closed: another file may get the number at once, and no child may close
            // that one.
            self.entry.store(NONE, Ordering::SeqCst);
            drop(file);
        } else {
            // It was closed when this process began.
            let _ = file.into_raw_fd();
        }
    }
}

/// No descriptor.
const NONE: RawFd = -1;

/// The descriptors that children close: a list of blocks that only grows, so that it can be read at
/// any moment without a lock.
struct Registry {
    first: Block,
}

struct Block {
    descriptors: [AtomicI32; Block::LEN],
    next: AtomicPtr<Block>,
}

static REGISTRY: Registry = Registry { first: Block::new() };

impl Registry {
    fn blocks(&'static self) -> impl Iterator<Item = &'static Block> {
        std::iter::successors(Some(&self.first), |block| block.next())
    }

    /// Registers a descriptor. Returns its entry.
    fn register(&'static self, fd: RawFd) -> &'static AtomicI32 {
        loop {
            let mut entries = self.blocks().flat_map(|block| &block.descriptors);
            let is_taken = |entry: &&AtomicI32| {
                // SeqCst: pairs with the snapshot of memory that `fork` takes; see
                // `UninheritedFile::open`.
                entry.compare_exchange(NONE, fd, Ordering::SeqCst, Ordering::Relaxed).is_ok()
            };
            if let Some(entry) = entries.find(is_taken) {
                return entry;
            }
            self.grow();
        }
    }

    /// Adds a block at the end, unless another thread does.
    fn grow(&'static self) {
        let Some(last) = self.blocks().last() else { return };
        let block = Box::into_raw(Box::new(Block::new()));
        // Release: pairs with `Block::next`.
        if last.next.compare_exchange(ptr::null_mut(), block, Ordering::Release, Ordering::Relaxed).is_err() {
            // SAFETY: made by `Box::into_raw` above, and not shared.
            drop(unsafe { Box::from_raw(block) });
        }
    }

    /// Closes all descriptors, in a child.
    fn close_all(&'static self) {
        for entry in self.blocks().flat_map(|block| &block.descriptors) {
            let fd = entry.swap(NONE, Ordering::Relaxed);
            if fd != NONE {
                // SAFETY: the descriptor is the child's copy of an `UninheritedFile`'s, which uses
                // and closes its own only in the process that opened it. It is open: its owner
                // takes it off the list before closing it.
                unsafe { libc::close(fd) };
            }
        }
    }
}

impl Block {
    const LEN: usize = 30;

    const fn new() -> Self {
        Self { descriptors: [const { AtomicI32::new(NONE) }; Self::LEN], next: AtomicPtr::new(ptr::null_mut()) }
    }

    fn next(&self) -> Option<&'static Self> {
        // Acquire: pairs with `grow`.
        let next = self.next.load(Ordering::Acquire);
        // SAFETY: null, or a block made by `grow`, which is never freed or changed but by its
        // atomics.
        unsafe { next.as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_file_is_opened_again_if_a_fork_began_or_was_going_on_before_it_was_registered() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let opened = Cell::new(0);
        let file = UninheritedFile::open(|| {
            opened.set(opened.get() + 1);
            match opened.get() {
                1 => before(),
                2 => in_parent(),
                _ => {}
            }
            File::open(path.path())
        });
        assert_eq!(opened.get(), 3);
        let file = file.unwrap();
        assert_eq!(file.entry.load(Ordering::Relaxed), file.fd().as_raw_fd());
    }

    #[test]
    fn a_registry_has_room_for_any_number_of_descriptors() {
        static REGISTRY: Registry = Registry { first: Block::new() };
        let count = 3 * Block::LEN as RawFd;
        let entries: Vec<_> = (0..count).map(|fd| REGISTRY.register(fd)).collect();
        assert!((0..count).eq(entries.iter().map(|entry| entry.load(Ordering::Relaxed))));
        entries[40].store(NONE, Ordering::Relaxed);
        assert!(ptr::eq(REGISTRY.register(count), entries[40]), "a freed entry is used again");
        assert_eq!(REGISTRY.blocks().count(), 3);
    }
}
