//! Operations on keys by their names.

pub(crate) mod look_up;

mod evict;
mod keys;
mod poll;
mod system;
mod values;

pub use evict::Evicted;
