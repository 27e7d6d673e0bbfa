//! Numbers for the threads of a participant that compute a low-water mark at the same time.

use crate::sync::{AtomicU64, Ordering};

/// Gives each thread of a participant that recomputes a low-water mark a number that no other one has at the time.
///
/// Without it, one thread's mark could be taken for another's, and come back after a registration has cleared it.
#[derive(Debug, Default)]
pub(crate) struct Tags(AtomicU64);

/// A number that nobody else has until this is dropped.
pub(crate) struct Tag<'a> {
    tags: &'a Tags,
    pub(crate) number: u8,
}

impl Tags {
    /// `None` if 64 threads have one.
    pub(crate) fn take(&self) -> Option<Tag<'_>> {
        let mut taken = self.0.load(Ordering::Relaxed);
        loop {
            let number = taken.trailing_ones();
            let bit = 1u64.checked_shl(number)?;
            // Acquire: pairs with the release in `drop`; the last owner's marks come before ours.
            match self.0.compare_exchange(taken, taken | bit, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(Tag { tags: self, number: number as u8 }),
                Err(now) => taken = now,
            }
        }
    }
}

impl Drop for Tag<'_> {
    fn drop(&mut self) {
        self.tags.0.fetch_and(!(1 << self.number), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_threads_have_one_tag_and_the_65th_has_none() {
        let tags = Tags::default();
        let taken: Vec<_> = (0..64).map(|_| tags.take().unwrap()).collect();
        let mut numbers: Vec<_> = taken.iter().map(|tag| tag.number).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), 64);
        assert!(tags.take().is_none());
        drop(taken);
        assert_eq!(tags.take().unwrap().number, 0);
    }
}
