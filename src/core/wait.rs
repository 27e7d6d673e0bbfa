//! The one loop in which everything waits: listen, check, sleep.
//!
//! A waiter first listens to the events that report what it waits for. Then it checks whether that
//! has happened already. Only then does it sleep, on the words that listening returned. The process
//! that makes it happen notifies afterwards. So either the check finds it, or the notification has
//! changed a word and the sleep ends at once. This is the eventcount of Dmitry Vyukov; see
//! [`Event`](crate::core::memory::records::Event).
//!
//! - **Fast path**: the caller checks, and spins, before it waits. This loop begins when that was not
//!   enough.
//! - **Crash** of a process between its change and its notification: the sleeper is not woken. So
//!   every sleep is limited; [`sleep`](Waiter::sleep) decides how.

/// What a wait listens to, checks and sleeps on.
pub(crate) trait Waiter {
    /// What listening gives: the words, and what each of them held.
    type Listened;
    /// What is waited for.
    type Found;

    /// Announces a sleeper to every event that reports what is waited for.
    fn listen(&mut self) -> Self::Listened;

    /// Whether it has happened. Reads what it needs after [`listen`](Self::listen): a fence is between.
    fn check(&mut self) -> Option<Self::Found>;

    /// Sleeps while the words hold what listening gave, for a limited time.
    fn sleep(&mut self, listened: Self::Listened) -> Slept;
}

/// How a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slept {
    /// Check again: something may have happened.
    CheckAgain,
    /// There is no time left.
    TimedOut,
}

/// Waits until the check finds something; `None` if the time ran out before that.
pub(crate) fn wait<W: Waiter>(waiter: &mut W) -> Option<W::Found> {
    loop {
        let listened = waiter.listen();
        let found = waiter.check();
        if found.is_some() {
            return found;
        }
        if waiter.sleep(listened) == Slept::TimedOut {
            return None;
        }
    }
}
