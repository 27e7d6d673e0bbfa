//! The handle on an open store.
//!
//! This file imports nothing that works on keys: each operation is an `impl Store` in the file of
//! what it returns.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::dimensions::Dimensions;
use super::error::Forked;
use super::key_options::KeyOptions;
use super::location::Location;
use super::mapped::Mapped;
use super::recovery::Recovery;
use super::session::Session;

/// A key-value store in shared memory or in a file: bytes in, bytes out, for at most 254 processes,
/// each with any number of handles.
///
/// All handles of a process on one store are one [`Participant`](super::Participant), and share one
/// mapping and its descriptors, whether they were cloned or opened, and under whatever name. So
/// opening a store that this process has open costs little, and cloning a handle costs less. The
/// process closes the store when it drops the last handle, and the last slot, bus, publisher,
/// subscriber, pin, loan or job that was made with one. What is forgotten
/// ([`mem::forget`](std::mem::forget)) stays until the process ends: a forgotten pin or loan keeps
/// its cell, a forgotten lossless subscriber its messages, and any of them keeps the store open.
///
/// Handles may be used from any thread. The store stays where it is until it is
/// [removed](Self::remove), also when all processes have closed it. A store in shared memory is
/// gone when the machine stops. A store in a file is not: see [`recovery`](Self::recovery) and
/// [`flush`](Self::flush).
///
/// A process may die at any moment without harm to the others. What it had published stays. What it
/// had not published is never seen. What it held is released by the next process that needs it.
///
/// # Fork
///
/// A handle, and all that was made with it (slots, pins, loans, publishers, subscribers, jobs,
/// tasks), belongs to the process that opened the store. In a child of `fork`, operations return an
/// error, [`Forked`](super::Forked) or the variant of that name, which says what to do: open the
/// store again in the child. Dropping an inherited handle does nothing: it stays the parent's. A
/// program that becomes a daemon by `fork` opens its stores afterwards.
///
/// Reading through a view of the store's memory is not checked. In a child of `fork`, the bytes of
/// an inherited sample or pin may change at any moment: do not read them, receive again in the
/// child. Do not write to an inherited loan.
///
/// These still work in a child: [`keys`](Self::keys), [`keys_matching`](Self::keys_matching),
/// [`cells`](Self::cells), [`snapshot`](Self::snapshot), [`Slot::version`](super::Slot::version) and the like. So do
/// switches ([`set_flags`](Self::set_flags), [`clear_flags`](Self::clear_flags),
/// [`set_auto_vacuum`](Self::set_auto_vacuum)) and
/// [`report_parse_failure`](Self::report_parse_failure), because they belong to no participant.
///
/// Descriptors are close-on-exec. The one that holds the process's locks is closed in every child
/// before `fork` returns there. So what a dead parent held is released although its children live.
/// A child made by the raw system call `clone`, not by the C library's `fork`, is not noticed: it
/// must call `exec`, or use nothing that it has inherited.
///
/// # A file that is truncated
///
/// A process that may write to a store may also truncate its file while others have it mapped.
/// Nothing can prevent that. The kernel ends a process that then touches the missing part, with
/// SIGBUS. This crate installs no handler for that: signals belong to the program, and no handler
/// could say which value is missing. The next attempt to open the store reports that it is damaged.
/// Share a store only with processes that you would allow to end yours.
///
/// # Examples
///
/// ```
/// use splinter_bus::store::Store;
///
/// # let name = format!("splinter-doc-store-{}", std::process::id());
/// let store = Store::create(&name)?;
/// store.set("user:prompt", b"Tell me a joke about computers.")?;
/// assert_eq!(store.get("user:prompt")?.as_deref(), Some(&b"Tell me a joke about computers."[..]));
/// # Store::remove(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Store {
    pub(super) session: Arc<Session>,
    location: Arc<Location>,
    /// The options of keys that this handle creates.
    pub(super) key_options: KeyOptions,
}

impl Store {
    pub(super) fn new(session: Arc<Session>, location: &Location) -> Self {
        Self { session, location: Arc::new(location.clone()), key_options: KeyOptions::new() }
    }

    /// Refuses to go on in a child of the process that opened the store.
    #[inline]
    pub(crate) fn check_fork(&self) -> Result<(), Forked> {
        self.session.check_fork()
    }

    pub(super) fn mapped(&self) -> &Mapped {
        &self.session.mapped
    }

    /// Gives back all space that no value needs. Returns how many bytes that were.
    pub(crate) fn trim_space(&self) -> u64 {
        self.session.trim()
    }

    /// Where the store was opened: the name or path that this handle, or the one that it is a clone
    /// of, was given. Other handles of the same process may have another.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-store-location-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert_eq!(store.location().to_string(), name);
    /// # Store::remove(store.location())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// How large the store is.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-store-dimensions-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert_eq!((store.dimensions().slots, store.dimensions().inline_size), (1024, 1024));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn dimensions(&self) -> Dimensions {
        self.session.mapped.dimensions
    }

    /// Another handle on the same store, with these options for the keys that it creates, and its own
    /// where nothing is asked for.
    pub(crate) fn creating_keys_with(&self, options: KeyOptions) -> Self {
        self.clone().with_key_options(options.or(&self.key_options))
    }

    /// The same handle, with other options for the keys that it creates.
    pub(crate) fn with_key_options(mut self, options: KeyOptions) -> Self {
        self.key_options = options;
        self
    }

    /// The report of the recovery when this process opened the store: if the machine had stopped
    /// since it was last used, if its last participants were killed, or if the file is a copy.
    /// `None` if there was no recovery.
    ///
    /// All handles of the process give the same report, from the opening of the first one until the
    /// last one is dropped.
    ///
    /// # Examples
    ///
    /// See [`Recovery`].
    #[must_use]
    pub fn recovery(&self) -> Option<&Recovery> {
        self.session.recovery.as_ref()
    }

    /// Pre-faults all pages that are reserved for short values, for this process, so that no later
    /// access to them waits for the kernel.
    ///
    /// Blocks until the kernel has done so. That is the fixed part of the store, and the rings of all
    /// keys as far as they are in use: call it when the keys were published to. Longer values are not
    /// pre-faulted, because their space comes and goes with them. Loans are written through a second
    /// mapping, which is not pre-faulted. The kernel writes what is pre-faulted of a store in a file
    /// to the disk once.
    ///
    /// # Errors
    ///
    /// The kernel's reason: not enough memory. In a child of the process that opened the store:
    /// [`Forked`](super::Forked).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-prefault-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.set("k", b"v")?;
    /// store.prefault()?;
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prefault(&self) -> io::Result<()> {
        self.session.check_fork()?;
        let mapped = self.mapped();
        let memory = &mapped.memory;
        let used = mapped.used_slots();
        memory.prefault(0, mapped.layout.headers_end(used) as usize)?;
        for slot in 0..used {
            let cells = mapped.cells_reserved(slot);
            let pages = self.session.on_slot(slot, |ring| ring.cells_with_pages().collect::<Vec<_>>());
            let pages =
                pages.into_iter().map(|cell| mapped.layout.page(slot, cell)..mapped.layout.page(slot, cell + 1));
            for range in mapped.layout.cells(slot, 0..cells).into_iter().chain(pages).filter(|range| !range.is_empty())
            {
                memory.prefault(range.start as usize, range.end as usize)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("location", &self.location())
            .field("dimensions", &self.dimensions())
            .field("participant", &self.session.me)
            .finish_non_exhaustive()
    }
}
