//! Keys of stores as a descriptor in a loop of `poll` or `epoll`.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::reactor::{Reactor, Waiting, Want};
use super::slot::Slot;
use crate::os::eventfd::EventFd;

/// A descriptor that becomes readable when one of the chosen keys changes, for programs that wait for
/// descriptors, by `poll`, `epoll` or a library on top of them.
///
/// Add slots, of any stores; wait until the descriptor ([`AsFd`]) is readable; then call
/// [`take`](Self::take), which makes it unreadable again and visits the slots that have changed.
///
/// *Cost.* The first use in a process starts a thread, and so does every 128th key that is waited for,
/// by this type or by tasks (feature `async`). The thread sleeps while nothing happens. A change of a
/// key costs its publisher the system call that wakes the thread, some microseconds, as any sleeper
/// does. The thread makes another one, so that the descriptor becomes readable: a loop that sleeps
/// learns of a change after some 20 to 30 us, where [`Slot::poll`] takes about 20. Changes that come
/// before `take` are reported together.
///
/// A child of `fork` has the descriptor, but not the thread: make another one there.
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
/// use rustix::event::{PollFd, PollFlags, poll};
/// use splinter_bus::store::{KeyEvents, Store};
///
/// let store = Store::anonymous()?;
/// let mut events = KeyEvents::new()?;
/// let prompts = events.add(store.slot("prompts")?)?;
/// events.add(store.slot("replies")?)?;
/// store.set("prompts", b"Why is the sky blue?")?;
///
/// // The loop of a program. It waits for its sockets, too.
/// poll(&mut [PollFd::new(&events, PollFlags::IN)], None)?;
/// let mut changed = Vec::new();
/// events.take(|index, slot| changed.push((index, slot.version())))?;
/// assert_eq!(changed, [(prompts, 1)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KeyEvents {
    signal: Arc<Signal>,
    keys: Vec<Watched>,
}

/// Makes the descriptor readable when it is woken.
struct Signal(EventFd);

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.0.signal();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.signal();
    }
}

/// A key that is waited for.
struct Watched {
    slot: Slot,
    /// The newest version that was reported.
    seen: u64,
    /// `None` once its removal was reported.
    waiting: Option<Waiting>,
}

impl KeyEvents {
    /// A descriptor, and no keys yet.
    ///
    /// # Errors
    ///
    /// The kernel's reason: too many open files, for example.
    ///
    /// # Examples
    ///
    /// See [`KeyEvents`].
    pub fn new() -> io::Result<Self> {
        Ok(Self { signal: Arc::new(Signal(EventFd::new()?)), keys: Vec::new() })
    }

    /// Adds a key. Returns its index, by which [`take`](Self::take) names it: 0 for the first. What is
    /// published from now on is reported.
    ///
    /// # Errors
    ///
    /// The operating system starts no thread. In a child of the process that opened the store:
    /// [`Forked`](super::Forked).
    ///
    /// # Examples
    ///
    /// See [`KeyEvents`].
    pub fn add(&mut self, slot: Slot) -> io::Result<usize> {
        slot.check_fork()?;
        let seen = slot.version();
        let waiting = Some(self.wait(&slot, seen)?);
        self.keys.push(Watched { slot, seen, waiting });
        Ok(self.keys.len() - 1)
    }

    /// Makes the descriptor unreadable until the next change, and calls `visit` with the index and the
    /// slot of each key that has changed since it was added or visited last. Never blocks.
    ///
    /// A change that comes between may be seen by two visits. A key that is removed is visited once more, and then not any more: [`add`](Self::add) it again.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add). The descriptor is readable then: call it again.
    ///
    /// # Examples
    ///
    /// See [`KeyEvents`].
    pub fn take(&mut self, mut visit: impl FnMut(usize, &Slot)) -> io::Result<()> {
        // First: what happens from here on makes it readable again.
        self.signal.0.clear()?;
        for index in 0..self.keys.len() {
            let Watched { slot, seen, waiting } = &self.keys[index];
            if waiting.is_none() {
                continue;
            }
            slot.check_fork().inspect_err(|_| self.signal.0.signal())?;
            let (exists, newest) = (slot.exists(), slot.version());
            if exists && newest == *seen {
                continue;
            }
            let waiting =
                if exists { Some(self.wait(slot, newest).inspect_err(|_| self.signal.0.signal())?) } else { None };
            let key = &mut self.keys[index];
            (key.seen, key.waiting) = (newest, waiting);
            visit(index, &key.slot);
        }
        Ok(())
    }

    fn wait(&self, slot: &Slot, seen: u64) -> io::Result<Waiting> {
        Reactor::wait(slot.clone(), Want::Newer(seen), None, Waker::from(Arc::clone(&self.signal)))
    }
}

impl AsFd for KeyEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signal.0.as_fd()
    }
}

impl fmt::Debug for KeyEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyEvents").field("descriptor", &self.as_fd()).field("keys", &self.keys.len()).finish()
    }
}
