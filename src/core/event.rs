//! Being woken when something happens, without missing it and without costing anything while nobody sleeps.
//!
//! A sleeper listens, looks whether it has happened already, then sleeps on the word while it is what listening gave. Whoever
//! makes something happen strikes afterwards. Either the sleeper sees what happened, or the striker sees the flag and changes
//! the word.

use crate::core::memory::records::Event;
use crate::kill_points::{Step, reached};
use crate::sync::{Ordering, fence, total_order};

impl Event {
    /// An event that nobody listens to.
    #[cfg(feature = "async")]
    pub(crate) fn new() -> Self {
        Self { word: Default::default(), flag: Default::default() }
    }

    /// Announces a sleeper, and gives what the word holds before anything that the next signal tells of.
    ///
    /// What the caller waits for must be read after this. Any load will do: a fence is between.
    #[inline]
    pub(crate) fn listen(&self) -> u32 {
        // SeqCst throughout: pairs with `signal`. We read the word, set the flag, then look; the other side makes it happen,
        // reads the flag, clears it, changes the word.
        let word = self.word.load(Ordering::SeqCst);
        self.flag.store(1, Ordering::SeqCst);
        reached(Step::EventListened);
        // The callers look at cursors, cells and `head` by weaker loads, which a SeqCst store does not keep behind it.
        fence(Ordering::SeqCst);
        word
    }

    /// Whether anybody may sleep. Called as [`signal`](Self::signal) is.
    #[inline]
    pub(crate) fn has_listeners(&self) -> bool {
        // The change was a SeqCst access, and so is the load.
        total_order();
        // SeqCst: see `listen`.
        self.flag.load(Ordering::SeqCst) != 0
    }

    /// Called after a `SeqCst` change that somebody may wait for: whether sleepers must be woken through the word.
    #[inline]
    #[must_use = "if true, those who sleep on the word are still to be woken"]
    pub(crate) fn notify(&self) -> bool {
        let listened_to = self.has_listeners();
        if listened_to {
            self.move_word();
        }
        listened_to
    }

    #[cold]
    fn move_word(&self) {
        self.flag.store(0, Ordering::SeqCst);
        reached(Step::EventFlagCleared);
        self.word.fetch_add(1, Ordering::SeqCst);
        reached(Step::EventWordMoved);
    }

    /// Whether nobody has notified since `listen` gave this word.
    #[cfg(any(feature = "async", loom))]
    #[inline]
    pub(crate) fn is_quiet(&self, word: u32) -> bool {
        // SeqCst: what was made to happen before a signal that we see is seen by whoever looks for it next.
        self.word.load(Ordering::SeqCst) == word
    }
}
