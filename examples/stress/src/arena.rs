//! The configuration of a run: the store, its keys, and the directory of journals and witnesses.

use std::ops::Range;
use std::path::PathBuf;

use splinter_bus::store::{KeyOptions, Location, OpenError, Store, StoreOptions};

use crate::value;

/// The configuration that all processes of a run share.
#[derive(Debug, Clone)]
pub(crate) struct Arena {
    pub(crate) location: Location,
    /// The directory of journals and witnesses.
    pub(crate) directory: PathBuf,
    /// The number of keys of each sort.
    pub(crate) keys: u32,
    /// The lengths of values in bytes.
    pub(crate) sizes: Range<usize>,
    pub(crate) history: u32,
    pub(crate) spare: u32,
    pub(crate) workers: u32,
    pub(crate) seed: u64,
}

/// The use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Untyped values: set, loaned, read, pinned.
    Value,
    /// Messages for lossless and for other subscribers.
    Log,
    /// Jobs.
    Queue,
}

impl Sort {
    pub(crate) const ALL: [Self; 3] = [Self::Value, Self::Log, Self::Queue];
}

impl Arena {
    /// A worker has at most one long-lived and one short-lived lossless subscriber.
    pub(crate) fn key_options(&self) -> KeyOptions {
        KeyOptions::new().history(self.history).spare(self.spare).lossless(2 * self.workers)
    }

    /// Creates the store with all its keys.
    pub(crate) fn create(&self) -> Result<Store, Box<dyn std::error::Error>> {
        let store = StoreOptions::new().slots(3 * self.keys).key_options(self.key_options()).create(&self.location)?;
        for sort in Sort::ALL {
            for key in 0..self.keys {
                store.slot(&self.name(sort, key))?;
            }
        }
        Ok(store)
    }

    pub(crate) fn open(&self) -> Result<Store, OpenError> {
        Store::open(&self.location)
    }

    pub(crate) fn name(&self, sort: Sort, key: u32) -> String {
        match sort {
            Sort::Value => format!("value:{key}"),
            Sort::Log => format!("log:{key}"),
            Sort::Queue => format!("queue:{key}"),
        }
    }

    /// Returns the number of a key, which its values contain. It is unique among all sorts.
    pub(crate) fn number(&self, sort: Sort, key: u32) -> u32 {
        sort as u32 * self.keys + key
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        Sort::ALL.into_iter().flat_map(move |sort| (0..self.keys).map(move |key| self.name(sort, key)))
    }

    /// Chooses the length of the next value.
    pub(crate) fn length(&self, random: &mut crate::random::Random) -> usize {
        self.sizes.start + random.below(self.sizes.end - self.sizes.start)
    }

    /// Parses a range of lengths, for example `64..4096`. The end is included.
    pub(crate) fn parse_sizes(text: &str) -> Result<Range<usize>, String> {
        let (low, high) = text.split_once("..").ok_or("expected a range such as 64..4096")?;
        let number = |text: &str| text.parse::<usize>().map_err(|error| format!("{text:?}: {error}"));
        let (low, high) = (number(low)?, number(high.trim_start_matches('='))?);
        if low < value::SHORTEST || high < low || high > 1 << 20 {
            return Err(format!("sizes must be in the range {}..{}, the smaller one first", value::SHORTEST, 1 << 20));
        }
        Ok(low..high + 1)
    }
}
