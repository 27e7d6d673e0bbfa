//! Events: waiting for a change without missing it, at no cost while nobody waits.
//!
//! An [`Event`] is an eventcount (Vyukov's eventcount; `EventCount` of folly), in two words of
//! shared memory: one to sleep on, and a flag that says whether there may be a sleeper.
//!
//! ```text
//! waiter:   w = word;  flag = 1;  fence;  check;  sleep while word == w
//! notifier: change;    if flag == 1 { flag = 0;  word += 1;  wake }
//! ```
//!
//! - **Fast path** of a notifier: nobody waits: one load of the flag.
//! - **Slow path.** The waiter's check and the notifier's change are in one total order. Either the
//!   waiter sees the change, or the notifier sees the flag and changes the word, which ends the
//!   sleep.
//!
//! **Crash** after each step:
//!
//! | step | leaves |
//! | --- | --- |
//! | `EventListened` | a flag without a sleeper: the next notifier wakes nobody |
//! | `EventFlagCleared` | sleepers that no later notifier wakes: so nobody sleeps longer than a tenth of a second |
//! | `EventWordMoved` | the same, for those that sleep already |

use crate::core::memory::records::Event;
use crate::kill_points::{Step, reached};
use crate::sync::{Ordering, fence, total_order};

impl Event {
    /// Announces a sleeper, and returns the word to sleep on.
    ///
    /// The caller must check after this call whether it has to sleep. Any load will do: a fence is
    /// between.
    #[inline]
    pub(crate) fn listen(&self) -> u32 {
        // SeqCst throughout: pairs with `notify`. We read the word, set the flag, then check; the
        // notifier makes its change, reads the flag, clears it, changes the word.
        let word = self.word.load(Ordering::SeqCst);
        self.flag.store(1, Ordering::SeqCst);
        reached(Step::EventListened);
        // SeqCst: the callers check cursors, cells and `head` by weaker loads, which a SeqCst store
        // alone does not order after it.
        fence(Ordering::SeqCst);
        word
    }

    /// Whether a process may sleep. To be called like [`notify`](Self::notify).
    #[inline]
    pub(crate) fn has_listeners(&self) -> bool {
        // The caller's change was a SeqCst access, and so is the load below.
        total_order();
        // SeqCst: pairs with `listen`.
        self.flag.load(Ordering::SeqCst) != 0
    }

    /// Notifies waiters, after a SeqCst change that they may wait for. Returns whether the caller
    /// must wake those that sleep on the word.
    #[inline]
    #[must_use = "if true, the processes that sleep on the word are still to be woken"]
    pub(crate) fn notify(&self) -> bool {
        let has_listeners = self.has_listeners();
        if has_listeners {
            self.move_word();
        }
        has_listeners
    }

    #[cold]
    fn move_word(&self) {
        // SeqCst: pairs with `listen`.
        self.flag.store(0, Ordering::SeqCst);
        reached(Step::EventFlagCleared);
        self.word.fetch_add(1, Ordering::SeqCst);
        reached(Step::EventWordMoved);
    }

    /// Whether nobody has notified since `listen` returned this word.
    #[cfg(any(feature = "async", loom))]
    #[inline]
    pub(crate) fn is_quiet(&self, word: u32) -> bool {
        // SeqCst: pairs with `move_word`; a caller that sees a notification sees the change before
        // it.
        self.word.load(Ordering::SeqCst) == word
    }
}
