//! Sleeping on a word of shared memory until somebody wakes it.

use std::time::Duration;

use rustix::thread::futex;

use crate::sync::AtomicU32;

/// Sleeps while `word` holds `expected`, at most for `timeout`; returns at once if it holds something else.
///
/// May return early for any reason: callers look again at what they wait for. The word is shared between processes, so
/// none of the `PRIVATE` flags apply.
pub(crate) fn wait(word: &AtomicU32, expected: u32, timeout: Duration) {
    let timeout = futex::Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    // Every outcome (woken, changed, interrupted, timed out) means the same to the caller: look again.
    let _ = futex::wait(word, futex::Flags::empty(), expected, Some(&timeout));
}

/// Wakes everyone who sleeps on `word`, in any process.
pub(crate) fn wake_all(word: &AtomicU32) {
    // A wake on a mapped, aligned word cannot fail.
    let _ = futex::wake(word, futex::Flags::empty(), i32::MAX as u32);
}
