//! The protocol of one slot: a ring of cells, any number of writers and readers, no locks.
//!
//! Any participant may be stopped or killed between any two instructions, and every other one makes progress.
//! The functions take views, never addresses, so that loom checks (`src/loom`) the same code that runs on
//! shared memory.
//!
//! The `seq` word of a cell says who may touch it ([`Seq`](super::word::Seq)). The `head` word of the slot
//! says which cell holds the newest value ([`Head`](super::word::Head)). `docs/design.md` has the table of
//! orderings that pair.
//!
//! | concern | files |
//! | --- | --- |
//! | the key as a participant sees it | `ring`, `handle`, `context`, `host`, `owned_handle`, `error` |
//! | publishing | `claim`, `publish`, `modify`, `help`, `cached_head`, `permutation` |
//! | reading | `read`, `find`, `read_hint`, `history`, `cell` |
//! | reading in place | `pin` |
//! | what writers must spare | `retention`, `low_water`, `tags`, `cursor`, `evict`, `flush`, `gap` |
//! | work queues | `queue` |
//! | waiting | `wait`, `free_space` |
//! | removing and purging | `retire` |
//! | after a crash of a process | `reap` |
//! | after a crash of the machine | `recover`, `proof`, `unproven` |

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
mod proof;
mod publish;
mod queue;
mod read;
mod read_hint;
mod reap;
mod recover;
mod retention;
mod retire;
mod retry_limit;
#[expect(clippy::module_inception, reason = "the concept that the folder is about")]
mod ring;
mod tags;
mod unproven;
mod wait;

#[cfg(test)]
pub(crate) use cell::cell_checks;
// For scenarios.
#[cfg(all(loom, test))]
pub(crate) use {cell::readable, error::Backpressure, low_water::ComputedLowWater, publish::Advance, retention::Keep};

pub(crate) use claim::Claim;
pub(crate) use context::Context;
pub(crate) use cursor::{Begin, RegisterError, RegisteredCursor};
pub(crate) use error::{CommitError, ReadError};
pub(crate) use flush::{FlushOvertaken, MIN_FILE_CELLS};
pub(crate) use handle::Handle;
pub(crate) use history::StoredVersion;
pub(crate) use host::Host;
#[cfg(test)]
pub(crate) use low_water::scans;
pub(crate) use modify::{ModifyError, RejectedInteger};
#[cfg(not(loom))]
pub(crate) use owned_handle::OwnedHandle;
pub(crate) use permutation::Permutation;
pub(crate) use pin::{Pin, PinOutcome};
pub(crate) use proof::Pages;
pub(crate) use publish::Lending;
pub(crate) use queue::{Lease, QueuePosition, Work};
pub(crate) use read::CopyOutcome;
pub(crate) use recover::{Recovered, VersionSource};
pub(crate) use ring::Ring;
pub(crate) use tags::Tags;
pub(crate) use unproven::UnprovenCount;
