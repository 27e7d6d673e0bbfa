//! The protocol of one slot: a ring of cells, any number of writers and readers, no locks.
//!
//! Any participant may be stopped or killed between any two instructions, and every other one makes
//! progress. The functions take views, never addresses, so that loom checks (`src/loom`) the same
//! code that runs on shared memory.
//!
//! The `seq` word of a cell says who may touch it ([`Seq`](super::word::Seq)). The `head` word of
//! the slot says which cell holds the newest value ([`Head`](super::word::Head)). `docs/design.md`
//! has the table of orderings that pair.
//!
//! The files of this folder are what every operation needs; each sub-folder is one concern:
//!
//! | files | concept |
//! | --- | --- |
//! | `ring`, `handle`, `owned_handle` | a key as one handle of a participant sees it |
//! | `context`, `host`, `permutation`, `tags` | the participant, its surroundings, and the order of cells |
//! | `cached_head`, `read_hint` | what a handle remembers of its last publish and its last read |
//! | `cell`, `error`, `retry_limit` | accesses to one cell; errors; how often to try again |
//! | `publishing/` | claim a cell, fill it, move `head` to it, commit it; read-modify-write; helping |
//! | `reading/` | copying the newest value, a version, or all of history; pins |
//! | `delivering/` | cursors of lossless subscribers, the low-water mark, evictions, work queues |
//! | `retaining/` | which cells writers must not overwrite; flushes; gaps between versions |
//! | `removing/` | retired values, what crashed participants hold, and space that no value needs |
//! | `recovering/` | a slot in a file after a crash of the machine |
//! | `waiting/` | waiting for a version, and for free space |

mod cached_head;
mod cell;
mod context;
mod delivering;
mod error;
mod handle;
mod host;
#[cfg(not(loom))]
pub(crate) mod owned_handle;
mod permutation;
mod publishing;
mod read_hint;
mod reading;
mod recovering;
mod removing;
mod retaining;
mod retry_limit;
#[expect(clippy::module_inception, reason = "the concept that the folder is about")]
mod ring;
mod tags;
mod waiting;

#[cfg(test)]
pub(crate) use cell::cell_checks;
// For scenarios.
#[cfg(all(loom, test))]
pub(crate) use {
    cell::readable, delivering::low_water::ComputedLowWater, error::ClaimError, publishing::publish::Advance,
    retaining::retention::Keep,
};

pub(crate) use context::Context;
pub(crate) use delivering::cursor::{Begin, RegisterError, RegisteredCursor};
#[cfg(test)]
pub(crate) use delivering::low_water::scans;
pub(crate) use delivering::queue::{Lease, QueuePosition, Work};
pub(crate) use error::{CommitError, ReadError};
pub(crate) use handle::Handle;
pub use host::SpaceReason;
pub(crate) use host::{Host, NoSpace, Unmapped};
pub(crate) use permutation::MAX_CELLS;
pub use publishing::append::Appended;
pub(crate) use publishing::append::PinNewest;
pub(crate) use publishing::claim::Claim;
pub(crate) use publishing::fill::Lending;
pub(crate) use publishing::modify::{ModifyError, RejectedInteger};
pub(crate) use publishing::storage::Storage;
pub(crate) use reading::history::StoredVersion;
pub(crate) use reading::pin::{Pin, PinError};
pub(crate) use reading::slice::Sliced;
pub(crate) use recovering::proof::Pages;
pub(crate) use recovering::recover::{Recovered, VersionSource};
pub(crate) use recovering::unproven::UnprovenCount;
pub(crate) use retaining::flush::{FlushOvertaken, MIN_FILE_CELLS};
pub(crate) use ring::Ring;
pub(crate) use tags::Tags;
