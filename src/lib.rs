//! A typed message bus in shared memory.
#![deny(unsafe_code)]

mod region;
mod sync;

pub mod frame;
pub mod message;
#[cfg(not(loom))]
mod os;
pub mod store;
