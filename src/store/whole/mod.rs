//! Operations on a store as a whole.

mod flush;
mod participants;
mod purge;
mod schema;
mod snapshot;
mod switches;
mod watch;

pub use snapshot::{Diagnostics, StoreSnapshot};
pub use watch::{Change, Watch};
