//! The handle on an open store.
//!
//! This file imports nothing that works on keys: each operation is an `impl Store` in the file of what it returns.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::error::Forked;
use super::geometry::Geometry;
use super::location::Location;
use super::mapped::Mapped;
use super::participant::Participant;
use super::recovery::Recovery;
use super::session::Session;

/// A key-value store in shared memory or in a file: bytes in, bytes out, among processes that have at most 128 handles open on it.
///
/// Cloning gives another handle on the same open store, as cheap as an `Arc`. Handles may be used from any thread. The store
/// itself stays where it is until it is [removed](Self::remove), whoever closes it. One in shared memory is gone when the
/// machine stops; one in a file is not: see [`recovery`](Self::recovery) and [`flush`](Self::flush).
///
/// A process may die at any moment without harm to the others: what it had published stays, what it had not is never
/// seen, and what it held is taken back by the next that needs it.
///
/// # Fork
///
/// A handle, and whatever was made with it (slots, pins, loans, publishers, subscribers, jobs, tasks), belongs to the process that opened the
/// store. In a child of `fork`, operations return an error, [`Forked`](super::Forked) or the variant of that name, which says what to do: open
/// the store again in the child. To drop what was inherited does nothing, so it stays the parent's. A program that becomes a daemon by `fork`
/// opens its stores afterwards.
///
/// A view of the store's memory is no operation, and is not checked. In a child of `fork`, an inherited sample or pin may change at any moment:
/// do not read it, receive again in the child. Do not write to an inherited loan.
///
/// In a child these still work: [`keys`](Self::keys), [`keys_matching`](Self::keys_matching), [`cells`](Self::cells),
/// [`snapshot`](Self::snapshot), [`Slot::version`] and the like. So do switches ([`set_flags`](Self::set_flags),
/// [`clear_flags`](Self::clear_flags), [`set_auto_vacuum`](Self::set_auto_vacuum)) and
/// [`report_parse_failure`](Self::report_parse_failure), since they belong to no participant.
///
/// Descriptors are close-on-exec, and the one that holds a handle's locks is closed in every child, before `fork` returns there. So what a
/// dead parent had is taken back although its children live. A child that is made by the raw system call `clone`, and not by the C
/// library's `fork`, is not noticed: it must `exec`, or leave everything alone that it has inherited.
///
/// # A file that is cut
///
/// Whoever may write to a store may also make its file shorter while others have it mapped, and nothing can keep them from it. The
/// kernel then has nothing to give to those who touch what is gone, and ends them with SIGBUS. This crate installs no handler for
/// that: signals belong to the program, and no handler could say which value is missing. The next to open the store is told
/// that it is damaged. Share stores with those only whom you would let end your process.
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
}

impl Store {
    pub(super) fn new(mapped: Arc<Mapped>, me: Participant, recovery: Option<Recovery>) -> Self {
        Self { session: Arc::new(Session::new(mapped, me, recovery)) }
    }

    /// Refuses to go on in a child of the process that opened the store.
    #[inline]
    pub(super) fn check_fork(&self) -> Result<(), Forked> {
        self.session.check_fork()
    }

    pub(super) fn mapped(&self) -> &Mapped {
        &self.session.mapped
    }

    /// Where the store was opened.
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
        &self.session.mapped.location
    }

    /// The store's shape.
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-store-geometry-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// assert_eq!((store.geometry().max_value_size, store.geometry().history), (4096, 16));
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.session.mapped.geometry
    }

    /// What was found when this handle opened the store, if the machine had stopped since it was last used, the last who had it
    /// open were killed, or the file is a copy; `None` if there was no reason to look.
    ///
    /// # Examples
    ///
    /// See [`Recovery`].
    #[must_use]
    pub fn recovery(&self) -> Option<&Recovery> {
        self.session.recovery.as_ref()
    }

    /// Has all of the store there for this process, so that whoever is the first to touch a page does not wait for the kernel to bring it.
    ///
    /// Blocks while the kernel does it for all of it, and takes nothing that was not reserved when the store was created, unless that
    /// was [sparse](super::StoreOptions::sparse): then it takes all of its space now. Of a store in a file, the kernel writes everything to the disk once.
    /// Values that are lent are written through a mapping of their own, of which this says nothing.
    ///
    /// Kernels before 5.14 have no call for it. There, this writes to each page what it holds already; a sparse
    /// store whose space runs out ends the process then, as any other write to it does.
    ///
    /// # Errors
    ///
    /// What the kernel said: there is not enough memory, or, for a sparse store, not enough space. In a child of the process that opened the
    /// store: [`Forked`](super::Forked).
    ///
    /// # Examples
    ///
    /// ```
    /// # use splinter_bus::store::Store;
    /// # let name = format!("splinter-doc-prefault-{}", std::process::id());
    /// let store = Store::create(&name)?;
    /// store.prefault()?;
    /// store.set("k", b"no slower than the next one")?;
    /// # Store::remove(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prefault(&self) -> io::Result<()> {
        self.session.check_fork()?;
        self.mapped().memory.prefault()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("location", &self.location())
            .field("geometry", &self.geometry())
            .field("participant", &self.session.me)
            .finish_non_exhaustive()
    }
}
