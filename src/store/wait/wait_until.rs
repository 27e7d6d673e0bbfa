//! The one way to wait: check, spin, then sleep.
//!
//! Blocking receives, publishers that wait for free space, work queues,
//! [`Watch`](crate::store::Watch) and [`WaitSet`](crate::bus::WaitSet) all wait by
//! [`wait_until_found`]. The part that must not miss a notification is
//! [`core::wait`](crate::core::wait), which loom checks. The threads of the reactor use that part
//! alone, since they never spin.

use std::time::{Duration, Instant};

use super::deadline::Deadline;
use super::spin::Spin;
use crate::core::memory::records::Event;
use crate::core::wait::{Slept, Waiter, wait};
use crate::os::futex;

/// The longest sleep without another check. A process that publishes wakes the sleepers, unless it
/// crashes or is stopped between the two; then this is the delay.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// Wakes those who wait for the event, which has happened.
#[inline]
pub(crate) fn notify(event: &Event) {
    if event.notify() {
        futex::wake_all(&event.word);
    }
}

/// A waiter that can spin before it sleeps.
pub(crate) trait SpinningWaiter: Waiter {
    /// Whether something has changed, so that a check is worth its cost. Called many times;
    /// announces no sleeper, so that nobody pays for a notification.
    fn has_changed(&mut self) -> bool;
}

/// Waits until the check finds something; `None` if it did not until the deadline.
#[inline]
pub(crate) fn wait_until_found<W: SpinningWaiter>(
    waiter: &mut W,
    deadline: Deadline,
    spin: &mut Spin,
) -> Option<W::Found> {
    let found = waiter.check();
    if found.is_some() || matches!(deadline, Deadline::Now) {
        return found;
    }
    if spin.until(|| waiter.has_changed()) {
        let found = waiter.check();
        if found.is_some() {
            return found;
        }
    }
    sleep_until_found(waiter, spin)
}

#[cold]
fn sleep_until_found<W: Waiter>(waiter: &mut W, spin: &mut Spin) -> Option<W::Found> {
    let start = Instant::now();
    let found = wait(waiter);
    if found.is_some() {
        spin.slept(start.elapsed());
    }
    found
}

/// A wait for one event.
struct EventWaiter<'a, H, C> {
    event: &'a Event,
    deadline: Deadline,
    has_changed: H,
    check: C,
}

impl<T, H, C: FnMut() -> Option<T>> Waiter for EventWaiter<'_, H, C> {
    type Listened = u32;
    type Found = T;

    fn listen(&mut self) -> u32 {
        self.event.listen()
    }

    #[inline]
    fn check(&mut self) -> Option<T> {
        (self.check)()
    }

    fn sleep(&mut self, word: u32) -> Slept {
        let Some(left) = self.deadline.left() else {
            return Slept::TimedOut;
        };
        futex::wait(&self.event.word, word, left.min(LONGEST_SLEEP));
        Slept::CheckAgain
    }
}

impl<T, H: FnMut() -> bool, C: FnMut() -> Option<T>> SpinningWaiter for EventWaiter<'_, H, C> {
    #[inline]
    fn has_changed(&mut self) -> bool {
        (self.has_changed)()
    }
}

/// Waits until `check` finds something, which `event` reports; `None` if it did not until the
/// deadline.
///
/// Spins on `has_changed` first.
#[inline]
pub(crate) fn wait_for_event<T>(
    event: &Event,
    deadline: Deadline,
    spin: &mut Spin,
    has_changed: impl FnMut() -> bool,
    check: impl FnMut() -> Option<T>,
) -> Option<T> {
    wait_until_found(&mut EventWaiter { event, deadline, has_changed, check }, deadline, spin)
}
