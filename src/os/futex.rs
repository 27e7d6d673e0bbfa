//! Sleeping on words of memory, which may be shared between processes, until they are woken.

use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::ClockId;
use rustix::thread::futex::{self, Timespec, WaitFlags, WaitPtr, WaitvFlags};

use crate::sync::AtomicU32;

/// How many words can be slept on at once.
pub(crate) const MAX_WORDS: usize = 128;

/// The longest sleep if the kernel does not wake us: on only one of several words, or on none.
const LOOK: Duration = Duration::from_millis(1);

/// Sleeps while `word` holds `expected`, at most for `timeout`; returns at once if it holds
/// something else.
///
/// May return early for any reason: callers check again what they wait for. The word may be shared
/// between processes, so no `PRIVATE` flag is used. If the kernel refuses to sleep on words, the
/// sleep lasts a millisecond at most.
pub(crate) fn wait(word: &AtomicU32, expected: u32, timeout: Duration) {
    let limit = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    if !has_slept(futex::wait(word, futex::Flags::empty(), expected, Some(&limit))) {
        std::thread::sleep(timeout.min(LOOK));
    }
}

/// As [`wait`], while each of the words, [`MAX_WORDS`] at most, holds its expected value.
///
/// Kernels before 5.16 cannot do this, and sandboxes may refuse it: then the sleep is on the first
/// word, for a millisecond at most.
pub(crate) fn wait_any(words: &[(&AtomicU32, u32)], timeout: Duration) {
    // Tried each time: one refused call in a millisecond costs nothing, and a lack of memory may be
    // over later.
    if !wait_for_all_at_once(words, timeout) {
        wait_for_one_at_a_time(words, timeout);
    }
}

/// Whether the kernel did what it was asked to: it slept, or saw that a word had changed. All
/// outcomes of that (woken, changed, interrupted, timed out) mean the same to callers, which check
/// again. After any other outcome they would come back at once, again and again, and keep a
/// processor busy.
fn has_slept<T>(outcome: Result<T, Errno>) -> bool {
    matches!(outcome, Ok(_) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT))
}

/// `false` if the kernel has no such call, or a sandbox refuses it.
fn wait_for_all_at_once(words: &[(&AtomicU32, u32)], timeout: Duration) -> bool {
    let waits: Vec<_> = words
        .iter()
        .map(|(word, expected)| {
            let mut wait = futex::Wait::new();
            wait.val = u64::from(*expected);
            wait.uaddr = WaitPtr::new(word.as_ptr().cast());
            wait.flags = WaitFlags::SIZE_U32;
            wait
        })
        .collect();
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    let nanos = now.tv_nsec as u64 + u64::from(timeout.subsec_nanos());
    let until = Timespec {
        tv_sec: now
            .tv_sec
            .saturating_add(i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX))
            .saturating_add((nanos / 1_000_000_000) as i64),
        tv_nsec: (nanos % 1_000_000_000) as i64,
    };
    has_slept(futex::waitv(&waits, WaitvFlags::empty(), Some(&until), ClockId::Monotonic))
}

fn wait_for_one_at_a_time(words: &[(&AtomicU32, u32)], timeout: Duration) {
    match words {
        [] => std::thread::sleep(timeout.min(LOOK)),
        // A word that has changed is seen by the caller.
        [(word, expected), ..] => wait(word, *expected, timeout.min(LOOK)),
    }
}

/// Wakes all threads that sleep on `word`, in any process.
pub(crate) fn wake_all(word: &AtomicU32) {
    // A wake on a mapped, aligned word fails only if a sandbox refuses it. Then sleepers notice by
    // themselves, after the longest sleep.
    let _ = futex::wake(word, futex::Flags::empty(), i32::MAX as u32);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::Instant;

    use super::*;

    #[test]
    fn any_of_several_words_ends_the_sleep_and_so_does_the_time() {
        type Wait = fn(&[(&AtomicU32, u32)], Duration);
        for wait in [wait_any as Wait, wait_for_one_at_a_time] {
            let words: Arc<[AtomicU32; 3]> = Arc::new([0, 1, 2].map(AtomicU32::new));
            let expected = || words.iter().zip(0..).collect::<Vec<_>>();
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(20) {
                wait(&expected(), Duration::from_millis(20));
            }
            let waker = {
                let words = Arc::clone(&words);
                std::thread::spawn(move || {
                    words[2].store(7, Ordering::SeqCst);
                    wake_all(&words[2]);
                })
            };
            while words[2].load(Ordering::SeqCst) == 2 {
                wait(&expected(), Duration::from_secs(60));
            }
            waker.join().unwrap();
            assert!(start.elapsed() < Duration::from_secs(30), "slept through a wake");
        }
    }
}
