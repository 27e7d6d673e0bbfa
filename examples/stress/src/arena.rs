//! Where it all takes place: the store, its keys, and the directory in which workers write down what must survive them.

use std::ops::Range;
use std::path::PathBuf;

use splinter_bus::store::{Location, OpenError, Store, StoreOptions};

use crate::value;

/// What a frame has beside its payload, with room to spare.
const ENVELOPE: usize = 256;

#[derive(Debug, Clone)]
pub(crate) struct Arena {
    pub(crate) location: Location,
    /// Journals and witnesses.
    pub(crate) directory: PathBuf,
    /// Keys of each sort.
    pub(crate) keys: u32,
    /// Of values, in bytes.
    pub(crate) sizes: Range<usize>,
    pub(crate) history: u32,
    pub(crate) spare: u32,
    pub(crate) workers: u32,
    pub(crate) seed: u64,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Values without types: set, lent, read, pinned.
    Value,
    /// Messages that lossless subscribers receive.
    Log,
    /// Jobs.
    Queue,
}

impl Sort {
    pub(crate) const ALL: [Self; 3] = [Self::Value, Self::Log, Self::Queue];
}

impl Arena {
    /// Creates the store, with all keys, so that workers find them in place.
    pub(crate) fn create(&self) -> Result<Store, Box<dyn std::error::Error>> {
        let store = StoreOptions::new()
            .slots(3 * self.keys)
            .max_value_size((self.sizes.end - 1 + ENVELOPE) as u64)
            .history(self.history)
            .spare(self.spare)
            // Each worker may have one that stays, and one that comes for a moment.
            .lossless(2 * self.workers)
            .create(&self.location)?;
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

    /// The number by which values know their key, of whatever sort.
    pub(crate) fn number(&self, sort: Sort, key: u32) -> u32 {
        sort as u32 * self.keys + key
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        Sort::ALL.into_iter().flat_map(move |sort| (0..self.keys).map(move |key| self.name(sort, key)))
    }

    /// A length for the next value.
    pub(crate) fn length(&self, random: &mut crate::random::Random) -> usize {
        self.sizes.start + random.below(self.sizes.end - self.sizes.start)
    }

    /// What is wrong with the sizes, if anything is.
    pub(crate) fn parse_sizes(text: &str) -> Result<Range<usize>, String> {
        let (low, high) = text.split_once("..").ok_or("sizes are such as 64..4096")?;
        let number = |text: &str| text.parse::<usize>().map_err(|error| format!("{text:?}: {error}"));
        let (low, high) = (number(low)?, number(high.trim_start_matches('='))?);
        if low < value::SHORTEST || high < low || high > 1 << 20 {
            return Err(format!("sizes must be from {} to {}, the smaller first", value::SHORTEST, 1 << 20));
        }
        Ok(low..high + 1)
    }
}
