//! The stores that this process has open: all its handles on one store share one session.
//!
//! A store is looked up by its file and its id, never by its name. Its name is opened first each
//! time, so that the kernel checks the permission, and so that a store that was removed and created
//! again is another one. A session keeps its file open. So no other file has the same device and
//! inode number while the session is alive.
//!
//! Threads that open one store at the same time may all map it. One of them joins, the others take
//! its session: from the moment when a thread joins until its session is entered, it has the
//! `joining` mutex of the file. So a process never needs a second entry in the table of
//! participants, and no thread is refused because another thread took the last one.
//!
//! A session that is not of use to newcomers is left to its handles, and newcomers get another one:
//! see [`is_usable`].

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustc_hash::FxHashMap;

use crate::os::file::FileId;
use crate::os::fork;
use crate::os::per_process::PerProcess;
use crate::store::mapped::StoreShape;
use crate::store::participant;
use crate::store::participant::departure::Departure;
use crate::store::session::Session;

/// What identifies a store that is open. (All handles may write. If there are others one day, the
/// access belongs here.)
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) file: FileId,
    /// The id in the store's header when it was opened.
    pub(crate) id: u64,
    pub(crate) shape: StoreShape,
}

/// The sessions of this process that new handles share.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// Locked for a look-up or a change only.
    files: Mutex<FxHashMap<FileId, Entry>>,
}

#[derive(Debug, Default)]
struct Entry {
    /// Locked by the thread that joins.
    joining: Arc<Mutex<()>>,
    entered: Option<Entered>,
}

#[derive(Debug)]
struct Entered {
    id: u64,
    session: Weak<Session>,
    departure: Arc<Departure>,
}

impl Registry {
    /// The registry of this process. A child of `fork` has one of its own, which is empty.
    ///
    /// # Errors
    ///
    /// The C library has no memory for the handlers of `fork`.
    pub(crate) fn of_this_process() -> io::Result<&'static Self> {
        static REGISTRY: PerProcess<Registry> = PerProcess::new();
        // Before the registry is used: a child whose birth was not counted would take the parent's.
        fork::watch()?;
        Ok(REGISTRY.get(Self::default))
    }

    /// The session of this process on the store, if it has one that new handles may share.
    pub(crate) fn find(&self, key: Key) -> Option<Arc<Session>> {
        let entered_session = self.files().get(&key.file)?.session(key.id);
        // The mutex is free by now: dropping the last handle on a session closes the store.
        entered_session.filter(|session| is_usable(session, key.shape))
    }

    /// Returns the session of this process on the store. If there is none, makes one by `join`,
    /// and enters it.
    ///
    /// # Errors
    ///
    /// Those of `join`.
    pub(crate) fn find_or_join<E>(
        &self,
        key: Key,
        join: impl FnOnce() -> Result<Session, E>,
    ) -> Result<Arc<Session>, E> {
        let joining = Arc::clone(&self.entry(&mut self.files(), key.file).joining);
        let _joining = joining.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = self.find(key) {
            return Ok(session);
        }
        let closing = self.files().get(&key.file).and_then(Entry::closing);
        if let Some(departure) = closing {
            departure.wait();
        }
        let session = Arc::new(join()?);
        self.enter(key, &session);
        Ok(session)
    }

    /// Enters a session: from now on, new handles on its store share it.
    pub(crate) fn enter(&self, key: Key, session: &Arc<Session>) {
        let entered =
            Entered { id: key.id, session: Arc::downgrade(session), departure: Arc::clone(&session.departure) };
        let mut files = self.files();
        self.entry(&mut files, key.file).entered = Some(entered);
    }

    /// The entry of a file. Removes those that are not needed any more.
    fn entry<'a>(&self, files: &'a mut FxHashMap<FileId, Entry>, file: FileId) -> &'a mut Entry {
        files.retain(|_, entry| entry.is_in_use());
        files.entry(file).or_default()
    }

    fn files(&self) -> MutexGuard<'_, FxHashMap<FileId, Entry>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// The session of the store with this id. The file may have become another store.
    fn session(&self, id: u64) -> Option<Arc<Session>> {
        self.entered.as_ref().filter(|entered| entered.id == id)?.session.upgrade()
    }

    /// The departure of a session whose last handle is being dropped.
    fn closing(&self) -> Option<Arc<Departure>> {
        let entered = self.entered.as_ref().filter(|entered| entered.session.strong_count() == 0)?;
        Some(Arc::clone(&entered.departure))
    }

    fn is_in_use(&self) -> bool {
        let is_open = self.entered.as_ref().is_some_and(|entered| !entered.departure.has_left());
        // The mutex is shared with this entry alone unless a thread is about to join: it is cloned
        // only while the registry is locked.
        is_open || Arc::strong_count(&self.joining) > 1
    }
}

/// Whether new handles may share the session. Not if the file was overwritten in place with an
/// image in which the store has another shape, or in which our entry is not ours; nor in a child
/// that was not made by the C library's `fork`.
fn is_usable(session: &Session, shape: StoreShape) -> bool {
    let mapped = &session.mapped;
    shape == mapped.shape() && participant::is_current(mapped, session.me) && session.me.pid == std::process::id()
}

#[cfg(test)]
mod tests {
    use crate::store::{Store, StoreOptions};
    use crate::sync::Ordering;

    use super::*;

    #[test]
    fn a_session_whose_entry_was_overwritten_is_not_shared() {
        let name = format!("splinter-unit-overwritten-{}", std::process::id());
        let store = StoreOptions::new().slots(1).create(&name).unwrap();
        let me = store.participant();
        assert_eq!(Store::open(&name).unwrap().participant(), me);
        let incarnation = &store.mapped().participants()[me.id as usize].incarnation;
        incarnation.store(me.incarnation + 2, Ordering::Relaxed);
        let other = Store::open(&name).unwrap();
        assert_ne!(other.participant(), me);
        assert_eq!(Store::open(&name).unwrap().participant(), other.participant());
        drop(other);
        // The first session is still open, and no newcomer waits until it has left.
        assert_ne!(Store::open(&name).unwrap().participant(), me);
        Store::remove(&name).unwrap();
    }

    #[test]
    fn entries_of_closed_stores_are_removed() {
        let registry = Registry::default();
        let name = |number| format!("splinter-unit-closed-{}-{number}", std::process::id());
        let enter = |number| {
            let store = StoreOptions::new().slots(1).create(name(number)).unwrap();
            let mapped = &store.session.mapped;
            let (file, shape) = (crate::os::file::status(&mapped.file).unwrap().id, mapped.shape());
            registry.enter(Key { file, id: store.snapshot().id, shape }, &store.session);
            Store::remove(name(number)).unwrap();
            store
        };
        let stores: Vec<_> = (0..10).map(enter).collect();
        assert_eq!(registry.files().len(), 10);
        drop(stores);
        let _store = enter(10);
        assert_eq!(registry.files().len(), 1);
    }
}
