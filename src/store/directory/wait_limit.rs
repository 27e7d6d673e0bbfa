//! How long an operation waits for the directory.

use std::time::Duration;

use crate::store::wait::Deadline;

/// How long whoever creates or removes a key waits for others who do. What they do takes microseconds.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// For how long one operation waits for the directory, however often it comes to that: for other processes and for threads of its own.
///
/// The clock starts with the first wait, so that looking up a key that is there does not read it.
#[derive(Debug)]
pub(crate) struct WaitLimit {
    pub(super) limit: Duration,
    end: Option<Deadline>,
}

impl WaitLimit {
    /// Of an operation without a timeout of its own.
    pub(crate) fn longest() -> Self {
        Self::new(LONGEST_WAIT)
    }

    /// Of zero: does not wait.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, end: None }
    }

    /// Of an operation that waits until the deadline for whatever it needs, but never longer than [`LONGEST_WAIT`] for the directory.
    pub(crate) fn until(deadline: Deadline) -> Self {
        Self::new(deadline.left().unwrap_or_default().min(LONGEST_WAIT))
    }

    pub(super) fn left(&mut self) -> Duration {
        let limit = self.limit;
        self.end.get_or_insert_with(|| Deadline::after(Some(limit))).left().unwrap_or_default()
    }
}
