//! Message ids: UUIDs of version 7, without a system call for each.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

/// The counter of an id has 62 bits.
const COUNTER_MASK: u64 = (1 << 62) - 1;

/// A source of ids.
///
/// It takes its first random number from the kernel and counts from there, which RFC 9562 allows.
/// So the ids of one source are in order, also within a millisecond. Two sources differ in 74
/// random bits.
#[derive(Debug)]
pub(super) struct Ids {
    /// 12 bits.
    random: u64,
    counter: AtomicU64,
}

impl Ids {
    pub(super) fn new() -> Self {
        let (high, low) = Uuid::now_v7().as_u64_pair();
        // Only the lower half of the range, so that the counter does not wrap soon.
        Self { random: high & 0xfff, counter: AtomicU64::new(low & COUNTER_MASK >> 1) }
    }

    /// Returns the next id, for a message sent at `ts`, in nanoseconds since the Unix epoch.
    #[inline]
    pub(super) fn next(&self, ts: u64) -> Uuid {
        Self::id(self.random, self.counter.fetch_add(1, Ordering::Relaxed), ts)
    }

    /// Like [`next`](Self::next), without an atomic operation.
    #[inline]
    pub(super) fn next_mut(&mut self, ts: u64) -> Uuid {
        let counter = self.counter.get_mut();
        *counter = counter.wrapping_add(1);
        Self::id(self.random, *counter, ts)
    }

    #[inline]
    fn id(random: u64, counter: u64, ts: u64) -> Uuid {
        // Layout: time 48 | version 4 | random 12, then variant 2 | counter 62. Built from two
        // words: building it from bytes costs several times as much.
        let time = ts / 1_000_000;
        Uuid::from_u64_pair(time << 16 | 7 << 12 | random, 2 << 62 | counter & COUNTER_MASK)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_of_version_7_in_order_and_all_different() {
        let mut ids = Ids::new();
        let made: Vec<_> = (0..1000).map(|_| ids.next_mut(1_700_000_000_123_456_789)).collect();
        assert!(made.is_sorted());
        assert_eq!(made.iter().collect::<HashSet<_>>().len(), 1000);
        for id in made {
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            assert_eq!(id.as_u128() >> 80, 1_700_000_000_123);
        }
    }

    #[test]
    fn ids_of_two_sources_differ() {
        let (one, other) = (Ids::new(), Ids::new());
        assert_ne!(one.next(0).as_u128() >> 16, other.next(0).as_u128() >> 16);
    }
}
