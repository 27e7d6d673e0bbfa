//! The store under the bus: bytes in, bytes out, for programs that bring their own protocol.
//!
//! A [`Store`] is a segment of shared memory, or a file, with a fixed number of slots. Each slot
//! has one key and a ring of cells, one value each. To publish, a writer fills a cell that nobody
//! else uses, then makes it the newest with one compare-and-swap. Readers copy and check. They
//! never wait for writers, and writers never wait for them.
//!
//! Nothing that is read from shared memory is trusted: a store that something else has overwritten
//! gives errors, or other values, but no panic, no access out of bounds and no endless loop.

pub(crate) mod by_key;
mod dimensions;
pub(crate) mod directory;
pub(crate) mod error;
mod flags;
#[cfg(feature = "eventfd")]
mod key_events;
mod key_options;
mod lifecycle;
mod local_pins;
mod location;
mod mapped;
pub(crate) mod participant;
#[cfg(feature = "async")]
pub(crate) mod reactor;
mod recovery;
mod session;
pub(crate) mod slot;
#[expect(clippy::module_inception, reason = "the type that the folder is about")]
mod store;
pub(crate) mod wait;
mod whole;

pub use crate::core::cell_counts::CellCounts;
pub use crate::core::key::MAX_KEY_LEN;
pub use crate::core::lookup::Lookup;
#[cfg(not(loom))]
pub use crate::core::ring::Appended;
pub use crate::core::ring::SpaceReason;
pub use by_key::Evicted;
pub use dimensions::{Dimensions, MAX_INLINE_SIZE, MAX_SLOTS};
pub use error::{
    CopyError, DimensionsError, DirectoryError, EvictError, Forked, GetError, KeyError, OpenError, PatternError,
    SetError, ShapeError, UpdateError,
};
pub use flags::Flags;
#[cfg(feature = "eventfd")]
pub use key_events::KeyEvents;
pub use key_options::{KeyOptions, KeyShape};
pub use lifecycle::StoreOptions;
pub use location::Location;
pub use participant::Participant;
pub use recovery::{Recovery, UnprovenJobs};
pub use slot::{Integer, KeyMemory, Loan, LoanUninit, LosslessSnapshot, Pinned, QueueSnapshot, Slot, SlotSnapshot};
pub use store::Store;
pub use whole::{Change, Diagnostics, Memory, StoreSnapshot, Watch};
