//! A typed message bus in shared memory, for services on one machine. No daemon, no sockets, no kernel call on the way of
//! a message unless somebody sleeps who must be woken: a publisher fills a cell that nobody else looks at and makes it the
//! newest with one compare-and-swap; a subscriber copies it and checks that it got all of it. (In a file, one small write to
//! the disk is added in every 67 million versions of a key, and at the first publish after a recovery.)
//!
//! ```
//! use splinter_bus::{Bus, Message};
//!
//! #[derive(Message, serde::Serialize, serde::Deserialize)]
//! #[message(kind = "query")]
//! struct Prompt {
//!     text: String,
//!     max_tokens: u32,
//! }
//!
//! # let name = format!("splinter-doc-lib-{}", std::process::id());
//! // In one process:
//! let bus: Bus<Prompt> = Bus::open_or_create(&name)?;
//! let mut prompts = bus.subscribe("llm:prompt")?;
//!
//! // In another:
//! let bus: Bus<Prompt> = Bus::open_or_create(&name)?;
//! bus.publish("llm:prompt", &Prompt { text: "Why is the sky blue?".into(), max_tokens: 64 })?;
//!
//! // And in the first:
//! let prompt = prompts.recv()?;
//! assert_eq!(prompt.text, "Why is the sky blue?");
//! println!("{} says {:?}", prompt.envelope().from(), prompt.text);
//! # splinter_bus::Store::remove(&name)?;
//! # Ok::<(), splinter_bus::Error>(())
//! ```
//!
//! # The layers
//!
//! - [`bus`]: publishers and subscribers of one message type. Start here.
//! - [`message`]: what makes a type a message: the derive, its encodings, its fingerprint.
//! - [`frame`]: a message and its envelope as bytes.
//! - [`store`]: the key-value store below, for those who bring their own protocol.
//!
//! # What is promised
//!
//! - Whoever receives a message receives all of it, as it was published, of the type that was asked for; or an error.
//! - A subscriber receives each message once and in order, or the number that it missed. A lossless one misses none, until
//!   it is evicted ([`Store::evict`]), which its next receive reports.
//! - Each message of a work queue is handled by one worker; if that one dies, by another. In a file, after a loss of power, jobs
//!   that were published after the last flush may be lost ([`Store::recovery`] reports them as far as they can be known), and a
//!   job that was finished after the last flush may come again.
//! - What is read in place does not change, as long as every process that can write to the store follows its protocol. A
//!   program that writes to the file by other means can change the bytes under a view; for a `&str`, `bool` or enum that is
//!   undefined behaviour, also if no program contains `unsafe`. No library can prevent that for memory that others may write.
//!   Copies do not have this weakness: receive copies where writers are not trusted. In a child of `fork`, an inherited view may
//!   change at any moment: do not read it there.
//! - A process may be killed or stopped at any instruction: what it had published stays, what it had not is never seen, and
//!   every other process goes on. (Creating and removing keys, purging, flushing, and opening a store in a file take locks,
//!   which a stopped process may hold. Those who wait for a flush, to flush or purge a store in a file, give up after a minute;
//!   all others after ten seconds, with an error that names the process.)
//! - A store in a file survives its processes. After a loss of power, or in a copy, each value is whole as it was committed
//!   once, or its loss is an error; that rests on a checksum of 32 bits. The value that was a key's newest at the last
//!   [`flush`](Store::flush) is found, or a newer one.
//! - Bytes of older messages do not stay behind in a store whose auto-vacuum is on, as it is unless it is turned off.
//!
//! # Features
//!
//! - `async`: `recv().await` and streams for subscribers and work queues, on any runtime. Off by default.
//!
//! Linux on 64-bit machines. `docs/design.md` in the repository tells how it works.

#![deny(unsafe_code)]

#[cfg(not(loom))]
pub mod bus;
mod core;
#[cfg(not(loom))]
mod error;
pub mod frame;
#[cfg(not(kill_points))]
mod kill_points;
#[cfg(kill_points)]
#[doc(hidden)]
pub mod kill_points;
#[cfg(all(loom, test))]
mod loom;
pub mod message;
#[cfg(not(loom))]
mod os;
#[cfg(not(loom))]
pub mod store;
mod sync;

#[cfg(all(feature = "async", not(loom)))]
pub use bus::{AsyncSubscriber, AsyncWorkQueue};
#[cfg(not(loom))]
pub use bus::{
    Bus, Envelope, Job, Loan, PublishError, Publisher, Received, RecvError, Sample, Sent, Start, Stream,
    SubscribeError, SubscribeOptions, Subscriber, WaitSet, WorkQueue,
};
#[cfg(not(loom))]
pub use error::Error;
pub use message::Message;
pub use splinter_bus_derive::{Message, Schema};
#[cfg(not(loom))]
pub use store::{Store, StoreOptions};

/// What derived code calls. Not part of the public interface: it may change in any release.
#[doc(hidden)]
pub mod __private {
    pub use std::option::Option;
    pub use std::primitive::{bool, str, u8, u32, usize};
    pub use std::result::Result;
    pub use std::vec::Vec;

    pub use serde::Deserialize;

    pub use crate::message::private::*;
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../docs/derive/message.md")]
struct DeriveMessage;

#[cfg(doctest)]
#[doc = include_str!("../docs/derive/schema.md")]
struct DeriveSchema;
