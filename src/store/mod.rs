//! The store under the bus: bytes in, bytes out, for those who bring their own protocol.
//!
//! A [`Store`] is a segment of shared memory, or a file, with a fixed number of slots. Each slot is the home of one key and
//! a ring of cells, one value each; publishing fills a cell that nobody else looks at, then makes it the newest with one
//! compare-and-swap. Readers copy and check; they never wait for writers, nor writers for them.
//!
//! Nothing read from shared memory is trusted: a store that something else has scribbled over gives errors, or other
//! values, but no panic, no access out of bounds and no endless loop.

mod administration;
mod context;
mod crashed_locks;
mod create;
pub(crate) mod directory;
pub(crate) mod error;
mod evict;
mod flags;
mod flush;
mod geometry;
mod handle;
mod identity;
mod inner;
mod integer;
pub(crate) mod loan;
mod location;
pub(crate) mod lossless;
mod mapped;
mod memory;
mod open;
pub(crate) mod opener;
mod options;
mod participant;
pub(crate) mod pin;
pub(crate) mod queue;
#[cfg(feature = "async")]
pub(crate) mod reactor;
mod recover;
mod schema;
mod slot;
mod snapshot;
pub(crate) mod wait;
mod watch;

pub use crate::core::cell_counts::CellCounts;
pub use crate::core::key::MAX_KEY_LEN;
pub use error::{
    DirectoryError, EvictError, Forked, GeometryError, GetError, KeyError, OpenError, PatternError, SetError,
    UpdateError,
};
pub use evict::Evicted;
pub use flags::Flags;
pub use geometry::{Geometry, MAX_HISTORY, MAX_LOSSLESS, MAX_SLOTS, MAX_VALUE_SIZE};
pub use handle::Store;
pub use integer::Integer;
pub use loan::{Loan, LoanUninit};
pub use location::Location;
pub use options::StoreOptions;
pub use participant::Participant;
pub use pin::Pinned;
pub use recover::{Recovery, UnprovenJobs};
pub use slot::{Slot, Version};
pub use snapshot::{Diagnostics, LosslessSnapshot, QueueSnapshot, SlotSnapshot, StoreSnapshot};
pub use watch::{Change, Watch};
