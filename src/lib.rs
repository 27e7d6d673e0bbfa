//! A typed message bus in shared memory, for processes on one machine.
//!
//! There is no daemon and there are no sockets. A publisher writes a message into a cell that only
//! it uses, and makes it the newest one with a compare-and-swap. A subscriber copies the message
//! and checks that the copy is complete. Neither makes a system call, unless a subscriber sleeps
//! and must be woken.
//!
//! Each key has a history of messages and any number of publishers and subscribers. A subscriber
//! can be lossless, messages can be shared out to workers ([`WorkQueue`]), and large messages can
//! be written and read in place ([`Loan`], [`Sample`]).
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
//! # Modules
//!
//! - [`bus`]: publishers and subscribers for one message type. Start here.
//! - [`message`]: message types, their encodings, schemas and fingerprints.
//! - [`frame`]: a message and its envelope as bytes.
//! - [`store`]: the key-value store below, for programs with a protocol of their own.
//!
//! # Guarantees
//!
//! - **Complete messages.** A receiver gets a message completely, as it was published, with the
//!   type that it expects; or it gets an error.
//! - **Order and loss.** A subscriber receives each message once and in order, or the number of
//!   messages that it missed. A lossless subscriber misses none until it is evicted
//!   ([`Store::evict`]), which its next receive reports.
//! - **Work queues.** Each message goes to one worker, and to another one if that worker dies. On a
//!   store in a file, a loss of power can undo what happened after the last flush: jobs that were
//!   published may be lost ([`Store::recovery`] reports the known ones), and jobs that were
//!   acknowledged may come again.
//! - **Crashes.** A process can be killed or stopped at any instruction. What it published stays;
//!   what it did not finish publishing is never seen; all other processes continue.
//! - **Locks.** Only these operations take locks, which a stopped process may hold: creating and
//!   removing keys, purging, flushing, and opening a store in a file. A process that waits for such
//!   a lock gives up after ten seconds with an error that names the other process. Flushing, or
//!   purging a store in a file, waits a minute for another flush.
//! - **Reading in place.** A message that is read in place does not change as long as every process
//!   that can write to the store follows its protocol. A program that writes to the file by other
//!   means can change the bytes; for a `&str`, `bool` or enum, that is undefined behaviour, even if
//!   no program contains `unsafe`. No library can prevent that for shared memory. If you do not
//!   trust the writers, receive copies. In a child of `fork`, an inherited sample can change at any
//!   moment: do not read it there.
//! - **Files.** A store in a file survives its processes. After a loss of power, or in a copy of
//!   the file, each value is one that was committed, or its loss is an error; a 32-bit checksum
//!   decides. The newest value of a key is the one at the last [`flush`](Store::flush), or a newer
//!   one.
//! - **Disk writes.** On a store in a file, a publish waits for one small write to the disk in
//!   every 67 million versions of a key, and at the first publish after a recovery.
//! - **Old bytes.** A store keeps no bytes of overwritten messages, unless its auto-vacuum is
//!   turned off.
//!
//! # Features
//!
//! - `async`: `recv().await` and streams for subscribers and work queues, on any runtime. Off by
//!   default.
//! - `eventfd`: [`store::KeyEvents`], keys as a descriptor in a loop of `poll` or `epoll`. Off by
//!   default; includes `async`.
//!
//! # Platforms
//!
//! Linux on 64-bit machines. In the repository, `docs/memory.md` says what a store, a key and a long
//! message cost, `docs/upgrade.md` what may change in a message while programs run, and `docs/design.md` how
//! it all works.

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
pub mod schema;
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
pub use store::{KeyOptions, Store, StoreOptions};

/// Items for derived code. Not part of the public interface: they can change in any release.
#[doc(hidden)]
pub mod __private {
    pub use std::borrow::Cow;
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
#[doc = include_str!("../docs/upgrade.md")]
struct Upgrade;

#[cfg(doctest)]
#[doc = include_str!("../docs/derive/message.md")]
struct DeriveMessage;

#[cfg(doctest)]
#[doc = include_str!("../docs/derive/schema.md")]
struct DeriveSchema;
