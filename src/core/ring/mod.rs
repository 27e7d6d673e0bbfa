//! The protocol of one slot: a ring of cells, any number of writers and readers, no locks.
//!
//! Any participant may be stopped or killed between any two instructions here, and every other one makes progress. The
//! functions take views, never addresses, so that what loom checks (`src/loom`) is what runs on shared memory.
//!
//! Who may touch a cell is said by its `seq` word ([`Seq`](super::word::Seq)); which cell holds the newest value is said by
//! the slot's `head` ([`Head`](super::word::Head)). `docs/design.md` has the table of orderings that pair.

mod attempts;
mod cached_head;
mod cell;
mod claim;
mod context;
mod cursor;
mod error;
mod evict;
mod find;
mod flush;
mod free_space;
mod gap;
mod handle;
mod help;
mod history;
mod host;
mod low_water;
mod modify;
#[cfg(not(loom))]
mod owned_handle;
mod permutation;
mod pin;
mod publish;
mod queue;
mod read;
mod read_hint;
mod reap;
mod recover;
mod retention;
mod retire;
#[expect(clippy::module_inception, reason = "the concept that the folder is about")]
mod ring;
mod tags;
mod wait;

#[cfg(test)]
pub(crate) use cell::looks;
// For scenarios.
#[cfg(all(loom, test))]
pub(crate) use {cell::readable, error::Backpressure, low_water::ComputedLowWater, publish::Advance, retention::Keep};

pub(crate) use claim::Claim;
pub(crate) use context::Context;
pub(crate) use cursor::{Begin, Registered, Unregistered};
pub(crate) use error::{CommitError, ReadError};
pub(crate) use flush::{CELLS_OF_A_FILE, Overtaken};
pub(crate) use handle::Handle;
pub(crate) use history::KeptVersion;
pub(crate) use host::Host;
#[cfg(test)]
pub(crate) use low_water::scans;
pub(crate) use modify::{ModifyError, Unfit};
#[cfg(not(loom))]
pub(crate) use owned_handle::OwnedHandle;
pub(crate) use permutation::Permutation;
pub(crate) use pin::{Pin, PinError};
pub(crate) use publish::Lending;
pub(crate) use queue::{Position, Taken, Work};
pub(crate) use recover::{Found, Moments, Successor, Unproven};
pub(crate) use ring::Ring;
pub(crate) use tags::Tags;
