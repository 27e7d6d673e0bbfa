//! How a store comes into being, is opened, is recovered, and goes away.

mod anonymous;
mod clean_epoch;
mod copy;
mod create;
mod create_or_open;
mod draft;
mod identity;
mod open;
mod opening;
mod options;
mod recover;
mod refused;
pub(crate) mod registry;

pub(crate) use identity::LAYOUT;
pub use options::StoreOptions;
