//! Epochs of versions: how a recovery knows a version that is larger than every version that anybody has seen.
//!
//! When the machine stops, the newest pages of a file may be missing on the disk, and with them every trace of the newest
//! versions. So versions are divided into epochs of 2^26, and a writer that is about to publish the first version of an epoch, of
//! any key, first writes to the disk that the store has reached it. After a recovery, all keys go on in the epoch behind the one that
//! the disk names. It is the scheme of databases that reserve a range of numbers at a time ("hi/lo").
//!
//! A recovery only says where versions go on ([`DirectoryHeader::first`]). The epoch is reached by the first publish, so opening a store that
//! nobody writes to uses up nothing. There are epochs for two million recoveries, each followed by a publish. Where the boot id cannot be read,
//! each opening of a store that nobody has open is a recovery.

use crate::core::memory::records::DirectoryHeader;
use crate::core::word::LARGEST_PLAUSIBLE;
use crate::kill_points::{Step, reached};
use crate::sync::Ordering;

/// The bits of a version that count within an epoch: at ten million publishes a second, one write to the disk in seven seconds.
const BITS: u32 = 26;

/// Stands for this many epochs back, or more.
const FARTHEST: u32 = 63;

/// The word `epoch` of the directory's header: (announced : 32 | durable : 32). A zeroed word is epoch 0, which needs no write.
///
/// A number is announced before it is written to the disk, and durable once it is there. A process that needs one that is only announced writes
/// it, too, instead of waiting for a process that may be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Epoch {
    announced: u32,
    durable: u32,
}

impl Epoch {
    fn from_bits(bits: u64) -> Self {
        Self { announced: (bits >> 32) as u32, durable: bits as u32 }
    }

    fn bits(self) -> u64 {
        u64::from(self.announced) << 32 | u64::from(self.durable)
    }
}

/// The epoch of a version, of which there are fewer than 2^22.
fn of(version: u64) -> u32 {
    (version >> BITS) as u32
}

/// The next version of a slot in a file whose newest one is `before`.
#[inline]
pub(crate) fn next_version(directory: &DirectoryHeader, before: u64, write_header: &dyn Fn() -> bool) -> u64 {
    // Relaxed: it changes only while nobody has the store open.
    let version = (before + 1).max(directory.first.load(Ordering::Relaxed).min(LARGEST_PLAUSIBLE));
    reach(directory, version, write_header);
    version
}

/// Blocks until the disk says that the store has reached the epoch of this version.
///
/// If the disk fails, the version is published all the same, and the next publish tries again: what is on a disk that fails is lost
/// in other ways, which `flush` reports.
#[inline]
pub(crate) fn reach(directory: &DirectoryHeader, version: u64, write_header: &dyn Fn() -> bool) {
    // Acquire: pairs with the release in `write`; whoever sees that the number is durable comes after the write.
    let seen = Epoch::from_bits(directory.epoch.load(Ordering::Acquire));
    if seen.durable < of(version) {
        write(directory, of(version), write_header);
    }
}

#[cold]
fn write(directory: &DirectoryHeader, number: u32, write_header: &dyn Fn() -> bool) {
    let word = &directory.epoch;
    let change = |change: &dyn Fn(Epoch) -> Epoch| {
        let changed = |bits| Some(change(Epoch::from_bits(bits)).bits());
        let (Ok(before) | Err(before)) = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, changed);
        change(Epoch::from_bits(before))
    };
    // Others may have announced a later one: what is written has at least that.
    let announced = change(&|epoch| Epoch { announced: epoch.announced.max(number), ..epoch }).announced;
    reached(Step::EpochAnnounced);
    if write_header() {
        change(&|epoch| Epoch { durable: epoch.durable.max(announced), ..epoch });
    }
}

/// A version larger than all that were ever published, as far as the disk says; 0 once there are no more epochs.
pub(crate) fn first_of_next(directory: &DirectoryHeader) -> u64 {
    let Epoch { announced, durable } = Epoch::from_bits(directory.epoch.load(Ordering::Relaxed));
    // A number that no store reaches is damage: believed, it would use up the versions of all keys.
    let plausible = |number: &u32| u64::from(*number) <= LARGEST_PLAUSIBLE >> BITS;
    let highest = [announced, durable].into_iter().filter(plausible).max().map_or(0, u64::from);
    let next = (highest + 1) << BITS;
    if next <= LARGEST_PLAUSIBLE { next } else { 0 }
}

/// The first version of the epoch in which this one is.
pub(crate) fn first_of(version: u64) -> u64 {
    version >> BITS << BITS
}

/// What a cell says of the version that was published before its own: 0 if that is the one below, else (epochs back : 6 | version within its
/// epoch : 26).
pub(crate) fn gap(before: u64, version: u64) -> u32 {
    if version <= before + 1 {
        return 0;
    }
    let back = of(version).saturating_sub(of(before)).clamp(1, FARTHEST);
    back << BITS | (before - first_of(before)) as u32
}

/// The version that was published before this one, going by what its cell says; `None` if that is too many epochs back.
pub(crate) fn version_before(version: u64, gap: u32) -> Option<u64> {
    match gap >> BITS {
        0 => version.checked_sub(1),
        FARTHEST => None,
        back => {
            let first = first_of(version).checked_sub(u64::from(back) << BITS)?;
            Some(first + u64::from(gap & ((1 << BITS) - 1)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zeroed_word_is_epoch_0_and_words_come_back_as_they_went_in() {
        let epoch = Epoch { announced: 3, durable: 2 };
        assert_eq!((Epoch::from_bits(0).announced, Epoch::from_bits(epoch.bits())), (0, epoch));
        assert_eq!((of((1 << BITS) - 1), of(1 << BITS)), (0, 1));
    }

    #[test]
    fn a_recovery_goes_on_behind_what_is_announced_and_believes_no_damage() {
        let first = |announced, durable| {
            let books = DirectoryHeader::default();
            books.epoch.store(Epoch { announced, durable }.bits(), Ordering::Relaxed);
            first_of_next(&books)
        };
        assert_eq!(first(0, 0), 1 << BITS);
        assert_eq!(first(3, 2), 4 << BITS);
        assert_eq!(first(u32::MAX, 2), 3 << BITS);
        let last = of(LARGEST_PLAUSIBLE);
        assert_eq!((first(last - 1, 0), first(last, 0)), (u64::from(last) << BITS, 0));
    }

    #[test]
    fn a_cell_says_which_version_was_published_before_its_own() {
        let epoch = 1 << BITS;
        for (before, version) in [(6, 7), (6, epoch), (0, 3 * epoch), (epoch - 1, epoch), (epoch + 9, 40 * epoch)] {
            assert_eq!(version_before(version, gap(before, version)), Some(before));
        }
        assert_eq!(gap(6, 7), 0);
        assert_eq!(version_before(90 * epoch, gap(6, 90 * epoch)), None);
        // What no writer leaves is no version.
        assert_eq!(version_before(5, 1 << BITS), None);
        assert_eq!(version_before(0, 0), None);
    }
}
