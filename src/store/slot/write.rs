//! Publishing values, and waiting for free space.

use std::io;

use crate::core::cell_counts::CellCounts;
use crate::core::ring::{Claim, CommitError, NoSpace, Ring, Unmapped};
use crate::os::limits;
use crate::store::error::{KeyError, SetError};
use crate::store::session::Session;
use crate::store::wait::{Deadline, Spin, wait_for_event};
use crate::sync::yield_now;

/// How many times a publisher without free space lets others run before it sleeps: some ten
/// microseconds, about as long as sleeping and being woken.
const YIELDS: u32 = 16;

impl Session {
    /// Publishes a value, and wakes those who wait for it.
    #[inline]
    pub(crate) fn set(&self, ring: Ring<'_>, value: &[u8]) -> Result<u64, SetError> {
        let version = ring.publish(value).or_else(|error| self.retry_with_space(error, || ring.publish(value)))?;
        self.wake(ring);
        Ok(version)
    }

    /// As [`set`](Self::set), and waits for free space.
    pub(crate) fn set_within(&self, ring: Ring<'_>, value: &[u8], deadline: Deadline) -> Result<u64, SetError> {
        let version = retry_until_not_full(ring, deadline, || {
            ring.publish(value).or_else(|error| self.retry_with_space(error, || ring.publish(value)))
        })?;
        self.wake(ring);
        Ok(version)
    }

    /// Claims a cell for a value of this length, and waits for one.
    pub(super) fn claim_within(&self, ring: Ring<'_>, len: usize, deadline: Deadline) -> Result<Claim, CommitError> {
        let claim = || ring.claim_for(len);
        retry_until_not_full(ring, deadline, || claim().or_else(|error| self.retry_with_space(error, claim)))
    }

    /// Repeats an attempt that failed for lack of space, after other keys have given back what they do
    /// not need.
    #[cold]
    pub(crate) fn retry_with_space<T>(
        &self,
        error: CommitError,
        attempt: impl FnOnce() -> Result<T, CommitError>,
    ) -> Result<T, CommitError> {
        match error {
            CommitError::NoSpace(_) if self.trim() > 0 => attempt(),
            error => Err(error),
        }
    }
}

/// Repeats an attempt that needs a cell whenever a process has freed one, until the deadline.
fn retry_until_not_full<T>(
    ring: Ring<'_>,
    deadline: Deadline,
    mut attempt: impl FnMut() -> Result<T, CommitError>,
) -> Result<T, CommitError> {
    let mut counts = CellCounts::default();
    let check = || match attempt() {
        Err(CommitError::Backpressure(cells)) => {
            counts = cells;
            None
        }
        outcome => Some(outcome),
    };
    // A process that can free a cell may have no other core to do it on.
    let has_changed = || {
        yield_now();
        ring.has_free_cells_ahead()
    };
    let outcome = wait_for_event(ring.not_full(), deadline, &mut Spin::rounds(YIELDS), has_changed, check);
    outcome.unwrap_or(Err(CommitError::Backpressure(counts)))
}

impl From<CommitError> for SetError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Backpressure(cells) => Self::Backpressure(Box::new(cells)),
            CommitError::TooLarge { len, max } => Self::TooLarge { len, max },
            CommitError::NoSpace(NoSpace { needed, available, reason }) => Self::NoSpace { needed, available, reason },
            CommitError::Unmapped(reason) => {
                let source = match reason {
                    Some(Unmapped::Refused { errno }) => io::Error::from_raw_os_error(errno),
                    Some(Unmapped::Truncated) | None => io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "another program has cut the store's file: remove the store and create it again",
                    ),
                };
                Self::Mapping { limit: limits::address_space(), source }
            }
            CommitError::Removed => Self::Key(KeyError::Removed),
            CommitError::Exhausted => Self::Exhausted,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::core::ring::scans;
    use crate::store::{KeyOptions, SetError, StoreOptions};
    use crate::{Bus, SubscribeOptions};

    #[test]
    fn a_refused_publish_reads_the_cursors_as_often_however_many_cells_there_are() {
        let scans = [(2, 2), (16, 8), (512, 512)].map(|(history, spare)| {
            let name = format!("splinter-unit-refused-{}-{history}", std::process::id());
            let options = StoreOptions::new().slots(1).key_options(KeyOptions::new().history(history).spare(spare));
            let store = options.create(&name).unwrap();
            crate::Store::remove(&name).unwrap();
            let bus = Bus::<Vec<u8>>::on(store.clone());
            let _stalled = bus.subscribe_with("k", &SubscribeOptions::new().lossless()).unwrap();
            let slot = store.slot("k").unwrap();
            while slot.set(b"v").is_ok() {}
            scans::take();
            assert!(matches!(slot.set(b"v"), Err(SetError::Backpressure(_))));
            scans::take()
        });
        assert!(scans.iter().all(|&count| count == scans[0] && count <= 8), "{scans:?}");
    }
}
