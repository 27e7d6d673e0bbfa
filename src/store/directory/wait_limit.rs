//! How long an operation waits for the directory.

use std::time::Duration;

use crate::store::wait::Deadline;

/// The longest wait of a process that creates or removes a key for another one that does so, which
/// takes microseconds.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How long one operation waits for the directory in all, however often it locks it: for other
/// processes and for threads of its own.
///
/// The time starts with the first wait, so a look-up of a key that exists reads no clock.
#[derive(Debug)]
pub(crate) struct WaitLimit {
    pub(super) limit: Duration,
    end: Option<Deadline>,
}

impl WaitLimit {
    /// For an operation without a timeout of its own.
    pub(crate) fn longest() -> Self {
        Self::new(LONGEST_WAIT)
    }

    /// For an operation that has this limit. With zero, it does not wait.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, end: None }
    }

    /// For an operation that has this deadline: the time left, but never more than
    /// [`LONGEST_WAIT`].
    pub(crate) fn until(deadline: Deadline) -> Self {
        Self::new(deadline.left().unwrap_or_default().min(LONGEST_WAIT))
    }

    pub(crate) fn left(&mut self) -> Duration {
        let limit = self.limit;
        self.end.get_or_insert_with(|| Deadline::after(Some(limit))).left().unwrap_or_default()
    }
}
