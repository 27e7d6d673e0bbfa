//! Values that a child of `fork` does not share with its parent.

#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::AtomicPtr;

use super::fork;
use crate::sync::Ordering;

/// A value of which each process has its own. A child of `fork` gets a new one. It never touches
/// its parent's, whose locks may be held by threads that the child does not have. Values are never
/// dropped.
pub(crate) struct PerProcess<T: 'static> {
    newest: AtomicPtr<Owned<T>>,
}

struct Owned<T> {
    forks: u64,
    value: T,
}

impl<T: Send + Sync> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self { newest: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The value of this process, which `make` makes if there is none. If several threads make one
    /// at the same time, one of them is kept.
    pub(crate) fn get(&self, make: impl FnOnce() -> T) -> &'static T {
        // Acquire: pairs with the release below; a thread that sees the pointer sees what it points
        // to.
        let seen = self.newest.load(Ordering::Acquire);
        // SAFETY: null, or made below from a box that is never freed or changed.
        let newest = unsafe { seen.as_ref() };
        if let Some(owned) = newest.filter(|owned| owned.forks == fork::count()) {
            return &owned.value;
        }
        let made = Box::new(Owned { forks: fork::count(), value: make() });
        let made = Box::into_raw(made);
        match self.newest.compare_exchange(seen, made, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: from the box above, which is never freed now that others can see it.
            Ok(_) => unsafe { &(*made).value },
            Err(others) => {
                // SAFETY: from the box above; no other thread has seen the pointer.
                drop(unsafe { Box::from_raw(made) });
                // SAFETY: not null, since only what was made here is ever stored; of this process,
                // since another thread of it has stored it just now.
                unsafe { &(*others).value }
            }
        }
    }
}
