//! Operations on a store as a whole.

mod changes;
mod flush;
mod memory;
mod participants;
mod purge;
mod snapshot;
mod switches;
mod watch;

pub use memory::Memory;
pub use snapshot::{Diagnostics, StoreSnapshot};
pub use watch::{Change, Watch};
