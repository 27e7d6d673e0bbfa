//! A typed message bus in shared memory.

#![deny(unsafe_code)]

#[cfg(not(loom))]
mod os;
mod region;
mod sync;

#[cfg(not(loom))]
pub mod bus;
pub mod frame;
pub mod message;
pub mod store;

#[cfg(not(loom))]
pub use bus::{
    Bus, Envelope, PublishError, Publisher, Received, RecvError, Sent, Start, Stream, SubscribeError, Subscriber,
};
pub use message::Message;
pub use splinter_bus_derive::{Message, Schema};
#[cfg(not(loom))]
pub use store::{Store, StoreOptions};

/// What derived code calls. Not part of the public interface: it may change in any release.
#[doc(hidden)]
pub mod __private {
    pub use std::option::Option;
    pub use std::primitive::{str, u8, u32};
    pub use std::result::Result;
    pub use std::vec::Vec;

    pub use bytemuck::{CheckedBitPattern, NoUninit};
    pub use serde::{Deserialize, Serialize};
    pub use zerocopy::{Immutable, IntoBytes, TryFromBytes};

    pub use crate::message::private::*;
}
