//! The store under the bus: bytes in, bytes out, for those who bring their own protocol.
//!
//! A [`Store`] is a segment of shared memory, or a file, with a fixed number of slots. Each slot is the home of one key and
//! a ring of cells, one value each; publishing fills a cell that nobody else looks at, then makes it the newest with one
//! compare-and-swap. Readers copy and check; they never wait for writers, nor writers for them.
//!
//! Nothing read from shared memory is trusted: a store that something else has scribbled over gives errors, or other
//! values, but no panic, no access out of bounds and no endless loop.

#[cfg(not(loom))]
mod administration;
mod bell;
mod cells;
mod checksum;
#[cfg(not(loom))]
mod create;
mod delivery;
#[cfg(not(loom))]
pub(crate) mod directory;
#[cfg(not(loom))]
mod epoch;
#[cfg(not(loom))]
pub(crate) mod error;
#[cfg(not(loom))]
mod evict;
#[cfg(not(loom))]
mod flags;
#[cfg(not(loom))]
mod flush;
#[cfg(not(loom))]
mod geometry;
#[cfg(not(loom))]
mod handle;
#[cfg(not(loom))]
mod identity;
pub(crate) mod index;
#[cfg(not(loom))]
mod inner;
#[cfg(not(loom))]
mod integer;
mod key;
#[cfg(not(loom))]
pub(crate) mod loan;
#[cfg(not(loom))]
mod location;
#[cfg(not(loom))]
pub(crate) mod lossless;
#[cfg(not(loom))]
mod mapped;
#[cfg(not(loom))]
mod open;
#[cfg(not(loom))]
pub(crate) mod opener;
#[cfg(not(loom))]
mod options;
#[cfg(not(loom))]
mod participant;
#[cfg(not(loom))]
pub(crate) mod pin;
#[cfg(not(loom))]
pub(crate) mod queue;
#[cfg(all(feature = "async", not(loom)))]
pub(crate) mod reactor;
#[cfg(not(loom))]
mod recover;
mod ring;
#[cfg(not(loom))]
mod schema;
#[cfg(not(loom))]
mod slot;
#[cfg(not(loom))]
mod snapshot;
#[cfg(not(loom))]
pub(crate) mod wait;
#[cfg(not(loom))]
mod watch;
mod word;

#[cfg(all(test, not(loom)))]
pub(crate) use ring::looks as ring_looks;

#[cfg(not(loom))]
pub use public::*;

#[cfg(not(loom))]
mod public {
    pub use crate::core::cell_counts::CellCounts;
    pub use super::error::{
        AppendError, DirectoryError, Forked, GeometryError, GetError, IntegerError, LoanError, OpenError, PatternError,
        SetError, SlotError, UnsetError,
    };
    pub use super::evict::{EvictError, Evicted};
    pub use super::flags::Flags;
    pub use super::geometry::{Geometry, MAX_HISTORY, MAX_LOSSLESS, MAX_SLOTS, MAX_VALUE_SIZE};
    pub use super::handle::Store;
    pub use super::integer::Integer;
    pub use crate::core::key::{KeyError, MAX_KEY_LEN};
    pub use super::loan::{Loan, LoanUninit};
    pub use super::location::Location;
    pub use super::options::StoreOptions;
    pub use super::participant::Participant;
    pub use super::pin::Pinned;
    pub use super::recover::{Recovery, UnprovenJobs};
    pub use super::slot::{Slot, Version};
    pub use super::snapshot::{Diagnostics, LosslessSnapshot, QueueSnapshot, SlotSnapshot, StoreSnapshot};
    pub use super::watch::{Change, Watch};
}
