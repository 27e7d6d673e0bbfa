//! A typed message bus in shared memory.
#![deny(unsafe_code)]

pub mod frame;
pub mod message;
