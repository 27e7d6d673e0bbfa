//! Tags: small numbers for the threads of a participant that compute a low-water mark at the same
//! time.

use crate::sync::{AtomicU64, Ordering};

/// Assigns tags. No two threads of a participant have the same tag at the same time.
///
/// With a shared tag, one thread's bits in the mark could be taken for another's. They could come
/// back after a registration has cleared them (ABA).
#[derive(Debug, Default)]
pub(crate) struct Tags(AtomicU64);

/// A tag that no other thread has until this is dropped.
pub(crate) struct Tag<'a> {
    tags: &'a Tags,
    pub(crate) number: u8,
}

impl Tags {
    /// Assigns the smallest free tag; `None` if all 64 are in use.
    pub(crate) fn acquire(&self) -> Option<Tag<'_>> {
        let mut used = self.0.load(Ordering::Relaxed);
        loop {
            let number = used.trailing_ones();
            let bit = 1u64.checked_shl(number)?;
            // Acquire: pairs with the release in `drop`; the last owner's accesses come before
            // ours.
            match self.0.compare_exchange(used, used | bit, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(Tag { tags: self, number: number as u8 }),
                Err(now) => used = now,
            }
        }
    }
}

impl Drop for Tag<'_> {
    fn drop(&mut self) {
        // Release: pairs with the acquire in `acquire`.
        self.tags.0.fetch_and(!(1 << self.number), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_threads_have_the_same_tag_and_the_65th_has_none() {
        let tags = Tags::default();
        let held: Vec<_> = (0..64).map(|_| tags.acquire().unwrap()).collect();
        let mut numbers: Vec<_> = held.iter().map(|tag| tag.number).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), 64);
        assert!(tags.acquire().is_none());
        drop(held);
        assert_eq!(tags.acquire().unwrap().number, 0);
    }
}
