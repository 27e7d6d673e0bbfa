//! Handles on one key: writing, reading, pinning, lending, waiting.

mod append;
mod integer;
pub(crate) mod loan;
pub(crate) mod lossless;
mod memory;
pub(crate) mod pinned;
pub(crate) mod queue;
mod read;
mod set_if;
mod slice;
#[expect(clippy::module_inception, reason = "the concept that the folder is about")]
mod slot;
mod snapshot;
mod wait;
mod write;

pub use integer::Integer;
pub use loan::{Loan, LoanUninit};
pub use memory::KeyMemory;
pub use pinned::Pinned;
pub use slot::Slot;
pub use snapshot::{LosslessSnapshot, QueueSnapshot, SlotSnapshot};
