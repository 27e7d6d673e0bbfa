//! Counts the forks that this process comes from.
//!
//! A child of `fork` has copies of its parent's handles, but what they stand for (locks, pins, threads) belongs to the parent. A handle that
//! keeps the count of its creation is recognised as inherited by one comparison.

#![allow(unsafe_code)]
#![allow(dead_code, reason = "used by the next commits")]

use std::io;
use std::sync::Once;

use crate::sync::{AtomicU64, Ordering};

static FORKS: AtomicU64 = AtomicU64::new(0);

/// The number of forks between the first process that called [`watch`] and this one.
///
/// A child that was made by the raw system call, past the C library's `fork`, is not counted.
#[inline]
pub(crate) fn count() -> u64 {
    // Relaxed: a child has one thread when it changes.
    FORKS.load(Ordering::Relaxed)
}

/// Counts forks from now on.
///
/// # Errors
///
/// The C library has no memory for the handler.
pub(crate) fn watch() -> io::Result<()> {
    static WATCHING: Once = Once::new();
    let mut outcome = Ok(());
    WATCHING.call_once(|| {
        // SAFETY: the handler is a function of this program that only adds to an atomic, which is allowed in the child of any fork.
        let error = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        if error != 0 {
            outcome = Err(io::Error::from_raw_os_error(error));
        }
    });
    outcome
}

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
